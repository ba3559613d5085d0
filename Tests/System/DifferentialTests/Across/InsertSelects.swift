/// INSERT … SELECT and changes of the shard key, over the tables of `AcrossStatements`.
enum InsertSelects {
    /// The key comes through: each shard does its own.
    static let kept = [
        "INSERT INTO none SELECT k, n, s FROM a", "INSERT INTO none (k, v) SELECT k, sum(no) FROM b GROUP BY k", "INSERT INTO none SELECT k, v FROM few WHERE v IS NULL RETURNING *", "INSERT INTO none (s, k) SELECT upper(s), k FROM a WHERE n > 1 RETURNING k, s",
        "INSERT INTO few SELECT k, n FROM a ON CONFLICT DO NOTHING", "INSERT INTO few AS f SELECT k, n FROM a ON CONFLICT (k) DO UPDATE SET v = coalesce(f.v, 0) / 2 + excluded.v RETURNING f.k, f.v",
        "INSERT INTO none SELECT a.k, r.n, r.name FROM a JOIN ref r ON r.n = a.n", "WITH w AS (SELECT k, n FROM a WHERE n IS NOT NULL) INSERT INTO none SELECT k, n FROM w WHERE k < 60", "INSERT INTO none SELECT DISTINCT k, no FROM b WHERE no = 1",
        "INSERT INTO a SELECT k + 0 * n, n, m, s FROM a WHERE false", "INSERT INTO b SELECT k, no + 10, t, d FROM b", "INSERT INTO none SELECT k, n FROM a WHERE k IN (1, 2, 3, 4, 5, 6, 7)", "INSERT INTO none (k) SELECT k FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k)",
        // Errors of some row.
        "INSERT INTO few SELECT k, n FROM a", "INSERT INTO none SELECT k, 1 / (k - 57) FROM a", "INSERT INTO b SELECT k, n, s, NULL FROM a",
    ]

    /// MERGE by the key.
    static let merged = [
        "MERGE INTO few f USING a ON a.k = f.k WHEN MATCHED THEN UPDATE SET v = a.n WHEN NOT MATCHED AND a.n > 2 THEN INSERT VALUES (a.k, a.n)", "MERGE INTO none n USING (SELECT k, sum(no) AS s FROM b GROUP BY k) q ON q.k = n.k WHEN NOT MATCHED THEN INSERT (k, v) VALUES (q.k, q.s)",
        "MERGE INTO a USING b ON a.k = b.k AND b.no = 1 WHEN MATCHED AND b.t IS NULL THEN DELETE WHEN MATCHED AND a.n = 1 THEN DO NOTHING WHEN MATCHED THEN UPDATE SET n = a.n + b.no, s = b.t", "WITH w AS (SELECT k, n FROM a WHERE n IS NOT NULL) MERGE INTO few USING w ON w.k = few.k WHEN NOT MATCHED THEN INSERT (v, k) VALUES (w.n, w.k)",
        "MERGE INTO few f USING (SELECT * FROM a WHERE k = 2) a ON a.k = f.k WHEN MATCHED THEN UPDATE SET v = 77", "MERGE INTO none USING a ON a.k = none.k AND none.s = (SELECT max(name) FROM ref) WHEN NOT MATCHED THEN INSERT VALUES (a.k, a.n, a.s)",
        // Into a reference table.
        "MERGE INTO ref r USING (VALUES (1, 'one'), (77, 'new')) AS v(n, name) ON v.n = r.n WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (n, name) VALUES (v.n, v.name)",
        "MERGE INTO ref r USING ref q ON q.n = r.n + 1 WHEN MATCHED AND q.n > 2 THEN DELETE WHEN MATCHED THEN UPDATE SET name = q.name", "MERGE INTO ref USING generate_series(1, 50) g ON g = n WHEN NOT MATCHED THEN INSERT VALUES (g, 'g' || g)",
        "MERGE INTO ref r USING (VALUES (1, 'a'), (1, 'b')) AS v(n, name) ON v.n = r.n WHEN MATCHED THEN UPDATE SET name = v.name",
        // Errors: a row that is met twice, one that is there.
        "MERGE INTO few f USING b ON b.k = f.k WHEN MATCHED THEN UPDATE SET v = 1", "MERGE INTO few f USING a ON a.k = f.k AND f.v = 5 WHEN NOT MATCHED THEN INSERT VALUES (a.k, a.n)",
    ]

