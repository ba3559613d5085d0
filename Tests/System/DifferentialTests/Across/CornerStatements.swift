/// What is easily wrong over several shards, over the tables of `AcrossStatements` and `FinisherStatements`: limits below the top, names that mean two things, NULLs, ties, equal values that look
/// different, and rows of which only some fail. Each is answered, or an error on every PostgreSQL (`errors`).
enum CornerStatements {
    static let all: [String] = limits + names + groups + nulls + joins + subqueries + commons + windows + sets + values + texts + errors

    private static let limits = [
        "SELECT k FROM a WHERE k IN (SELECT k FROM b ORDER BY k DESC, no LIMIT 3)", "SELECT count(*) FROM (SELECT k FROM a ORDER BY k LIMIT 7) x", "SELECT sum(x.k) FROM (SELECT k FROM a ORDER BY k DESC OFFSET 100) x", "SELECT k FROM a ORDER BY k LIMIT '3'",
        "SELECT k FROM a ORDER BY k LIMIT 2 + 1", "SELECT k FROM a ORDER BY k LIMIT (SELECT count(*) FROM few)", "SELECT k FROM a ORDER BY k LIMIT NULL OFFSET NULL", "SELECT k FROM a ORDER BY k LIMIT 9223372036854775807 OFFSET 118", "SELECT k FROM a ORDER BY k OFFSET 9223372036854775807",
        "SELECT k FROM a ORDER BY k LIMIT 2.5", "SELECT k FROM (SELECT k FROM a ORDER BY k LIMIT 5) x ORDER BY k DESC LIMIT 2", "SELECT a.k, (SELECT no FROM b WHERE b.k = a.k ORDER BY no DESC LIMIT 1) FROM a WHERE k < 20", "SELECT a.k, l.no FROM a, LATERAL (SELECT no FROM b WHERE b.k = a.k ORDER BY no LIMIT 2) l",
        "SELECT DISTINCT n FROM a ORDER BY n NULLS FIRST LIMIT 2", "SELECT DISTINCT n, s FROM a ORDER BY s DESC NULLS LAST, n LIMIT 4 OFFSET 3", "SELECT count(*) FROM (SELECT DISTINCT n FROM a LIMIT 3) x", "SELECT n, count(*) FROM a GROUP BY n ORDER BY count(*) DESC, n LIMIT 2", "SELECT n FROM a ORDER BY n LIMIT 40",
        "(SELECT k FROM a ORDER BY k LIMIT 3)", "((SELECT k FROM a) ORDER BY k DESC) LIMIT 4", "SELECT k FROM a ORDER BY k FETCH FIRST (1 + 1) ROWS ONLY", "SELECT unnest(ARRAY[k, -k]) AS u FROM a ORDER BY u LIMIT 6", "SELECT v FROM none ORDER BY v LIMIT 3",
        "SELECT k FROM a WHERE EXISTS (SELECT FROM b WHERE b.k = a.k OFFSET 2)", "SELECT k FROM a WHERE EXISTS (SELECT FROM b WHERE b.no = a.n LIMIT 0)",
    ]

