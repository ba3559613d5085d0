import NIOCore
import PGChannel
import PGWire
import Testing

/// Rows that the router merges, and the same on one plain PostgreSQL. Each order is total, or the rows that are equal in it look the same.
@Suite struct SortedTests {
    private static let schema = [
        "CREATE TABLE sorted (k bigint PRIMARY KEY, i2 smallint, i4 int, i8 bigint, o oid, f4 real, f8 float8, x numeric, b bool, d date, t time, ts timestamp, tz timestamptz, u uuid, y bytea, c text COLLATE \"C\", v varchar(9) COLLATE \"C\")"
    ]
    private static let keys = ["i2", "i4", "i8", "o", "f4", "f8", "x", "b", "d", "t", "ts", "tz", "u", "y", "c", "v"]

    /// Values repeat, are missing, and are the first and the last that there are.
    private static let data: [String] = (0..<60).map { key in
        func one(_ values: [String], _ step: Int) -> String { key % 11 == step % 11 ? "NULL" : values[(key * step + key / 7) % values.count] }
        let values = [
            one(["-32768", "0", "32767", "5", "-1"], 1), one(["-2147483648", "7", "2147483647", "-7", "0"], 2), one(["-9223372036854775808", "9223372036854775807", "10", "9", "-10"], 3), one(["0", "4294967295", "17"], 4),
            one(["'NaN'", "'-Infinity'", "'Infinity'", "'-0'", "0.1", "-0.1", "1e-40"], 5), one(["'NaN'", "'-Infinity'", "'Infinity'", "1e308", "0.1", "-5e-324"], 6),
            one(["'NaN'", "'Infinity'", "'-Infinity'", "100000000000000000000000.5", "-0.00001", "0.00001", "10000", "9999.9999", "-10000", "-9999.5", "1", "0"], 7), one(["true", "false"], 8),
            one(["'infinity'", "'-infinity'", "'2026-02-03'", "'0044-03-15 BC'", "'9999-12-31'", "'1999-01-01'"], 9), one(["'00:00'", "'24:00'", "'12:34:56.789'", "'03:00'"], 10),
            one(["'infinity'", "'-infinity'", "'2026-02-03 04:05:06.7'", "'0044-03-15 01:00 BC'", "'1999-12-31 23:59'"], 12), one(["'infinity'", "'2026-02-03 04:05:06+02'", "'2026-02-03 04:05:06-05'", "'1900-01-01'"], 13),
            one(["'ffffffff-0000-0000-0000-000000000000'", "'00000000-0000-0000-0000-00000000000a'", "'10000000-0000-4000-8000-000000000000'"], 14), one(["'\\x'", "'\\x00'", "'\\x0000'", "'\\x00ff'", "'\\xff'", "'\\x61'"], 15),
            one(["''", "'a'", "'B'", "'ab'", "'a b'", "'ä'", "'é'", "E'e\\u0301'", "'Z'", "'\u{10000}'", "'~'"], 16), one(["'x'", "'X'", "' x'", "'xx'", "''"], 17),
        ]
        return "INSERT INTO sorted VALUES (\(key), \(values.joined(separator: ", ")))"
    }

    private static var statements: [String] {
        keys.flatMap { key in
            [
                "SELECT k, \(key) FROM sorted ORDER BY \(key), k", "SELECT k, \(key) FROM sorted ORDER BY \(key) DESC, k LIMIT 17", "SELECT * FROM sorted ORDER BY \(key) NULLS FIRST, k DESC LIMIT 9 OFFSET 4",
                "SELECT k FROM sorted ORDER BY \(key) DESC NULLS LAST, sorted.k OFFSET 41", "SELECT \(key) AS z FROM sorted s ORDER BY z, k", "SELECT s.\(key), s.k FROM sorted s ORDER BY 1 DESC, 2", "SELECT \(key) AS k FROM sorted ORDER BY k",
                "SELECT DISTINCT k, \(key) FROM sorted ORDER BY \(key), k LIMIT 30", "SELECT k, \(key), count(*) FROM sorted GROUP BY k, \(key) ORDER BY \(key) DESC, k",
            ]
        } + zip(keys, keys.dropFirst() + ["k"]).map { "SELECT \($0), \($1), k FROM sorted WHERE k % 2 = 0 ORDER BY \($0) DESC, \($1) NULLS FIRST, k" }
            + [
                "SELECT k FROM sorted ORDER BY c COLLATE \"C\" DESC, k", "SELECT c, k FROM sorted ORDER BY sorted.c COLLATE \"C\", k LIMIT 8", "SELECT 1 AS one FROM sorted LIMIT 7", "SELECT 1 FROM sorted ORDER BY k LIMIT 0", "SELECT k FROM sorted WHERE false ORDER BY k",
                "SELECT k FROM sorted ORDER BY k LIMIT -1", "SELECT k FROM sorted ORDER BY k OFFSET -1", "SELECT k, 1 / (k - 20) FROM sorted ORDER BY k", "SELECT s.k, q.n FROM sorted s JOIN (SELECT k, count(*) AS n FROM sorted GROUP BY k) q ON q.k = s.k ORDER BY s.ts, s.k",
                "WITH w AS (SELECT k, ts AS moment FROM sorted WHERE i2 > 0) SELECT moment FROM w ORDER BY moment DESC, k", "SELECT k FROM sorted ORDER BY k LIMIT 1000000000000", "SELECT u.k FROM (SELECT k, i4 AS n FROM sorted UNION ALL SELECT k, i8 FROM sorted) u ORDER BY u.n, u.k",
            ]
    }

