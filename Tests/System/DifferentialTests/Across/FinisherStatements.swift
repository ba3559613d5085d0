/// What only the finisher answers, over the tables of `AcrossStatements` and these: types of one's own, and a table whose name has to be quoted.
enum FinisherStatements {
    static let schema = [
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')", "CREATE TYPE pair AS (x int, y text)", "CREATE DOMAIN positive AS int CHECK (value > 0)",
        "CREATE TABLE own (k bigint PRIMARY KEY, m mood, ms mood[], p pair, d positive, r int4range, f float8)", "CREATE TABLE \"Odd Table\" (\"Key\" bigint PRIMARY KEY, \"select\" int)",
        "CREATE TABLE tree (k bigint PRIMARY KEY, parent bigint, name text)",
    ]

    static let data: [String] =
        (1...20).map { key in
            """
            INSERT INTO own VALUES (\(key), '\(["sad", "ok", "happy"][key % 3])', '{\(key % 2 == 0 ? "sad,NULL" : "happy")}', ROW(\(key % 4), E'a\\tb\\\\\\n"\(key % 2)'), \(key % 5 + 1),
                '[\(key % 3),\(key % 3 + 5))', \(key).1)
            """
        }
        + (1...15).map { "INSERT INTO \"Odd Table\" VALUES (\($0), \($0 % 4))" }
        + (1...30).map { "INSERT INTO tree VALUES (\($0), \($0 == 1 ? "NULL" : "\($0 / 2)"), 'node \($0)')" }

    static let all: [String] = aggregates + several + ordered + sets + joins + subqueries + commons + types + names + errors

    private static let aggregates = [
        "SELECT n, count(*) FROM a GROUP BY n HAVING count(*) > 20", "SELECT max(k) FROM a HAVING true", "SELECT count(*) FROM a GROUP BY ()", "SELECT count(DISTINCT n), count(DISTINCT s) FROM a",
        "SELECT string_agg(s, ',' ORDER BY k DESC) FROM a WHERE k < 40", "SELECT percentile_cont(0.3) WITHIN GROUP (ORDER BY m), mode() WITHIN GROUP (ORDER BY n) FROM a", "SELECT n, avg(m)::numeric(20,6), stddev(n), variance(k) FROM a GROUP BY n",
        "SELECT array_agg(k ORDER BY m, k) FILTER (WHERE n = 1) FROM a", "SELECT json_agg(k ORDER BY k), jsonb_object_agg(k, s) FROM a WHERE k < 9", "SELECT n % 2, sum(m) + 1, sum(m) / count(*) FROM a GROUP BY n % 2",
        "SELECT count(*) FROM a GROUP BY n", "SELECT n, s, count(*) FROM a GROUP BY ROLLUP (n, s)", "SELECT n, s, grouping(n, s), sum(k) FROM a GROUP BY CUBE (n, s)", "SELECT n, s, count(*) FROM a GROUP BY GROUPING SETS ((n), (s), ())",
        "SELECT bit_xor(k), bool_or(n > 3) AND bool_and(k > 0) FROM a", "SELECT corr(k, k), regr_count(k, n) FROM a", "SELECT max(k) - min(k) AS spread FROM a", "SELECT sum(DISTINCT n) FROM a", "SELECT avg(v), sum(v), count(v) FROM none",
        "SELECT k, s, count(*) FROM a JOIN b USING (k) GROUP BY a.k HAVING max(no) > 1", "SELECT a.n, a.m FROM a GROUP BY k", "SELECT s, lower(min(t)) FROM a JOIN b ON a.n = b.no GROUP BY s",
    ]

