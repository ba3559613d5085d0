import CatalogEtcd
import CatalogStore
import EtcdTestKit
import Foundation
import NIOPosix
import PostgresProcess
import ShardModel
import TestKit
import Testing

/// What is this store's own: large catalogs, what is below a prefix, compaction, and a past that changes.
@Suite(.sharedEtcd) struct EtcdStoreTests {
    private func open(_ prefix: String, isManager: Bool = true) async throws -> EtcdCatalogStore {
        try await SharedEtcd.current.open(prefix: prefix, isManager: isManager, timing: .patient)
    }

    /// All keys below the prefix, without it.
    private func keys(_ prefix: String) async throws -> [String] {
        let result = try await SharedEtcd.current.etcdctl("get", prefix, "--prefix", "--keys-only")
        return result.output.split(separator: "\n").map { String($0.dropFirst(prefix.utf8.count)) }
    }

    // MARK: making

    @Test func manyStartsAtOnceMakeOneCatalog() async throws {
        let prefix = SharedEtcd.newPrefix()
        let clusters = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    let store = try await open(prefix)
                    let cluster = try await store.load().clusterID
                    await store.close()
                    return cluster
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(clusters.count == 1)
    }

    @Test func aRouterMakesNoCatalog() async throws {
        let prefix = SharedEtcd.newPrefix()
        guard case .unavailable(let text) = try await catalogError({ try await open(prefix, isManager: false) }) else { throw UnexpectedError() }
        #expect(text.contains("a manager makes it"))
        #expect(try await keys(prefix).isEmpty)
    }

    @Test func whatIsNotACatalogIsLeftAsItIs() async throws {
        for key in ["head", "other", "answers/a", "lease", "leases0", "memberships", "records/x", "zzz"] {
            let prefix = SharedEtcd.newPrefix()
            _ = try await SharedEtcd.current.etcdctlChecked("put", prefix + key, "something")
            guard case .foreign = try await catalogError({ try await open(prefix) }) else { throw UnexpectedError() }
            #expect(try await keys(prefix) == [key])
        }
    }

    /// Routers that outlive a catalog announce themselves while another is made in its place.
    @Test func membersAndLeasesAreNoCatalog() async throws {
        let prefix = SharedEtcd.newPrefix()
        for key in ["members/router-1", "leases/x"] { _ = try await SharedEtcd.current.etcdctlChecked("put", prefix + key, "something") }
        guard case .unavailable = try await catalogError({ try await open(prefix, isManager: false) }) else { throw UnexpectedError() }
        #expect(try await open(prefix).load().epoch == .zero)
    }

    @Test func twoPrefixesAreTwoCatalogs() async throws {
        let prefix = SharedEtcd.newPrefix()
        let (one, two) = (try await open(prefix), try await open(prefix.dropLast() + "0/"))
        _ = try await one.commit(numbering(1), expecting: .zero)
        #expect(try await two.load().epoch == .zero)
        #expect(try await one.load().clusterID != two.load().clusterID)
        for store in [one, two] { await store.close() }
    }

    @Test func oddNamesAreKept() async throws {
        let prefix = SharedEtcd.newPrefix()
        let store = try await open(prefix)
        let names = ["/", "a/b", "ü \u{0} \u{FFFF}", "../head", String(repeating: "n", count: 5000)]
        _ = try await store.commit(CatalogChange(names.map { .setSetting(name: $0, value: "v\($0.count)") }, author: "\u{0}"), expecting: .zero)
        let fresh = try await open(prefix)
        #expect(try await fresh.load().settings == Dictionary(uniqueKeysWithValues: names.map { ($0, "v\($0.count)") }))
        _ = try await store.commit(CatalogChange(names.dropFirst().map { .setSetting(name: $0, value: nil) }, author: "test"), expecting: Epoch(1))
        #expect(try await fresh.load().settings == ["/": "v1"])
        for store in [store, fresh] { await store.close() }
    }

    // MARK: what is too large for one transaction

    /// `count` shards of 256 vnodes.
    private func many(_ count: Int) -> [CatalogChange.Operation] {
        let database = DatabaseRecord(name: "many", homeShard: ShardID("shard-0"))
        let shards = RingCut.even(over: count, vnodesEach: 256, after: 0).enumerated().map { index, vnodes in
            CatalogChange.Operation.putShard(
                ShardRecord(
                    id: ShardID("shard-\(index)"), name: "shard-\(index)", database: "many", primaryEndpoint: "postgres://app@127.0.0.1:5432/many",
                    vnodes: vnodes))
        }
        return [.putDatabase(database)] + shards
    }

