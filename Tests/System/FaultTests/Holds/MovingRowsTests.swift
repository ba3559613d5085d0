import ClusterTestKit
import Foundation
import ShardModel
import Testing

extension FaultTests {
    /// What is refused while rows move, for it would see some of them twice, and what is not.
    @Suite(.faultCluster(shards: 3), .serialized) struct MovingRowsTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private typealias W = WireMessages

        @Test func aListOfKeysIsRefusedWhereTwoOfItsShardsAreInOneJobOnly() async throws {
            var keys: [Int64] = []
            for shard in 0..<3 { keys.append(try await cluster.key(on: shard, from: Int64.random(in: 1...1_000_000_000))) }
            let client = try await cluster.login()
            #expect(try await client.failure("INSERT INTO kv VALUES (\(keys[0]), 1), (\(keys[1]), 1), (\(keys[2]), 1)") == nil)
            try await cluster.withJob {
                // The job is of the first two. On its way:
                try await cluster.onShard(0, "INSERT INTO kv VALUES (\(keys[1]), 1)")
                for other in [0, 1] {
                    let answers = try await client.query("UPDATE kv SET v = v + 1 WHERE k IN (\(keys[other]), \(keys[2]))")
                    #expect(answers.map(\.description) == ["C(UPDATE 2)", "Z(I)"], "\(answers)")
                }
                for list in [[0, 1], [0, 1, 2]] {
                    let error = try #require(try await client.query("UPDATE kv SET v = 9 WHERE k IN (\(list.map { "\(keys[$0])" }.joined(separator: ",")))").first)
                    #expect(error.sqlState == "55006" && error.field("D") == "PGM-ROWS-MOVE", "\(list)")
                }
                #expect(try await client.query("COPY kv TO STDOUT").first?.field("D") == "PGM-ROWS-MOVE")
                // Each was changed where it is owned, and nowhere else.
                #expect(try await cluster.onShard(0, "SELECT v FROM kv WHERE k = \(keys[1])") == "1")
                #expect(try await cluster.onShard(1, "SELECT v FROM kv WHERE k = \(keys[1])") == "2")
                #expect(try await cluster.onShard(2, "SELECT v FROM kv WHERE k = \(keys[2])") == "3")
                try await cluster.onShard(0, "DELETE FROM kv WHERE k = \(keys[1])")
            }
            #expect(try await client.query("DELETE FROM kv WHERE k IN (\(keys[0]), \(keys[1]), \(keys[2]))").first?.description == "C(DELETE 3)")
        }

        /// It has begun on one shard before the job, and would on the other one behind the job's first rows.
        @Test func aCopyThatBeginsLateOnAShardIsRefusedWhenAJobHasComeMeanwhile() async throws {
            let (client, blocker) = (try await cluster.login(), try await cluster.shardSession(1))
            let key = try await cluster.key(on: 0, from: Int64.random(in: 1...1_000_000_000))
            #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 1)") == nil)
            for sql in ["BEGIN", "LOCK TABLE kv IN ACCESS EXCLUSIVE MODE"] { #expect(try await blocker.failure(sql) == nil) }
            try await client.send(W.query("COPY kv TO STDOUT"))
            try await eventually("it has begun on one shard, and waits on the other") {
                try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY%'") == "1"
            }
            try await cluster.withJob {
                #expect(try await blocker.failure("INSERT INTO kv VALUES (\(key), 1)") == nil)
                #expect(try await blocker.failure("COMMIT") == nil)
                let answers = try await client.until("Z")
                #expect(answers.map(\.description) == ["E(55006)", "Z(I)"], "\(answers)")
                #expect(answers.first?.field("D") == "PGM-ROWS-MOVE")
                try await cluster.onShard(1, "DELETE FROM kv WHERE k = \(key)")
            }
            #expect(try await client.query("COPY kv TO STDOUT").last?.status == "I")
            #expect(try await client.failure("DELETE FROM kv WHERE k = \(key)") == nil)
        }
    }
}