    private static func withBoth(_ body: @escaping @Sendable (PGClient, PGClient) async throws -> Void) async throws {
        try await FinisherTests.withBoth { cluster, router, plain in
            try await router.execute("SELECT pgmosaic.shard_table('sorted', 'k')")
            for client in [router, plain] { for statement in schema + data { try await client.execute(statement) } }
            try await body(router, plain)
            try await FinisherTests.expectNothingLeft(on: cluster)
        }
    }

    /// Twice each: what is sent a second time is prepared on the shards.
    @Test func mergedRowsAreOnePostgreSQLs() async throws {
        try await Self.withBoth { router, plain in
            for statement in Self.statements {
                for form in AcrossForm.allCases {
                    let expected = try await form.run(plain, statement)
                    for _ in 0..<2 { #expect(try await form.run(router, statement) == expected, "\(form): \(statement)") }
                }
            }
        }
    }

    /// The text forms of the keys differ, and the order does not.
    @Test func theSessionsSettingsDoNotMatter() async throws {
        try await Self.withBoth { router, plain in
            for client in [router, plain] {
                try await client.execute("SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'; SET extra_float_digits = -5; SET bytea_output = 'escape'")
            }
            for key in Self.keys {
                let statement = "SELECT \(key), k FROM sorted ORDER BY \(key), k DESC LIMIT 40 OFFSET 1"
                for form in AcrossForm.allCases { #expect(try await form.run(router, statement) == form.run(plain, statement), "\(form): \(statement)") }
            }
        }
    }

    @Test func theyAreMergedByARule() async throws {
        try await Self.withBoth { router, _ in
            for key in Self.keys {
                let lines = try await router.execute("EXPLAIN (COSTS OFF) SELECT \(key), k FROM sorted ORDER BY \(key), k LIMIT 3").first?.rows.map { $0.values[0].map { String(buffer: $0) } ?? "" } ?? []
                #expect(lines.contains("  Rule: rows-of-anchor, merge-ordered") && lines.contains("  Merge: order by 1, 2; limit 3"), "\(lines)")
            }
            // Whose order is a locale's, or only PostgreSQL knows.
            for order in ["c COLLATE \"C\", upper(c)", "k + 1", "s"] {
                let lines = try await router.execute("EXPLAIN (COSTS OFF) SELECT k, c || 'x' AS s FROM sorted ORDER BY \(order)").first?.rows.map { $0.values[0].map { String(buffer: $0) } ?? "" } ?? []
                #expect(!lines.contains { $0.contains("merge") }, "\(lines)")
            }
        }
    }

    @Test func parametersBoundThem() async throws {
        try await Self.withBoth { router, plain in
            for (limit, offset) in [("5", "3"), ("0", "0"), ("60", "59"), (nil, "2"), ("4", nil), (" 7", "1"), ("-1", "0"), ("2", "-3"), ("x", "0"), ("9223372036854775807", "1")] as [(String?, String?)] {
                for format in [WireFormat.text, .binary] {
                    var options = PGClient.QueryOptions()
                    options.resultFormat = format
                    var answers: [String] = []
                    for client in [router, plain] {
                        do {
                            let result = try await client.query("SELECT k, ts FROM sorted WHERE k > $3 ORDER BY ts DESC, k LIMIT $1 OFFSET $2", [Self.parameter(limit), Self.parameter(offset), .text("1")], options: options)
                            answers.append("\(result.rows.map { $0.values.map { $0.map { Array($0.readableBytesView) } } }) \(result.tag?.text ?? "")")
                        } catch let error as PGClientError { answers.append(error.serverError?.sqlState.code ?? "\(error)") }
                    }
                    #expect(answers[0] == answers[1], "\(limit ?? "NULL"), \(offset ?? "NULL")")
                }
            }
        }
    }

    private static func parameter(_ text: String?) -> PGParameter { text.map { .text($0) } ?? .null }

    @Test func inATransactionItSeesItsOwnRows() async throws {
        try await Self.withBoth { router, plain in
            for client in [router, plain] { for statement in ["BEGIN", "UPDATE sorted SET ts = '2030-01-01' WHERE i4 = 7", "DELETE FROM sorted WHERE i4 = -7"] { try await client.execute(statement) } }
            for statement in ["SELECT k, ts FROM sorted ORDER BY ts DESC, k", "SELECT k FROM sorted ORDER BY ts, k LIMIT 5 OFFSET 2", "SELECT * FROM sorted ORDER BY x DESC, k LIMIT 3"] {
                for form in AcrossForm.allCases { #expect(try await form.run(router, statement) == form.run(plain, statement), "\(form): \(statement)") }
            }
            for client in [router, plain] { try await client.execute("ROLLBACK") }
        }
    }
}