    @Test func aChangeOfAThousandShardsIsOneEpochAndLeavesNothingElse() async throws {
        let prefix = SharedEtcd.newPrefix()
        let (store, other) = (try await open(prefix), try await open(prefix))
        let stored = try await store.commit(CatalogChange(many(1000), author: "test"), expecting: .zero)
        #expect(stored.shards.count == 1000 && stored.epoch == Epoch(1))
        #expect(try await other.load() == stored)
        let fresh = try await open(prefix)
        #expect(try await fresh.load() == stored)
        #expect(try await fresh.history(limit: 5).map(\.epoch) == [Epoch(1)])
        // 1,000 shards, the database, the head and one epoch of history.
        #expect(try await keys(prefix).count == 1003)
        // Small changes go on from there, one key each.
        _ = try await other.commit(numbering(1), expecting: Epoch(1))
        #expect(try await store.load().settings == ["n": "1"])
        #expect(try await keys(prefix).count == 1005)
        for store in [store, other, fresh] { await store.close() }
    }

    @Test func ofTwoGreatChangesAtOnceOneIsStoredWhole() async throws {
        let prefix = SharedEtcd.newPrefix()
        let stores = [try await open(prefix), try await open(prefix), try await open(prefix)]
        let outcomes = await withTaskGroup(of: (Int, Bool).self) { group in
            for (index, store) in stores.enumerated() {
                group.addTask {
                    var change = CatalogChange(many(200 + index), author: "writer \(index)")
                    change.operations.append(.setSetting(name: "writer", value: String(index)))
                    return (index, (try? await store.commit(change, expecting: .zero)) != nil)
                }
            }
            return await group.reduce(into: [Int]()) { if $1.1 { $0.append($1.0) } }
        }
        let winner = try #require(outcomes.first)
        #expect(outcomes.count == 1)
        for store in stores {
            let end = try await store.load()
            #expect(end.settings["writer"] == String(winner) && end.shards.count == 200 + winner && end.epoch == Epoch(1))
        }
        // Whatever the losers left is gone with the next commit.
        _ = try await stores[0].commit(numbering(1), expecting: Epoch(1))
        #expect(try await keys(prefix).count == 200 + winner + 2 + 1 + 1 + 2)
        for store in stores { await store.close() }
    }

    @Test func aGreatChangeThatBreaksOffInTheMiddleIsNotSeenAndSweptOut() async throws {
        let (cluster, prefix) = (try SharedEtcd.current, SharedEtcd.newPrefix())
        let witness = try await open(prefix)
        _ = try await witness.commit(numbering(1), expecting: .zero)
        let line = try TestLine(to: cluster.port(), on: try LoopbackPort.free())
        defer { line.close() }
        let store = try await cluster.open(port: line.port, prefix: prefix, timing: .patient)
        // A shard in the middle of the writing; and then nothing gets through any more.
        line.lose(.request, of: "shard-777\"")
        let cut = Task {
            while line.losses == 0 { try await Task.sleep(for: .milliseconds(1)) }
            line.set(.cut)
        }
        defer { cut.cancel() }
        let error = try await catalogError { try await store.commit(CatalogChange(many(1000), author: "test"), expecting: Epoch(1)) }
        #expect(line.losses == 1)
        guard case .unavailable = error else { throw UnexpectedError(error: error) }
        #expect(try await witness.load().shards.isEmpty)
        #expect(try await keys(prefix).count > 100, "something was written, below a generation of its own")
        _ = try await witness.commit(numbering(2), expecting: Epoch(1))
        // head, setting, two epochs
        #expect(try await keys(prefix).count == 4)
        for store in [store, witness] { await store.close() }
    }

    @Test func aRecordThatEtcdCannotTakeIsRefused() async throws {
        let store = try await open(SharedEtcd.newPrefix())
        let change = CatalogChange([.setSetting(name: "n", value: String(repeating: "x", count: 2 << 20))], author: "test")
        guard case .invalid(let text) = try await catalogError({ try await store.commit(change, expecting: .zero) }) else { throw UnexpectedError() }
        #expect(text.contains("setting \"n\" is too large for etcd"))
        // Just below it goes well, also beside others.
        let large = String(repeating: "x", count: 1_300_000)
        let next = try await store.commit(
            CatalogChange([.setSetting(name: "n", value: large), .setSetting(name: "m", value: large)], author: "test"), expecting: .zero)
        #expect(next.settings["n"]?.count == 1_300_000)
        let entry = try #require(try await store.history(limit: 1).first)
        #expect(entry.isShortened && entry.change == CatalogChange([], author: "test"))
        await store.close()
    }

