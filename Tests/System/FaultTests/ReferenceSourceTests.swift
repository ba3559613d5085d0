import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// A write to a reference table that reads reference tables, while another transaction's commit has reached some shards only.
    @Suite(.faultCluster(), .serialized)
    struct ReferenceSourceTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        @Test(arguments: [
            "INSERT INTO ref SELECT id + 1, v FROM ref WHERE id = 1", "UPDATE ref SET v = (SELECT max(v) FROM ref) WHERE id = 5",
            "DELETE FROM ref WHERE id = 5 AND EXISTS (SELECT 1 FROM ref WHERE v = 1)",
        ])
        func everyShardReadsTheSameRows(_ statement: String) async throws {
            let client = try await cluster.login()
            #expect(try await client.failure("DELETE FROM ref") == nil)
            #expect(try await client.failure("INSERT INTO ref VALUES (1, 1), (5, 5)") == nil)
            try await cluster.settled()
            // What a commit in two phases looks like in its middle: decided on the home shard, prepared on another.
            for index in [0, 2] { try await cluster.onShard(index, "UPDATE ref SET v = 99 WHERE id = 1") }
            let half = try await cluster.shardSession(1)
            for sql in ["BEGIN", "UPDATE ref SET v = 99 WHERE id = 1", "PREPARE TRANSACTION 'half'"] { #expect(try await half.failure(sql) == nil) }
            try await client.send(WireMessages.query(statement))
            try await eventually("it waits on the second shard") {
                try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1"
            }
            #expect(try await half.failure("COMMIT PREPARED 'half'") == nil)
            let answer = try await client.until("Z")
            #expect(answer.contains { $0.kind == "C" }, "\(answer)")
            try await cluster.settled()
            for client in [client, half] { client.close() }
        }

        @Test func aSnapshotFromBeforeIsNoGround() async throws {
            let client = try await cluster.login()
            #expect(try await client.failure("BEGIN ISOLATION LEVEL REPEATABLE READ") == nil)
            #expect(try await client.failure("SELECT count(*) FROM ref") == nil)
            let answer = try await client.query("INSERT INTO ref SELECT id + 100, v FROM ref")
            #expect(answer.first { $0.kind == "E" }?.field("D") == "PGM-ISOLATION", "\(answer)")
            #expect(try await client.failure("ROLLBACK") == nil)
            client.close()
        }
    }
}
