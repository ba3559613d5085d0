import ClusterTestKit
import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import ShardModel
import Testing

/// Statements that the home shard answers over rows which are brought to it, and the same on one plain PostgreSQL with the same rows.
@Suite struct FinisherTests {
    @Test func whatIsFinishedIsOnePostgreSQLsAnswer() async throws {
        try await Self.withBoth { cluster, router, plain in
            for statement in FinisherStatements.all {
                for form in AcrossForm.allCases {
                    let expected = try await form.run(plain, statement)
                    #expect((expected.sqlState == nil) == !FinisherStatements.errors.contains(statement), "\(statement)")
                    let answer = try await form.run(router, statement)
                    // Types of one's own have other numbers on each server.
                    #expect(answer.comparable(of: statement) == expected.comparable(of: statement), "\(form): \(statement)")
                }
            }
            try await Self.expectNothingLeft(on: cluster)
        }
    }

    @Test func whatIsMadeAtRandomIsOnePostgreSQLsAnswer() async throws {
        let rounds = RandomRounds()
        try await Self.withBoth { cluster, router, plain in
            for seed in rounds {
                var grammar = FinisherGrammar(seed: seed)
                var equal = 0
                for _ in 0..<150 {
                    let statement = grammar.statement()
                    let form = AcrossForm.allCases[equal % 3]
                    let expected = try await form.run(plain, statement), answer = try await form.run(router, statement)
                    #expect(answer.comparable(of: statement) == expected.comparable(of: statement), "\(form): \(statement)")
                    if expected.sqlState == nil { equal += 1 }
                }
                #expect(equal > 120)
            }
            try await Self.expectNothingLeft(on: cluster)
        }
    }

    @Test func whatTheFinisherCannotAnswerIsRefused() async throws {
        try await Self.withBoth { _, router, _ in
            for (statement, code) in FinisherStatements.refused {
                for form in AcrossForm.allCases {
                    let answer = try await form.run(router, statement)
                    #expect(answer.refusal == code, "\(form): \(statement)")
                }
            }
        }
    }

    @Test func parametersAndTheSessionsSettingsCount() async throws {
        try await Self.withBoth { _, router, plain in
            let statement = "SELECT n, avg(m)::numeric(20,4), string_agg(s, $1 ORDER BY k) FROM a WHERE k > $2::bigint AND s LIKE $3 GROUP BY n HAVING count(*) > $4"
            for format in [WireFormat.text, .binary] {
                var options = PGClient.QueryOptions()
                options.resultFormat = format
                let values: [PGParameter] = ["-", "20", "s%", "2"]
                let expected = try await plain.query(statement, values, options: options), answer = try await router.query(statement, values, options: options)
                #expect(Self.rows(answer).sorted() == Self.rows(expected).sorted() && !answer.rows.isEmpty)
            }
            for list in ["{1,2,3,4,5,6,7,8}", "{3}", "{}"] {
                let query = "SELECT k, n FROM a WHERE k = ANY ($1::bigint[]) AND m >= $2"
                let expected = try await plain.query(query, [.text(list), "1"]), answer = try await router.query(query, [.text(list), "1"])
                #expect(Self.rows(answer).sorted() == Self.rows(expected).sorted())
            }
            for client in [router, plain] {
                for setting in ["TimeZone = 'Asia/Kolkata'", "DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'", "extra_float_digits = 0"] { try await client.execute("SET \(setting)") }
            }
            for statement in ["SELECT max(tz), min(ts), max(iv) FROM odd HAVING true", "SELECT tz::text, iv, f, count(DISTINCT k) FROM odd GROUP BY 1, 2, 3", "SELECT ms, max(f), count(DISTINCT p) FROM own GROUP BY ms", "SELECT tz FROM odd WHERE tz > '03/03/2026' ORDER BY tz + iv, k"] {
                let expected = try await AcrossForm.simple.run(plain, statement), answer = try await AcrossForm.simple.run(router, statement)
                #expect(answer.comparable(of: statement) == expected.comparable(of: statement), "\(statement)")
                #expect(expected.sqlState == nil)
            }
        }
    }