    /// Many times what one answer may hold.
    @Test func largeRecordsAreReadInSmallerPages() async throws {
        let prefix = SharedEtcd.newPrefix()
        let store = try await open(prefix)
        let settings = (0..<40).map { CatalogChange.Operation.setSetting(name: "\($0)", value: String(repeating: "x", count: 1_200_000)) }
        let stored = try await store.commit(CatalogChange(settings, author: "test"), expecting: .zero)
        let fresh = try await open(prefix)
        #expect(try await fresh.load() == stored)
        for store in [store, fresh] { await store.close() }
    }

    @Test func theHistoryKeepsAThousandEpochsAndNoMore() async throws {
        let prefix = SharedEtcd.newPrefix()
        let store = try await open(prefix)
        let past = (1...999).reversed().map { CatalogHistoryEntry(epoch: Epoch($0), time: 1, change: numbering(Int($0)), over: nil) }
        var snapshot = CatalogSnapshot(clusterID: "elsewhere")
        snapshot.epoch = Epoch(1000)
        try await store.replace(with: snapshot, history: past, author: "import", expecting: .zero)
        #expect(try await store.history(limit: 5000).map(\.epoch.number) == Array((1...1000).reversed()))
        for number in 1001...1003 { _ = try await store.commit(numbering(number), expecting: Epoch(UInt64(number - 1))) }
        let history = try await store.history(limit: 5000)
        #expect(history.map(\.epoch.number) == Array((4...1003).reversed()))
        #expect(try await keys(prefix).count == 1002)
        await store.close()
    }

    // MARK: watches

    @Test func aCommitElsewhereIsHeardOfWithoutLooking() async throws {
        let prefix = SharedEtcd.newPrefix()
        var timing = EtcdTiming.patient
        timing.pollInterval = .seconds(3600)
        let listening = try await SharedEtcd.current.open(prefix: prefix, timing: timing)
        let writing = try await open(prefix)
        var epochs = listening.watch(after: .zero).map(\.epoch).makeAsyncIterator()
        for number in 1...20 {
            _ = try await writing.commit(numbering(number), expecting: Epoch(UInt64(number - 1)))
            while let epoch = await epochs.next(isolation: nil), epoch < Epoch(UInt64(number)) {}
        }
        for store in [listening, writing] { await store.close() }
    }

    @Test func aWatchGoesOnBehindACompactionOfWhatItMissed() async throws {
        let (cluster, prefix) = (try SharedEtcd.current, SharedEtcd.newPrefix())
        let line = try TestLine(to: cluster.port(), on: try LoopbackPort.free())
        defer { line.close() }
        let writing = try await open(prefix)
        var timing = EtcdTiming.patient
        timing.pollInterval = .seconds(3600)
        let watching = try await cluster.open(port: line.port, prefix: prefix, timing: timing)
        var epochs = watching.watch(after: .zero).map(\.epoch).makeAsyncIterator()
        var epoch = Epoch.zero
        for round in 1...3 {
            // Seen while the line is good, which shows that the watch is there.
            epoch = try await writing.commit(numbering(round), expecting: epoch).epoch
            while let seen = await epochs.next(isolation: nil), seen < epoch {}
            line.set(.cut)
            for number in 1...10 { epoch = try await writing.commit(numbering(round * 100 + number), expecting: epoch).epoch }
            let status = try await cluster.etcdctlChecked("get", prefix + "head", "-w", "json")
            let object = try #require(try JSONSerialization.jsonObject(with: Data(status.utf8)) as? [String: Any])
            let revision = try #require((object["header"] as? [String: Any])?["revision"] as? Int)
            // Another test may have compacted further by now.
            _ = try await cluster.etcdctl("compact", String(revision))
            line.set(.open)
            while let seen = await epochs.next(isolation: nil), seen < epoch {}
        }
        for store in [watching, writing] { await store.close() }
    }

    @Test func aReaderThatIsFarBehindReadsEverythingAnew() async throws {
        let prefix = SharedEtcd.newPrefix()
        let (behind, other) = (try await open(prefix), try await open(prefix))
        let user = UserRecord(name: "ada", verifier: "v", roles: [])
        _ = try await behind.commit(CatalogChange([.putUser(user), .setSetting(name: "gone", value: "x")], author: "test"), expecting: .zero)
        _ = try await other.commit(
            CatalogChange([.deleteUser(name: "ada", version: 1), .setSetting(name: "gone", value: nil)], author: "test"), expecting: Epoch(1))
        for number in 3...80 { _ = try await other.commit(numbering(number), expecting: Epoch(UInt64(number - 1))) }
        let now = try await behind.load()
        #expect(try await now == other.load() && now.users.isEmpty && now.settings == ["n": "80"])
        for store in [behind, other] { await store.close() }
    }

