import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// Portals over three shards whose rows the client takes a number at a time.
    @Suite(.faultCluster(), .serialized)
    struct PartlyFetchedTests {
        private let cluster: TestCluster
        private static let range = "k BETWEEN 500000 AND 500059"
        /// Rows that the shards have, rows that are combined, and rows that are made of fetched ones.
        private static let queries = [
            "SELECT k, v FROM kv WHERE \(range)", "SELECT k FROM kv WHERE \(range) ORDER BY k", "SELECT v, count(*) FROM kv WHERE \(range) GROUP BY v", "SELECT k, rank() OVER (ORDER BY k) FROM kv WHERE \(range)",
            "SELECT k FROM kv WHERE \(range) AND v > 1000",
        ]

        init() throws { cluster = try TestCluster.current }

        private func prepare() async throws -> WireClient {
            let client = try await cluster.login()
            try #require(try await client.failure("DELETE FROM kv WHERE \(Self.range)") == nil)
            let rows = (0..<60).map { "(\(500_000 + $0), \($0 % 7))" }.joined(separator: ", ")
            try #require(try await client.failure("INSERT INTO kv VALUES \(rows)") == nil)
            return client
        }

        private func open(_ client: WireClient, _ portal: String, _ sql: String) async throws {
            try await client.send(WireMessages.parse("", sql) + WireMessages.bind(portal, "") + WireMessages.describe("P", portal) + WireMessages.sync)
            #expect(try await client.until("Z").map(\.kind) == ["1", "2", "T", "Z"])
        }

        private func execute(_ client: WireClient, _ portal: String, _ rowsMax: Int32) async throws -> [WireClient.Message] {
            try await client.send(WireMessages.execute(portal, rowsMax: rowsMax) + WireMessages.sync)
            return try await client.until("Z")
        }

        @Test(arguments: ["", "p"], [1, 7, 60, 100] as [Int32]) func thePartsAreTheWhole(portal: String, size: Int32) async throws {
            let client = try await prepare()
            for query in Self.queries {
                let whole = try await client.query(query).filter { $0.kind == "D" }.map(\.description).sorted()
                try await client.query("BEGIN")
                // The second time under the same name.
                for _ in 0..<2 {
                    try await open(client, portal, query)
                    var rows: [String] = []
                    while true {
                        let answer = try await execute(client, portal, size)
                        rows += answer.filter { $0.kind == "D" }.map(\.description)
                        guard answer.dropLast().last?.kind == "s" else {
                            #expect(answer.suffix(2).map(\.description) == ["C(SELECT \(answer.count - 2))", "Z(T)"], "\(query)")
                            break
                        }
                        #expect(answer.count == Int(size) + 2, "\(query)")
                    }
                    #expect(rows.sorted() == whole, "\(query)")
                    if query.contains("ORDER BY k") { #expect(rows == rows.sorted()) }
                    #expect(try await execute(client, portal, size).map(\.description) == ["C(SELECT 0)", "Z(T)"])
                    try await client.send(WireMessages.close("P", portal) + WireMessages.sync)
                    #expect(try await client.until("Z").map(\.description) == ["3", "Z(T)"])
                }
                #expect(try await client.query("COMMIT").last?.status == "I")
            }
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func withoutABlockItLastsUntilSync() async throws {
            let client = try await prepare()
            for query in Self.queries.prefix(2) {
                try await client.send(
                    WireMessages.parse("", query) + WireMessages.bind("p", "") + WireMessages.execute("p", rowsMax: 7) + WireMessages.execute("p", rowsMax: 50) + WireMessages.execute("p") + WireMessages.sync)
                let answer = try await client.until("Z")
                #expect(answer.filter { $0.kind != "D" }.map(\.description) == ["1", "2", "s", "s", "C(SELECT 3)", "Z(I)"] && answer.count { $0.kind == "D" } == 60)
                #expect(try await execute(client, "p", 1).map(\.description) == ["E(34000)", "Z(I)"])
            }
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// Two portals at once, and other statements between: a portal shows what was there when it was opened.
        @Test func otherStatementsMayComeBetween() async throws {
            let client = try await prepare()
            for query in Self.queries.prefix(4) {
                let count = try await client.query(query).count { $0.kind == "D" }
                try await client.query("BEGIN")
                for portal in ["p", "q"] {
                    try await open(client, portal, query)
                    #expect(try await execute(client, portal, 2).map(\.kind) == ["D", "D", "s", "Z"])
                }
                #expect(try await client.failure("SAVEPOINT s") == nil)
                #expect(try await client.rows("SELECT v FROM kv WHERE k = 500003") == [["3"]])
                #expect(try await client.query("DELETE FROM kv WHERE \(Self.range)").first?.description == "C(DELETE 60)")
                #expect(try await client.rows("SELECT count(*) FROM kv WHERE \(Self.range)") == [["0"]])
                for portal in ["q", "p"] { #expect(try await execute(client, portal, 0).count { $0.kind == "D" } == count - 2, "\(query)") }
                #expect(try await client.query("ROLLBACK").last?.status == "I")
            }
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// With a shard its portals go, and the transaction.
        @Test func aShardThatDiesBetweenEndsIt() async throws {
            let client = try await prepare()
            try await client.query("BEGIN")
            try await open(client, "p", Self.queries[0])
            #expect(try await execute(client, "p", 1).map(\.kind) == ["D", "s", "Z"])
            await cluster.servers[2].kill()
            let answer = try await execute(client, "p", 0)
            #expect(answer.suffix(2).map(\.description) == ["E(08006)", "Z(E)"], "\(answer)")
            #expect(try await client.query("ROLLBACK").last?.status == "I")
            client.close()
            try await cluster.regain(2)
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aClientThatIsGoneHoldsNothing() async throws {
            for query in Self.queries {
                let client = try await prepare()
                try await client.query("BEGIN")
                try await open(client, "p", query)
                _ = try await execute(client, "p", 1)
                client.close()
                try await cluster.expectNoLeak(clients: 0)
            }
        }

        /// An error of a shard in a later part ends the transaction, and what came before is not the whole.
        @Test func anErrorInALaterPartIsAnError() async throws {
            let client = try await prepare()
            try await client.query("BEGIN")
            try await open(client, "p", "SELECT 1 / (k - 500059) FROM kv WHERE \(Self.range)")
            var answer: [WireClient.Message] = []
            for _ in 0..<70 where !answer.contains(where: { $0.kind == "E" || $0.kind == "C" }) { answer = try await execute(client, "p", 1) }
            #expect(answer.map(\.description) == ["E(22012)", "Z(E)"], "\(answer)")
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }
    }
}
