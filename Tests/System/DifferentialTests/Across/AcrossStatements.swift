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
        "CREATE TABLE words (k bigint PRIMARY KEY, c text COLLATE \"C\", w text)", "CREATE TABLE plain (k bigint PRIMARY KEY, s text, p char(3), v varchar(4))",
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
        + ["Zebra", "apple", "Äpfel", "äpfel", "apple ", "a-b", "ab", "", "Straße", "strasse", "10", "9", "é", "e\u{301}"].enumerated().flatMap { place, word in
            ["INSERT INTO words VALUES (\(place), '\(word)', '\(word)')", "INSERT INTO plain VALUES (\(place), '\(word)', '\(word.prefix(3))', '\(word.prefix(4))')"]
        }
        + (1...24).map { key in
            """
            INSERT INTO odd VALUES (\(key), \(key % 3), \(key) * 300000000000000000, \(["'NaN'", "'-0'", "'0'", "'Infinity'", "0.1", "NULL"][key % 6]), \(key % 4).5,
                '00000000-0000-0000-0000-00000000000\(key % 5)', '\\x0\(key % 4)ff', '2026-03-0\(key % 5 + 1) 01:02:03.456', '2026-03-0\(key % 5 + 1) 01:02:03+0\(key % 3)',
                '0\(key % 7):00', \(["true", "false", "NULL"][key % 3]), '{"a": \(key % 3)}', '{x,\(key % 3)}', 'c\(key % 3)', \(["'NaN'", "1.50", "1e30", "-3", "NULL"][key % 5]),
                '\(key % 3) days')
            """
        }

    static let all: [String] = rows + groups + combined + ordered

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

    private static let combined = [
        "SELECT count(*) FROM a", "SELECT count(*), count(n), count(s) AS named, sum(n), sum(m), min(m), max(k), min(n) FROM a", "SELECT count(*), sum(v), max(v) FROM none", "SELECT sum(v) FROM few",
        "SELECT sum(k), sum(n::smallint), sum(k::numeric) FROM a WHERE n IS NOT NULL", "SELECT bool_and(n > 0), bool_or(n > 3), every(n < 9), count(*) FILTER (WHERE n = 1) FROM a",
        "SELECT min(i2), max(i8), max(f), min(r), max(x), min(ts), max(tz), min(ti), bool_or(o), count(j) FROM odd", "SELECT sum(x) FROM odd", "SELECT sum(x) FROM odd WHERE x <> 'NaN'",
        "SELECT count(*), sum(no) FROM a JOIN b USING (k) WHERE a.n > 1", "SELECT count(*) FROM a LEFT JOIN ref USING (n)", "SELECT count(*) FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k)",
        "SELECT max(d), min(d) FROM b", "SELECT sum(i8) FROM odd", "SELECT sum(v) FROM few WHERE k = k", "SELECT sum(9223372036854775807 - k + k) FROM few", "SELECT sum(1 / (k - 5)) FROM a",
        "SELECT n, count(*), sum(m), min(k) FROM a GROUP BY n", "SELECT s, n, count(*) FROM a GROUP BY s, n", "SELECT count(*), s FROM a GROUP BY 2", "SELECT s FROM a GROUP BY s",
        "SELECT t, d, count(*), max(no) FROM b GROUP BY t, d", "SELECT u, count(*) FROM odd GROUP BY u", "SELECT b, count(*) FROM odd GROUP BY b", "SELECT o, count(*), sum(i2) FROM odd GROUP BY o",
        "SELECT ts, count(*) FROM odd GROUP BY ts", "SELECT tz, c, count(*) FROM odd GROUP BY tz, c", "SELECT upper(s) AS big, count(*) FROM a GROUP BY 1", "SELECT r.name, count(*) FROM a JOIN ref r USING (n) GROUP BY r.name",
        "SELECT s, count(*) FROM none GROUP BY s", "SELECT b.k, count(*) FROM a LEFT JOIN b ON a.k = b.k AND b.no = 1 GROUP BY b.k", "SELECT DISTINCT n FROM a", "SELECT DISTINCT n, s FROM a", "SELECT DISTINCT t FROM b WHERE no > 1",
        "SELECT DISTINCT i2, o, ti FROM odd", "SELECT DISTINCT v FROM none", "SELECT DISTINCT n + 1 AS m FROM a", "SELECT count(*) FROM a LIMIT 1", "SELECT count(*) FROM a LIMIT 0", "SELECT count(*) FROM a OFFSET 1",
        "SELECT DISTINCT upper(s) FROM a", "SELECT count(*) AS \"Weird Name\" FROM a", "SELECT min(s), max(s), min(p), max(p), min(v), max(v) FROM plain", "SELECT DISTINCT p FROM plain", "SELECT DISTINCT c FROM words",
        "SELECT c, count(*) FROM words GROUP BY c", "SELECT min(s), max(upper(s)) FROM a", "SELECT avg(n), avg(m), avg(k) AS mean, avg(k::smallint), count(*) FROM a", "SELECT avg(x), avg(i8), avg(iv) FROM odd", "SELECT avg(x) FROM odd WHERE x <> 'NaN'", "SELECT avg(v) FROM none",
        "SELECT s, avg(m) FILTER (WHERE n > 1), pg_catalog.avg(k) FROM a GROUP BY s", "SELECT avg(n), s FROM a GROUP BY 2", "SELECT count(*) FROM a GROUP BY n", "SELECT sum(m) FROM a GROUP BY n, a.s", "SELECT avg(s) FROM a", "SELECT avg(v), sum(v) FROM few", "SELECT avg(iv) FROM odd WHERE k > 9",
        "SELECT avg (n + (k)) , avg(1.50), avg(m / 7) FROM a", "SELECT sum(iv), min(iv), max(iv) FROM odd", "SELECT min(r), max(f) FROM odd WHERE f <> 0", "SELECT f, count(*) FROM odd WHERE f <> 0 GROUP BY f",
        "SELECT DISTINCT j FROM odd", "SELECT DISTINCT r, iv FROM odd", "SELECT upper(s) AS big, count(*) FROM a GROUP BY big", "SELECT n AS number, count(*) FROM a GROUP BY number", "SELECT k % 3 AS n, count(*) FROM few GROUP BY n",
        "SELECT n, k % 2 AS s, count(*) FROM a GROUP BY n, 2", "SELECT n, sum(m) FROM a GROUP BY k", "SELECT count(*) FROM a WHERE false", "SELECT n, count(*) FROM a WHERE false GROUP BY n",
        "SELECT date_trunc('month', ts) AS month, count(*) FROM odd GROUP BY month", "SELECT sum(s) FROM a",
    ]

    /// Each order is total, or equal rows are the same.
    private static let ordered = [
        "SELECT * FROM a ORDER BY k", "SELECT * FROM a ORDER BY k DESC LIMIT 5", "SELECT k, n FROM a ORDER BY n, k LIMIT 10 OFFSET 30", "SELECT k, n FROM a ORDER BY n DESC NULLS LAST, k DESC OFFSET 100",
        "SELECT n AS k, k AS n FROM a ORDER BY k, n LIMIT 9", "SELECT a.n, a.k FROM a ORDER BY a.n NULLS FIRST, a.k LIMIT 50", "SELECT k, m FROM a ORDER BY m DESC, 1 LIMIT 4", "SELECT s, k FROM a ORDER BY s COLLATE \"C\" DESC, k LIMIT 20",
        "SELECT k FROM a ORDER BY k LIMIT 0", "SELECT k FROM a ORDER BY k OFFSET 1000", "SELECT a.k, b.no, b.t FROM a JOIN b USING (k) ORDER BY a.k DESC, b.no LIMIT 11 OFFSET 4", "SELECT * FROM none ORDER BY k LIMIT 3",
        "SELECT k, f FROM odd ORDER BY f, k", "SELECT k, r FROM odd ORDER BY r DESC, k", "SELECT k, u FROM odd ORDER BY u, k LIMIT 7", "SELECT k, b FROM odd ORDER BY b DESC, k", "SELECT k, ts, tz FROM odd ORDER BY tz, ts DESC, k LIMIT 13",
        "SELECT k, o FROM odd ORDER BY o, k", "SELECT k, x, j, iv, c FROM odd ORDER BY x DESC NULLS LAST, k", "SELECT ti, k FROM odd ORDER BY 1, 2", "SELECT n, count(*) AS c FROM a GROUP BY n ORDER BY c DESC, n LIMIT 3",
        "SELECT s, sum(m) FROM a GROUP BY s ORDER BY 2 DESC NULLS LAST, s COLLATE \"C\"", "SELECT n, sum(k) FROM a GROUP BY n ORDER BY n NULLS FIRST OFFSET 2", "SELECT DISTINCT n FROM a ORDER BY n LIMIT 3 OFFSET 1", "SELECT DISTINCT s FROM a ORDER BY s COLLATE \"C\"",
        "SELECT k, count(*) FROM b GROUP BY k HAVING count(t) > 1 ORDER BY k DESC LIMIT 6", "SELECT DISTINCT k, s FROM a ORDER BY k LIMIT 8", "SELECT 1 AS one FROM a ORDER BY one LIMIT 3", "SELECT k FROM a ORDER BY n, k, nothing", "SELECT k FROM a ORDER BY n, a.m DESC, k LIMIT 9 OFFSET 3", "SELECT * FROM a ORDER BY upper(s) DESC, abs(n), k",
        "SELECT a.k FROM a JOIN b USING (k) ORDER BY b.t, b.no, k", "SELECT s FROM a GROUP BY s ORDER BY count(*) DESC, sum(m), max(k)", "SELECT s, count(*) FROM a GROUP BY s ORDER BY count(*) DESC, s LIMIT 2", "SELECT n FROM a GROUP BY n ORDER BY avg(m) DESC NULLS LAST LIMIT 3",
        "SELECT k FROM b GROUP BY k ORDER BY count(t), sum(no), k DESC LIMIT 12", "SELECT avg(m) AS mean, n FROM a GROUP BY 2 ORDER BY 1 DESC, 2", "SELECT m AS k FROM a ORDER BY a.k LIMIT 7", "SELECT s, k FROM a ORDER BY s, k", "SELECT s FROM plain ORDER BY s", "SELECT p, v, k FROM plain ORDER BY p DESC, v, k",
        "SELECT c FROM words ORDER BY c COLLATE \"C\"", "SELECT upper(s) AS t FROM plain ORDER BY t LIMIT 5", "SELECT s, count(*) FROM a GROUP BY s ORDER BY s DESC", "SELECT k FROM a ORDER BY k FETCH FIRST 4 ROWS ONLY",
        "SELECT k FROM a ORDER BY k OFFSET 3 ROWS FETCH NEXT 2 ROWS ONLY", "SELECT k FROM a ORDER BY k LIMIT ALL OFFSET 100", "SELECT k FROM a ORDER BY k LIMIT NULL", "SELECT k, iv FROM odd ORDER BY iv, k", "SELECT k, j FROM odd ORDER BY j DESC, k LIMIT 9",
        "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k) ORDER BY k DESC LIMIT 7 OFFSET 2", "WITH w AS (SELECT k, n FROM a WHERE n > 1) SELECT w.n, count(*) FROM w GROUP BY w.n ORDER BY 2, 1",
        "SELECT 7 FROM a LIMIT 6", "SELECT d, count(*) FROM b GROUP BY d ORDER BY d",
    ]

    /// With the code of each.
    static let refused: [(String, String)] = [
        ("SELECT ctid FROM a", "PGM-NO-KEY"), ("SELECT k FROM a ORDER BY k FOR UPDATE", "PGM-NO-KEY"), ("SELECT a FROM a", "PGM-TYPES-DIFFER"), ("SELECT k, current_user FROM a", "PGM-NO-KEY"),
    ]
}
