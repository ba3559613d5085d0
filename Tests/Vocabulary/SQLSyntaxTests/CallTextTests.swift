import SQLSyntax
import Testing

@Suite struct CallTextTests {
    @Test(arguments: [
        ("avg(x) AS a", "avg", "avg(x)"), ("pg_catalog . avg ( (a + b) * 2 ), c", "pg_catalog . avg", "pg_catalog . avg ( (a + b) * 2 )"),
        ("Avg(x)FILTER(WHERE y > ')') FROM t", "Avg", "Avg(x)FILTER(WHERE y > ')')"), ("avg(x /* ) */) filter", "avg", "avg(x /* ) */)"),
        ("\"a b\".\"f\"(1)", "\"a b\".\"f\"", "\"a b\".\"f\"(1)"), ("count(*) filter (where (a)) + 1", "count", "count(*) filter (where (a))"),
        ("f($a$)$a$, 1) x", "f", "f($a$)$a$, 1)"),
    ])
    func itsNameAndItsEndAreFound(_ text: String, _ name: String, _ whole: String) throws {
        let bytes = Array("SELECT \(text)".utf8)
        let found = try #require(CallText(in: bytes, at: 7))
        #expect(String(decoding: bytes[found.name], as: UTF8.self) == name)
        #expect(String(decoding: bytes[found.whole], as: UTF8.self) == whole)
    }

    @Test(arguments: ["x", "a + f(x)", "AT TIME ZONE f(x)", "f(x", "(f(x))", "f (x) filter (", "a.b", "'x'(1)", "f('x", ""]) func anythingElseIsNone(_ text: String) {
        #expect(CallText(in: Array(text.utf8), at: 0) == nil)
    }
}
