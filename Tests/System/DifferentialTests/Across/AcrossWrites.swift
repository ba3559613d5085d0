import TestKit

/// UPDATE and DELETE without a key, over the tables of `AcrossStatements`.
enum AcrossWrites {
    static let all = [
        "UPDATE a SET n = coalesce(n, 0) + 1", "UPDATE a SET n = n + 1 WHERE m > 100 RETURNING k, n, m", "UPDATE a SET s = NULL, m = m * 2 WHERE n IS NULL RETURNING *", "UPDATE a SET n = 1 WHERE false",
        "DELETE FROM a", "DELETE FROM a WHERE n = 1", "DELETE FROM a WHERE k > 30 AND k <= 60 RETURNING a.*", "DELETE FROM b WHERE k = 3 OR no = 2 RETURNING k + no AS sum, t", "DELETE FROM none",
        "UPDATE b AS x SET t = upper(x.t), d = d + 1 WHERE x.t LIKE 't%' RETURNING x.k, x.no, x.t, x.d", "UPDATE odd SET f = NULL, o = NOT o, j = '{\"b\": 2}', x = x + 1 WHERE i2 = 1 RETURNING k, f, o, j, x, ts, b",
        "UPDATE a SET n = b.no FROM b WHERE b.k = a.k AND b.no = 3 RETURNING a.k, a.n, b.t", "UPDATE a SET n = (SELECT sum(no) FROM b WHERE b.k = a.k) WHERE k < 50", "UPDATE a SET (n, s) = (SELECT count(*), max(t) FROM b WHERE b.k = a.k) RETURNING *",
        "DELETE FROM a USING b WHERE b.k = a.k AND b.t IS NULL RETURNING a.k, b.no", "DELETE FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.k = a.k)", "DELETE FROM b WHERE k IN (SELECT k FROM few)", "DELETE FROM b x USING b y WHERE x.k = y.k AND x.no > y.no",
        "UPDATE a SET s = r.name FROM ref r WHERE r.n = a.n RETURNING a.k, a.s, r.n", "UPDATE a SET s = (SELECT name FROM ref WHERE ref.n = a.n), n = (SELECT max(n) FROM ref)", "DELETE FROM a WHERE n IN (SELECT n FROM ref WHERE name IS NOT NULL) RETURNING k",
        "WITH named AS (SELECT n FROM ref WHERE name IS NOT NULL) DELETE FROM a USING named WHERE named.n = a.n RETURNING a.k", "UPDATE plain SET s = upper(s), p = 'x' RETURNING s, p", "UPDATE a SET n = g FROM generate_series(1, 2) g WHERE g = a.k % 3 RETURNING k, n",
        "UPDATE a SET n = b.no FROM b WHERE b.k = a.k AND b.no = 1 AND a.k IN (1, 2, 3, 4, 5, 6, 7, 8) RETURNING a.k, a.n", "DELETE FROM a WHERE k IN (1, 2, 3, 4, 5, 6) AND n IN (SELECT n FROM ref)", "TRUNCATE a", "TRUNCATE a, b, few",
        "SELECT k, n FROM a WHERE n > 1 FOR UPDATE", "SELECT a.k, b.no FROM a JOIN b USING (k) FOR NO KEY UPDATE OF b", "SELECT * FROM few FOR SHARE SKIP LOCKED", "SELECT a.k, r.name FROM a JOIN ref r ON r.n = a.n FOR UPDATE OF a",
        "WITH d AS (DELETE FROM b WHERE no = 2 RETURNING k, no) UPDATE a SET n = d.no FROM d WHERE d.k = a.k RETURNING a.k, a.n", "WITH d AS (DELETE FROM b WHERE no > 1 RETURNING *) DELETE FROM a USING d WHERE d.k = a.k AND d.no = 2", "WITH d AS (DELETE FROM a WHERE n = 1 RETURNING *) SELECT * FROM d",
        "WITH d AS (DELETE FROM a WHERE k BETWEEN 30 AND 50 RETURNING k, n) INSERT INTO few SELECT k, n FROM d ON CONFLICT DO NOTHING RETURNING *",
        "WITH u AS (UPDATE a SET n = coalesce(n, 0) + 1 WHERE m > 50 RETURNING k, n) SELECT u.k, u.n, b.no FROM u JOIN b USING (k)", "WITH u AS (UPDATE a SET n = 7 RETURNING k) DELETE FROM b WHERE no = 1", "WITH d AS (DELETE FROM b RETURNING k, no), u AS (UPDATE few SET v = 0 RETURNING k) SELECT d.k, d.no FROM d JOIN u USING (k)",
        "WITH d AS (DELETE FROM b RETURNING k, no) INSERT INTO few SELECT k, sum(no) FROM d GROUP BY k ON CONFLICT (k) DO UPDATE SET v = excluded.v", "WITH n AS (INSERT INTO none SELECT k, n FROM a WHERE n > 2 RETURNING k, v) UPDATE a SET m = n.v FROM n WHERE n.k = a.k RETURNING a.k, a.m", "WITH d AS (DELETE FROM b WHERE 1 / (no - 3) > 0 RETURNING k) DELETE FROM a USING d WHERE d.k = a.k",
        "WITH d AS (DELETE FROM a WHERE k IN (1, 2, 3, 4, 5) RETURNING k, n) INSERT INTO none SELECT k, n FROM d RETURNING k", "WITH d AS (DELETE FROM a WHERE k = 5 RETURNING k, n) SELECT count(*), max(n) FROM d",
        // Errors of some rows, and of the statement.
        "UPDATE a SET n = 1 / (k - 57)", "UPDATE a SET m = m * 1000000000", "UPDATE b SET no = 1", "UPDATE few SET v = v + 1", "UPDATE a SET nothing = 1", "UPDATE a SET n = 'x'", "DELETE FROM a WHERE n", "UPDATE a SET s = repeat('x', 30) WHERE k = 7 OR k = 99",
        "DELETE FROM a RETURNING 1 / (k - 57)", "UPDATE a SET n = (SELECT no FROM b WHERE b.k = a.k)",
    ]

