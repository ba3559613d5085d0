import ClusterTestKit
import PGChannel
import PGWire
import Testing

/// Views over sharded tables, which nobody has declared, and the same on one plain PostgreSQL.
@Suite struct ViewTests {
    private static let views = [
        "CREATE VIEW big AS SELECT k, n, m AS amount FROM a WHERE n > 1", "CREATE VIEW totals (n, howmany, sum) AS SELECT n, count(*), sum(m) FROM a GROUP BY n",
        "CREATE VIEW pairs AS SELECT a.k, a.s, b.no, b.t FROM a JOIN b USING (k)", "CREATE VIEW named AS SELECT big.k, r.name FROM big LEFT JOIN ref r USING (n)",
        "CREATE VIEW ranked AS SELECT k, rank() OVER (ORDER BY m DESC, k) AS place FROM a", "CREATE VIEW \"Odd View\" AS SELECT \"Odd Table\".\"select\" AS \"Column\" FROM \"Odd Table\"",
        "CREATE VIEW words_of AS WITH w AS (SELECT k, upper(s) AS up FROM a) SELECT w.up, count(*) AS c FROM w GROUP BY w.up", "CREATE VIEW only_ref AS SELECT name FROM ref WHERE n > 0",
        "CREATE VIEW typed AS SELECT k, j->>'a' AS a, iv * 2 AS iv, ts::date AS d, l[1] AS l FROM odd",
    ]
    private static let statements = [
        "SELECT * FROM big", "SELECT * FROM big WHERE k = 7", "SELECT amount FROM big b WHERE b.k = 4", "SELECT count(*), sum(amount) FROM big", "SELECT * FROM totals ORDER BY n", "SELECT max(howmany) FROM totals",
        "SELECT k, t FROM pairs WHERE no = 3", "SELECT s, count(*) FROM pairs GROUP BY s ORDER BY 2 DESC, 1", "SELECT * FROM named", "SELECT name, count(*) FROM named GROUP BY name ORDER BY 2, 1", "SELECT k FROM ranked WHERE place <= 5 ORDER BY place",
        "SELECT count(DISTINCT \"Column\") FROM \"Odd View\"", "SELECT * FROM words_of ORDER BY up", "SELECT * FROM only_ref ORDER BY name", "SELECT * FROM typed ORDER BY k", "SELECT x.k, y.place FROM big x JOIN ranked y ON y.place = x.n ORDER BY 1",
        "SELECT k FROM big WHERE k IN (1, 2, 3, 4, 5, 6, 7, 8, 9) ORDER BY k", "SELECT b.k FROM big b WHERE EXISTS (SELECT 1 FROM totals t WHERE t.n = b.n AND t.howmany > 20) ORDER BY b.k", "SELECT k FROM big ORDER BY amount DESC, k LIMIT 4 OFFSET 1",
        "SELECT nothing FROM big", "SELECT 1 / (k - 7) FROM big",
    ]

    @Test func aViewsAnswerIsOnePostgreSQLsAnswer() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            for view in Self.views { for client in [router, plain] { try await client.execute(view) } }
            var answered = 0
            for statement in Self.statements {
                for form in AcrossForm.allCases {
                    let expected = try await form.run(plain, statement), answer = try await form.run(router, statement)
                    #expect(answer.comparable(of: statement) == expected.comparable(of: statement), "\(form): \(statement)")
                    if answer.sqlState == nil { answered += 1 }
                }
            }
            #expect(answered == 3 * (Self.statements.count - 2))
            let both = CopyPair(router: router, plain: plain)
            for view in ["big", "totals", "ranked"] { try await both.compareOut("COPY (SELECT * FROM \(view)) TO STDOUT (FORMAT csv, HEADER)") }
            #expect(try await router.execute("EXPLAIN SELECT * FROM totals").first?.tag?.text == "EXPLAIN")
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    @Test func aViewsNewQueryCounts() async throws {
        try await FinisherTests.withBoth { _, router, plain in
            let both = [router, plain]
            for client in both { try await client.execute("CREATE VIEW v AS SELECT k, n FROM a WHERE n = 1") }
            for definition in ["SELECT k, n FROM a WHERE n = 2", "SELECT k, n FROM a WHERE n > (SELECT avg(n) FROM a)", "SELECT a.k, b.no AS n FROM a JOIN b ON b.no = a.n"] {
                for statement in ["SELECT * FROM v", "SELECT sum(n), count(*) FROM v", "SELECT count(DISTINCT n) FROM v"] {
                    let expected = try await AcrossForm.simple.run(plain, statement), answer = try await AcrossForm.simple.run(router, statement)
                    #expect(answer == expected && answer.sqlState == nil, "\(statement)")
                }
                for client in both { try await client.execute("CREATE OR REPLACE VIEW v AS \(definition)") }
            }
            for client in both {
                try await client.execute("BEGIN")
                try await client.execute("INSERT INTO a VALUES (1000, 2, 7, 'new')")
            }
            let expected = try await AcrossForm.simple.run(plain, "SELECT count(*) FROM v"), answer = try await AcrossForm.simple.run(router, "SELECT count(*) FROM v")
            #expect(answer == expected)
            for client in both { try await client.execute("ROLLBACK") }
        }
    }

    @Test func underAnotherSearchPathItIsRefused() async throws {
        try await FinisherTests.withBoth { _, router, _ in
            try await router.execute("CREATE VIEW v AS SELECT k, n FROM a WHERE n = 1")
            try await router.execute("CREATE SCHEMA other")
            try await router.execute("SET search_path = other, public")
            #expect(try await AcrossForm.simple.run(router, "SELECT * FROM v").refusal == "PGM-VIEW")
            try await router.execute("RESET search_path")
            #expect(try await AcrossForm.simple.run(router, "SELECT * FROM v").sqlState == nil)
            #expect(try await AcrossForm.simple.run(router, "SELECT v FROM v").refusal == "PGM-VIEW")
        }
    }
}