    // MARK: a past that changes

    @Test func aCatalogThatWentBackIsRefusedByWhoKnowsBetter() async throws {
        let (cluster, prefix) = (try SharedEtcd.current, SharedEtcd.newPrefix())
        let store = try await open(prefix)
        _ = try await store.commit(numbering(1), expecting: .zero)
        let backup = try await EtcdBackup.take(prefix, cluster)
        for number in 2...3 { _ = try await store.commit(numbering(number), expecting: Epoch(UInt64(number - 1))) }
        try await backup.restore(cluster)
        guard case .foreign(let text) = try await catalogError({ try await store.load() }) else { throw UnexpectedError() }
        #expect(text.contains("went back from epoch 3 to 1"))
        guard case .foreign = try await catalogError({ try await store.commit(numbering(4), expecting: Epoch(3)) }) else { throw UnexpectedError() }
        // Others have gone on from there: the numbers fit again, and the past does not.
        let other = try await open(prefix)
        for number in 2...5 {
            _ = try await other.commit(numbering(number * 10), expecting: Epoch(UInt64(number - 1)))
            guard case .foreign = try await catalogError({ try await store.load() }) else { throw UnexpectedError() }
        }
        for store in [store, other] { await store.close() }
    }

    @Test func aRemovedCatalogIsNotMadeAnewUnderAStoreInUse() async throws {
        let prefix = SharedEtcd.newPrefix()
        let store = try await open(prefix)
        _ = try await store.commit(numbering(1), expecting: .zero)
        _ = try await SharedEtcd.current.etcdctlChecked("del", prefix, "--prefix")
        guard case .foreign = try await catalogError({ try await store.load() }) else { throw UnexpectedError() }
        guard case .foreign = try await catalogError({ try await store.commit(numbering(2), expecting: Epoch(1)) }) else { throw UnexpectedError() }
        await (try await open(prefix)).close()
        guard case .foreign(let text) = try await catalogError({ try await store.load() }) else { throw UnexpectedError() }
        #expect(text.contains("another cluster"))
        await store.close()
    }

    @Test func aClosedStoreSaysSoAndItsWatchEnds() async throws {
        let store = try await open(SharedEtcd.newPrefix())
        let watching = Task { for await _ in store.watch(after: .zero) {} }
        await store.close()
        await watching.value
        guard case .unavailable = try await catalogError({ try await store.load() }) else { throw UnexpectedError() }
        guard case .unavailable = try await catalogError({ try await store.commit(numbering(1), expecting: .zero) }) else { throw UnexpectedError() }
    }

    @Test func anEndpointThatIsAwayIsOneClearError() async throws {
        let (one, two) = (try LoopbackPort.free(), try LoopbackPort.free())
        var location = EtcdLocation(endpoints: [.init(host: "127.0.0.1", port: one), .init(host: "localhost", port: two)])
        location.user = "app"
        location.password = .literal("geheim")
        let error = try await catalogError {
            try await EtcdCatalogStore(location, isManager: true, on: MultiThreadedEventLoopGroup.singleton, timing: .brief)
        }
        guard case .unavailable(let text) = error else { throw UnexpectedError(error: error) }
        #expect(text.hasPrefix("etcd://app@127.0.0.1:") && !text.contains("geheim"))
    }
}

/// The keys of a catalog as they were, put back by etcdctl: what a restored backup looks like to those who go on.
private struct EtcdBackup {
    var prefix: String
    var values: [String: Data]

    static func take(_ prefix: String, _ cluster: EtcdCluster) async throws -> EtcdBackup {
        let text = try await cluster.etcdctlChecked("get", prefix, "--prefix", "-w", "json")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        var values: [String: Data] = [:]
        for pair in try #require(object["kvs"] as? [[String: Any]]) {
            let (key, value) = (try #require(pair["key"] as? String), try #require(pair["value"] as? String))
            values[String(decoding: try #require(Data(base64Encoded: key)), as: UTF8.self)] = Data(base64Encoded: value)
        }
        return EtcdBackup(prefix: prefix, values: values)
    }

    func restore(_ cluster: EtcdCluster) async throws {
        _ = try await cluster.etcdctlChecked("del", prefix, "--prefix")
        for (key, value) in values { try await cluster.put(key, value) }
    }
}
