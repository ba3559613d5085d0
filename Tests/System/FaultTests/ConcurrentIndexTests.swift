import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// CREATE INDEX CONCURRENTLY: a good index on every shard, or none on any, whatever gives up in the middle.
    @Suite(.faultCluster(), .serialized)
    struct ConcurrentIndexTests {
        private typealias W = WireMessages
        private let cluster: TestCluster
        private let index = "i_\(UInt32.random(in: 0 ... .max))"

        init() throws { cluster = try TestCluster.current }

        /// How many indexes of the name each shard has, and how many of them are good.
        private func indexes() async throws -> [String] {
            var found: [String] = []
            for shard in cluster.servers.indices {
                found.append(try await cluster.onShard(shard, "SELECT count(*) || '/' || count(*) FILTER (WHERE indisvalid AND indisready) FROM pg_index WHERE indexrelid = to_regclass('\(index)')"))
            }
            return found
        }

        private let none = Array(repeating: "0/0", count: 3)
        private let everywhere = Array(repeating: "1/1", count: 3)

        private var create: String { "CREATE INDEX CONCURRENTLY \(index) ON kv (v)" }

        /// Holds the table's rows on the shard, so that whoever makes an index there waits.
        private func holder(_ shard: Int) async throws -> WireClient {
            let key = try await cluster.key(on: shard, from: Int64.random(in: 1...1_000_000_000_000))
            let client = try await cluster.shardSession(shard)
            for sql in ["BEGIN", "INSERT INTO kv VALUES (\(key), 1)"] { #expect(try await client.failure(sql) == nil) }
            return client
        }

        /// On how many shards a statement runs that begins like this and names the index.
        private func running(_ start: String) async throws -> Int {
            var count = 0
            for shard in cluster.servers.indices {
                let found = try await cluster.onShard(shard, "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '\(start)%\(index)%' AND state = 'active' AND pid <> pg_backend_pid()")
                count += found == "t" ? 1 : 0
            }
            return count
        }

        private func waits(on shard: Int) async throws {
            try await eventually("it waits") {
                try await cluster.onShard(shard, "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%\(index)%' AND wait_event_type = 'Lock'") == "t"
            }
        }

        @Test func everyShardHasItAndTellsWhenItIsDone() async throws {
            let client = try await cluster.login()
            let answer = try await client.query(create)
            #expect(answer.filter { $0.kind == "N" }.count == 3)
            #expect(answer.suffix(2).map(\.description) == ["C(CREATE INDEX)", "Z(I)"])
            #expect(try await indexes() == everywhere)
            #expect(try await client.failure(create) == "42P07")
            #expect(try await indexes() == everywhere)
            #expect(try await client.query("CREATE INDEX CONCURRENTLY IF NOT EXISTS \(index) ON kv (v)").suffix(2).map(\.description) == ["C(CREATE INDEX)", "Z(I)"])
            #expect(try await client.query("DROP INDEX CONCURRENTLY \(index)").suffix(2).map(\.description) == ["C(DROP INDEX)", "Z(I)"])
            #expect(try await indexes() == none)
            // The extended protocol; and no transaction.
            try await client.send(W.parse("", create) + W.bind("", "") + W.describe("P", "") + W.execute("") + W.sync)
            #expect(try await client.until("Z").filter { $0.kind != "N" }.map(\.description) == ["1", "2", "n", "C(CREATE INDEX)", "Z(I)"])
            for sql in ["BEGIN; \(create)", "SELECT 1; \(create)"] {
                #expect(try await client.failure(sql) == "25001")
                _ = try await client.query("ROLLBACK")
            }
            try await client.send(W.parse("", "SELECT 1") + W.bind("", "") + W.execute("") + W.parse("", create) + W.bind("", "") + W.execute("") + W.sync)
            #expect(try await client.until("Z").first { $0.kind == "E" }?.sqlState == "25001")
            #expect(try await client.failure("DROP INDEX \(index)") == nil)
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func whereOneShardFailsNoneHasIt() async throws {
            let client = try await cluster.login()
            let key = try await cluster.key(on: 1, from: Int64.random(in: 1...1_000_000_000_000))
            #expect(try await client.failure("INSERT INTO kv VALUES (\(key), -7)") == nil)
            let answer = try await client.query("CREATE INDEX CONCURRENTLY \(index) ON kv ((1 / (v + 7)))")
            let error = try #require(answer.first { $0.kind == "E" })
            #expect(error.sqlState == "22012" && error.field("D") == "On shard s2.")
            #expect(try await indexes() == none)
            // What somebody else has made stays.
            try await cluster.onShard(2, "CREATE INDEX \(index) ON kv (k)")
            #expect(try await client.failure(create) == "42P07")
            #expect(try await indexes() == ["0/0", "0/0", "1/1"])
            try await cluster.onShard(2, "DROP INDEX \(index)")
            client.close()
        }

        @Test(arguments: [true, false]) func whoGivesUpLeavesNothing(_ cancels: Bool) async throws {
            let held = try await holder(1)
            let client = try await cluster.login()
            try await client.send(W.query(create))
            try await waits(on: 1)
            if cancels {
                try await client.cancel(port: cluster.wirePort)
                #expect(try await client.until("Z", within: .seconds(120)).first { $0.kind == "E" }?.sqlState == "57014")
                #expect(try await client.failure("SELECT v FROM kv WHERE k = 1") == nil)
            }
            client.close()
            // Not before the router has heard of it: the index would be made.
            try await eventually("nobody makes it") { try await running("CREATE INDEX") == 0 }
            held.close()
            try await eventually("nothing is left") { try await indexes() == none }
            try await cluster.expectNoLeak()
        }

        /// Whoever leaves as it is being done, as in PostgreSQL: it is done, or nothing is left; nothing in between.
        @Test(arguments: [0, 1, 3, 10, 30]) func whoLeavesAtTheEndHasAllOrNothing(_ milliseconds: Int) async throws {
            let held = try await holder(1)
            let client = try await cluster.login()
            try await client.send(W.query(create))
            try await waits(on: 1)
            held.close()
            try await Task.sleep(for: .milliseconds(milliseconds))
            client.close()
            try await eventually("it has ended") {
                let runs = try await running("")
                let found = try await indexes()
                return runs == 0 && (found == none || found == everywhere)
            }
            try await cluster.expectNoLeak()
            // Its clean-up may still be at it.
            try await eventually("it is gone") {
                for shard in cluster.servers.indices { _ = try? await cluster.onShard(shard, "DROP INDEX IF EXISTS \(index)") }
                return try await indexes() == none
            }
        }

        /// Four at a time: who cleans up behind a failure is one of them.
        @Test func theCleanUpKeepsItsPlace() async throws {
            // Of a table each: two indexes of one table wait for each other.
            let tables = (0..<4).map { "t\($0)_\(index)" }
            let clients = try await [cluster.login(), cluster.login(), cluster.login(), cluster.login()]
            for table in tables {
                #expect(try await clients[0].failure("SELECT pgmosaic.shard_table('\(table)', 'k')") == nil)
                #expect(try await clients[0].failure("CREATE TABLE \(table) (k bigint PRIMARY KEY, v int)") == nil)
            }
            let held = try await cluster.shardSession(1)
            #expect(try await held.failure("BEGIN") == nil)
            for (table, client) in zip(tables, clients) {
                #expect(try await held.failure("LOCK TABLE \(table) IN ROW EXCLUSIVE MODE") == nil)
                try await client.send(W.query("CREATE INDEX CONCURRENTLY \(table)_v ON \(table) (v)"))
                try await eventually("it waits") {
                    try await cluster.onShard(1, "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%ON \(table) (v)' AND wait_event_type = 'Lock'") == "t"
                }
            }
            try await clients[0].cancel(port: cluster.wirePort)
            let error = try #require(try await clients[0].until("Z", within: .seconds(120)).first { $0.kind == "E" })
            #expect(error.sqlState == "57014" && error.field("H")?.contains("still being taken away on s2") == true)
            #expect(try await clients[0].failure(create) == "53300")
            held.close()
            for client in clients.dropFirst() { #expect(try await client.until("Z", within: .seconds(120)).map(\.description).contains("C(CREATE INDEX)")) }
            // Its place is free when the rest of it is gone.
            try await eventually("it is taken away") { try await clients[0].failure(create) == nil }
            for shard in cluster.servers.indices { #expect(try await cluster.onShard(shard, "SELECT to_regclass('\(tables[0])_v') IS NULL") == "t") }
            #expect(try await clients[0].failure("DROP INDEX \(index)") == nil)
            for table in tables { #expect(try await clients[0].failure("DROP TABLE \(table)") == nil) }
            for client in clients { client.close() }
            try await cluster.expectNoLeak()
        }

        @Test func aShardThatIsKilledInTheMiddleHasNoneWhenItIsBack() async throws {
            let held = try await holder(2)
            let client = try await cluster.login()
            try await client.send(W.query(create))
            try await waits(on: 2)
            await cluster.servers[2].kill()
            try await Task.sleep(for: .seconds(1))
            try await cluster.servers[2].start()
            #expect(try await client.until("Z", within: .seconds(120)).first { $0.kind == "E" }?.sqlState.map { $0.hasPrefix("08") || $0 == "57P02" } == true)
            // The client waits ten seconds for the clean-up, which goes on behind that.
            try await eventually("nothing is left") { try await indexes() == none }
            held.close()
            client.close()
            try await cluster.regain(2)
        }
    }
}