    private static let names = [
        "SELECT n AS s, s AS n FROM a ORDER BY s, n, k LIMIT 30", "SELECT -k AS k FROM a ORDER BY k LIMIT 3", "SELECT k AS \"K\", n AS k FROM a ORDER BY \"K\" LIMIT 3", "SELECT n AS m, count(*) FROM a GROUP BY n ORDER BY m", "SELECT length(s) AS s, count(*) FROM a GROUP BY s ORDER BY 1, 2",
        "SELECT length(s) AS l, count(*) FROM a GROUP BY l", "SELECT count(*) AS k FROM a ORDER BY k", "SELECT a.k FROM a AS a ORDER BY a.k LIMIT 2", "SELECT x.k AS k, y.k AS k FROM a x JOIN a y USING (k) ORDER BY x.k LIMIT 3", "SELECT b.k FROM few AS b JOIN b AS few ON few.k = b.k",
        "SELECT \"a\".\"k\" FROM \"a\" ORDER BY \"a\".\"k\" LIMIT 2", "SELECT k /* n */ FROM a -- ORDER BY n\n ORDER BY k /* DESC */ LIMIT /* 9 */ 2", "SELECT $$FROM a$$ AS t, count(*) FROM a", "SELECT U&'\\0041' || count(*) FROM a", "SELECT E'\\'' || s AS q, count(*) FROM a GROUP BY q",
        "SELECT max(k) AS \"max\", max(n) AS \"MAX\" FROM a", "SELECT k AS \"a b\", n AS \"c\"\"d\" FROM a ORDER BY \"a b\" LIMIT 2", "SELECT count(*) FROM public.a", "SELECT pg_catalog.count(*), pg_catalog.max(pg_catalog.abs(n)) FROM a", "SELECT (a.n), (a).n FROM a WHERE (a.k) = 5",
    ]

    private static let groups = [
        "SELECT 7 AS seven, count(*) FROM a GROUP BY seven", "SELECT 'x', count(*) FROM a GROUP BY 1", "SELECT n + 1, n + 1 FROM a GROUP BY n + 1", "SELECT n, n, count(*), count(*) FROM a GROUP BY n, n", "SELECT count(*) FROM a HAVING count(*) > 1000", "SELECT 1 FROM a HAVING min(k) = 1",
        "SELECT s FROM a GROUP BY s HAVING max(k) > 5 ORDER BY sum(m) NULLS FIRST, s LIMIT 2", "SELECT n FROM a GROUP BY n ORDER BY avg(k), n", "SELECT n, bool_and(k > 60) FROM a GROUP BY n", "SELECT n, max(s), min(s), count(s) FROM a GROUP BY n", "SELECT n, sum(k) FILTER (WHERE s IS NULL), count(*) FILTER (WHERE false) FROM a GROUP BY n",
        "SELECT k % 2 AS odd, s, sum(n), avg(n) FROM a GROUP BY 1, 2 ORDER BY 1, 2", "SELECT count(*), sum(k) FROM a GROUP BY k % 50", "SELECT b.t, count(*), count(DISTINCT a.n) FROM a JOIN b USING (k) GROUP BY b.t", "SELECT n FROM a GROUP BY n HAVING count(*) > (SELECT count(*) FROM few)", "SELECT (n IS NULL), count(*) FROM a GROUP BY n IS NULL",
        "SELECT GROUPING(n), n, count(*) FROM a GROUP BY ROLLUP (n) HAVING count(*) > 1 ORDER BY 1, 2", "SELECT n, s, count(*) FROM a GROUP BY DISTINCT ROLLUP (n), ROLLUP (n, s)", "SELECT sum(sum(k)) OVER (ORDER BY n NULLS FIRST), n FROM a GROUP BY n", "SELECT avg(k), avg(NULLIF(n, n)), sum(NULLIF(n, n)) FROM a",
        "SELECT k, count(*) FROM b GROUP BY k HAVING max(t) IS NULL", "SELECT k, max(no) - min(no) FROM b GROUP BY k ORDER BY 2 DESC, 1 LIMIT 3", "SELECT k, array_agg(no ORDER BY no DESC) FROM b GROUP BY k ORDER BY k LIMIT 3", "SELECT count(*) FROM (SELECT k, no FROM b GROUP BY k, no) x", "SELECT max(c), min(c) FROM (SELECT k, count(*) AS c FROM b WHERE t IS NOT NULL GROUP BY k) x",
        "SELECT every(o), bool_or(o), count(o) FROM odd", "SELECT sum(i2), sum(i2::int), sum(i2::bigint), sum(i2::numeric) FROM odd", "SELECT max(ti), min(tz), max(ts), min(o::int) FROM odd GROUP BY () HAVING true", "SELECT string_agg(DISTINCT s, ',' ORDER BY s) FROM a", "SELECT count(*) FILTER (WHERE x = 'NaN'), max(x), min(x) FROM odd",
    ]