    /// Whose keys live on several shards.
    private static let several = [
        "SELECT * FROM a WHERE k IN (1, 2, 3, 4, 5, 6)", "SELECT count(*) FROM a WHERE k IN (1, 2, 3, 4, 5, 6, 7)", "SELECT a.k, b.no FROM a JOIN b USING (k) WHERE k IN (3, 4, 5, 6, 7) ORDER BY 1, 2 LIMIT 7",
        "SELECT avg(n)::numeric(9,4) FROM a WHERE k = ANY ('{1,2,3,4,5,6,7,8,9}')", "SELECT n, string_agg(s, ',' ORDER BY k) FROM a WHERE k IN (1, 2, 3, 4, 5, 6, 7, 8, 9) GROUP BY n", "SELECT x.k, y.k FROM a x, a y WHERE x.k = 1 AND y.k = 2",
        "SELECT k FROM a WHERE k IN (1, 2, 3, 4) UNION SELECT k FROM b WHERE k IN (4, 5, 6, 7)", "SELECT k FROM a WHERE k = 1 UNION ALL SELECT k FROM a WHERE k = 5 UNION ALL SELECT k FROM a WHERE k = 9",
    ]

    private static let ordered = [
        "SELECT k FROM a ORDER BY k + 1", "SELECT k FROM a ORDER BY n NULLS FIRST, k", "SELECT k, k FROM a ORDER BY a.k LIMIT 3", "SELECT a.k FROM a ORDER BY k FETCH FIRST 2 ROWS WITH TIES", "SELECT n FROM a ORDER BY n FETCH FIRST 3 ROWS WITH TIES",
        "SELECT DISTINCT ON (n) n, k, m FROM a ORDER BY n, k DESC", "SELECT DISTINCT ON (s) s, k FROM a WHERE n > 1 ORDER BY s, k", "SELECT k, rank() OVER (ORDER BY n), lag(m) OVER (PARTITION BY s ORDER BY k) FROM a ORDER BY k",
        "SELECT k, sum(m) OVER w, ntile(4) OVER w FROM a WINDOW w AS (PARTITION BY n ORDER BY k) ORDER BY k DESC LIMIT 30", "SELECT k, count(*) OVER () FROM few ORDER BY k", "SELECT k FROM a ORDER BY k OFFSET 3 ROWS FETCH NEXT ROW ONLY",
        "SELECT k, avg(k) OVER (ORDER BY k ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)::numeric(20,4) FROM a ORDER BY k LIMIT 10 OFFSET (SELECT 2)", "SELECT s FROM a ORDER BY length(s) DESC NULLS LAST, s, k",
        "SELECT w FROM words WHERE k < 8 ORDER BY w, k", "SELECT c FROM words ORDER BY c, k", "SELECT s COLLATE \"C\" AS t FROM a ORDER BY t, k", "SELECT n, count(*) FROM a GROUP BY n ORDER BY max(k) DESC", "SELECT k FROM a ORDER BY random() * 0, k",
    ]

    private static let sets = [
        "SELECT k FROM a UNION ALL SELECT k FROM b", "SELECT n FROM a UNION SELECT no FROM b", "SELECT n FROM a INTERSECT SELECT no FROM b", "SELECT n FROM a EXCEPT ALL SELECT no FROM b", "SELECT k FROM a EXCEPT SELECT k FROM b ORDER BY k DESC LIMIT 5",
        "(SELECT k FROM a ORDER BY k LIMIT 2) UNION ALL (SELECT k FROM b ORDER BY k DESC, no LIMIT 2) ORDER BY 1", "SELECT n, 'a' AS origin FROM a UNION SELECT n, name FROM ref", "SELECT * FROM few UNION ALL SELECT k, v FROM none", "TABLE few",
        "TABLE few UNION ALL TABLE few", "SELECT k FROM few UNION ALL VALUES (1), (2)", "SELECT count(*) FROM (SELECT n FROM a UNION SELECT no FROM b) u",
    ]

