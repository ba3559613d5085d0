import CatalogConformance
import CatalogEtcd
import CatalogStore
import EtcdTestKit
import Foundation
import NIOPosix
import ShardModel
import Synchronization
import Testing

/// Three members, of which one is lost, stopped, or behind.
@Suite(.serialized) struct EtcdClusterTests {
    /// Counts in a setting of its own, whatever happens: `unavailable` promises that nothing was written, and `unknownOutcome` is looked up.
    private static func count(to number: Int, _ writer: Int, _ store: EtcdCatalogStore) async throws {
        let name = "writer \(writer)"
        while true {
            do throws(CatalogError) {
                let now = try await store.load()
                let current = now.settings[name].flatMap { Int($0) } ?? 0
                if current == number { return }
                #expect(current == number - 1, "\(name) is at \(current) while it counts to \(number)")
                _ = try await store.commit(CatalogChange([.setSetting(name: name, value: String(number))], author: name), expecting: now.epoch)
                return
            } catch {
                switch error {
                case .conflict: break
                case .unavailable, .unknownOutcome: try await Task.sleep(for: .milliseconds(100))
                case .invalid, .foreign, .fenced: throw error
                }
            }
        }
    }

    @Test func fiftyWritersLoseAndDoubleNothingWhenTheLeaderIsKilledInTheMiddle() async throws {
        let (writers, rounds) = (50, WriterRounds.of(4))
        try await EtcdCluster.with(members: 3) { cluster in
            var stores: [EtcdCatalogStore] = []
            // Members that have just started may answer a first call late.
            for _ in 0..<5 { stores.append(try await CatalogFaultConformance.patiently { try await cluster.open() }) }
            let all = stores
            let done = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<writers {
                    group.addTask {
                        for round in 1...rounds {
                            try await Self.count(to: round, writer, all[writer % all.count])
                            done.add()
                        }
                    }
                }
                group.addTask {
                    for share in [4, 2] {
                        while done.value < writers * rounds / share { try await Task.sleep(for: .milliseconds(5)) }
                        let leader = try await cluster.leader()
                        await cluster.kill(leader)
                        try await Task.sleep(for: .seconds(2))
                        try await cluster.restart(leader)
                        try await cluster.waitUntilReady()
                    }
                }
                try await group.waitForAll()
            }
            let witness = try await cluster.open(timing: .patient)
            let last = try await witness.load()
            for writer in 0..<writers { #expect(last.settings["writer \(writer)"] == String(rounds)) }
            #expect(last.epoch == Epoch(UInt64(writers * rounds)))
            #expect(try await witness.history(limit: 1000).map(\.epoch.number) == Array((1...UInt64(writers * rounds)).reversed()))
            for store in all + [witness] { await store.close() }
        }
    }

    @Test func aStalledMemberIsLeftWithinTheTimeOfACall() async throws {
        // A busy machine takes its time to choose another leader.
        var timing = EtcdTiming()
        (timing.call, timing.patience) = (.seconds(60), .seconds(60))
        let patient = timing
        try await EtcdCluster.with(members: 3) { cluster in
            // Each store begins with a member of its own choice: among these every member is the first of some.
            var stores: [EtcdCatalogStore] = []
            for index in 0..<3 {
                var location = cluster.location()
                location.endpoints = (0..<3).map { location.endpoints[($0 + index) % 3] }
                stores.append(try await EtcdCatalogStore(location, isManager: true, on: MultiThreadedEventLoopGroup.singleton, timing: patient))
            }
            let more = try await withThrowingTaskGroup(of: EtcdCatalogStore.self) { group in
                for _ in 0..<3 { group.addTask { try await cluster.open(timing: patient) } }
                return try await group.reduce(into: [EtcdCatalogStore]()) { $0.append($1) }
            }
            var epoch = Epoch.zero
            for paused in 0..<3 {
                cluster.pause(paused)
                // A majority is left: no call fails.
                for store in stores + more {
                    let next = epoch.next
                    #expect(try await store.load().epoch == epoch)
                    epoch = try await Self.committed(numbering(Int(next.number)), over: epoch, store)
                }
                cluster.resume(paused)
                try await cluster.waitUntilReady()
            }
            for store in stores + more { await store.close() }
        }
    }

