import CatalogStore
import Foundation
import ShardModel
import Synchronization
import Testing

@Suite struct CatalogTransferTests {
    private let place = "postgres://app@db/catalog"

    /// A database of two shards, at epoch 3.
    private func sample() async throws -> InMemoryCatalogStore {
        let store = InMemoryCatalogStore()
        let rings = RingCut.even(over: 2, vnodesEach: 4, after: 0)
        let shards = rings.enumerated().map { index, vnodes in
            CatalogChange.Operation.putShard(
                ShardRecord(id: ShardID("s\(index)"), name: "s\(index)", database: "app", primaryEndpoint: "postgres://u@h/d\(index)", vnodes: vnodes))
        }
        let table = TableRecord(database: "app", name: .init(schema: "public", name: "t"), placement: .sharded(key: "k"))
        _ = try await store.commit(
            CatalogChange([.putDatabase(DatabaseRecord(name: "app", homeShard: ShardID("s0")))] + shards, author: "ada"), expecting: .zero)
        _ = try await store.commit(
            CatalogChange([.putTable(table), .putUser(UserRecord(name: "ada", verifier: "v", roles: ["admin"]))], author: "bob"), expecting: Epoch(1))
        _ = try await store.commit(CatalogChange([.setSetting(name: "x", value: "ü")], author: "bob"), expecting: Epoch(2))
        return store
    }

    private func export(_ store: any CatalogStore) async throws -> CatalogExport {
        CatalogExport(try await store.load(), history: try await store.history(limit: 1000))
    }

    private func error(_ body: () async throws -> some Any) async throws -> CatalogError {
        try #require(await #expect(throws: CatalogError.self) { _ = try await body() })
    }

    // MARK: export and import

    @Test func anExportIsTheCatalogAndItsHistory() async throws {
        let store = try await sample()
        let written = try await export(store)
        let read = try CatalogExport(json: try written.json)
        #expect(read == written)
        #expect(try read.snapshot() == (try await store.load()))
        #expect(read.history.map(\.change.author) == ["bob", "bob", "ada"])
    }

    @Test func anImportIsTheSameAtANewerEpoch() async throws {
        let store = try await sample()
        let target = InMemoryCatalogStore()
        let stored = try await CatalogTransfer.take(try await export(store), into: target)
        var expected = try await store.load()
        expected.epoch = Epoch(4)
        #expect(stored == expected)
        #expect(try await target.load() == expected)
        #expect(try await target.history(limit: 10).map(\.epoch.number) == [4, 3, 2, 1])
    }

    @Test func anExportWhoseRingIsNotWholeIsRefused() async throws {
        let good = try await export(try await sample())
        var wrong: [(String, CatalogExport)] = []
        var one = good
        one.shards[1].vnodes.removeLast()
        wrong.append(("no shard of database \"app\" owns token", one))
        one = good
        one.shards[1].vnodes.append(VNode(id: 99, range: good.shards[0].vnodes[0].range))
        wrong.append(("has two owners", one))
        one = good
        one.shards.removeLast()
        wrong.append(("owns token", one))
        one = good
        one.shards.append(good.shards[0])
        wrong.append(("twice", one))
        one = good
        one.databases = []
        wrong.append(("does not exist", one))
        one = good
        one.databases[0].homeShard = ShardID("nobody")
        wrong.append(("home shard", one))
        for (text, export) in wrong {
            let target = InMemoryCatalogStore()
            let before = try await target.load()
            guard case .invalid(let reason) = try await error({ try await CatalogTransfer.take(export, into: target) }) else { throw Unexpected() }
            #expect(reason.contains(text), "\(reason)")
            #expect(try await target.load() == before)
        }
    }