    static let refused: [(String, String)] = [
        ("UPDATE a SET n = (SELECT max(n) FROM a)", "PGM-NO-KEY"), ("DELETE FROM a USING b WHERE a.n = b.no", "PGM-NO-KEY"), ("UPDATE a SET k = k + 1", "PGM-KEY-UPDATE"), ("DELETE FROM a WHERE ctid = '(0,1)'", "PGM-NO-KEY"),
        ("UPDATE a SET n = (SELECT (random() * 9)::int)", "PGM-NO-KEY"), ("WITH d AS (DELETE FROM b RETURNING no) DELETE FROM a USING d WHERE d.no = a.n", "PGM-NO-KEY"), ("WITH d AS (DELETE FROM b RETURNING k) SELECT count(*) FROM d", "PGM-NO-KEY"), ("WITH d AS (DELETE FROM a RETURNING k, n) INSERT INTO few SELECT k + 0, n FROM d", "PGM-KEY-EXPRESSION"), ("WITH d AS (DELETE FROM b RETURNING k) UPDATE a SET n = (SELECT count(*) FROM d) FROM d WHERE d.k = a.k", "PGM-NO-KEY"),
        ("UPDATE a SET s = (SELECT name FROM ref LIMIT 1)", "PGM-NO-KEY"),
    ]

    /// Each row's fate is said by the row, those of its key, and reference tables.
    static func random(_ generator: inout SeededGenerator) -> String {
        func int(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
        func pick(_ list: [String]) -> String { list[int(list.count)] }
        let values = ["a.n + 1", "NULL", "length(a.s)", "(a.k % 5)::int", "coalesce(a.n, 7)", "(SELECT max(no) FROM b WHERE b.k = a.k)", "(SELECT count(*) FROM ref WHERE ref.n > a.n)", "CASE WHEN a.m > 50 THEN 1 END", "100 / (a.n - 1)"]
        let conditions = [
            "a.n > 1", "a.s IS NULL", "a.k < 60", "a.m BETWEEN 50 AND 300", "a.k % 3 = 1", "EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.t IS NULL)", "a.n IN (SELECT n FROM ref)", "a.k NOT IN (SELECT k FROM few WHERE few.k = a.k)",
            "a.k IN (1, 5, 9, 13, 17, 21, 25)", "a.s > 's0'",
        ]
        let condition = (0...int(2)).map { _ in pick(conditions) }.joined(separator: pick([" AND ", " OR "]))
        let returning = pick(["", " RETURNING a.k", " RETURNING a.*", " RETURNING a.k * 2 AS d, upper(a.s), a.m"])
        switch int(4) {
        case 0: return "DELETE FROM a WHERE \(condition)\(returning)"
        case 3 where int(2) == 0:
            let write = pick(["DELETE FROM b WHERE b.no = \(1 + int(3)) RETURNING k, no", "UPDATE b SET d = d + 1 WHERE b.no < \(1 + int(3)) RETURNING b.*", "INSERT INTO none SELECT k, n FROM a WHERE n > \(int(4)) RETURNING none.k, 3 AS no"])
            let main = pick([
                "DELETE FROM a USING w WHERE w.k = a.k AND (\(condition))\(returning)", "SELECT w.k, w.no FROM w", "SELECT w.no, a.* FROM w JOIN a USING (k) WHERE \(condition)",
                "INSERT INTO few SELECT k, max(no) FROM w GROUP BY k ON CONFLICT DO NOTHING RETURNING few.k, v",
            ])
            return "WITH w AS (\(write)) \(main)"
        case 1: return "UPDATE a SET n = b.no + 1 FROM b WHERE b.k = a.k AND b.no = \(1 + int(3)) AND (\(condition))\(returning)"
        default: return "UPDATE a SET n = \(pick(values)), m = \(pick(["a.m", "a.m + a.k", "NULL"])) WHERE \(condition)\(returning)"
        }
    }
}
