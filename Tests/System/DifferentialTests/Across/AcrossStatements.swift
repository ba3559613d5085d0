/// `a` and `b` have rows on every shard, `few` on some, `none` has none; values repeat, and are missing.
enum AcrossStatements {
    static let schema = [
        "CREATE TABLE a (k bigint PRIMARY KEY, n int, m numeric(12,3), s varchar(20))",
        "CREATE TABLE b (k bigint, no int, t text, d date, PRIMARY KEY (k, no))",
        "CREATE TABLE few (k bigint PRIMARY KEY, v bigint)", "CREATE TABLE none (k bigint PRIMARY KEY, v bigint, s text)",
        """
        CREATE TABLE odd (k bigint PRIMARY KEY, i2 smallint, i8 bigint, f float8, r real, u uuid, b bytea, ts timestamp, tz timestamptz, ti time, o bool, j jsonb,
            l text[], c char(5), x numeric, iv interval)
        """,
        "CREATE TABLE ref (n int PRIMARY KEY, name text)",
    ]

    static let data: [String] =
        (0..<10).map { block in
            "INSERT INTO a VALUES " + (1...12).map { "(\(block * 12 + $0), \($0 % 3 == 0 ? "NULL" : "\($0 % 5)"), \($0 * block).\($0 % 10)5, \($0 % 4 == 0 ? "NULL" : "'s\($0 % 3)'"))" }
                .joined(separator: ", ")
        }
        + (1...40).map { key in
            "INSERT INTO b VALUES " + (1...3).map { "(\(key), \($0), \($0 == 2 ? "NULL" : "'t\(key % 4)'"), date '2026-01-01' + \(key % 6))" }.joined(separator: ", ")
        }
        + [
            "INSERT INTO few VALUES (1, 9223372036854775807)", "INSERT INTO few VALUES (2, NULL)",
            "INSERT INTO ref VALUES (0, 'zero'), (1, 'one'), (2, NULL), (9, 'nine')",
        ]
        + (1...24).map { key in
            """
            INSERT INTO odd VALUES (\(key), \(key % 3), \(key) * 300000000000000000, \(["'NaN'", "'-0'", "'0'", "'Infinity'", "0.1", "NULL"][key % 6]), \(key % 4).5,
                '00000000-0000-0000-0000-00000000000\(key % 5)', '\\x0\(key % 4)ff', '2026-03-0\(key % 5 + 1) 01:02:03.456', '2026-03-0\(key % 5 + 1) 01:02:03+0\(key % 3)',
                '0\(key % 7):00', \(["true", "false", "NULL"][key % 3]), '{"a": \(key % 3)}', '{x,\(key % 3)}', 'c\(key % 3)', \(["'NaN'", "1.50", "1e30", "-3", "NULL"][key % 5]),
                '\(key % 3) days')
            """
        }

    static let all: [String] = rows + groups