    @Test func whatIsNoExportIsRefusedWithoutShowingIt() async throws {
        let json = String(decoding: try (try await export(try await sample())).json, as: UTF8.self)
        let texts = [
            "", "{}", "[]", String(json.prefix(json.count / 2)), json.replacing("pgmosaic catalog", with: "other"),
            json.replacing("\"version\" : 1\n", with: "\"version\" : 2\n"), json.replacing("\"verifier\" : \"v\"", with: "\"verifier\" : 5"),
            json.replacing("\"cluster_id\"", with: "\"clusterid\""), "\u{0}\u{1}",
        ]
        for text in texts where text != json {
            guard case .foreign = try await error({ try CatalogExport(json: Data(text.utf8)) }) else {
                guard case .invalid(let reason) = try await error({ try CatalogExport(json: Data(text.utf8)) }) else { throw Unexpected() }
                #expect(reason.contains("users.[0].verifier") || reason.contains("cluster_id"), "\(reason)")
                continue
            }
        }
        var unknown = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        unknown["version"] = 2
        let newer = try JSONSerialization.data(withJSONObject: unknown)
        guard case .foreign(let reason) = try await error({ try CatalogExport(json: newer) }) else { throw Unexpected() }
        #expect(reason.contains("version 2"))
    }

    @Test func anImportGoesIntoAnEmptyStoreOrInThePlaceOfTheSameCluster() async throws {
        let store = try await sample()
        let old = try await export(store)
        for number in 3...9 {
            _ = try await store.commit(CatalogChange([.setSetting(name: "n", value: "\(number)")], author: "x"), expecting: Epoch(UInt64(number)))
        }
        guard case .invalid(let reason) = try await error({ try await CatalogTransfer.take(old, into: store) }) else { throw Unexpected() }
        #expect(reason.contains("epoch 10"))
        let restored = try await CatalogTransfer.take(old, into: store, replaces: true)
        #expect(restored.epoch == Epoch(11) && restored.settings == ["x": "ü"])
        let other = try await sample()
        guard case .invalid = try await error({ try await CatalogTransfer.take(old, into: other, replaces: true) }) else { throw Unexpected() }
        let fresh = InMemoryCatalogStore()
        #expect(try await CatalogTransfer.take(old, into: fresh, above: Epoch(4711)).epoch == Epoch(4712))
    }

    // MARK: copy

    @Test func aMovedCatalogGoesOnAboveAllOfItsSourcesEpochsAndTheSourceIsClosed() async throws {
        let (source, target) = (try await sample(), InMemoryCatalogStore())
        let before = try await source.load()
        let stored = try await CatalogTransfer.move(from: source, to: target, at: place)
        var expected = before
        expected.epoch = stored.epoch
        #expect(stored == expected)
        let closed = try await source.load()
        #expect(closed.epoch < stored.epoch && closed.settings[CatalogSnapshot.movedSetting] == place)
        let change = CatalogChange([.setSetting(name: "n", value: "1")], author: "x")
        guard case .unavailable(let reason) = try await error({ try await source.commit(change, expecting: closed.epoch) }) else { throw Unexpected() }
        #expect(reason.contains(place))
        _ = try await target.commit(change, expecting: stored.epoch)
        #expect(try await target.history(limit: 100).map(\.epoch.number) == Array((1...stored.epoch.number + 1).reversed()))
        // Again it changes nothing; elsewhere it is refused.
        #expect(try await CatalogTransfer.move(from: source, to: target, at: place).epoch == stored.epoch.next)
        guard case .unavailable = try await error({ try await CatalogTransfer.move(from: source, to: InMemoryCatalogStore(), at: "other") }) else {
            throw Unexpected()
        }
        // And back again.
        let back = InMemoryCatalogStore()
        #expect(try await CatalogTransfer.move(from: target, to: back, at: "back").settings == ["x": "ü", "n": "1"])
    }

    @Test func aCopyThatCannotBeStoredLeavesTheSourceOpen() async throws {
        let source = try await sample()
        let target = FailingTarget(error: .unavailable("full"))
        guard case .unavailable = try await error({ try await CatalogTransfer.move(from: source, to: target, at: place) }) else { throw Unexpected() }
        let after = try await source.load()
        #expect(after.settings[CatalogSnapshot.movedSetting] == nil)
        _ = try await source.commit(CatalogChange([.setSetting(name: "n", value: "1")], author: "x"), expecting: after.epoch)
    }

    @Test func aCopyThatWasInterruptedIsGoneOnWith() async throws {
        let source = try await sample()
        _ = try await source.commit(
            CatalogChange([.setSetting(name: CatalogSnapshot.movedSetting, value: place)], author: "catalog copy"), expecting: Epoch(3))
        let target = InMemoryCatalogStore()
        #expect(try await CatalogTransfer.move(from: source, to: target, at: place).epoch == Epoch(5))
    }

