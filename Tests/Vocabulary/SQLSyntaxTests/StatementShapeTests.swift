import SQLSyntax
import Testing

@Suite struct StatementShapeTests {
    /// The shape with its placeholders made visible: i integer, l long integer, d decimal, s string; nil where the text is not shapeable.
    static func shape(_ sql: String) -> String? {
        var buffer = ShapeBuffer()
        guard StatementShape.scan(Array(sql.utf8).span.bytes, into: &buffer) else { return nil }
        return String(decoding: buffer.bytes.map { $0 < 5 && $0 > 0 ? Array("?ilds".utf8)[Int($0)] : $0 }, as: UTF8.self)
    }

    static func values(_ sql: String) -> [String] {
        let bytes = Array(sql.utf8)
        var buffer = ShapeBuffer()
        guard StatementShape.scan(bytes.span.bytes, into: &buffer) else { return [] }
        return buffer.literals.map { String(decoding: $0.value(in: bytes.span.bytes), as: UTF8.self) }
    }

    @Test(arguments: [
        ("SELECT 1", "SELECT i"), ("SELECT 1, 'a', 2.5", "SELECT i, s, d"), ("SELECT 'it''s'", "SELECT s"), ("SELECT ''", "SELECT s"),
        ("SELECT 123456789012345678", "SELECT i"), ("SELECT 1234567890123456789", "SELECT l"), ("SELECT 1e5, .5, 5., 1.5E-3", "SELECT d, d, d, d"),
        ("SELECT -1", "SELECT -i"), ("SELECT a -1", "SELECT a -i"), ("SELECT a-1", "SELECT a-i"), ("SELECT x1, $1, t2.c3", "SELECT x1, $1, t2.c3"),
        ("SELECT \"1\", \"a'b\"", "SELECT \"1\", \"a'b\""), ("SELECT a  FROM\tt", "SELECT a  FROM\tt"), ("SELECT a[1:2]", "SELECT a[i:i]"),
        ("SELECT 1..2", "SELECT i.d"), ("SELECT é1 = 1", "SELECT é1 = i"), ("LIMIT 1", "LIMIT i"), ("SELECT interval '1 day'", "SELECT interval s"),
        ("SELECT x::varchar(3)", "SELECT x::varchar(i)"),
    ])
    func literalsAndNothingElseAreTakenOut(_ sql: String, _ expected: String) {
        #expect(Self.shape(sql) == expected)
    }

    @Test(arguments: [
        "SELECT 1 -- c", "SELECT /* c */ 1", "SELECT /* /* */ */ 1", "SELECT E'a'", "SELECT e'\\''", "SELECT U&'a'", "SELECT u&\"a\"", "SELECT B'1'", "SELECT x'1f'",
        "SELECT N'a'", "SELECT $$a$$", "SELECT $q$a$q$", "SELECT 'a'\n'b'", "SELECT 'a' 'b'", "SELECT 'a", "SELECT \"a", "SELECT $$a", "SELECT 1a", "SELECT 1_0",
        "SELECT 0x1f", "SELECT 1e", "SELECT \u{1}", "SELECT \u{0}", "SELECT \\d",
    ])
    func whatTheScanIsNotSureOfHasNoShape(_ sql: String) {
        #expect(Self.shape(sql) == nil)
    }

    @Test func textsOfOneShapeDifferInLiteralsOnly() {
        let same: [(String, String)] = [
            ("SELECT * FROM t WHERE k = 1", "SELECT * FROM t WHERE k = 234"), ("SELECT 'a'", "SELECT 'it''s'"), ("SELECT 1.5", "SELECT 1e9"),
        ]
        for (a, b) in same { #expect(Self.shape(a) == Self.shape(b)) }
        let different: [(String, String)] = [
            ("SELECT 1", "SELECT '1'"), ("SELECT 1", "SELECT 1.0"), ("SELECT 1", "SELECT 12345678901234567890"), ("SELECT 1", "SELECT -1"), ("SELECT 1", "SELECT  1"),
            ("SELECT a", "SELECT A"), ("SELECT 1", "SELECT NULL"), ("SELECT 'a'", "SELECT \"a\""), ("SELECT 1, 2", "SELECT 1"), ("SELECT true", "SELECT false"),
            ("SELECT $1", "SELECT $2"),
        ]
        for (a, b) in different { #expect(Self.shape(a) != Self.shape(b), "\(a) | \(b)") }
    }

    @Test func literalsKeepTheirOrderAndValue() {
        #expect(Self.values("INSERT INTO t VALUES (1, 'a''b', -2.5, '', 00007)") == ["1", "a'b", "2.5", "", "00007"])
    }

    /// What the scanner takes for a literal the parser must, too, at the same place: or a cached plan would read another value.
    @Test func theScannerAgreesWithTheParserOnGeneratedTexts() throws {
        var state: UInt64 = 20_250_101
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        let pieces = [
            "1", "22", "'a'", "'b''c'", "''", "1.5", "1e3", "123456789012345678901", "a", "\"q\"", "f(1)", "a.b", "-1", "- 2", "(3)", "4::int", "x[5]", "'d'::text", "$1",
            "ARRAY[6]", "interval '7 d'", "9 .5", ".5", "5.", "a'8'", "1'1'",
        ]
        let operators = [" + ", "-", " = ", "||", " AND ", ",", " ", "<", ">=-", "*", "/"]
        var compared = 0
        for _ in 0..<4000 {
            var sql = "SELECT " + pieces[random(pieces.count)]
            for _ in 0..<random(5) { sql += operators[random(operators.count)] + pieces[random(pieces.count)] }
            let bytes = Array(sql.utf8)
            var buffer = ShapeBuffer()
            guard StatementShape.scan(bytes.span.bytes, into: &buffer), let parsed = try? ParsedSQL.parse(sql) else { continue }
            var strings: [String] = []
            for statement in parsed.statements { strings += constants(statement.node) }
            let scanned = buffer.literals.filter { $0.kind == .string || $0.kind == .quotedString }
                .map { String(decoding: $0.value(in: bytes.span.bytes), as: UTF8.self) }
            #expect(scanned.sorted() == strings.sorted(), "\(sql)")
            compared += 1
        }
        #expect(compared > 500)
    }
}