    private static let rows = [
        "SELECT * FROM a", "SELECT * FROM b", "SELECT * FROM few", "SELECT * FROM none", "SELECT * FROM odd", "SELECT FROM a", "SELECT 1 FROM a",
        "SELECT k, n + 1 AS more, upper(s), m * 2, coalesce(n, -1) FROM a WHERE n > 1 OR s IS NULL", "SELECT k FROM a WHERE k > 100000",
        "SELECT a.k, b.no, b.t FROM a JOIN b ON a.k = b.k", "SELECT a.k, b.no FROM a LEFT JOIN b USING (k)", "SELECT a.k, b.no FROM b RIGHT JOIN a ON b.k = a.k AND b.no > 1",
        "SELECT * FROM a NATURAL JOIN few", "SELECT a.k, few.v, none.v FROM a LEFT JOIN few ON few.k = a.k LEFT JOIN none ON none.k = few.k",
        "SELECT a.k, r.name FROM a JOIN ref r ON r.n = a.n", "SELECT a.k, r.name FROM a LEFT JOIN ref r ON r.n = a.n", "SELECT a.k, r.name FROM ref r RIGHT JOIN a ON r.n = a.n",
        "SELECT a.k, r.name FROM a CROSS JOIN ref r WHERE a.n IS NULL", "SELECT a.k, g FROM a, generate_series(1, 2) g WHERE a.k < 20",
        "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.t IS NULL)", "SELECT k FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.k = a.k)",
        "SELECT k FROM a WHERE k IN (SELECT k FROM b WHERE t = 't1')", "SELECT k FROM a WHERE n IN (SELECT n FROM ref WHERE name IS NOT NULL)",
        "SELECT k, (SELECT count(*) FROM b WHERE b.k = a.k) FROM a", "SELECT k, (SELECT name FROM ref WHERE ref.n = a.n) FROM a",
        "WITH w AS (SELECT k, n FROM a WHERE n > 2) SELECT w.k, b.no FROM w JOIN b ON b.k = w.k", "SELECT x.k, x.c FROM (SELECT k, count(*) AS c FROM b GROUP BY k) x WHERE x.c > 2",
        "SELECT a.k, l.no FROM a, LATERAL (SELECT no FROM b WHERE b.k = a.k AND b.no <> 2) l", "SELECT k, unnest(ARRAY[n, 7]) FROM a WHERE k < 9",
        "SELECT k, 1 / n FROM a", "SELECT k, 1 / (n - n) FROM a WHERE n IS NOT NULL", "SELECT nothing FROM a", "SELECT k::text || s AS t, s::char(2) FROM a",
        "SELECT k, CASE WHEN n > 2 THEN 'many' ELSE 'few' END FROM a", "SELECT k, i2, i8, f, r, u, b, ts, tz, ti, o, j, l, c, x, iv FROM odd WHERE x <> 'NaN' OR x IS NULL",
        "SELECT o.k, to_char(o.ts, 'YYYY'), date_trunc('month', o.ts), j->>'a', l[1] FROM odd o", "SELECT DISTINCT k, s FROM a", "SELECT DISTINCT * FROM b",
    ]

    private static let groups = [
        "SELECT k, count(*), sum(no), max(t) FROM b GROUP BY k", "SELECT k, string_agg(t, ',' order by no) FROM b GROUP BY k HAVING count(t) > 1",
        "SELECT b.k, a.s, avg(no) FROM a JOIN b USING (k) GROUP BY b.k, a.s", "SELECT count(*), k FROM b GROUP BY 2", "SELECT k, array_agg(d order by d), percentile_disc(0.5) WITHIN GROUP (order by no) FROM b GROUP BY k",
        "SELECT k, sum(v) FROM none GROUP BY k", "SELECT a.k, count(b.no) FROM a LEFT JOIN b ON a.k = b.k GROUP BY a.k",
    ]

    /// With the code of each.
    static let refused: [(String, String)] = [
        ("SELECT a.k FROM a JOIN b ON a.n = b.no", "PGM-NO-KEY"), ("SELECT * FROM ref LEFT JOIN a ON a.n = ref.n", "PGM-NO-KEY"), ("SELECT a.k FROM a FULL JOIN b USING (k)", "PGM-NO-KEY"),
        ("SELECT k, now() FROM a", "PGM-NO-KEY"), ("SELECT k FROM a WHERE random() < 2", "PGM-NO-KEY"), ("SELECT k FROM b WHERE d < 'today'", "PGM-NO-KEY"),
        ("SELECT rank() OVER (ORDER BY k) FROM a", "PGM-NO-KEY"), ("SELECT k FROM a UNION ALL SELECT k FROM b", "PGM-NO-KEY"), ("SELECT ctid FROM a", "PGM-NO-KEY"),
        ("SELECT (SELECT max(a.n)) FROM a", "PGM-NO-KEY"), ("SELECT k FROM a FOR UPDATE", "PGM-NO-KEY"),
    ]
}