    private static let nulls = [
        "SELECT k FROM a WHERE n NOT IN (SELECT v FROM few)", "SELECT k FROM a WHERE n NOT IN (SELECT v FROM few WHERE v IS NOT NULL)", "SELECT k FROM a WHERE NOT (n > 2)", "SELECT count(*) FROM a WHERE n = NULL", "SELECT count(*) FROM a WHERE (n > 1) IS UNKNOWN", "SELECT count(*) FROM a WHERE n IS DISTINCT FROM 1",
        "SELECT k, n FROM a ORDER BY n DESC, k LIMIT 5", "SELECT k, n FROM a ORDER BY n NULLS FIRST, k DESC LIMIT 5", "SELECT k, s FROM a ORDER BY s NULLS FIRST, n NULLS LAST, k LIMIT 50", "SELECT x.k, y.k FROM a x JOIN a y ON x.n = y.n WHERE x.k < 10 AND y.k < 10", "SELECT x.k, y.k FROM a x JOIN a y ON x.n IS NOT DISTINCT FROM y.n WHERE x.k < 10 AND y.k < 10",
        "SELECT count(v), count(*), max(v) FROM few", "SELECT v, count(*) FROM few GROUP BY v", "SELECT coalesce(max(v), -1), count(*) FROM none", "SELECT greatest(n, k % 3), least(n, NULL) FROM a WHERE k < 9", "SELECT n, s FROM a EXCEPT SELECT NULL, NULL", "SELECT n FROM a INTERSECT SELECT NULL::int", "SELECT ROW(n, s) IS NULL, count(*) FROM a GROUP BY 1",
        "SELECT k FROM a WHERE (n, s) IN (SELECT n, s FROM a WHERE k = 4)", "SELECT k FROM a WHERE n > ALL (SELECT v FROM none)", "SELECT k FROM a WHERE n = ANY (SELECT n FROM ref)", "SELECT k FROM a WHERE (k, n) < (4, 2)",
    ]

    private static let joins = [
        "SELECT a.k FROM a LEFT JOIN b ON b.k = a.k WHERE b.k IS NULL AND a.k < 60", "SELECT count(*) FROM a LEFT JOIN b ON b.k = a.k AND b.t IS NULL", "SELECT count(*) FROM a JOIN b ON a.k = b.k + 0", "SELECT count(*) FROM a JOIN b ON a.k = b.no", "SELECT count(*) FROM a, b WHERE a.k = b.k OR a.k = 1", "SELECT count(*) FROM a CROSS JOIN few",
        "SELECT count(*) FROM a JOIN b ON a.k = b.k JOIN few ON few.k = b.k", "SELECT count(*) FROM a JOIN b USING (k) JOIN few USING (k)", "SELECT * FROM a JOIN b USING (k) JOIN ref USING (n) WHERE k < 6", "SELECT x.k, y.n FROM a x JOIN a y ON x.k = y.n", "SELECT count(*) FROM a x JOIN a y ON x.k = y.k JOIN a z ON z.n = y.n",
        "SELECT few.k, a.n FROM few LEFT JOIN a USING (k)", "SELECT count(*) FROM ref LEFT JOIN b ON b.no = ref.n", "SELECT r.n, count(a.k) FROM ref r LEFT JOIN a ON a.n = r.n GROUP BY r.n", "SELECT count(*) FROM a FULL JOIN b ON a.k = b.k AND a.n = b.no", "SELECT coalesce(a.k, none.k) FROM a FULL JOIN none ON none.k = a.k WHERE a.k < 4",
        "SELECT count(*) FROM (a JOIN b USING (k)) LEFT JOIN (few JOIN none USING (k)) USING (k)", "SELECT a.k, v.x FROM a JOIN (VALUES (1, 'one'), (7, 'seven'), (500, 'none')) AS v(k, x) ON v.k = a.k", "SELECT a.k, g FROM a CROSS JOIN generate_series(1, a.n) g WHERE a.k < 9", "SELECT a.k, b.no FROM a LEFT JOIN LATERAL (SELECT no FROM b WHERE b.k = a.k AND no > a.n) b ON true",
        "SELECT a.k, o.\"select\" FROM a JOIN \"Odd Table\" o ON o.\"Key\" = a.k", "SELECT c.name, p.name FROM tree c LEFT JOIN tree p ON p.k = c.parent", "SELECT p.k, count(c.k) FROM tree p LEFT JOIN tree c ON c.parent = p.k GROUP BY p.k ORDER BY 2 DESC, 1 LIMIT 4",
    ]

