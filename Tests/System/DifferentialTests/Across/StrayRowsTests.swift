import CatalogStore
import ClusterTestKit
import Foundation
import PGChannel
import PostgresProcess
import ShardModel
import Testing

/// Reads of all shards while rows of two of them are on both, as in the middle of a job: each answer is one PostgreSQL's, which has every row once.
@Suite struct StrayRowsTests {
    private static let tables = ["a", "b", "few", "none", "odd", "words", "plain", "own", "tree", "\"Odd Table\""]

    @Test func rowsOnTwoShardsAreSeenOnce() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            try await Self.stray(cluster)
            try await eventually("the router knows of the job") {
                for _ in 0..<4 where try await AcrossForm.simple.run(router, "UPDATE few SET v = v").refusal != "PGM-ROWS-MOVE" { return false }
                return true
            }
            var (answered, refused) = (0, [String]())
            let statements = AcrossStatements.all + FinisherStatements.all + CornerStatements.all
            for (place, statement) in statements.enumerated() {
                let form = AcrossForm.allCases[place % AcrossForm.allCases.count]
                let expected = try await form.run(plain, statement), answer = try await form.run(router, statement)
                if let code = answer.refusal, ["PGM-ROWS-MOVE", "PGM-COMBINED-TYPE"].contains(code) {
                    refused.append(statement)
                    continue
                }
                #expect(answer.comparable(of: statement) == expected.comparable(of: statement), "\(form): \(statement)")
                answered += 1
            }
            print("refused: \(refused)")
            #expect(answered > statements.count * 9 / 10)
            // In a block, too, where the transaction has written.
            for statement in ["BEGIN", "UPDATE a SET n = 77 WHERE k = 5", "SELECT count(*), sum(n) FROM a", "SELECT n, count(*) FROM a GROUP BY n ORDER BY n", "ROLLBACK"] {
                let expected = try await AcrossForm.simple.run(plain, statement), answer = try await AcrossForm.simple.run(router, statement)
                #expect(answer.comparable(of: statement) == expected.comparable(of: statement), "\(statement)")
            }
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    /// A job of two shards, each of which has got the other's rows.
    private static func stray(_ cluster: TestCluster) async throws {
        let catalog = try await cluster.store.load()
        let record = ReshardJobRecord(id: "j1", database: TestCluster.database, shards: [0, 1].map(TestCluster.id), body: "{}")
        _ = try await cluster.store.commit(CatalogChange([.putJob(record)], author: "test"), expecting: catalog.epoch)
        for table in tables {
            var rows: [String] = []
            for shard in [0, 1] { rows.append(try await cluster.servers[shard].psql("COPY \(table) TO STDOUT", database: TestCluster.database)) }
            for shard in [0, 1] where !rows[1 - shard].isEmpty {
                try await cluster.servers[shard].psql("COPY \(table) FROM STDIN;\n\(rows[1 - shard])\n\\.\n", database: TestCluster.database)
            }
        }
    }
}
