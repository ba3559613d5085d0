import CatalogSQLite
import CatalogStore
import ClusterTestKit
import ControlAPI
import Foundation
import NIOPosix
import PGChannel
import PostgresProcess
import RESTTestKit
import ShardModel
import Testing

/// A manager that watches over real servers, which a test harms.
@Suite(.serialized) struct HealthTests {
    private static let settings = """
        health: {interval: 200ms, deadline: 5s, failures: 3, recoveries: 2, lag_max: 1s, in_doubt_max: 0s, slot_bytes_max: 1MiB}
        """

    private struct Watched: Sendable {
        let managers: Managers
        let shards: [PostgresServer]
        let store: SQLiteCatalogStore

        func server(_ shard: Int, _ part: String = "primary") async throws -> JSONValue {
            let answer = try await managers.get("/api/v1/shards/s\(shard + 1)/health", from: 0)
            guard let found = answer.json?["servers"]?.arrayValue?.first(where: { $0["part"]?.stringValue == part }) else {
                throw CatalogError.unavailable(answer.text)
            }
            return found
        }

        func state(_ shard: Int, _ part: String = "primary", becomes state: String, _ reasons: Set<String> = []) async throws {
            try await eventually("\(part) of s\(shard + 1) becomes \(state) for \(reasons)") {
                let now = try await server(shard, part)
                return now["state"]?.stringValue == state && Set(now["reasons"]?.arrayValue?.compactMap(\.stringValue) ?? []) == reasons
            }
        }

        func transitions(_ shard: Int, _ part: String = "primary") async throws -> [String] {
            try await server(shard, part)["transitions"]?.arrayValue?.compactMap { $0["to"]?.stringValue } ?? []
        }

        /// Lines of the log of a change to `state`.
        func lines(of shard: Int, to state: String) -> Int {
            managers.log(0).split(separator: "\n").filter { line in
                line.contains("The health of a shard's server has changed") && line.contains(#""shard":"s\#(shard + 1)""#) && line.contains(#""to":"\#(state)""#)
            }.count
        }
    }

    private func with(
        shards count: Int, postgres: [String: String] = [:], _ body: @escaping @Sendable (Watched) async throws -> Void
    ) async throws {
        var options = TestCluster.Options(shards: count)
        options.postgres = ["wal_level": "logical", "max_prepared_transactions": "10"].merging(postgres) { $1 }
        try await TestCluster.withShards(options) { [options] folder, shards in
            try await Managers.with(catalogs: ["sqlite:\(folder)/catalog"], settings: Self.settings) { managers in
                let store = try await SQLiteCatalogStore(path: folder + "/catalog")
                try await TestCluster.register(shards, options, in: store)
                let watched = Watched(managers: managers, shards: shards, store: store)
                let result: Result<Void, any Error>
                do {
                    for index in shards.indices { try await watched.state(index, becomes: "healthy") }
                    result = .success(try await body(watched))
                } catch {
                    Issue.record("\(try await managers.get("/api/v1/shards/s1/health", from: 0).text)")
                    result = .failure(error)
                }
                await store.close()
                try result.get()
            }
        }
    }

    @Test func aServerThatHangsIsUnreachableAndHoldsUpNoOtherProbe() async throws {
        try await with(shards: 3) { watched in
            await watched.shards[1].pause()
            try await watched.state(1, becomes: "unreachable", ["no_answer"])
            // The others' probes go on while its own hang.
            for index in [0, 2] {
                let before = try await watched.server(index)["probed_at"]?.stringValue ?? ""
                try await eventually("s\(index + 1) is probed") { try await watched.server(index)["probed_at"]?.stringValue ?? "" > before }
                #expect(try await watched.transitions(index) == ["healthy"])
            }
            let now = try await watched.server(1)
            #expect(now["found"] == ["no_answer"] && now["problem"] != nil && now["connections"] == nil)
            let metrics = try await watched.managers.get("/metrics", from: 0).text
            #expect(metrics.contains(#"pgmosaic_server_state{shard="s2",server="127.0.0.1:\#(watched.shards[1].port)",state="unreachable"} 1"#))
            #expect(metrics.contains(#"pgmosaic_server_state{shard="s1",server="127.0.0.1:\#(watched.shards[0].port)",state="healthy"} 1"#))
            await watched.shards[1].resume()
            try await watched.state(1, becomes: "healthy")
            #expect(try await watched.transitions(1).suffix(1) == ["healthy"])
            // Once a change, however many probes found the same.
            #expect(watched.lines(of: 1, to: "unreachable") == 1, "\(watched.managers.log(0))")
            #expect(watched.lines(of: 0, to: "unreachable") == 0)
        }
    }