    private static let subqueries = [
        "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)", "SELECT k, n - (SELECT avg(n) FROM a)::int FROM a", "SELECT k FROM a WHERE m = (SELECT max(m) FROM a x WHERE x.n = a.n) ORDER BY k", "SELECT k FROM a WHERE (SELECT count(*) FROM b WHERE b.k = a.k AND b.no > 1) = 2", "SELECT k FROM few WHERE v > (SELECT count(*) FROM none)",
        "SELECT k FROM a WHERE k = (SELECT max(k) FROM b)", "SELECT k FROM a WHERE k = ANY (ARRAY(SELECT k FROM few))", "SELECT k, ARRAY(SELECT no FROM b WHERE b.k = a.k ORDER BY no) FROM a WHERE k < 5", "SELECT k, EXISTS (SELECT FROM b WHERE b.k = a.k) FROM a", "SELECT k, k IN (SELECT k FROM few), n IN (SELECT no FROM b) FROM a WHERE k < 12",
        "SELECT x.n, (SELECT min(y.k) FROM a y WHERE y.n = x.n AND EXISTS (SELECT FROM b WHERE b.k = y.k AND b.no = x.n)) FROM (SELECT DISTINCT n FROM a) x", "SELECT CASE WHEN EXISTS (SELECT FROM none) THEN 'some' ELSE 'none' END, count(*) FROM a", "SELECT * FROM (SELECT k, n FROM a) x JOIN (SELECT k, max(no) AS mx FROM b GROUP BY k) y USING (k) WHERE x.n < y.mx",
        "SELECT * FROM (SELECT n, count(*) AS c FROM a GROUP BY n) x JOIN (SELECT no, count(*) AS d FROM b GROUP BY no) y ON x.n = y.no", "SELECT count(*) FROM (SELECT a.k FROM a UNION SELECT b.k FROM b) x JOIN few USING (k)", "SELECT sum((SELECT count(*) FROM b WHERE b.k = a.k)) FROM a", "SELECT k FROM a ORDER BY (SELECT count(*) FROM b WHERE b.k = a.k) DESC, k LIMIT 3",
    ]

    private static let commons = [
        "WITH w AS (SELECT k, n FROM a ORDER BY k LIMIT 10) SELECT count(*), sum(k) FROM w", "WITH w AS (SELECT k FROM a), v AS (SELECT k FROM b) SELECT count(*) FROM w JOIN v USING (k)", "WITH w AS NOT MATERIALIZED (SELECT n, max(k) AS k FROM a GROUP BY n) SELECT a.k FROM a JOIN w USING (k)", "WITH b AS (SELECT k, n AS no FROM a) SELECT count(*) FROM b JOIN a USING (k)",
        "WITH w AS (WITH x AS (SELECT max(n) AS n FROM a) SELECT k FROM a JOIN x USING (n)) SELECT min(k), count(*) FROM w", "SELECT * FROM (WITH w AS (SELECT k FROM few) SELECT k FROM w) x JOIN a USING (k)", "WITH RECURSIVE up AS (SELECT k, parent FROM tree WHERE k = 29 UNION ALL SELECT t.k, t.parent FROM tree t JOIN up ON up.parent = t.k) SELECT k FROM up ORDER BY k",
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT n.i, count(a.k) FROM n LEFT JOIN a ON a.n = n.i GROUP BY n.i",
    ]