    /// The rows go through the router.
    static let sent = [
        "INSERT INTO none SELECT k + 1000, n, s FROM a", "INSERT INTO none (s, k) SELECT s, 2000 + k FROM a WHERE n > 1 RETURNING k, s", "INSERT INTO none SELECT n, count(*), max(s) FROM a WHERE n IS NOT NULL GROUP BY n", "INSERT INTO none SELECT max(k) + 1, 7, 'x' FROM a",
        "INSERT INTO none SELECT k, n, s FROM a ORDER BY k LIMIT 20 RETURNING *", "INSERT INTO none SELECT n, 1, name FROM ref", "INSERT INTO none SELECT g, g * 2, 'g' || g FROM generate_series(1, 300) g", "INSERT INTO none SELECT 7, 8, 'lone'", "INSERT INTO none SELECT 7, NULL, '9'",
        "INSERT INTO none SELECT a.k * 100 + b.no, a.n, b.t FROM a JOIN b ON a.n = b.no WHERE a.k < 20", "INSERT INTO none SELECT row_number() OVER (ORDER BY k), k, s FROM a", "INSERT INTO none SELECT k, 1, 'u' FROM few UNION SELECT 50 + n, 2, 'v' FROM ref",
        "INSERT INTO few SELECT 3 * k - 2, no FROM b WHERE no = 1 ON CONFLICT DO NOTHING", "INSERT INTO few AS f SELECT 3 * k - 2, no FROM b WHERE no = 1 ON CONFLICT (k) DO UPDATE SET v = excluded.v - 5 WHERE f.v IS NULL RETURNING f.k, f.v",
        "INSERT INTO ref SELECT k + 100, s FROM a WHERE k <= 12", "INSERT INTO ref SELECT n, 'of a' FROM a WHERE n IS NOT NULL GROUP BY n ON CONFLICT (n) DO UPDATE SET name = excluded.name || ref.n RETURNING *", "INSERT INTO ref SELECT 70, string_agg(DISTINCT s, ',') FROM a RETURNING n, name",
        "INSERT INTO odd (k, i2, f, x, b, tz, o, l, iv, u) SELECT k + 500, i2, f, x, b, tz, o, l, iv, u FROM odd", "INSERT INTO odd (k, c, ts, ti, j) SELECT k + 600, c, ts, ti, j FROM odd", "INSERT INTO plain SELECT k + 50, s, p, v FROM plain", "INSERT INTO odd (k, ts, i2) SELECT 700 + k, '2020-02-03 04:05', '12' FROM few",
        // Of no table.
        "INSERT INTO none (k, v, s) SELECT * FROM UNNEST('{901,57,902,1,903}'::bigint[], '{1,NULL,3,4,5}'::int[], ARRAY['a', 'b', NULL, 'd', 'e']) RETURNING *", "INSERT INTO few (k, v) SELECT * FROM unnest('{1,2,3,904}'::bigint[], '{9,8}'::int[]) ON CONFLICT (k) DO UPDATE SET v = excluded.v RETURNING k, v",
        "INSERT INTO none SELECT p0::bigint, p1::int, p2::text FROM (VALUES ('905', '1', 'x', 0), ('906', NULL, 'y', 1), ('907', '3', NULL, 2)) AS q(p0, p1, p2, n) ORDER BY n DESC RETURNING k", "INSERT INTO none VALUES (900 + 8, length('abc'), 'x' || 'y') RETURNING k, v, s", "INSERT INTO few VALUES (abs(-1), 7) ON CONFLICT (k) DO UPDATE SET v = excluded.v + 1 RETURNING *",
        "INSERT INTO none (s, k) VALUES ('12', (SELECT max(k) + 1 FROM a))", "INSERT INTO none (k, v) VALUES ((SELECT sum(v) FROM few)::bigint, (SELECT count(*) FROM ref))", "INSERT INTO odd (k, ts, i2, l, iv, b) VALUES (900 + 9, '2020-02-03', '12', '{a,b}', '1 day', '\\x00ff')", "INSERT INTO none SELECT generate_series(910, 930), 1, 's'",
        "INSERT INTO none VALUES (1 + 900, 'x', 'y')", "INSERT INTO none VALUES (count(*), 1, 'y')", "INSERT INTO none VALUES (1 + 1, 1, 'y', 4)", "INSERT INTO few VALUES (1 + 0, 5)", "INSERT INTO none VALUES (2 / 0, 1, 's')",
        "INSERT INTO none (k, v) SELECT 1 + (SELECT max(k) FROM b), count(*) FROM a", "INSERT INTO none SELECT 900 + k FROM few WHERE false RETURNING k, v",
        // Errors: of the query, of a cast, of a row.
        "INSERT INTO none SELECT k + 1, 1 / (k - 57) FROM a", "INSERT INTO a SELECT k + 1, n, m, s FROM a", "INSERT INTO odd (k, i2) SELECT k + 800, 70000 + k FROM a WHERE k < 5", "INSERT INTO none SELECT k + 1, s FROM a", "INSERT INTO b (k, no, d) SELECT 300 + k, 1, 'no date' FROM few",
        "INSERT INTO plain SELECT k + 90, 'x', 'y', 'too long' FROM few", "INSERT INTO few AS f SELECT 1, 2 FROM ref ON CONFLICT (k) DO UPDATE SET v = 3", "INSERT INTO none SELECT n + 1, 2, 3, 4 FROM ref", "INSERT INTO none VALUES (1001, 1, 's'), (1002, 2), (1003, 3), (1004, 4, 't')", "INSERT INTO none (k, v) VALUES (1001, 1), (1002), (1003, DEFAULT)",
    ]

