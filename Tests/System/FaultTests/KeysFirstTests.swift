import ClusterTestKit
import PostgresProcess
import RESTTestKit
import Testing

extension FaultTests {
    /// INSERT … VALUES whose shard keys are defaults or expressions: one shard works them out, and each row is on the shard of its key, once.
    @Suite(.faultCluster(), .serialized)
    struct KeysFirstTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private typealias W = WireMessages

        private static let tables = [
            ("made", "id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n bigint"), ("numbered", "id bigserial PRIMARY KEY, n bigint"),
            ("counters", "id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, n bigint"), ("words", "id text PRIMARY KEY DEFAULT md5(random()::text), n bigint"),
            ("short", "id varchar(4) PRIMARY KEY, n bigint"), ("small", "id int PRIMARY KEY, n bigint"),
        ]

        private func login() async throws -> WireClient {
            let client = try await cluster.login()
            guard try await client.failure("SELECT 1 FROM small WHERE id = 1") != nil else { return client }
            for (table, columns) in Self.tables {
                for sql in ["SELECT pgmosaic.shard_table('\(table)', 'id')", "CREATE TABLE \(table) (\(columns))"] { try #require(try await client.failure(sql) == nil, "\(sql)") }
            }
            return client
        }

        /// A number that no other test's rows have.
        private var mark: Int { Int.random(in: 1...1_000_000_000_000) }

        /// How many rows with this number each shard has.
        private func counts(_ table: String, _ n: Int) async throws -> [Int] {
            var counts: [Int] = []
            for index in cluster.servers.indices { counts.append(Int(try await cluster.onShard(index, "SELECT count(*) FROM \(table) WHERE n = \(n)")) ?? -1) }
            return counts
        }

        /// Each row is found by its key, and there is no other.
        private func expect(_ table: String, _ n: Int, _ ids: [String?], _ client: WireClient, _ location: SourceLocation = #_sourceLocation) async throws {
            #expect(Set(ids).count == ids.count && !ids.contains(nil), sourceLocation: location)
            for id in ids { #expect(try await client.rows("SELECT n FROM \(table) WHERE id = '\(id ?? "")'") == [["\(n)"]], sourceLocation: location) }
            #expect(try await counts(table, n).reduce(0, +) == ids.count, sourceLocation: location)
        }

        private func ids(_ messages: [WireClient.Message]) -> [String?] { messages.filter { $0.kind == "D" }.map { $0.row[0] } }

        private func finish(_ client: WireClient) async throws {
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        // MARK: Where rows go

        @Test(arguments: ["made", "numbered", "counters", "words"]) func everyRowComesToItsShardOnce(table: String) async throws {
            let client = try await login(), n = mark
            var found: [String?] = []
            for sql in ["(n) VALUES (\(n))", "(id, n) VALUES (DEFAULT, \(n))", "VALUES (DEFAULT, \(n))", "AS x (n) VALUES (\(n) /* ) */)"] {
                let answer = try await client.query("INSERT INTO \(table) \(sql) RETURNING id")
                #expect(answer.map(\.kind) == ["T", "D", "C", "Z"] && answer[2].tag == "INSERT 0 1", "\(answer)")
                found += ids(answer)
            }
            try await expect(table, n, found, client)
            // Of many, in their order, on every shard.
            let many = mark
            let answer = try await client.query("INSERT INTO \(table) (n) VALUES " + Array(repeating: "(\(many))", count: 60).joined(separator: ", ") + " RETURNING id")
            #expect(answer.last { $0.kind == "C" }?.tag == "INSERT 0 60")
            try await expect(table, many, ids(answer), client)
            // Drawn by the home shard, and stored by those that own them.
            #expect(try await counts(table, many).allSatisfy { $0 > 0 })
            try await finish(client)
        }

        @Test func returningKeepsTheRowsOrder() async throws {
            let client = try await login(), n = mark
            let values = (0..<30).map { $0 % 3 == 0 ? "(DEFAULT, \(n + $0))" : "(gen_random_uuid(), \(n + $0))" }
            #expect(try await client.rows("INSERT INTO made VALUES " + values.joined(separator: ", ") + " RETURNING n") == (0..<30).map { ["\(n + $0)"] })
            #expect(try await client.query("INSERT INTO made DEFAULT VALUES RETURNING n").map(\.description) == ["T", "D(NULL)", "C(INSERT 0 1)", "Z(I)"])
            try await finish(client)
        }

        @Test func aPreparedStatementWorksThemOutEachTime() async throws {
            let client = try await login(), n = mark
            try await client.send(W.parse("s", "INSERT INTO numbered (n) VALUES ($1), ($2) RETURNING id") + W.describe("S", "s") + W.sync)
            #expect(try await client.until("Z").map(\.kind) == ["1", "t", "T", "Z"])
            // Nothing was drawn for that.
            let state = "SELECT last_value, is_called FROM numbered_id_seq", before = try await cluster.onShard(0, state)
            try await client.send(W.parse("", "INSERT INTO numbered (n) VALUES ($1)") + W.describe("S", "") + W.sync)
            #expect(try await client.until("Z").map(\.kind) == ["1", "t", "n", "Z"])
            #expect(try await cluster.onShard(0, state) == before)
            var found: [String?] = []
            for _ in 0..<3 {
                try await client.send(W.bind("", "s", ["\(n)", "\(n)"]) + W.describe("P", "") + W.execute("") + W.sync)
                let answer = try await client.until("Z")
                #expect(answer.map(\.kind) == ["2", "T", "D", "D", "C", "Z"], "\(answer)")
                found += ids(answer)
            }
            try await expect("numbered", n, found, client)
            // Another number of parameters.
            try await client.send(W.bind("", "s", []) + W.execute("") + W.sync)
            #expect(try await client.until("Z").map(\.description) == ["E(08P01)", "Z(I)"])
            try await finish(client)
        }

        @Test func pipelinesAreOneTransaction() async throws {
            let client = try await login(), n = mark
            let insert = W.parse("", "INSERT INTO made (n) VALUES ($1) RETURNING id"), run = W.bind("", "", ["\(n)"]) + W.execute("")
            try await client.send(insert + run + run + W.bind("p", "", ["\(n)"]) + W.describe("P", "p") + W.execute("p") + W.sync)
            let answer = try await client.until("Z")
            #expect(answer.map(\.kind) == ["1", "2", "D", "C", "2", "D", "C", "2", "T", "D", "C", "Z"], "\(answer)")
            try await expect("made", n, ids(answer), client)
            let failed = mark
            let again = W.bind("", "", ["\(failed)"]) + W.execute("")
            try await client.send(insert + again + again + again + W.parse("", "INSERT INTO made VALUES ('\(ids(answer)[0] ?? "")', 1)") + W.bind("", "") + W.execute("") + W.sync)
            #expect(try await client.until("Z").suffix(2).map(\.description) == ["E(23505)", "Z(I)"])
            #expect(try await counts("made", failed) == [0, 0, 0])
            try await finish(client)
        }

        @Test func blocksInPipelinesHoldThem() async throws {
            let client = try await login(), n = mark
            let step = { (sql: String) in W.parse("", sql) + W.bind("", "") + W.execute("") }
            for (end, count) in [("COMMIT", 5), ("ROLLBACK", 0)] {
                let n = count == 0 ? n + 1 : n, insert = "INSERT INTO numbered (n) VALUES (\(n))"
                try await client.send(step("BEGIN") + step(insert) + step(insert) + step(insert + ", (\(n))") + step(insert) + step(end) + W.sync)
                let answer = try await client.until("Z")
                #expect(answer.filter { $0.kind == "C" }.map(\.tag) == ["BEGIN", "INSERT 0 1", "INSERT 0 1", "INSERT 0 2", "INSERT 0 1", end] && answer.last?.status == "I", "\(answer)")
                #expect(try await counts("numbered", n).reduce(0, +) == count)
            }
            try await finish(client)
        }

        /// Of declared types: the keys' query takes some of them, in an order of its own.
        @Test func parametersAreTakenIntoTheKeys() async throws {
            let client = try await login(), n = mark
            let sql = "INSERT INTO words (n, id) VALUES ($2, $3 || lower($1)), ($2, upper($1)), ($2, 'plain' || $2) RETURNING id"
            let parse = W.message("P", [UInt8(ascii: "p"), 0] + Array(sql.utf8) + [0, 0, 3] + W.integer(25) + W.integer(20) + W.integer(25))
            try await client.send(parse + W.bind("", "p", ["Ab\(n)", "\(n)", "it's \\"]) + W.execute("") + W.sync)
            let answer = try await client.until("Z")
            #expect(ids(answer) == ["it's \\ab\(n)", "AB\(n)", "plain\(n)"], "\(answer)")
            #expect(try await counts("words", n).reduce(0, +) == 3)
            for id in ["it''s \\ab\(n)", "AB\(n)", "plain\(n)"] { #expect(try await client.rows("SELECT n FROM words WHERE id = '\(id)'") == [["\(n)"]]) }
            // The same with its keys as literals.
            #expect(try await client.rows("INSERT INTO words (n, id) VALUES (\(n + 1), 'it''s \\' || lower('X\(n)')), (\(n + 1), concat('y', \(n))) RETURNING id") == [["it's \\x\(n)"], ["y\(n)"]])
            #expect(try await client.rows("SELECT n FROM words WHERE id = 'it''s \\x\(n)'") == [["\(n + 1)"]])
            try await finish(client)
        }

        @Test func manyClientsAtOnceGetKeysOfTheirOwn() async throws {
            let client = try await login(), n = mark, cluster = cluster
            try await withThrowingTaskGroup(of: Void.self) { group in
                for place in 0..<24 {
                    group.addTask {
                        let client = try await cluster.login()
                        for round in 0..<10 {
                            let rows = Array(repeating: "(\(n))", count: round % 3 + 1).joined(separator: ", ")
                            if place % 2 == 0 { try await client.query("BEGIN") }
                            #expect(try await client.failure("INSERT INTO numbered (n) VALUES \(rows)") == nil)
                            if place % 2 == 0 { #expect(try await client.failure("COMMIT") == nil) }
                        }
                        client.close()
                    }
                }
                try await group.waitForAll()
            }
            // Ten rounds of one, two and three rows.
            #expect(try await counts("numbered", n).reduce(0, +) == 24 * 19)
            try await finish(client)
        }

        @Test func transactionsHoldThem() async throws {
            let client = try await login(), n = mark
            for opening in ["BEGIN", "BEGIN; SET LOCAL work_mem = '5MB'"] {
                try await client.query(opening)
                for _ in 0..<4 { #expect(try await client.rows("INSERT INTO numbered (n) VALUES (\(n)) RETURNING n") == [["\(n)"]]) }
                try await client.query("SAVEPOINT s")
                #expect(try await client.failure("INSERT INTO words VALUES ((1 / 0)::text, \(n)), ('a', 1)") == "22012")
                #expect(try await client.failure("INSERT INTO numbered (n) VALUES (\(n))") == "25P02")
                try await client.query("ROLLBACK TO s")
                #expect(try await client.failure("INSERT INTO numbered (n) VALUES (\(n)), (\(n))") == nil)
                #expect(try await client.query("ROLLBACK").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
            }
            #expect(try await counts("numbered", n) == [0, 0, 0])
            #expect(try await client.query("BEGIN; INSERT INTO numbered (n) VALUES (\(n)); INSERT INTO made (n) VALUES (\(n)), (\(n)); COMMIT").map(\.kind) == ["C", "C", "C", "C", "Z"])
            #expect(try await client.failure("INSERT INTO numbered (n) VALUES (\(n)); SELECT 1 / 0") == "22012")
            #expect(try await counts("numbered", n).reduce(0, +) == 1)
            #expect(try await counts("made", n).reduce(0, +) == 2)
            try await finish(client)
        }

        @Test func conflictsAreMetWhereTheKeysLive() async throws {
            let client = try await login(), n = mark
            let sql = "INSERT INTO words AS w VALUES (lower('A\(n)'), 1), (lower('B\(n)'), 2), (lower('C\(n)'), 3), (lower('D\(n)'), 4) ON CONFLICT (id) DO UPDATE SET n = w.n + 10 RETURNING n"
            #expect(try await client.rows(sql) == [["1"], ["2"], ["3"], ["4"]])
            #expect(try await client.rows(sql) == [["11"], ["12"], ["13"], ["14"]])
            try await client.send(W.parse("", sql) + W.bind("", "") + W.execute("") + W.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "D(21)", "D(22)", "D(23)", "D(24)", "C(INSERT 0 4)", "Z(I)"])
            #expect(try await client.query("INSERT INTO words VALUES (lower('A\(n)'), 1), (lower('E\(n)'), 1) ON CONFLICT DO NOTHING RETURNING n").map(\.description) == ["T", "D(1)", "C(INSERT 0 1)", "Z(I)"])
            try await finish(client)
        }

        @Test func restWorksThemOut() async throws {
            let client = try await login(), n = mark
            let body = #"{"query": "INSERT INTO made (n) VALUES ($1), ($2) RETURNING n", "params": [\#(n), \#(n)]}"#
            let answer = try await RawHTTP.send("POST", "/v1/execute", port: cluster.httpPort, headers: [("Content-Type", "application/json")], body: Array(body.utf8))
            #expect(answer.status == 200, "\(answer.text)")
            #expect(try await counts("made", n).reduce(0, +) == 2)
            try await client.query("SET pgmosaic.explain = on")
            #expect(try await client.rows("INSERT INTO made (n) VALUES (1)").first?.prefix(4) == ["keyed", nil, "insert", "true"])
            try await finish(client)
        }

        // MARK: What is none

        @Test func keysThatAreNoneAreRefused() async throws {
            let client = try await login(), n = mark
            let cases: [(String, String)] = [
                ("INSERT INTO words VALUES (nullif('a', 'a'), \(n)), ('b', \(n))", "23502"), ("INSERT INTO words VALUES (1 + 1, \(n)), ('b', \(n))", "0A000"),
                ("INSERT INTO numbered VALUES (1.5 + 1, \(n)), (2, \(n))", "0A000"), ("INSERT INTO small VALUES (2147483647::bigint + 1, \(n)), (1, \(n))", "22003"),
                ("INSERT INTO short VALUES (lower('ABCDE'), \(n)), ('b', \(n))", "22001"), ("INSERT INTO small VALUES (1 / 0, \(n)), (1, \(n))", "22012"),
                ("INSERT INTO words VALUES (nothing('a'), \(n)), ('b', \(n))", "42883"), ("INSERT INTO words VALUES (lower('a'), nothing), ('b', \(n))", "42703"),
            ]
            for (sql, code) in cases {
                let error = try #require(try await client.query(sql).first { $0.kind == "E" }, "\(sql)")
                #expect(error.sqlState == code && (error.field("P") == nil || code == "42883"), "\(sql): \(error.sqlState ?? "")")
                try await client.send(W.parse("", sql) + W.bind("", "") + W.execute("") + W.sync)
                let answer = try await client.until("Z")
                #expect(answer.first { $0.kind == "E" }?.sqlState == code && answer.last?.status == "I", "\(sql): \(answer)")
            }
            for (table, _) in Self.tables { #expect(try await counts(table, n) == [0, 0, 0]) }
            #expect(try await client.failure("INSERT INTO small VALUES (100::bigint + 7, \(n)), (length('abc'), \(n))") == nil)
            try await expect("small", n, ["107", "3"], client)
            // A value for an identity column is an error as ever.
            #expect(try await client.failure("INSERT INTO counters (id, n) VALUES (7, \(n))") == "428C9")
            try await finish(client)
        }

        @Test func aShardThatIsKilledLeavesNothing() async throws {
            let client = try await login(), n = mark
            // While it is asked for the keys.
            try await client.send(W.query("INSERT INTO words VALUES (md5('\(n)') || pg_sleep(60), \(n)), ('\(n)', \(n))"))
            try await eventually("it is asked") { try await cluster.onShard(0, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1" }
            await cluster.servers[0].kill()
            #expect(try await client.until("Z").map(\.description) == ["E(08006)", "Z(I)"])
            try await cluster.regain(0)
            // Behind that, before all rows are there.
            let first = try await cluster.key(on: 0, from: Int64(n)), second = try await cluster.key(on: 1, from: Int64(n)), blocker = try await cluster.shardSession(1)
            try await blocker.query("BEGIN")
            #expect(try await blocker.failure("INSERT INTO words VALUES ('\(second)', 9)") == nil)
            try await client.send(W.query("INSERT INTO words VALUES (lower('\(first)'), \(n)), (lower('\(second)'), \(n))"))
            try await eventually("the second shard waits for the row's lock") {
                try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1"
            }
            await cluster.servers[0].kill()
            #expect(try await client.until("Z").map(\.description) == ["E(08006)", "Z(I)"])
            try await blocker.query("ROLLBACK")
            try await cluster.regain(0)
            #expect(try await counts("words", n) == [0, 0, 0])
            blocker.close()
            try await finish(client)
        }
    }
}