    private static let windows = [
        "SELECT k, no, row_number() OVER (PARTITION BY k ORDER BY no DESC) FROM b", "SELECT k, no, sum(no) OVER (PARTITION BY k) FROM b WHERE k < 9", "SELECT k, rank() OVER (PARTITION BY s ORDER BY n, k) FROM a", "SELECT DISTINCT count(*) OVER (PARTITION BY n) FROM a", "SELECT k, first_value(k) OVER (PARTITION BY n ORDER BY m DESC, k) FROM a ORDER BY k LIMIT 20",
        "SELECT k, n, lead(k) OVER (ORDER BY k) FROM a WHERE k < 9", "SELECT n, count(*), rank() OVER (ORDER BY count(*) DESC, n) FROM a GROUP BY n", "SELECT k FROM (SELECT k, percent_rank() OVER (ORDER BY k) AS p FROM a) x WHERE p > 0.95", "SELECT k, max(no) OVER w, min(no) OVER w FROM b WINDOW w AS (PARTITION BY t ORDER BY k, no) ORDER BY k, no LIMIT 9",
    ]

    private static let sets = [
        "SELECT k FROM few UNION SELECT k FROM few", "SELECT n FROM a UNION ALL SELECT n FROM ref ORDER BY 1 LIMIT 50", "SELECT no FROM b INTERSECT ALL SELECT n FROM a", "(SELECT n FROM a EXCEPT SELECT n FROM ref) UNION ALL SELECT count(*) FROM none", "SELECT k, 'a' AS t FROM a WHERE k < 3 UNION ALL SELECT k, t FROM b WHERE k < 3", "SELECT n FROM a UNION SELECT no::numeric / 2 FROM b",
        "SELECT x.k FROM (SELECT k FROM a WHERE n = 1 UNION ALL SELECT k FROM b WHERE no = 1) x JOIN few USING (k)", "VALUES (1, 'x') UNION ALL SELECT k, s FROM a WHERE k = 2 UNION ALL SELECT n, name FROM ref", "(SELECT max(k) FROM a) UNION ALL (SELECT min(k) FROM b) ORDER BY 1 DESC",
    ]

    private static let values = [
        "SELECT f, count(*) FROM odd WHERE f IS NULL OR f = 'NaN' GROUP BY f", "SELECT DISTINCT x FROM odd WHERE x <> 1.5 ORDER BY x", "SELECT k, f FROM odd WHERE f <> 0 ORDER BY f DESC, k", "SELECT k, x FROM odd ORDER BY x NULLS FIRST, k LIMIT 20", "SELECT k, b FROM odd ORDER BY b DESC, k LIMIT 5", "SELECT k, u FROM odd ORDER BY u, k DESC LIMIT 5", "SELECT k, ti FROM odd ORDER BY ti DESC, k LIMIT 5",
        "SELECT DISTINCT c, o FROM odd ORDER BY c, o DESC", "SELECT tz, count(*) FROM odd GROUP BY tz ORDER BY tz", "SELECT ts::date AS d, count(*) FROM odd GROUP BY d ORDER BY d DESC", "SELECT extract(dow FROM ts), count(*) FROM odd GROUP BY 1", "SELECT iv * 24, count(*) FROM odd GROUP BY 1", "SELECT j->'a' AS v, count(*) FROM odd GROUP BY 1 ORDER BY 1", "SELECT l, count(*) FROM odd GROUP BY l ORDER BY l",
        "SELECT max(l), min(l) FROM odd", "SELECT k, i8 FROM odd WHERE i8 > 6000000000000000000 ORDER BY i8 DESC", "SELECT sum(i8::numeric), avg(i8) FROM odd", "SELECT max(m), min(ms)::text FROM own", "SELECT m, count(*) FROM own GROUP BY m ORDER BY m LIMIT 2", "SELECT DISTINCT r FROM own ORDER BY r DESC", "SELECT p, count(*) FROM own GROUP BY p", "SELECT d, sum(d) FROM own GROUP BY d ORDER BY d",
        "SELECT m::text, count(*) FROM own WHERE m > 'sad' GROUP BY 1", "SELECT k FROM own WHERE r @> 4 ORDER BY k", "SELECT k, d FROM own WHERE d = 3", "SELECT upper(r) - lower(r), count(*) FROM own GROUP BY 1", "SELECT bit_and(k), bit_or(n), bit_xor(k) FROM a", "SELECT random() < 2, count(*) FROM a GROUP BY 1", "SELECT count(*) FROM a WHERE random() >= 0", "SELECT count(DISTINCT now()) FROM a",
        "SELECT r, i2::real FROM odd ORDER BY r DESC, k LIMIT 3", "SELECT to_json(l), to_jsonb(iv) FROM odd WHERE k = 3 OR k = 4", "SELECT o, count(*) FROM odd GROUP BY o ORDER BY o NULLS FIRST", "SELECT width_bucket(k, 0, 120, 4), count(*) FROM a GROUP BY 1 ORDER BY 1",
    ]

