import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// Texts that Unicode calls equivalent, and PostgreSQL does not: "é" as one character, and as "e" with an accent that combines with it.
    @Suite(.faultCluster(), .serialized)
    struct NameFormTests {
        private typealias W = WireMessages
        private let cluster: TestCluster
        private let composed = "\u{E9}", decomposed = "e\u{301}"

        init() throws { cluster = try TestCluster.current }

        private func data(_ client: WireClient, _ bytes: [UInt8]) async throws -> [String] {
            try await client.send(bytes)
            return try await client.until("Z").map(\.description)
        }

        @Test func preparedStatementsAndPortalsOfBothNamesAreTwo() async throws {
            let client = try await cluster.login()
            let parsed = try await data(client, W.parse(composed, "SELECT 1") + W.parse(decomposed, "SELECT 2") + W.sync)
            #expect(parsed == ["1", "1", "Z(I)"])
            let bound = W.bind(composed, composed) + W.bind(decomposed, decomposed) + W.execute(composed) + W.execute(decomposed) + W.close("P", composed) + W.execute(decomposed)
            #expect(try await data(client, bound + W.sync).filter { $0.hasPrefix("D") } == ["D(1)", "D(2)"])
            #expect(try await data(client, W.close("S", composed) + W.sync) == ["3", "Z(I)"])
            #expect(try await data(client, W.bind("", decomposed) + W.execute("") + W.sync).contains("D(2)"))
            try await client.send(W.bind("", composed) + W.sync)
            #expect(try await client.until("Z").first?.sqlState == "26000")
            // Bytes that are no text at all, beside a name of their own.
            try await client.send(W.message("P", [0xFF, 0] + Array("SELECT 3".utf8) + [0, 0, 0]) + W.message("P", [0xFE, 0] + Array("SELECT 4".utf8) + [0, 0, 0]) + W.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "1", "Z(I)"])
            client.close()
            try await cluster.expectNoLeak()
        }

        /// What one client has set is not what another one finds.
        @Test func aBackendThatIsSharedHasEachClientsOwnValue() async throws {
            let key = try await cluster.key(on: 1, from: Int64.random(in: 1...1_000_000_000_000))
            let clients = try await [cluster.login(), cluster.login()]
            for (client, value) in zip(clients, [composed, decomposed]) { #expect(try await client.failure("SET app.tenant = '\(value)'") == nil) }
            #expect(try await clients[0].failure("INSERT INTO kv VALUES (\(key), 1)") == nil)
            for _ in 0..<10 {
                for (client, value) in zip(clients, [composed, decomposed]) {
                    let found = try await client.rows("SELECT octet_length(current_setting('app.tenant')) FROM kv WHERE k = \(key)")
                    #expect(found == [["\(value.utf8.count)"]])
                }
            }
            for client in clients { client.close() }
            try await cluster.expectNoLeak()
        }

        @Test func aNameOfTheOtherFormIsRefusedAndNothingIsDone() async throws {
            let client = try await cluster.login()
            let key = try await cluster.key(on: 1)
            for sql in ["SELECT v AS \(decomposed) FROM kv WHERE k = \(key)", "SAVEPOINT \(decomposed)", "CREATE TABLE \(decomposed) (k bigint)", "PREPARE \(decomposed) AS SELECT 1"] {
                let error = try #require(try await client.query(sql).first { $0.kind == "E" })
                #expect(error.sqlState == "0A000" && error.field("D")?.contains("PGM-NAME-FORM") == true, "\(sql)")
            }
            #expect(try await client.rows("SELECT '\(decomposed)' AS \(composed)").count == 1)
            client.close()
        }

        /// A table with both, made on the shards: what is meant is not guessed.
        @Test func aTableWithAColumnOfTheOtherFormIsNotUsed() async throws {
            let client = try await cluster.login()
            #expect(try await client.failure("SELECT pgmosaic.shard_table('twins', '\(composed)')") == nil)
            #expect(try await client.failure("CREATE TABLE twins (\(composed) bigint PRIMARY KEY, v int)") == nil)
            #expect(try await client.failure("INSERT INTO twins VALUES (1, 1)") == nil)
            for shard in cluster.servers.indices { try await cluster.onShard(shard, "ALTER TABLE twins ADD COLUMN \"\(decomposed)\" bigint") }
            try await eventually("the routers know of it") {
                try await client.query("INSERT INTO twins (\(composed), v) VALUES (2, 2)").first { $0.kind == "E" }?.field("D")?.contains("PGM-NAME-FORM") == true
            }
            for shard in cluster.servers.indices { try await cluster.onShard(shard, "ALTER TABLE twins RENAME COLUMN \"\(decomposed)\" TO plain") }
            try await eventually("it is used again") { try await client.rows("SELECT v FROM twins WHERE \(composed) = 1") == [["1"]] }
            #expect(try await client.failure("DROP TABLE twins") == nil)
            client.close()
            try await cluster.expectNoLeak()
        }
    }
}