    private static let joins = [
        "SELECT a.k, b.k FROM a JOIN b ON a.n = b.no WHERE a.k < 30", "SELECT r.n, a.k FROM ref r LEFT JOIN a ON a.n = r.n", "SELECT a.k, b.no FROM a FULL JOIN b USING (k)", "SELECT a.k, few.v FROM few FULL JOIN a ON a.n = few.k",
        "SELECT * FROM few x JOIN few y ON x.k < y.k", "SELECT x.k, y.k FROM a x, a y WHERE x.n = y.n AND x.k < y.k AND x.k < 20", "SELECT * FROM a NATURAL FULL JOIN few", "SELECT * FROM (few JOIN none USING (v)) AS j (x, y, z)", "SELECT o.x, o.y FROM few AS o(x, y), ref",
        "SELECT * FROM b CROSS JOIN (VALUES (1, 'x'), (2, 'y')) AS v(no, w) WHERE b.no = v.no AND b.k < 5", "SELECT a.k, l.total FROM a, LATERAL (SELECT sum(no) AS total FROM b WHERE b.k < a.n) l WHERE a.k < 10", "SELECT b.*, a.s FROM b LEFT JOIN a ON a.k = b.k + 1 WHERE b.no = 1",
        "SELECT r.name, g, count(a.k) FROM ref r CROSS JOIN generate_series(0, 2) g LEFT JOIN a ON a.n = r.n + g GROUP BY 1, 2", "SELECT a.k FROM a LEFT JOIN none ON none.v = a.n WHERE none.k IS NULL AND a.k < 7",
    ]

    private static let subqueries = [
        "SELECT k FROM a WHERE n = (SELECT max(n) FROM a)", "SELECT k, (SELECT count(*) FROM b WHERE b.no = a.n) FROM a", "SELECT k FROM a WHERE n IN (SELECT no FROM b WHERE t IS NULL)", "SELECT k FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.no = a.n)",
        "SELECT (SELECT max(a.n)) FROM a", "SELECT (SELECT k FROM few ORDER BY k LIMIT 1), ARRAY(SELECT k FROM few ORDER BY k)", "SELECT r.name FROM ref r WHERE EXISTS (SELECT 1 FROM a WHERE a.n = r.n)", "SELECT k FROM a WHERE m > ALL (SELECT avg(m) FROM a GROUP BY s)",
        "SELECT x.s, x.c FROM (SELECT s, count(*) AS c FROM a GROUP BY s) x WHERE x.c > 10", "SELECT avg(c)::numeric(10,3) FROM (SELECT count(*) AS c FROM a GROUP BY n) x", "SELECT row_to_json(x) FROM (SELECT k, v FROM few ORDER BY k) x", "SELECT 1 WHERE EXISTS (SELECT FROM a WHERE n = 2)",
        "SELECT k FROM (SELECT *, row_number() OVER (PARTITION BY n ORDER BY k) AS place FROM a) x WHERE place = 1",
    ]