    /// VALUES whose keys are worked out first; `none.k` has a default, 10.
    static let worked = [
        "INSERT INTO none VALUES (1 + 1, 1, 'y'), (3, 4, 'z') RETURNING k, v, s", "INSERT INTO none (v, s) VALUES (1, 'a') RETURNING *", "INSERT INTO none DEFAULT VALUES RETURNING k", "INSERT INTO none VALUES (DEFAULT), (11)",
        "INSERT INTO none VALUES (DEFAULT, 5, 'x'), (10 * 2, 6, upper('y')), (7, DEFAULT, NULL), (abs(-8), 1 + 1, 'it''s') RETURNING *", "INSERT INTO none (s, k) VALUES ('b', length('abc')), ('c', 4 % 3) RETURNING s || k", "INSERT INTO none (v) VALUES (1), (2)",
        "INSERT INTO few AS f (k, v) VALUES (abs(-1), 7), (2 + 55, 8), (900, 9) ON CONFLICT (k) DO UPDATE SET v = excluded.v + 1 RETURNING *", "INSERT INTO few VALUES (1 + 0, 1), (2 + 0, 2), (3 + 0, 3), (4 + 0, 4) ON CONFLICT DO NOTHING RETURNING k",
        // Errors: of a key, of another value, of a row, of the statement.
        "INSERT INTO none VALUES (1 + 1, 1, 'y'), (1 / 0, 4, 'z')", "INSERT INTO none VALUES (1 + 1, 'x', 'y'), (3, 4, 'z')", "INSERT INTO none VALUES (1 + 1, 1), (3, 1 / 0)", "INSERT INTO few VALUES (0 + 1, 1), (500 + 1, 1)", "INSERT INTO none VALUES (9223372036854775807 + 1, 1), (2, 1)",
        "INSERT INTO plain VALUES (1 + 200, 'x', 'y', 'too long'), (3 + 200, 'x', 'y', 'z')", "INSERT INTO none (v) VALUES (nothing)", "INSERT INTO none (v) VALUES (1) RETURNING nothing", "INSERT INTO none (v) VALUES (1) ON CONFLICT (s) DO NOTHING",
    ]

