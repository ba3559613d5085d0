import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// Prepared queries that every shard answers: what happens between two executions does not make them wrong.
    @Suite(.faultCluster(), .serialized)
    struct PreparedGatherTests {
        private let cluster: TestCluster
        init() throws { cluster = try TestCluster.current }

        private func execute(_ name: String, _ parameters: [String?] = [], describes: Bool = true) -> [UInt8] {
            WireMessages.bind("", name, parameters) + (describes ? WireMessages.describe("P", "") : []) + WireMessages.execute("") + WireMessages.sync
        }

        private func answer(_ client: WireClient, _ message: [UInt8]) async throws -> [String] {
            try await client.send(message)
            return try await client.until("Z").map(\.description)
        }

        /// Three rows of `rows`, one a shard.
        private func prepare(_ client: WireClient, _ table: String, _ sql: String) async throws {
            for statement in ["SELECT pgmosaic.shard_table('\(table)', 'k')", "CREATE TABLE \(table) (k bigint PRIMARY KEY, v int)"] { try #require(try await client.failure(statement) == nil) }
            for index in 0..<3 { try #require(try await client.failure("INSERT INTO \(table) VALUES (\(try await cluster.key(on: index)), \(index + 1))") == nil) }
            #expect(try await answer(client, WireMessages.parse("q", sql) + WireMessages.describe("S", "q") + WireMessages.sync) == ["1", "t", "T", "Z(I)"])
        }

        @Test func eachExecutionGivesTheSameRows() async throws {
            let client = try await cluster.login()
            let sql = "SELECT v FROM prepared1 WHERE v >= $1 AND v < 3"
            try await prepare(client, "prepared1", sql)
            try await client.query("BEGIN")
            for _ in 0..<3 {
                let rows = try await answer(client, execute("q", ["1"]))
                #expect(rows.prefix(2) == ["2", "T"] && rows.filter { $0.hasPrefix("D") }.sorted() == ["D(1)", "D(2)"] && rows.suffix(2) == ["C(SELECT 2)", "Z(T)"], "\(rows)")
            }
            try await client.query("COMMIT")
            // The same text of another client's is the same statement.
            let other = try await cluster.login()
            #expect(try await answer(other, WireMessages.parse("", sql) + execute("", ["2"])) == ["1", "2", "T", "D(2)", "C(SELECT 1)", "Z(I)"])
            client.close()
            other.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func anErrorLeavesNoDoubt() async throws {
            let client = try await cluster.login()
            try await prepare(client, "prepared2", "SELECT 6 / (v - $1::int) FROM prepared2")
            for _ in 0..<3 {
                let failed = try await answer(client, execute("q", ["2"]))
                #expect(failed.suffix(2) == ["E(22012)", "Z(I)"] && !failed.contains { $0.hasPrefix("C") }, "\(failed)")
                #expect(try await answer(client, execute("q", ["x"])).suffix(2) == ["E(22P02)", "Z(I)"])
                let rows = try await answer(client, execute("q", ["0"], describes: false))
                #expect(rows.filter { $0.hasPrefix("D") }.sorted() == ["D(2)", "D(3)", "D(6)"] && rows.last == "Z(I)", "\(rows)")
            }
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aChangedTableIsNotReadByAnOldPlan() async throws {
            let client = try await cluster.login()
            try await prepare(client, "prepared3", "SELECT * FROM prepared3")
            for _ in 0..<2 { #expect(try await answer(client, execute("q")).count { $0.hasPrefix("D") } == 3) }
            try #require(try await client.failure("ALTER TABLE prepared3 ADD w int") == nil)
            // What it was told that it gets it does not get any more.
            #expect(try await answer(client, execute("q")).suffix(2) == ["E(0A000)", "Z(I)"])
            let again = try await answer(client, WireMessages.parse("r", "SELECT * FROM prepared3") + execute("r"))
            #expect(again.prefix(3) == ["1", "2", "T"] && again.count { $0.hasPrefix("D") && $0.hasSuffix(",NULL)") } == 3, "\(again)")
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }
    }
}