    /// A leader that is stopped holds up everybody until another is chosen; then an answer may be late once more.
    private static func committed(_ change: CatalogChange, over epoch: Epoch, _ store: EtcdCatalogStore) async throws -> Epoch {
        while true {
            do throws(CatalogError) {
                return try await store.commit(change, expecting: epoch).epoch
            } catch {
                switch error {
                case .unavailable, .unknownOutcome:
                    let now = try await CatalogFaultConformance.patiently { try await store.load() }.epoch
                    if case .unavailable = error { #expect(now == epoch, "what is unavailable was not stored") }
                    if now == epoch.next { return now }
                default: throw error
                }
            }
        }
    }

    @Test func aMemberCutOffFromTheOthersIsNotBelieved() async throws {
        try await EtcdCluster.with(members: 3) { cluster in
            let store = try await CatalogFaultConformance.patiently { try await cluster.open() }
            _ = try await Self.committed(numbering(1), over: .zero, store)
            // With two of three gone the third has the data and no majority: what it says may be of yesterday.
            await cluster.kill(0)
            await cluster.kill(1)
            for _ in 0..<2 {
                guard case .unavailable = try await catalogError({ try await store.load() }) else { throw UnexpectedError() }
            }
            try await cluster.restart(0)
            try await cluster.restart(1)
            try await cluster.waitUntilReady()
            let patient = try await cluster.open(timing: .patient)
            #expect(try await patient.load().epoch == Epoch(1))
            for store in [store, patient] { await store.close() }
        }
    }

    @Test func aLeaseAndAWatchOutliveTheLeader() async throws {
        try await EtcdCluster.with(members: 3) { cluster in
            let patiently = { try await CatalogFaultConformance.patiently { try await cluster.open() } }
            let (store, other) = (try await patiently(), try await patiently())
            func acquire(_ store: EtcdCatalogStore, _ holder: String) async throws -> Lease? {
                try await CatalogFaultConformance.patiently { try await store.acquireLease("leader", holder: holder, ttl: .seconds(600)) }
            }
            let lease = try #require(try await acquire(store, "a"))
            var epochs = other.watch(after: .zero).map(\.epoch).makeAsyncIterator()
            var epoch = Epoch.zero
            for _ in 0..<3 {
                let leader = try await cluster.leader()
                await cluster.kill(leader)
                epoch = try await Self.committed(numbering(1), over: epoch, store)
                while let seen = await epochs.next(isolation: nil), seen < epoch {}
                try await cluster.restart(leader)
                try await cluster.waitUntilReady()
                #expect(try await acquire(other, "b") == nil)
                #expect(try await acquire(store, "a") == lease)
            }
            for store in [store, other] { await store.close() }
        }
    }

    @Test func endpointsOfTwoClustersAreRefused() async throws {
        try await EtcdCluster.with { one in
            try await EtcdCluster.with { two in
                var location = one.location()
                location.endpoints += two.location().endpoints
                await (try await one.open(timing: .patient)).close()
                await (try await two.open(timing: .patient)).close()
                let store = try await EtcdCatalogStore(location, isManager: true, on: MultiThreadedEventLoopGroup.singleton, timing: .patient)
                let before = try await store.load().clusterID
                let witness = try await one.open(timing: .patient)
                let isOne = try await witness.load().clusterID == before
                await witness.close()
                await (isOne ? one : two).kill(0)
                guard case .foreign(let text) = try await catalogError({ try await store.load() }) else { throw UnexpectedError() }
                #expect(text.contains("another etcd cluster"))
                await store.close()
            }
        }
    }
}

private final class Counter: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .relaxed) }
    func add() { count.add(1, ordering: .relaxed) }
}
