import ClusterTestKit
import PGChannel
import PGWire
import Testing

/// Cursors over several shards, and the same on one plain PostgreSQL.
@Suite struct CursorTests {
    /// Each order is total.
    private static let queries = [
        "SELECT * FROM a ORDER BY k", "SELECT n, count(*) AS c FROM a GROUP BY n ORDER BY n", "SELECT k, rank() OVER (ORDER BY m, k) FROM a ORDER BY 2", "SELECT a.k, b.t FROM a JOIN b USING (k) ORDER BY a.k, b.no", "SELECT k FROM none ORDER BY k",
        "SELECT k, j, ts FROM odd ORDER BY k",
    ]
    private static let steps = ["FETCH c", "FETCH 7 FROM c", "MOVE 2 IN c", "FETCH FORWARD 3 c", "FETCH ALL FROM c", "FETCH NEXT c", "MOVE ALL c", "CLOSE c"]

    @Test(arguments: [AcrossForm.simple, .extendedText]) func aCursorGivesOnePostgreSQLsRows(form: AcrossForm) async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            for query in Self.queries {
                for statement in ["BEGIN", "DECLARE c NO SCROLL CURSOR FOR \(query)"] + Self.steps + ["DECLARE c CURSOR FOR \(query)", "FETCH 2 c", "COMMIT"] {
                    let expected = try await form.run(plain, statement), answer = try await form.run(router, statement)
                    // The answer's order is the cursor's.
                    #expect(answer == expected && answer.sqlState == nil, "\(query): \(statement)")
                }
            }
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    /// Of rows in no order all come, and once.
    @Test func aCursorShowsWhatWasThereWhenItWasDeclared() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            for query in ["SELECT k, n FROM a", "SELECT s, count(*) FROM a GROUP BY s", "SELECT count(DISTINCT n), s FROM a GROUP BY s"] {
                var rows: [[String]] = []
                for client in [router, plain] {
                    for statement in ["BEGIN", "DECLARE c CURSOR FOR \(query)", "DELETE FROM a WHERE n = 1", "SAVEPOINT s"] { try await client.execute(statement) }
                    var fetched: [String] = []
                    for step in ["FETCH 3 c", "FETCH 1 c", "FETCH ALL c"] { fetched += try await AcrossForm.simple.run(client, step).rows }
                    rows.append(fetched.sorted())
                    // What is declared behind a savepoint goes with it.
                    for statement in ["DECLARE d CURSOR FOR \(query)", "ROLLBACK TO s"] { try await client.execute(statement) }
                    #expect(try await AcrossForm.simple.run(client, "FETCH d").sqlState == "34000")
                    try await client.execute("ROLLBACK")
                }
                #expect(rows[0] == rows[1] && !rows[0].isEmpty, "\(query)")
            }
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    @Test func whatACursorCannotDoIsAnError() async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            for statements in [
                ["DECLARE c CURSOR FOR SELECT k FROM a"], ["BEGIN", "FETCH c"], ["BEGIN", "DECLARE c CURSOR FOR SELECT k FROM a", "DECLARE c CURSOR FOR SELECT k FROM b"], ["BEGIN", "DECLARE c CURSOR FOR SELECT k FROM a", "CLOSE c", "FETCH c"],
                ["BEGIN", "DECLARE c CURSOR FOR SELECT k FROM a", "CLOSE ALL", "FETCH c"], ["BEGIN", "DECLARE c CURSOR FOR SELECT 1 / (k - 5) FROM a ORDER BY k", "FETCH ALL c"], ["BEGIN", "DECLARE c CURSOR FOR SELECT nothing FROM a"],
            ] {
                for form in [AcrossForm.simple, .extendedText] {
                    var states: [String?] = []
                    for client in [router, plain] {
                        var state: String?
                        for statement in statements where state == nil { state = try await form.run(client, statement).sqlState }
                        states.append(state)
                        try await client.execute("ROLLBACK")
                    }
                    #expect(states[0] != nil && states[0] == states[1], "\(form): \(statements): \(states)")
                }
            }
            for (statements, code) in [
                (["BEGIN", "DECLARE c CURSOR FOR SELECT k FROM a", "FETCH BACKWARD 1 c"], "PGM-ROW-LIMIT"), (["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT k FROM a"], "PGM-NO-KEY"), (["BEGIN", "DECLARE c SCROLL CURSOR FOR SELECT k FROM a"], "PGM-NO-KEY"),
            ] {
                var refusal: String?
                for statement in statements { refusal = try await AcrossForm.simple.run(router, statement).refusal }
                #expect(refusal == code, "\(statements)")
                try await router.execute("ROLLBACK")
            }
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }
}