    @Test func aServerThatDiesIsUnreachableAndHealthyAgainWhenItIsBackAndARemovedOneIsForgotten() async throws {
        try await with(shards: 2) { watched in
            // The test's servers do not wait for their disk, and the crash would take along what was written just now.
            try await watched.shards[0].psql("CHECKPOINT")
            await watched.shards[0].stop(.immediate)
            try await watched.state(0, becomes: "unreachable", ["no_connection"])
            #expect(try await watched.managers.get("/api/v1/shards/s1/health", from: 0).json?["healthy"] == false)
            try await watched.shards[0].start()
            try await watched.state(0, becomes: "healthy")
            let states = try await watched.transitions(0)
            #expect(states.first == "healthy" && states.contains("degraded") && states.contains("unreachable") && states.last == "healthy", "\(states)")
            // A marked database that is not this shard any more.
            try await watched.shards[1].psql("UPDATE pgmosaic.identity SET shard_id = 'other'", database: TestCluster.database)
            try await watched.state(1, becomes: "degraded", ["not_the_shard"])
        }
    }

    @Test func aServerWhoseConnectionsAreUsedUpIsDegradedAndNotTakenForDead() async throws {
        let settings = ["max_connections": "10", "superuser_reserved_connections": "0", "max_wal_senders": "0", "autovacuum": "off"]
        try await with(shards: 2, postgres: settings.merging(["max_wal_senders": "2"]) { $1 }) { watched in
            let endpoint = try PostgresEndpoint.parse(watched.shards[0].dsn(database: TestCluster.database))
            var clients: [PGClient] = []
            while clients.count < 20, let client = try? await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton) {
                clients.append(client)
            }
            // A probe may have had one of them: the rest is taken when it ends.
            try await eventually("they are used up") { [clients] in
                let found = try await watched.server(0)["found"]?.arrayValue?.compactMap(\.stringValue) ?? []
                return clients.count >= 9 && !Set(found).isDisjoint(with: ["connections_exhausted", "many_connections"])
            }
            if let client = try? await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton) { clients.append(client) }
            try await watched.state(0, becomes: "degraded", ["connections_exhausted"])
            try await Task.sleep(for: .seconds(2))
            #expect(try await !watched.transitions(0).contains("unreachable"))
            #expect(try await watched.transitions(1) == ["healthy"])
            for client in clients { await client.close() }
            try await watched.state(0, becomes: "healthy")
        }
    }

    @Test func aReplicaThatLagsOrLosesItsPrimaryIsDegraded() async throws {
        try await with(shards: 1) { watched in
            var options = watched.shards[0].options
            options.dataDirectory += "-replica"
            options.logFile = options.dataDirectory + ".log"
            options.port = 0
            let replica = try await watched.shards[0].createReplica(options)
            let catalog = try await watched.store.load()
            var record = try #require(catalog.shards[ShardID("s1")])
            record.replicas = [replica.dsn(database: TestCluster.database)]
            _ = try await watched.store.commit(CatalogChange([.putShard(record)], author: "test"), expecting: catalog.epoch)
            try await watched.state(0, "replica", becomes: "healthy")
            try await replica.psql("SELECT pg_wal_replay_pause()")
            try await watched.shards[0].psql("CREATE TABLE t AS SELECT generate_series(1, 1000)", database: TestCluster.database)
            try await watched.state(0, "replica", becomes: "degraded", ["lagging"])
            let now = try await watched.server(0, "replica")
            #expect(now["behind_bytes"]?.integerValue ?? 0 > 0 && now["lag_ms"]?.integerValue ?? 0 > 1000 && now["in_recovery"] == true && now["streaming"] == true)
            #expect(try await watched.server(0)["state"] == "healthy")
            try await replica.psql("SELECT pg_wal_replay_resume()")
            try await watched.state(0, "replica", becomes: "healthy")
            await watched.shards[0].stop(.immediate)
            try await watched.state(0, "replica", becomes: "degraded", ["not_streaming"])
            try await watched.state(0, becomes: "unreachable", ["no_connection"])
            await replica.stop(.immediate)
        }
    }

    @Test func transactionsInDoubtAndSlotsThatKeepLogAreSeen() async throws {
        try await with(shards: 1) { watched in
            let server = watched.shards[0]
            try await server.psql("CREATE TABLE t (i int)", database: TestCluster.database)
            try await server.psql("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'x'", database: TestCluster.database)
            try await watched.state(0, becomes: "degraded", ["in_doubt"])
            let doubtful = try await watched.server(0)
            #expect(doubtful["in_doubt"] == 1 && doubtful["oldest_in_doubt_s"] != nil)
            try await server.psql("ROLLBACK PREPARED 'x'", database: TestCluster.database)
            try await watched.state(0, becomes: "healthy")
            try await server.psql("SELECT pg_create_physical_replication_slot('left_behind', true)")
            try await server.psql("INSERT INTO t SELECT generate_series(1, 50000)", database: TestCluster.database)
            try await watched.state(0, becomes: "degraded", ["slot_retains_log"])
            let slot = try await watched.server(0)["slots"]?.arrayValue?.first
            #expect(slot?["name"] == "left_behind" && slot?["active"] == false && slot?["retained_bytes"]?.integerValue ?? 0 > 1 << 20)
            let now = try await watched.server(0)
            #expect(now["log_bytes"] != nil && now["database_bytes"] != nil)
            try await server.psql("SELECT pg_drop_replication_slot('left_behind')")
            try await watched.state(0, becomes: "healthy")
        }
    }
}