    private static let commons = [
        "WITH w AS (SELECT n, sum(m) AS t FROM a GROUP BY n) SELECT w.n, w.t, count(b.k) FROM w JOIN b ON b.no = w.n GROUP BY 1, 2", "WITH few AS (SELECT k FROM a WHERE k < 3) SELECT few.k, none.v FROM few LEFT JOIN none ON none.v = few.k",
        "WITH a AS (SELECT n FROM a) SELECT count(DISTINCT n) FROM a", "WITH x AS (SELECT k FROM a), y AS MATERIALIZED (SELECT k FROM x WHERE k > 100) SELECT (SELECT count(*) FROM x), (SELECT count(*) FROM y)",
        "WITH RECURSIVE t AS (SELECT k, name, 0 AS depth FROM tree WHERE parent IS NULL UNION ALL SELECT c.k, c.name, depth + 1 FROM t JOIN tree c ON c.parent = t.k) SELECT depth, count(*), min(name) FROM t GROUP BY depth",
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION SELECT s.n + 1 FROM s JOIN a ON a.k = s.n WHERE s.n < 9) SELECT n FROM s", "WITH unused AS (SELECT max(k) FROM a), w(x, y) AS (SELECT * FROM few) SELECT x + 1, y FROM w ORDER BY x - 1",
    ]

    private static let types = [
        "SELECT m, count(DISTINCT k % 3) FROM own GROUP BY m ORDER BY m DESC", "SELECT max(m), min(m) FROM own", "SELECT ms[1], count(*) FROM own GROUP BY ms", "SELECT p, (p).y, (p).x FROM own ORDER BY p, k LIMIT 7", "SELECT sum(d), d FROM own GROUP BY d HAVING count(*) > 1",
        "SELECT range_agg(r), count(*) FROM own WHERE r && '[1,3)'", "SELECT 'happy' = ANY (ms), count(*) FROM own GROUP BY 1", "SELECT count(DISTINCT f), count(DISTINCT p) FROM own", "SELECT l, count(DISTINCT k % 2) FROM odd GROUP BY l", "SELECT j->'a', avg(i2)::numeric(9,4) FROM odd GROUP BY 1",
        "SELECT tz, ts, iv, count(DISTINCT ti) FROM odd GROUP BY 1, 2, 3", "SELECT count(DISTINCT u), count(DISTINCT b), string_agg(c, '|' ORDER BY k), max(x) FROM odd", "SELECT date_trunc('day', tz) AT TIME ZONE 'UTC', count(DISTINCT o) FROM odd GROUP BY 1",
        "SELECT max(ts) - min(ts), age(max(ts), min(ts)), extract(day FROM max(tz)) FROM odd", "SELECT f FROM odd ORDER BY f + 1, k", "SELECT x.l[1], y.k FROM odd x JOIN odd y ON x.l[2] = y.l[2] WHERE x.k < 4",
    ]

    private static let names = [
        "SELECT \"Odd Table\".\"select\", count(DISTINCT \"Key\") FROM \"Odd Table\" GROUP BY 1", "SELECT count(DISTINCT \"select\") FROM public.\"Odd Table\"", "SELECT x.\"select\" FROM public /* here */ . \"Odd Table\" x ORDER BY x.\"Key\" + 0",
        "SELECT count(DISTINCT n) -- FROM b\nFROM /* a */ a", "SELECT count(DISTINCT 'FROM a') FROM a, b WHERE a.k = 1", "SELECT count(*) FROM few AS a, none AS b", "SELECT count(DISTINCT a.n) FROM a AS a", "SELECT count(DISTINCT 1) FROM a",
        "SELECT b.k FROM a AS b JOIN b AS a ON a.no = b.n WHERE a.k = 3", "SELECT s AS n, count(DISTINCT n) AS s FROM a GROUP BY a.s",
    ]

    /// On every PostgreSQL.
    static let errors = [
        "SELECT nothing, count(DISTINCT n) FROM a GROUP BY 1", "SELECT n, s FROM a GROUP BY n", "SELECT sum(1 / (k - 5)) OVER () FROM a", "SELECT k FROM a WHERE n = (SELECT n FROM a)", "SELECT n FROM a UNION SELECT s FROM a", "SELECT k FROM a, b ORDER BY 1", "SELECT avg(s) FROM a",
    ]

    /// With the code of each.
    static let refused: [(String, String)] = [
        ("SELECT ctid, count(*) FROM a GROUP BY ctid", "PGM-NO-KEY"), ("SELECT k FROM a ORDER BY k FOR UPDATE", "PGM-NO-KEY"), ("SELECT count(DISTINCT a) FROM a", "PGM-NO-KEY"), ("SELECT count(DISTINCT x.*) FROM a x", "PGM-NO-KEY"),
        ("SELECT count(DISTINCT public.a.n) FROM public.a", "PGM-NO-KEY"), ("SELECT count(DISTINCT n) FROM ONLY a", "PGM-NO-KEY"), ("SELECT max(k), 'a'::regclass FROM a HAVING true", "PGM-NO-KEY"), ("SELECT count(DISTINCT pg_column_size(s)) FROM a", "PGM-NO-KEY"),
        ("SELECT count(DISTINCT n), current_query() FROM a", "PGM-NO-KEY"), ("SELECT row_to_json(a) FROM a ORDER BY random()", "PGM-NO-KEY"), ("SELECT avg(n), current_user FROM a", "PGM-NO-KEY"), ("SELECT count(DISTINCT n) FROM a, pg_class", "PGM-CATALOG-JOIN"),
    ]
}
