import SQLSyntax
import Testing

/// INSERT … SELECT and UPDATE, cut into pieces of their text.
@Suite struct StatementPartsTests {
    private static func words(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self).trimmingCharacters }

    @Test(arguments: [
        ("INSERT INTO a SELECT 1", "INSERT INTO a", "SELECT 1", "", false, false),
        ("/* select */ insert into \"select\" as x (k, \"with\") overriding system value\n select k from b where s = 'returning' -- on conflict\n;", "/* select */ insert into \"select\" as x (k, \"with\") overriding system value", "select k from b where s = 'returning' -- on conflict", "", false, false),
        ("INSERT INTO a WITH w AS (SELECT 1) SELECT * FROM w ON CONFLICT (k) DO UPDATE SET v = 1 RETURNING k", "INSERT INTO a", "WITH w AS (SELECT 1) SELECT * FROM w", "ON CONFLICT (k) DO UPDATE SET v = 1 RETURNING k", true, true),
        ("INSERT INTO a TABLE b RETURNING *", "INSERT INTO a", "TABLE b", "RETURNING *", false, true),
        ("INSERT INTO a SELECT b.k FROM b JOIN c ON conflict AND true ON CONFLICT DO NOTHING", "INSERT INTO a", "SELECT b.k FROM b JOIN c ON conflict AND true", "ON CONFLICT DO NOTHING", true, false),
        ("INSERT INTO a SELECT b.k FROM b JOIN c ON conflict", "INSERT INTO a", "SELECT b.k FROM b JOIN c ON conflict", "", false, false),
        ("INSERT INTO a SELECT (SELECT 1 FROM x), $$ returning $$ UNION SELECT 2 ORDER BY 1", "INSERT INTO a", "SELECT (SELECT 1 FROM x), $$ returning $$ UNION SELECT 2 ORDER BY 1", "", false, false),
    ])
    func anInsertIsCutAtItsQuery(_ text: String, _ head: String, _ query: String, _ tail: String, _ hasConflict: Bool, _ hasReturning: Bool) throws {
        let parts = try #require(InsertParts(Array(text.utf8), hasConflict: hasConflict, hasReturning: hasReturning))
        #expect(Self.words(parts.head) == head && Self.words(parts.query) == query && Self.words(parts.tail) == tail)
        #expect(parts.head + parts.query + parts.tail == Array(text.utf8.prefix { $0 != 0x3b }))
    }

    @Test func whatTheTreeSaysOtherwiseIsNotCut() {
        for (text, hasConflict, hasReturning) in [("INSERT INTO a SELECT 1", true, false), ("INSERT INTO a SELECT 1", false, true), ("INSERT INTO a SELECT 1 RETURNING k", false, false), ("INSERT INTO a (SELECT 1)", false, false), ("INSERT INTO a SELECT 'x", false, false)] {
            #expect(InsertParts(Array(text.utf8), hasConflict: hasConflict, hasReturning: hasReturning) == nil, "\(text)")
        }
    }

    @Test func rowsTakeThePlaceOfTheQuery() throws {
        let parts = try #require(InsertParts(Array("INSERT INTO a SELECT 1, 2 RETURNING k".utf8), hasConflict: false, hasReturning: true))
        #expect(Self.words(parts.statement(rows: 2, width: 2)) == "INSERT INTO a VALUES ($1,$2), ($3,$4) RETURNING k")
    }

    @Test(arguments: [
        ("UPDATE a SET k = 5 WHERE k = 3", "a", ["5"], "WHERE k = 3", ""),
        ("update only a.b AS x\nset k=-5, n = f(1, 2) + 1, s='where' returning x.*;", "only a.b AS x", ["-5", "f(1, 2) + 1", "'where'"], "", "returning x.*"),
        ("UPDATE \"set\" SET \"where\" = CASE WHEN a = b THEN c <= 1 END , k = $1 WHERE a = (SELECT 1 WHERE true) AND b IS DISTINCT FROM c RETURNING 1", "\"set\"", ["CASE WHEN a = b THEN c <= 1 END", "$1"], "WHERE a = (SELECT 1 WHERE true) AND b IS DISTINCT FROM c", "RETURNING 1"),
    ])
    func anUpdateIsCutAtItsValues(_ text: String, _ target: String, _ values: [String], _ condition: String, _ returning: String) throws {
        let parts = try #require(UpdateParts(Array(text.utf8), count: values.count, hasReturning: !returning.isEmpty))
        #expect(Self.words(parts.target) == target && parts.values.map(Self.words) == values && Self.words(parts.condition) == condition && Self.words(parts.returning) == returning)
        #expect(UpdateParts(Array(text.utf8), count: values.count + 1, hasReturning: !returning.isEmpty) == nil)
    }
}

extension String {
    fileprivate var trimmingCharacters: String {
        let inside = drop { $0.isWhitespace }
        return String(inside.reversed().drop { $0.isWhitespace }.reversed())
    }
}
