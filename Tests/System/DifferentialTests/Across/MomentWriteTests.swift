import PGChannel
import Testing

/// now() and its like in writes over several shards: one moment for all rows.
@Suite struct MomentWriteTests {
    private static func rows(_ client: PGClient, _ sql: String) async throws -> [String] { try await AcrossForm.simple.run(client, sql).rows }

    @Test func allRowsHaveOneMoment() async throws {
        try await AcrossTests.withBoth { router, _ in
            for form in AcrossForm.allCases {
                for condition in ["", " WHERE k IN (1, 2, 3, 4, 5, 6, 7, 8)"] {
                    let before = try await Self.rows(router, "SELECT DISTINCT tz, ts, ti FROM odd\(condition)")
                    #expect(try await form.run(router, "UPDATE odd SET tz = now(), ts = LOCALTIMESTAMP(3), ti = LOCALTIME\(condition)").tag == "UPDATE \(condition.isEmpty ? 24 : 8)")
                    let after = try await Self.rows(router, "SELECT DISTINCT tz, ts, ti FROM odd\(condition)")
                    #expect(after.count == 1 && after != before, "\(form) \(condition)")
                    #expect(try await Self.rows(router, "SELECT DISTINCT tz - ts::timestamptz < '1 ms' AND tz - ts::timestamptz > '-1 ms' AND tz::time = ti FROM odd\(condition)") == ["[116]"])
                }
                // RETURNING's columns keep their names; a subquery and FROM are asked once by one PostgreSQL, too.
                let returned = try await form.run(router, "UPDATE odd SET o = true RETURNING now(), CURRENT_DATE, statement_timestamp() - now() AS d")
                #expect(returned.columns == ["now 1184 -1", "current_date 1082 -1", "d 1186 -1"] && Set(returned.rows).count == 1 && returned.rows.count == 24)
                #expect(try await form.run(router, "UPDATE odd SET tz = (SELECT max(now())), o = CURRENT_DATE > '2020-01-01' FROM ref WHERE ref.n = 1").tag == "UPDATE 24")
                #expect(try await Self.rows(router, "SELECT DISTINCT tz, o FROM odd").count == 1)
                #expect(try await form.run(router, "INSERT INTO odd (k, tz) VALUES \((101...112).map { "(\($0), now())" }.joined(separator: ", "))").tag == "INSERT 0 12")
                #expect(try await Self.rows(router, "SELECT DISTINCT tz FROM odd WHERE k > 100").count == 1)
                #expect(try await form.run(router, "DELETE FROM odd WHERE k > 100 AND tz <= now()").tag == "DELETE 12")
            }
        }
    }

    /// That of its first shard, which SELECT now() tells, whatever shard is written.
    @Test func aTransactionHasOneMoment() async throws {
        try await AcrossTests.withBoth { router, _ in
            for form in AcrossForm.allCases {
                for first in ["SELECT n FROM a WHERE k = 5", "SELECT 1", "UPDATE odd SET o = false", "SELECT count(*) FROM a"] {
                    try await router.execute("BEGIN")
                    _ = try await form.run(router, first)
                    let moment = try await Self.rows(router, "SELECT now()")
                    for key in 1...6 { #expect(try await form.run(router, "UPDATE odd SET tz = now() WHERE k = \(key)").tag == "UPDATE 1") }
                    #expect(try await form.run(router, "UPDATE odd SET tz = now() WHERE k > 12").tag == "UPDATE 12")
                    #expect(try await form.run(router, "UPDATE odd SET tz = CURRENT_TIMESTAMP WHERE k IN (7, 8, 9, 10, 11, 12)").tag == "UPDATE 6")
                    #expect(try await Self.rows(router, "SELECT now()") == moment)
                    #expect(try await Self.rows(router, "SELECT DISTINCT tz FROM odd") == moment, "\(form): \(first)")
                    try await router.execute("ROLLBACK")
                }
            }
        }
    }

    @Test func momentsThatCannotBeSharedAreRefused() async throws {
        try await AcrossTests.withBoth { router, plain in
            for form in AcrossForm.allCases {
                for (statement, code) in [
                    ("UPDATE odd SET tz = 'now'", "PGM-NO-KEY"), ("DELETE FROM odd WHERE tz < 'today'", "PGM-NO-KEY"), ("UPDATE odd SET iv = age(ts)", "PGM-NO-KEY"),
                    ("UPDATE odd SET tz = 'now' WHERE k IN (1, 2, 3, 4, 5, 6)", "PGM-MANY-SHARDS"), ("INSERT INTO odd (k, tz) VALUES (201, 'now'), (202, now()), (203, now()), (204, now())", "PGM-MANY-SHARDS"),
                ] { #expect(try await form.run(router, statement).refusal == code, "\(form): \(statement)") }
                // Words in texts are no moments.
                for statement in ["UPDATE a SET s = 'now' WHERE s <> 'today'", "UPDATE a SET s = 'x' WHERE s = 'now'", "INSERT INTO none VALUES (1, 1, 'now'), (2, 2, 'today'), (3, 3, 'x'), (4, 4, '')", "DELETE FROM none"] {
                    let expected = try await form.run(plain, statement)
                    #expect(try await form.run(router, statement) == expected, "\(form): \(statement)")
                }
            }
        }
    }
}
