import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// INSERT … SELECT whose rows go through the router, and rows that move with their key: all of it happens, or nothing.
    @Suite(.faultCluster(), .serialized)
    struct SentRowsTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private typealias W = WireMessages

        /// A new key on each shard.
        private func keys() async throws -> [Int64] {
            let first = Int64.random(in: 1...1_000_000_000_000)
            var keys: [Int64] = []
            for index in cluster.servers.indices { keys.append(try await cluster.key(on: index, from: first)) }
            return keys
        }

        /// What each shard has of these keys.
        private func found(_ keys: [Int64]) async throws -> [String] {
            var values: [String] = []
            let list = keys.map(String.init).joined(separator: ", ")
            for index in cluster.servers.indices { values.append(try await cluster.onShard(index, "SELECT coalesce(string_agg(k || '=' || v, ' ' ORDER BY k), '') FROM kv WHERE k IN (\(list))")) }
            return values
        }

        private func insert(_ keys: [Int64]) -> String { "INSERT INTO kv (v, k) SELECT 7, k FROM unnest('{\(keys.map(String.init).joined(separator: ", "))}'::bigint[]) AS s(k)" }

        private func extended(_ sql: String, _ parameters: [String?] = []) -> [UInt8] { W.parse("", sql) + W.bind("", "", parameters) + W.describe("P", "") + W.execute("") + W.sync }

        @Test func rowsComeToTheirShardsInBothProtocols() async throws {
            let keys = try await keys(), client = try await cluster.login()
            #expect(try await client.query(insert(keys) + " RETURNING k").map(\.description) == ["T"] + keys.map { "D(\($0))" } + ["C(INSERT 0 3)", "Z(I)"])
            #expect(try await found(keys) == keys.map { "\($0)=7" })
            #expect(try await client.query("DELETE FROM kv WHERE k IN (\(keys[0]), \(keys[1]), \(keys[2]))").first?.tag == "DELETE 3")
            let statement = "INSERT INTO kv SELECT k, $2 FROM unnest($1::bigint[]) AS s(k) RETURNING v"
            try await client.send(extended(statement, ["{\(keys.map(String.init).joined(separator: ","))}", "5"]))
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "T", "D(5)", "D(5)", "D(5)", "C(INSERT 0 3)", "Z(I)"])
            #expect(try await found(keys) == keys.map { "\($0)=5" })
            // Twice in one pipeline, the second time with an error: nothing of either stays.
            let others = try await self.keys()
            try await client.send(W.parse("", insert(others)) + W.bind("", "") + W.execute("") + W.bind("", "") + W.execute("") + W.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "C(INSERT 0 3)", "2", "E(23505)", "Z(I)"])
            #expect(try await found(others) == ["", "", ""])
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        @Test func aRowMovesWithItsKey() async throws {
            let keys = try await keys(), client = try await cluster.login()
            #expect(try await client.failure("INSERT INTO kv VALUES (\(keys[0]), 1)") == nil)
            #expect(try await client.query("UPDATE kv SET k = \(keys[1]), v = v + 1 WHERE k = \(keys[0]) RETURNING v, k").map(\.description) == ["T", "D(2,\(keys[1]))", "C(UPDATE 1)", "Z(I)"])
            #expect(try await found(keys) == ["", "\(keys[1])=2", ""])
            try await client.send(extended("UPDATE kv SET k = $1, v = v * $3 WHERE k = $2", ["\(keys[2])", "\(keys[1])", "3"]))
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "n", "C(UPDATE 1)", "Z(I)"])
            #expect(try await found(keys) == ["", "", "\(keys[2])=6"])
            // In a block, and taken back to a savepoint.
            try await client.query("BEGIN")
            #expect(try await client.query("UPDATE kv SET k = \(keys[0]) WHERE k = \(keys[2])").first?.tag == "UPDATE 1")
            try await client.query("SAVEPOINT s")
            #expect(try await client.query("UPDATE kv SET k = \(keys[1]) WHERE k = \(keys[0])").first?.tag == "UPDATE 1")
            try await client.query("ROLLBACK TO s")
            #expect(try await client.query("COMMIT").first?.tag == "COMMIT")
            #expect(try await found(keys) == ["\(keys[0])=6", "", ""])
            // A row that is there already.
            #expect(try await client.failure("INSERT INTO kv VALUES (\(keys[1]), 1)") == nil)
            #expect(try await client.failure("UPDATE kv SET k = \(keys[1]) WHERE k = \(keys[0])") == "23505")
            #expect(try await found(keys) == ["\(keys[0])=6", "\(keys[1])=1", ""])
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        @Test func aShardThatIsKilledBetweenThePartsUndoesAll() async throws {
            for moves in [false, true] {
                let keys = try await keys(), client = try await cluster.login(), blocker = try await cluster.shardSession(1)
                if moves { #expect(try await client.failure("INSERT INTO kv VALUES (\(keys[0]), 1)") == nil) }
                try await blocker.query("BEGIN")
                #expect(try await blocker.failure("INSERT INTO kv VALUES (\(keys[1]), 9)") == nil)
                try await client.send(W.query(moves ? "UPDATE kv SET k = \(keys[1]) WHERE k = \(keys[0])" : insert(keys)))
                try await eventually("the second shard waits for the row's lock") {
                    try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1"
                }
                await cluster.servers[0].kill()
                #expect(try await client.until("Z").map(\.description) == ["E(08006)", "Z(I)"])
                try await blocker.query("ROLLBACK")
                try await cluster.regain(0)
                #expect(try await found(keys) == [moves ? "\(keys[0])=1" : "", "", ""])
                client.close()
                blocker.close()
                try await cluster.settled()
                try await cluster.expectNoLeak()
            }
        }

        /// Sixteen megabytes of rows are too many; those that are fewer go in several statements.
        @Test func whatIsSentIsBounded() async throws {
            let keys = try await keys() + keys(), client = try await cluster.login()
            #expect(try await client.failure("INSERT INTO kv VALUES " + keys.enumerated().map { "(\($1), \(1_000_000 + $0))" }.joined(separator: ", ")) == nil)
            #expect(try await client.query("INSERT INTO notes SELECT v, repeat('x', 2000000) FROM kv WHERE v >= 1000000").first?.tag == "INSERT 0 6")
            #expect(try await client.rows("SELECT count(*), sum(length(body)) FROM notes WHERE id >= 1000000").first == ["6", "12000000"])
            #expect(try await client.failure("INSERT INTO notes SELECT v + 100, repeat('x', 3000000) FROM kv WHERE v >= 1000000") == "54000")
            #expect(try await client.rows("SELECT count(*) FROM notes WHERE id >= 1000000").first == ["6"])
            client.close()
            try await cluster.settled()
        }
    }
}
