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
    }
}
