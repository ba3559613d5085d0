import CatalogStore
import ClusterTestKit
import Foundation
import PostgresProcess
import ShardModel
import Testing

extension FaultTests {
    /// A session sees its own writes, whatever the replicas have.
    @Suite(.replicaCluster(), .serialized)
    struct ReadYourWritesTests {
        private let cluster: TestCluster
        private let shard = 1

        init() throws { cluster = try TestCluster.current }

        private func key() async throws -> Int64 {
            let key = try await cluster.key(on: shard)
            try await cluster.plant(key, 0, on: shard)
            try await cluster.allUsable()
            return key
        }

        @Test func aWriterReadsFromAReplicaOnlyOnceThatHasReplayedTheWrite() async throws {
            let (key, primary) = (try await key(), cluster.servers[shard].port)
            let (writer, other) = (try await cluster.eventualLogin(), try await cluster.eventualLogin())
            try await cluster.pauseReplay(shard)
            for value in 1...20 {
                #expect(try await writer.failure("UPDATE kv SET v = \(value) WHERE k = \(key)") == nil)
                #expect(try await writer.rows("SELECT v, inet_server_port() FROM kv WHERE k = \(key)") == [["\(value)", "\(primary)"]])
            }
            // Whatever time passes.
            try await Task.sleep(for: .milliseconds(500))
            #expect(try await writer.rows("SELECT v, inet_server_port() FROM kv WHERE k = \(key)") == [["20", "\(primary)"]])
            // Who has not written reads what there is.
            #expect(try await other.rows("SELECT v FROM kv WHERE k = \(key)") == [["0"]])
            try await cluster.resumeReplay(shard, [1])
            let resumed = cluster.replicas[shard][1].port
            try await eventually("the resumed one serves the writer") {
                let rows = try await writer.rows("SELECT v, inet_server_port() FROM kv WHERE k = \(key)")
                #expect(rows.first?[0] == "20")
                return rows.first?[1] == "\(resumed)"
            }
            for _ in 0..<20 { #expect(try await writer.rows("SELECT v, inet_server_port() FROM kv WHERE k = \(key)") == [["20", "\(resumed)"]]) }
            try await cluster.resumeReplay(shard, [0])
        }

        @Test func everyWayToWriteCounts() async throws {
            let (key, primary) = (try await key(), cluster.servers[shard].port)
            try await cluster.pauseReplay(0)
            try await cluster.pauseReplay(shard)
            let extended = WireMessages.parse("", "UPDATE kv SET v = $1::int WHERE k = $2") + WireMessages.bind("", "", ["4", "\(key)"])
            let writes: [(String, [[UInt8]], String)] = [
                ("simple", [WireMessages.query("UPDATE kv SET v = 1 WHERE k = \(key)")], "1"),
                ("a block", ["BEGIN", "UPDATE kv SET v = 2 WHERE k = \(key)", "COMMIT"].map(WireMessages.query), "2"),
                ("in a CTE", [WireMessages.query("WITH w AS (UPDATE kv SET v = 3 WHERE k = \(key) RETURNING v) SELECT * FROM w")], "3"),
                ("extended", [extended + WireMessages.execute("") + WireMessages.sync], "4"),
                ("in one text", [WireMessages.query("SELECT v FROM kv WHERE k = \(key); UPDATE kv SET v = 5 WHERE k = \(key)")], "5"),
            ]
            for (name, messages, expected) in writes {
                let client = try await cluster.eventualLogin()
                for message in messages {
                    try await client.send(message)
                    let answer = try await client.until("Z")
                    #expect(!answer.contains { $0.kind == "E" }, "\(name): \(answer)")
                }
                #expect(try await client.rows("SELECT v, inet_server_port() FROM kv WHERE k = \(key)") == [[expected, "\(primary)"]], "\(name)")
                client.close()
            }
            // In two phases on every shard.
            let client = try await cluster.eventualLogin()
            #expect(try await client.failure("INSERT INTO ref VALUES (500, 1)") == nil)
            for _ in 0..<4 { #expect(try await client.rows("SELECT v FROM ref WHERE id = 500") == [["1"]]) }
            // And COPY.
            try await client.send(WireMessages.query("COPY ref FROM STDIN"))
            _ = try await client.until("G")
            try await client.send(WireMessages.copyData("501\t2\n") + WireMessages.copyDone)
            #expect(try await client.until("Z").last?.status == "I")
            for _ in 0..<4 { #expect(try await client.rows("SELECT v FROM ref WHERE id = 501") == [["2"]]) }
            try await cluster.resumeReplay(0)
            try await cluster.resumeReplay(shard)
            #expect(try await client.failure("DELETE FROM ref WHERE id >= 500") == nil)
            try await cluster.caughtUp(0)
            try await cluster.caughtUp(shard)
        }

        /// With replicas that are sometimes a little behind, as they are.
        @Test func aCounterIsNeverSeenToGoBack() async throws {
            let key = try await key()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for session in 0..<4 {
                    let client = try await cluster.eventualLogin()
                    let key = try await cluster.keys(on: shard, from: key + 1, count: 4)[session]
                    #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 0)") == nil)
                    group.addTask {
                        for value in 1...200 {
                            #expect(try await client.failure("UPDATE kv SET v = \(value) WHERE k = \(key)") == nil)
                            if value % 20 == 0 { try await Task.sleep(for: .milliseconds(120)) }
                            #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["\(value)"]])
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await cluster.served(by: "replica") > 0)
        }
    }

    /// Replicas that are behind, and servers that are no replicas.
    @Suite(.replicaCluster(lagMax: .seconds(6)), .serialized)
    struct ReplicaLagTests {
        private let cluster: TestCluster
        private let shard = 1

        init() throws { cluster = try TestCluster.current }

        @Test func aReplicaThatLagsLeavesAndReturnsByItself() async throws {
            let key = try await cluster.key(on: shard)
            try await cluster.plant(key, 1, on: shard)
            try await cluster.allUsable()
            let client = try await cluster.eventualLogin()
            let (late, good) = (cluster.replicas[shard][0], cluster.replicas[shard][1])
            // As long as it has everything it does not lag. Now and then a server writes a record for its standbys by itself: then these seconds tell nothing.
            try await eventually("its primary writes nothing for a while") {
                try await cluster.caughtUp(shard)
                try await cluster.pauseReplay(shard, [0])
                let before = try await cluster.onShard(shard, "SELECT pg_current_wal_insert_lsn()")
                try await Task.sleep(for: .seconds(7))
                let isUsable = try await cluster.isUsable(late)
                if try await cluster.onShard(shard, "SELECT pg_current_wal_insert_lsn()") == before {
                    #expect(isUsable)
                    return true
                }
                try await cluster.resumeReplay(shard, [0])
                return false
            }
            try await cluster.onShard(shard, "UPDATE kv SET v = 2 WHERE k = \(key)")
            try await eventually("it has left") { try await !self.cluster.isUsable(late) }
            #expect(try await cluster.metric("pgmosaic_replica_lag_seconds", ":\(late.port)\"") > 6)
            for _ in 0..<20 { #expect(try await client.rows("SELECT v, inet_server_port() FROM kv WHERE k = \(key)") == [["2", "\(good.port)"]]) }
            try await cluster.resumeReplay(shard, [0])
            try await eventually("it has returned") { try await self.cluster.isUsable(late) }
            try await eventually("it is read from") { try await self.cluster.reader(of: key, client) == late.port }
        }

        /// A server without writes, whose log was made to go on to the next segment: replicas stay where the last record ended.
        @Test func theReplicasOfAnIdlePrimaryDoNotLag() async throws {
            for _ in 0..<3 {
                try await cluster.onShard(shard, "SELECT pg_switch_wal()")
                try await Task.sleep(for: .seconds(7))
                for replica in cluster.replicas[shard] { #expect(try await cluster.isUsable(replica)) }
            }
        }

        @Test func aReplicaThatIsCutOffFromItsPrimaryLags() async throws {
            try await cluster.allUsable()
            let victim = cluster.replicas[shard][0]
            let conninfo = try await victim.psql("SHOW primary_conninfo")
            try await victim.psql("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
            try await victim.psql("SELECT pg_reload_conf()")
            try await eventually("it is cut off") { try await victim.psql("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") == "0" }
            let key = try await cluster.key(on: shard)
            try await cluster.onShard(shard, "INSERT INTO kv VALUES (\(key), 0) ON CONFLICT (k) DO UPDATE SET v = kv.v + 1")
            try await eventually("it has left") { try await !self.cluster.isUsable(victim) }
            try await victim.psql("ALTER SYSTEM SET primary_conninfo = '\(conninfo.replacing("'", with: "''"))'")
            try await victim.psql("SELECT pg_reload_conf()")
            try await eventually("it has returned") { try await self.cluster.isUsable(victim) }
        }

        /// Nobody knows how far they are: they leave after the limit, and reads fail as the shard does.
        @Test func withoutAPrimaryReplicasServeAsLongAsTheLimitAllows() async throws {
            let key = try await cluster.key(on: shard)
            try await cluster.plant(key, 1, on: shard)
            try await cluster.allUsable()
            let client = try await cluster.eventualLogin()
            await cluster.servers[shard].kill()
            #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
            for replica in cluster.replicas[shard] { try await eventually("it has left") { try await !self.cluster.isUsable(replica) } }
            #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") != nil)
            try await cluster.servers[shard].start()
            for replica in cluster.replicas[shard] { try await eventually("it has returned") { try await self.cluster.isUsable(replica) } }
            try await eventually("reads are answered") { try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil }
        }
    }

    /// One shard's worth of servers that turn out to be something else.
    @Suite(.replicaCluster(lagMax: .seconds(30)), .serialized)
    struct NoReplicaTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func setReplicas(_ endpoints: [String], of shard: Int) async throws {
            let catalog = try await cluster.store.load()
            var record = try #require(catalog.shards[TestCluster.id(of: shard)])
            record.replicas = endpoints
            _ = try await cluster.store.commit(CatalogChange([.putShard(record)], author: "test"), expecting: catalog.epoch)
        }

        @Test func aServerThatIsNoReplicaOfTheShardIsNeverReadFrom() async throws {
            let key = try await cluster.key(on: 1)
            try await cluster.plant(key, 1, on: 1)
            try await cluster.allUsable()
            let client = try await cluster.eventualLogin()
            let own = cluster.replicas[1].map { $0.dsn(database: TestCluster.database) }
            let foreign = cluster.replicas[0][0]
            // Another shard's replica, another shard's primary, the primary itself, nobody.
            for stranger in [foreign.dsn(database: TestCluster.database), cluster.endpoint(of: 0), cluster.endpoint(of: 1), "postgres://postgres@127.0.0.1:1/shop"] {
                try await setReplicas([own[0], stranger], of: 1)
                // Until the router knows of the change, while the shard's servers are looked at anew, and afterwards. The primary answers until they have been.
                for _ in 0..<60 {
                    let isKnown = try await cluster.isEpochServed()
                    let reader = try await cluster.reader(of: key, client)
                    let old = isKnown ? [] : [cluster.replicas[1][1].port]
                    #expect(([cluster.replicas[1][0].port, cluster.servers[1].port] + old).contains(reader), "\(stranger)")
                    try await Task.sleep(for: .milliseconds(10))
                }
                try await eventually("the other one is read from") {
                    guard try await cluster.isEpochServed() else { return false }
                    return try await cluster.reader(of: key, client) == cluster.replicas[1][0].port
                }
                for _ in 0..<20 { #expect(try await cluster.reader(of: key, client) == cluster.replicas[1][0].port, "\(stranger)") }
            }
            try await setReplicas(own, of: 1)
            try await cluster.allUsable()
        }

        @Test func aPromotedReplicaIsNotReadFrom() async throws {
            let key = try await cluster.key(on: 1)
            try await cluster.plant(key, 1, on: 1)
            try await cluster.allUsable()
            let client = try await cluster.eventualLogin()
            let (promoted, other) = (cluster.replicas[1][0], cluster.replicas[1][1])
            for _ in 0..<4 { _ = try await cluster.reader(of: key, client) }
            try await promoted.psql("SELECT pg_promote()")
            try await eventually("it has left") { try await !self.cluster.isUsable(promoted) }
            // Somebody writes there.
            try await promoted.psql("UPDATE kv SET v = 666 WHERE k = \(key)", database: TestCluster.database)
            for _ in 0..<40 { #expect(try await client.rows("SELECT v, inet_server_port() FROM kv WHERE k = \(key)") == [["1", "\(other.port)"]]) }
            try await promoted.restart()
            for _ in 0..<40 { #expect(try await client.rows("SELECT v, inet_server_port() FROM kv WHERE k = \(key)") == [["1", "\(other.port)"]]) }
        }
    }
}
