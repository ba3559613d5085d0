import ClusterTestKit
import Foundation
@testable import MosaicClient
import PostgresProcess
import Synchronization
import Testing

@Suite struct BoundsTests {
    @Test func aCancelledTaskEndsItsStatementOnTheServer() async throws {
        try await ClientCluster.with({ $0.connectionsMax = 1 }) { it in
            let key = try it.key(on: 0)
            let task = Task { try await it.client.query(on: .key(shop, key), "SELECT pg_sleep(600)") }
            let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'"
            try await eventually("it runs") { try await it.onShard(0, sleeping) == "1" }
            task.cancel()
            #expect(await code { _ = try await task.value } == .cancelled)
            try await eventually("it has ended") { try await it.onShard(0, sleeping) == "0" }
            // The only connection there may be is of use again.
            #expect(try await it.client.query(on: .key(shop, key), "SELECT 1").count == 1)
        }
    }

    @Test func aStatementEndsAtItsTimeout() async throws {
        try await ClientCluster.with { it in
            let key = try it.key(on: 0)
            #expect(await code { try await it.client.query(on: .key(shop, key), "SELECT pg_sleep(600)", timeout: .milliseconds(300)) } == .timedOut)
            try await eventually("it has ended") {
                try await it.onShard(0, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'") == "0"
            }
        }
    }

    @Test func aDeadShardCostsTheKeysOfTheOthersNothing() async throws {
        try await ClientCluster.with { it in
            let (alive, dead) = (try it.key(on: 0), try it.key(on: 1))
            try await it.client.query(on: .key(shop, alive), "INSERT INTO kv VALUES ($1, 0)", [.int(alive)])
            _ = try await it.client.query(on: .key(shop, dead), "SELECT 1")
            await it.cluster.servers[1].stop(.immediate)
            // A statement on one that it does not know to be closed is of unknown outcome.
            try await eventually("the client has seen the connection end") { it.client.statistics.primaries["s2"]?.connections == 0 }
            try await withThrowingTaskGroup(of: MosaicError.Code?.self) { group in
                for _ in 0..<100 { group.addTask { await code { _ = try await it.client.query(on: .key(shop, dead), "SELECT v FROM kv WHERE k = $1", [.int(dead)]) } } }
                for _ in 0..<100 {
                    try await it.client.query(on: .key(shop, alive), "UPDATE kv SET v = v + 1 WHERE k = $1", [.int(alive)])
                }
                for try await outcome in group { #expect(outcome == .serverUnavailable) }
            }
            #expect(try await it.onShard(0, "SELECT v FROM kv") == "100")
            let answers = try await it.client.scatter(shop, "SELECT count(*) FROM kv")
            #expect(answers.map(\.shard) == ["s1", "s2"])
            #expect(try answers[0].rows.first?.decode(Int.self, at: 0) == 1)
            #expect(throws: MosaicError.self) { try answers[1].rows }
        }
    }

    /// The home shard is where the schema is read.
    @Test func aDeadHomeShardCostsTheKeysOfTheOthersNothing() async throws {
        try await ClientCluster.with { it in
            let key = try it.key(on: 1)
            await it.cluster.servers[0].stop(.immediate)
            try await it.client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 1)", [.int(key)])
            #expect(try await it.onShard(1, "SELECT count(*) FROM kv") == "1")
        }
    }

    @Test func connectionsAndThoseWhoWaitForThemAreBounded() async throws {
        try await ClientCluster.with({ configuration in
            configuration.connectionsMax = 2
            configuration.waitingMax = 1
            configuration.acquireTimeout = .seconds(8)
        }) { it in
            let key = try it.key(on: 0)
            let (gate, opened) = AsyncStream<Void>.makeStream()
            let held = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<2 {
                    group.addTask {
                        try await it.client.transaction(on: .key(shop, key)) { tx in
                            try await tx.query("SELECT 1")
                            held.count.add(1, ordering: .relaxed)
                            for await _ in gate {}
                        }
                    }
                }
                try await eventually("both are lent") { held.count.load(ordering: .relaxed) == 2 }
                let third = Task { await code { try await it.client.query(on: .key(shop, key), "SELECT 1") } }
                try await eventually("one waits") { it.client.statistics.primaries["s1"]?.waiting == 1 }
                #expect(await code { try await it.client.query(on: .key(shop, key), "SELECT 1") } == .poolFull)
                #expect(try await it.onShard(0, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgmosaic-client-%' AND query <> ''") <= "3")
                // The line is left by a task that is cancelled, and at the deadline.
                third.cancel()
                #expect(await third.value == .cancelled)
                #expect(await code { try await it.client.query(on: .key(shop, key), "SELECT 1") } == .timedOut)
                opened.finish()
                try await group.waitForAll()
            }
            #expect(it.client.statistics.primaries["s1"]?.connections == 2)
            #expect(try await it.client.query(on: .key(shop, key), "SELECT 1").count == 1)
        }
    }

    @Test func manyCallsAtOnceAllEndAndUseNoMoreConnectionsThanAllowed() async throws {
        // Fifty calls wait for each connection: on a busy machine longer than applications would.
        try await ClientCluster.with({ ($0.connectionsMax, $0.acquireTimeout) = (3, .seconds(120)) }) { it in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for key in 1...300 {
                    group.addTask { try await it.client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 1)", [.int(key)]) }
                }
                try await group.waitForAll()
            }
            let answers = try await it.client.scatter(shop, "SELECT count(*) FROM kv")
            #expect(try answers.map { try $0.rows.first?.decode(Int.self, at: 0) ?? 0 }.reduce(0, +) == 300)
            #expect(it.client.statistics.primaries.values.allSatisfy { $0.connections <= 3 && $0.waiting == 0 })
        }
    }

    @Test func idleConnectionsAreClosed() async throws {
        try await ClientCluster.with({ $0.idleTimeout = .milliseconds(200) }) { it in
            _ = try await it.client.query(on: .key(shop, 1), "SELECT 1")
            try await eventually("it is closed") { it.client.statistics.primaries.values.allSatisfy { $0.connections == 0 } }
        }
    }

    @Test func anAnswerThatIsTooLargeIsAnError() async throws {
        try await ClientCluster.with({ $0.resultBytesMax = 10_000 }) { it in
            let outcome = await code { try await it.client.query(on: .key(shop, 1), "SELECT repeat('x', 20000)") }
            #expect(outcome == .resultTooLarge)
            let rows = try await it.client.query(on: .key(shop, 1), "SELECT 1")
            #expect(rows.count == 1)
        }
    }

    @Test func configurationsWithoutSenseAreRefused() async throws {
        let bad: [(inout MosaicConfiguration) -> Void] = [
            { $0.connectionsMax = 0 }, { $0.acquireTimeout = .zero }, { $0.id = "a b" }, { $0.id = "x'; DROP" }, { $0.routers = ["postgres://u@h/db"] },
            { $0.routers = ["nonsense"] }, { $0.catalog = .managers([]) }, { $0.catalog = .managers(["ftp://x"]) },
            { $0.catalog = .managers(["http://example.com:8081"], token: { "t" }) }, { $0.catalog = .store("nonsense") }, { $0.scatterWidth = 0 },
        ]
        for change in bad {
            var configuration = MosaicConfiguration(catalog: .managers(["https://localhost:8081"]))
            change(&configuration)
            let refusal = await code { [configuration] in _ = try await MosaicClient.start(configuration) }
            #expect(refusal == .configuration)
        }
    }
}

private final class Tally: Sendable {
    let count = Atomic(0)
}