    @Test func inATransactionItSeesItsOwnRows() async throws {
        try await Self.withBoth { cluster, router, plain in
            for client in [router, plain] {
                try await client.execute("BEGIN")
                try await client.execute("INSERT INTO a VALUES (1000, 1, 7, 'new'), (1001, 1, 7, 'new'), (1002, 1, 7, 'new')")
                try await client.execute("DELETE FROM a WHERE k = 1")
                try await client.execute("UPDATE ref SET name = 'changed' WHERE n = 1")
                try await client.execute("SET LOCAL DateStyle = 'German'")
            }
            var answered = 0
            for statement in FinisherStatements.all {
                let expected = try await AcrossForm.simple.run(plain, "SAVEPOINT s"), _ = try await AcrossForm.simple.run(router, "SAVEPOINT s")
                #expect(expected.sqlState == nil)
                for form in AcrossForm.allCases {
                    let expected = try await form.run(plain, statement), answer = try await form.run(router, statement)
                    if expected.sqlState == nil, answer.refusal == nil {
                        #expect(answer.comparable(of: statement) == expected.comparable(of: statement), "\(form): \(statement)")
                        answered += 1
                    }
                    if expected.sqlState != nil { try await plain.execute("ROLLBACK TO s") }
                    if answer.sqlState != nil { try await router.execute("ROLLBACK TO s") }
                }
            }
            #expect(answered > 2 * FinisherStatements.all.count)
            let clock = try await AcrossForm.simple.run(router, "SELECT count(DISTINCT n), now() FROM a")
            #expect(clock.refusal == "PGM-NO-KEY")
            for client in [router, plain] { try await client.execute("ROLLBACK") }
            let statement = "SELECT r.name, count(DISTINCT a.k) FROM a JOIN ref r ON r.n = a.n GROUP BY 1"
            let expected = try await AcrossForm.simple.run(plain, statement), answer = try await AcrossForm.simple.run(router, statement)
            #expect(answer == expected)
            try await Self.expectNothingLeft(on: cluster)
        }
    }

    @Test func timeIsToldOnceOutsideOfATransaction() async throws {
        try await Self.withBoth { _, router, _ in
            let rows = try await router.execute("SELECT count(DISTINCT x.t) FROM (SELECT now() AS t FROM a UNION ALL SELECT CURRENT_TIMESTAMP FROM b UNION ALL SELECT 'now'::timestamptz FROM few) x")
            #expect(rows.first.map(Self.rows) == ["1"])
            let random = try await router.execute("SELECT count(*) > 1 FROM (SELECT DISTINCT random() FROM a) x HAVING count(*) > 0")
            #expect(random.first.map(Self.rows) == ["t"])
        }
    }

    // MARK: What the tests share

    static func rows(_ result: PGResult) -> [String] {
        result.rows.map { row in row.values.map { $0.map { String(buffer: $0) } ?? "NULL" }.joined(separator: "|") }
    }

    /// No transaction is open, and no temporary table is there.
    static func expectNothingLeft(on cluster: TestCluster) async throws {
        for index in cluster.servers.indices {
            let client = try await connect(cluster.endpoint(of: index))
            try await eventually("every session is idle") {
                let open = try await client.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle' AND datname = current_database()")
                let tables = try await client.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't'")
                return open.first.map(rows) == ["0"] && tables.first.map(rows) == ["0"]
            }
            await client.close()
        }
    }

    static func withBoth(_ options: (inout TestCluster.Options) -> Void = { _ in }, _ body: @escaping @Sendable (TestCluster, PGClient, PGClient) async throws -> Void) async throws {
        var tables: [String: Placement] = ["ref": .reference, "Odd Table": .sharded(key: "Key")]
        for name in ["a", "b", "few", "none", "odd", "words", "plain", "own", "tree"] { tables[name] = .sharded(key: "k") }
        var chosen = TestCluster.Options(shards: 4, tables: tables)
        options(&chosen)
        try await TestCluster.with(chosen) { cluster in
            try await cluster.servers[3].createDatabase("plain")
            let router = try await connect(cluster.dsn)
            let plain = try await connect(cluster.servers[3].dsn(database: "plain"))
            for statement in AcrossStatements.schema + FinisherStatements.schema + AcrossStatements.data + FinisherStatements.data {
                try await router.execute(statement)
                try await plain.execute(statement)
            }
            try await body(cluster, router, plain)
            await router.close()
            await plain.close()
        }
    }

    static func connect(_ dsn: String) async throws -> PGClient {
        try await PGClient.connect(to: try PostgresEndpoint.parse(dsn), on: MultiThreadedEventLoopGroup.singleton)
    }
}

extension AcrossForm.Answer {
    /// Without the numbers of types that each server has given, and without an order that the statement does not ask for.
    func comparable(of statement: String) -> Self {
        var answer = self
        answer.columns = columns.map { column in
            let parts = column.split(separator: " ")
            return parts.map { part in Int(part).map { $0 >= 16384 ? "own" : String($0) } ?? String(part) }.joined(separator: " ")
        }
        if !Self.isOrdered(statement) { answer.rows.sort() }
        return answer
    }

    /// ORDER BY stands outside of all parentheses.
    private static func isOrdered(_ statement: String) -> Bool {
        var depth = 0
        var outside = ""
        for character in statement {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if depth == 0 { outside.append(character) }
        }
        return outside.contains("ORDER BY")
    }
}
