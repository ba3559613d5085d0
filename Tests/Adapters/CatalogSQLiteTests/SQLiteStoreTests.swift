import CatalogSQLite
import CatalogStore
import Foundation
import GRDB
import ShardModel
import Synchronization
import Testing

@Suite struct SQLiteStoreTests {
    private func change(_ number: Int) -> CatalogChange { CatalogChange([.setSetting(name: "n", value: String(number))], author: "test") }

    private func failure(_ operation: () async throws(CatalogError) -> some Any) async -> CatalogError? {
        do throws(CatalogError) {
            _ = try await operation()
            return nil
        } catch {
            return error
        }
    }

    @Test func filesAreTheOwnersOnly() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        _ = try await store.commit(change(1), expecting: .zero)
        for suffix in ["", "-wal", "-shm"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.catalog + suffix)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(suffix)")
        }
        await store.close()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["catalog.sqlite"], "no draft is left")
    }

    @Test func storesOpenedAtOnceMakeOneCatalog() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let clusters = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let store = try await SQLiteCatalogStore(path: folder.catalog)
                    let id = try await store.load().clusterID
                    await store.close()
                    return id
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(clusters.count == 1)
    }

    @Test func lockedFileIsUnavailableUntilItIsFree() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let store = try await SQLiteCatalogStore(path: folder.catalog, busyTimeout: .milliseconds(200))
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: folder.catalog, configuration: configuration)
        try await other.writeWithoutTransaction { db in try db.execute(sql: "BEGIN IMMEDIATE") }
        guard case .unavailable(let reason) = await failure({ () throws(CatalogError) in try await store.commit(change(1), expecting: .zero) })
        else { return #expect(Bool(false), "the lock is not noticed") }
        #expect(reason.contains("locked"))
        #expect(try await store.load().epoch == .zero, "reading does not wait for a writer")
        #expect(await failure { () throws(CatalogError) in try await store.acquireLease("l", holder: "a", ttl: .seconds(1)) } != nil)
        try await other.writeWithoutTransaction { db in try db.execute(sql: "ROLLBACK") }
        #expect(try await store.commit(change(1), expecting: .zero).epoch == Epoch(1))
        try other.close()
        await store.close()
    }

    @Test(arguments: [false, true])
    func removedOrReplacedFileIsNoticed(_ isReplaced: Bool) async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        _ = try await store.commit(change(1), expecting: .zero)
        try FileManager.default.moveItem(atPath: folder.catalog, toPath: folder.path + "/moved")
        if isReplaced { try Data("other".utf8).write(to: URL(fileURLWithPath: folder.catalog)) }
        for error in [
            await failure { () throws(CatalogError) in try await store.commit(change(2), expecting: Epoch(1)) },
            await failure { () throws(CatalogError) in try await store.load() },
            await failure { () throws(CatalogError) in try await store.announce(.init(id: "a", kind: "", url: "", wireAddress: "", epoch: .zero, startedAt: 0, version: ""), ttl: .seconds(1)) },
        ] {
            guard case .unavailable = error else { return #expect(error == nil, "commits into a lost file go on") }
        }
        await store.close()
    }

    @Test func closedStoreIsUnavailableAndItsWatchEnds() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        let stream = store.watch(after: .zero)
        await store.close()
        await store.close()
        for await _ in stream {}
        for await _ in store.watch(after: .zero) {}
        guard case .unavailable = await failure({ () throws(CatalogError) in try await store.load() }) else {
            return #expect(Bool(false), "a closed store answers")
        }
    }

    @Test func cancelledCommitIsDecided() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        for number in 0..<20 {
            let task = Task { try await store.commit(change(number + 1), expecting: Epoch(UInt64(number))) }
            task.cancel()
            #expect(try await task.value.epoch.number == UInt64(number + 1))
        }
        await store.close()
    }

    @Test func historyIsBounded() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        let total = CatalogHistoryEntry.keptMin + 20
        for number in 1...total { _ = try await store.commit(change(number), expecting: Epoch(UInt64(number - 1))) }
        let history = try await store.history(limit: .max)
        #expect(history.count == CatalogHistoryEntry.keptMin)
        #expect(history.first?.epoch.number == UInt64(total))
        await store.close()
    }

    @Test func leasesAndMembersEndByTheMachinesClock() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let clock = ManualClock()
        let store = try await SQLiteCatalogStore(path: folder.catalog, clock: clock)
        let member = MemberRecord(id: "a", kind: "router", url: "", wireAddress: "", epoch: .zero, startedAt: 0, version: "")
        try await store.announce(member, ttl: .seconds(10))
        let first = try await store.acquireLease("l", holder: "a", ttl: .seconds(10))
        clock.advance(9999)
        #expect(try await store.members() == [member])
        #expect(try await store.acquireLease("l", holder: "b", ttl: .seconds(10)) == nil)
        clock.advance(1)
        #expect(try await store.members().isEmpty)
        #expect(try await store.acquireLease("l", holder: "b", ttl: .seconds(10))?.fencingToken == (first?.fencingToken ?? 0) + 1)
        try await store.announce(member, ttl: .seconds(1_000_000))
        clock.restart()
        #expect(try await store.members().isEmpty, "nobody outlives the machine's restart")
        #expect(try await store.acquireLease("l", holder: "c", ttl: .seconds(10))?.fencingToken == (first?.fencingToken ?? 0) + 2)
        await store.close()
    }
}

private final class ManualClock: LeaseClock {
    private let state = Mutex(LeaseInstant(boot: "first", milliseconds: 1_000_000))
    var now: LeaseInstant { state.withLock(\.self) }
    func advance(_ milliseconds: Int64) { state.withLock { $0.milliseconds += milliseconds } }
    /// The machine starts again, so that its clock counts from the beginning.
    func restart() { state.withLock { $0 = LeaseInstant(boot: "second", milliseconds: 1000) } }
}
