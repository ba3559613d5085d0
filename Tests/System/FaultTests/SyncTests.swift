import ClusterTestKit
import ServerConfig
import Testing

extension FaultTests {
    /// A Sync that the router has taken, and that waits for a shard, is answered whatever becomes of the wait: no client sends a second one.
    @Suite(
        .faultCluster(shards: 3, preparesApart: true) { settings in
            settings.loops = 1
            settings.poolSizeMax = 1
            settings.poolWaitTimeout = .seconds(6)
        }, .serialized)
    struct SyncTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// A Parse that no shard has seen, so that one must accept it before its Sync is answered.
        private func parse(_ name: String, _ number: Int) -> [UInt8] {
            WireMessages.parse(name, "SELECT body FROM notes WHERE id = \(number)") + WireMessages.sync
        }

        private func run(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") }

        /// One unit's answers, and the proof that the next unit gets its own.
        private func answers(
            to bytes: [UInt8], _ client: WireClient, then next: String = "SHOW pgmosaic.database", meanwhile: () async throws -> Void
        ) async throws -> [String] {
            try await client.send(bytes + WireMessages.query(next))
            try await meanwhile()
            let first = try await client.until("Z").map(\.description)
            let second = try await client.until("Z").map(\.description)
            if next == "SELECT unknown()" {
                #expect(second == ["E(42883)", "Z(I)"])
                #expect(try await client.until("Z").map(\.description) == second)
                return first
            }
            #expect(second.dropLast() == ["T", "D(shop)", "C(SHOW)"] || next == "ROLLBACK" && second == ["C(ROLLBACK)", "Z(I)"], "\(second)")
            return first
        }

        // MARK: Waits for a connection

        /// A session that has the only connection to the home shard.
        private func holder() async throws -> WireClient {
            let client = try await cluster.login()
            try #require(try await client.failure("BEGIN") == nil)
            try #require(try await client.failure("SELECT count(*) FROM notes") == nil)
            return client
        }

        @Test func aStatementThatFindsNoConnectionToBePreparedOnFailsOnce() async throws {
            let (holder, client) = (try await holder(), try await cluster.login())
            #expect(try await answers(to: parse("named", 1), client) {} == ["E(53300)", "Z(I)"])
            #expect(try await holder.failure("ROLLBACK") == nil)
            // Nor is the name taken by it.
            #expect(try await answers(to: parse("named", 1), client) {} == ["1", "Z(I)"])
            for client in [holder, client] { client.close() }
            try await cluster.expectNoLeak()
        }

        @Test func aCancelEndsThatWait() async throws {
            let (holder, client) = (try await holder(), try await cluster.login())
            for number in 0..<100 {
                // It may come after the end of the wait.
                let answer = try await answers(to: parse("", 1000 + number), client) {
                    try await eventually("it waits") { try await cluster.metric("pgmosaic_pool_waiting") == 1 }
                    try await client.cancel(port: cluster.wirePort)
                }
                if answer == ["E(57014)", "Z(I)"] { break }
                try #require(answer == ["E(53300)", "Z(I)"] && number < 99)
            }
            for client in [holder, client] { client.close() }
            try await cluster.expectNoLeak()
        }

        // MARK: Shards that are lost

        /// A session with a shard itself, which keeps others from a table.
        private func locker(of table: String, on index: Int) async throws -> WireClient {
            let client = try await cluster.shardSession(index)
            try #require(try await client.failure("BEGIN") == nil)
            try #require(try await client.failure("LOCK TABLE \(table) IN ACCESS EXCLUSIVE MODE") == nil)
            return client
        }

        /// Ends the router's session on a shard once it is as the condition says.
        private func terminate(on index: Int, where condition: String) async throws {
            let session = "pg_stat_activity WHERE application_name = 'pgmosaic' AND \(condition)"
            try await eventually("shard \(index) has such a session: \(condition)") {
                try await self.cluster.onShard(index, "SELECT count(*) FROM \(session)") == "1"
            }
            try await cluster.onShard(index, "SELECT pg_terminate_backend(pid) FROM \(session)")
        }

        private func waits(on index: Int) async throws {
            try await eventually("a session waits on shard \(index)") {
                try await self.cluster.onShard(
                    index, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgmosaic%' AND wait_event_type = 'Lock'") == "1"
            }
        }

        @Test func theShardThatPreparesAStatementIsLost() async throws {
            let (locker, client) = (try await locker(of: "public.notes", on: 0), try await cluster.login())
            let answer = try await answers(to: parse("named", 2), client) { try await terminate(on: 0, where: "wait_event_type = 'Lock'") }
            #expect(answer == ["E(08006)", "Z(I)"])
            locker.close()
            #expect(try await answers(to: parse("named", 2), client) {} == ["1", "Z(I)"])
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test(arguments: [0, 1, 2]) func aShardOfAPipelineIsLostBeforeItsCommit(lost: Int) async throws {
            let keys = [try await cluster.key(on: 0), try await cluster.key(on: 1), try await cluster.key(on: 2)]
            let (locker, client) = (try await locker(of: "public.kv", on: 2), try await cluster.login())
            let pipeline = keys.flatMap { run("INSERT INTO kv VALUES (\($0), 1)") } + WireMessages.sync
            let answer = try await answers(to: pipeline, client) {
                try await waits(on: 2)
                try await terminate(on: lost, where: lost == 2 ? "wait_event_type = 'Lock'" : "state = 'idle in transaction'")
                try await eventually("the shard is lost") {
                    try await self.cluster.onShard(
                        lost, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgmosaic' AND state <> 'idle'") == "0"
                }
                locker.close()
            }
            #expect(answer.count { $0.hasPrefix("E") } == 1 && answer.contains("E(08006)") && answer.last == "Z(I)", "\(answer)")
            #expect(try await client.rows("SELECT count(*) FROM kv WHERE k = \(keys[1])") == [["0"]])
            client.close()
            try await cluster.expectNoLeak()
        }

        /// A shard is lost while the schema is read anew for a later statement of the batch, and the next statement waits for the schema, too.
        @Test func whatALossHasCutShortIsNotTakenForWhatIsAwaitedThen() async throws {
            let key = try await cluster.key(on: 1)
            let (locker, client) = (try await locker(of: "public.kv", on: 1), try await cluster.login())
            // Read for the schema.
            let catalog = try await self.locker(of: "pg_catalog.pg_trigger", on: 0)
            let batch = run("SELECT v FROM kv WHERE k = \(key)") + WireMessages.parse("", "SELECT unknown()") + WireMessages.sync
            let answer = try await answers(to: batch + WireMessages.query("SELECT another()"), client, then: "SELECT unknown()") {
                try await waits(on: 1)
                try await waits(on: 0)
                try await terminate(on: 1, where: "wait_event_type = 'Lock'")
                try await eventually("the shard is lost") {
                    try await self.cluster.onShard(
                        1, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgmosaic' AND state <> 'idle'") == "0"
                }
                catalog.close()
                locker.close()
            }
            #expect(answer.suffix(2) == ["E(08006)", "Z(I)"])
            #expect(try await client.rows("SHOW pgmosaic.database") == [["shop"]])
            client.close()
            try await cluster.expectNoLeak()
        }

        /// The shard that was spoken to last is idle while the others run a statement for every shard.
        @Test(arguments: [true, false]) func aShardIsLostWhileTheOthersRunAStatementForAll(inBlock: Bool) async throws {
            let key = try await cluster.key(on: 0)
            let (locker, client) = (try await locker(of: "public.ref", on: 1), try await cluster.login())
            if inBlock { #expect(try await client.failure("BEGIN") == nil) }
            let pipeline =
                (inBlock ? [] : run("UPDATE kv SET v = 1 WHERE k IN (\(key), \(try await cluster.key(on: 2)))"))
                + run("UPDATE kv SET v = 1 WHERE k = \(key)") + run("UPDATE ref SET v = 1") + WireMessages.sync
            // The others are not waited for.
            let answer = try await answers(to: pipeline, client, then: inBlock ? "ROLLBACK" : "SHOW pgmosaic.database") {
                try await waits(on: 1)
                try await terminate(on: 0, where: "state = 'idle in transaction'")
            }
            locker.close()
            #expect(answer.count { $0.hasPrefix("E") } == 1 && answer.last == (inBlock ? "Z(E)" : "Z(I)"), "\(answer)")
            #expect(try await client.rows("SELECT count(*) FROM kv WHERE k = \(key)") == [["0"]])
            client.close()
            try await cluster.expectNoLeak()
        }
    }
}