    /// A row leaves its shard.
    static let moved =
        (1...8).map { "UPDATE few SET k = \(10 + $0) WHERE k = 1" } + (1...4).map { "UPDATE a SET k = \(1000 + $0), n = n + 1, s = 'moved' WHERE k = 57 RETURNING k, n, s, m" } + [
            "UPDATE b AS x SET k = 70, no = x.no + 5, t = NULL WHERE x.k = 3 AND x.no > 1 RETURNING x.*", "UPDATE b SET k = 71 WHERE k = 4 RETURNING k, no, t, d", "UPDATE b SET k = 72 WHERE k = 4 AND t IS NULL", "UPDATE a SET k = 2000 WHERE k = 3000",
            "UPDATE a SET k = 58 WHERE k = 57", "UPDATE a SET k = 61 WHERE k = 1 AND s = 'none'", "UPDATE odd SET k = 90, f = 0.1, x = x + 1, l = l || '{z}' WHERE k = 5", "UPDATE odd SET k = 91 WHERE k = 6 RETURNING *", "UPDATE odd SET k = 92, c = 'x', ts = '2020-01-02', j = '{}' WHERE k = 7", "UPDATE a SET k = 5 WHERE k = 5 RETURNING k",
            "UPDATE a SET k = 400, n = 1 / (n - n) WHERE k = 1", "UPDATE plain SET k = 80, p = 'abcde' WHERE k = 3", "UPDATE plain SET k = 81, v = 'ab  ' WHERE k = 3 RETURNING s, p, v",
            "UPDATE a SET k = 402, n = (SELECT max(n) FROM ref) WHERE k = 2 RETURNING n",
        ]

    static let refused: [(String, String)] = [
        ("UPDATE a SET k = k + 1", "PGM-KEY-UPDATE"), ("UPDATE a SET k = 500 WHERE n = 3", "PGM-KEY-UPDATE"), ("UPDATE a SET k = n WHERE k = 5", "PGM-KEY-UPDATE"), ("UPDATE a SET k = NULL WHERE k = 5", "PGM-KEY-UPDATE"), ("UPDATE a SET k = 401, nothing = 1 WHERE k = 1", "PGM-KEY-UPDATE"), ("UPDATE a SET k = 99999999999999999999 WHERE k = 1", "PGM-KEY-UPDATE"),
        ("UPDATE a SET (k, n) = (600, 1) WHERE k = 5", "PGM-KEY-UPDATE"), ("UPDATE a SET k = 600, n = DEFAULT WHERE k = 5", "PGM-KEY-UPDATE"), ("UPDATE a SET k = 600 FROM ref WHERE k = 5", "PGM-KEY-UPDATE"),
        ("INSERT INTO none SELECT n, 1, s FROM a", "PGM-KEY-NULL"), ("INSERT INTO none SELECT m, 1, s FROM a WHERE k = 2", "PGM-KEY-TYPE"), ("INSERT INTO none SELECT 1 + nextval('s'), 1, 'x'", "PGM-KEY-EXPRESSION"),
        ("INSERT INTO none VALUES (generate_series(1, 3), 1, 'y')", "PGM-KEY-EXPRESSION"), ("INSERT INTO none VALUES (1 + 1, 1, 'y'), ((SELECT 4), 4, 'z')", "PGM-KEY-EXPRESSION"),
    ]
}