    @Test func aCopyWhoseOutcomeIsUnknownIsLookedUp() async throws {
        let source = try await sample()
        let target = FailingTarget(error: .unknownOutcome("lost"), stores: true)
        #expect(try await CatalogTransfer.move(from: source, to: target, at: place).epoch == Epoch(5))
        let second = try await sample()
        guard case .unknownOutcome = try await error({ try await CatalogTransfer.move(from: second, to: FailingTarget(error: .unknownOutcome("lost")), at: place) })
        else { throw Unexpected() }
        // It might still come: the source stays closed.
        #expect(try await second.load().settings[CatalogSnapshot.movedSetting] == place)
        #expect(try await CatalogTransfer.move(from: second, to: InMemoryCatalogStore(), at: place).epoch == Epoch(5))
    }

    @Test func aTargetThatIsNotEmptyIsLeftAsItIsAndTheSourceToo() async throws {
        let (source, target) = (try await sample(), try await sample())
        let (one, two) = (try await source.load(), try await target.load())
        guard case .invalid = try await error({ try await CatalogTransfer.move(from: source, to: target, at: place) }) else { throw Unexpected() }
        #expect(try await source.load() == one)
        #expect(try await target.load() == two)
    }

    @Test func aCopyWhileOthersWriteLosesNothing() async throws {
        let (source, target) = (try await sample(), InMemoryCatalogStore())
        let acknowledged = Names()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    for number in 0... {
                        let name = "w\(writer).\(number)"
                        let now = try await source.load()
                        do throws(CatalogError) {
                            _ = try await source.commit(CatalogChange([.setSetting(name: name, value: "1")], author: "w"), expecting: now.epoch)
                            acknowledged.add(name)
                        } catch {
                            if case .unavailable = error { return }
                        }
                        await Task.yield()
                    }
                }
            }
            group.addTask {
                try await Task.sleep(for: .milliseconds(30))
                // Writers that never rest may be faster each time.
                while (try? await CatalogTransfer.move(from: source, to: target, at: place)) == nil {}
            }
            try await group.waitForAll()
        }
        let end = try await target.load()
        #expect(Set(end.settings.keys) == acknowledged.all.union(["x"]))
    }
}

private struct Unexpected: Error {}

private final class Names: Sendable {
    private let names = Mutex<Set<String>>([])
    var all: Set<String> { names.withLock(\.self) }
    func add(_ name: String) { names.withLock { _ = $0.insert(name) } }
}

/// A store that is empty, and says this of each write; with `stores` it replaces its catalog all the same.
private struct FailingTarget: CatalogStore {
    let error: CatalogError
    var stores = false
    let store = InMemoryCatalogStore()
    func load() async throws(CatalogError) -> CatalogSnapshot { try await store.load() }
    func commit(
        _ change: CatalogChange, expecting epoch: Epoch, fence: Lease?, keeping answer: KeptAnswer?
    ) async throws(CatalogError) -> CatalogSnapshot { throw error }
    func keptAnswer(_ key: String) async throws(CatalogError) -> KeptAnswer? { nil }
    func lease(_ name: String) async throws(CatalogError) -> Lease? { nil }
    func replace(
        with snapshot: CatalogSnapshot, history: [CatalogHistoryEntry], author: String, expecting epoch: Epoch
    ) async throws(CatalogError) {
        if stores { try await store.replace(with: snapshot, history: history, author: author, expecting: epoch) }
        throw error
    }
    func watch(after epoch: Epoch) -> AsyncStream<CatalogSnapshot> { store.watch(after: epoch) }
    func history(limit: Int) async throws(CatalogError) -> [CatalogHistoryEntry] { [] }
    func acquireLease(_ name: String, holder: String, ttl: Duration) async throws(CatalogError) -> Lease? { nil }
    func releaseLease(_ lease: Lease) async throws(CatalogError) {}
    func announce(_ member: MemberRecord, ttl: Duration) async throws(CatalogError) {}
    func withdraw(memberID: String) async throws(CatalogError) {}
    func members() async throws(CatalogError) -> [MemberRecord] { [] }
}