    private static let texts = [
        "SELECT w FROM words ORDER BY w COLLATE \"C\"", "SELECT k, w FROM words ORDER BY w DESC, k LIMIT 5", "SELECT max(w), min(w), max(c), min(c) FROM words", "SELECT upper(w), count(*) FROM words GROUP BY 1", "SELECT count(*) FROM words WHERE w < 'b'", "SELECT count(*) FROM words WHERE c < 'b'", "SELECT w FROM words WHERE w LIKE 'a%' ORDER BY k", "SELECT w FROM words WHERE w ~ '^[[:upper:]]' ORDER BY k",
        "SELECT count(DISTINCT lower(w)) FROM words", "SELECT s, p, v FROM plain ORDER BY p DESC, s, k LIMIT 6", "SELECT p || '|' AS q, count(*) FROM plain GROUP BY q", "SELECT count(*) FROM plain WHERE p = 'ab'", "SELECT length(p), octet_length(p), count(*) FROM plain GROUP BY 1, 2", "SELECT x.s FROM plain x JOIN words y ON x.s = y.w AND x.k <> y.k", "SELECT normalize(w), count(*) FROM words GROUP BY 1 HAVING count(*) > 1", "SELECT max(s COLLATE \"C\") FROM plain",
    ]

    /// On every PostgreSQL.
    static let errors = [
        "SELECT k FROM a ORDER BY k LIMIT -1", "SELECT k FROM a ORDER BY k OFFSET -1", "SELECT k FROM a ORDER BY 3", "SELECT k FROM a ORDER BY k LIMIT 'x'", "SELECT k * 9223372036854775807 FROM a", "SELECT s::int FROM a", "SELECT sum(n) FROM a WHERE sum(n) > 1", "SELECT n, k FROM a GROUP BY n", "SELECT max(max(k)) FROM a", "SELECT k FROM a WHERE row_number() OVER () = 1",
        "SELECT k FROM a JOIN b ON a.k = b.k", "SELECT DISTINCT n FROM a ORDER BY k", "SELECT DISTINCT ON (n) n, k FROM a ORDER BY k", "SELECT substring(s FROM 1 FOR -1) FROM a", "SELECT k FROM a UNION SELECT k, n FROM a", "SELECT a.nothing FROM a ORDER BY a.k", "SELECT z.k FROM a", "SELECT 100 / (n - 2), count(*) FROM a GROUP BY n",
        "SELECT k, (SELECT no FROM b WHERE b.k = a.k) FROM a", "SELECT count(*) FROM a HAVING n > 1", "SELECT n FROM a WHERE s > 5", "SELECT max(j) FROM odd", "SELECT k FROM a GROUP BY k HAVING 1 / (k - 60) = 0", "SELECT lower(k) FROM a", "SELECT x FROM a, LATERAL (SELECT 1 / (k - 7) AS x) l",
    ]
}
