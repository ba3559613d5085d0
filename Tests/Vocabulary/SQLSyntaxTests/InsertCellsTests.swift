import SQLSyntax
import Testing

@Suite struct InsertCellsTests {
    private func cells(_ text: String, _ rows: Int, _ hasColumns: Bool) -> InsertCells? { InsertCells(Array(text.utf8), rows: rows, hasColumns: hasColumns) }

    private func made(_ text: String, _ rows: Int, _ hasColumns: Bool, _ keys: [(Int, String)], at place: Int?, names: [String]? = nil, overrides: Bool = false) throws -> String {
        let values = keys.map { InsertCells.Value(row: $0.0, text: Array($0.1.utf8)) }
        return String(decoding: try #require(cells(text, rows, hasColumns)).statement(values, at: place, names: names, overridesIdentity: overrides), as: UTF8.self)
    }

    @Test(arguments: [
        ("INSERT INTO t (a, k) VALUES (1, f(2, '),')), (2, DEFAULT) RETURNING k;", 2, true, 1, "INSERT INTO t (a, k) VALUES (1,X0), (2,X1) RETURNING k;"),
        ("insert into t values(ARRAY[1, 2], (SELECT 3, 4)), ($$,$$, 5)", 2, false, 0, "insert into t values(X0, (SELECT 3, 4)), (X1, 5)"),
        ("INSERT INTO \"values\" (k) VALUES (g() -- ),\n), (E'\\'),')", 2, true, 0, "INSERT INTO \"values\" (k) VALUES (X0), (X1)"),
        ("INSERT INTO values VALUES (1, 2)", 1, false, 1, "INSERT INTO values VALUES (1,X0)"),
    ])
    func aValueIsReplacedAndNothingElseChanges(_ text: String, _ rows: Int, _ hasColumns: Bool, _ place: Int, _ expected: String) throws {
        #expect(try made(text, rows, hasColumns, (0..<rows).map { ($0, "X\($0)") }, at: place) == expected)
    }

    @Test func aColumnIsAdded() throws {
        #expect(try made("INSERT INTO t (a) VALUES (1), (2 -- )\n) RETURNING a", 2, true, [(0, "X"), (1, "Y")], at: nil, names: ["k"]) == "INSERT INTO t (a, \"k\") VALUES (1, X), (2 -- )\n, Y) RETURNING a")
        #expect(try made("INSERT INTO s.t AS x VALUES (1)", 1, false, [(0, "X")], at: nil, names: ["a", "K"]) == "INSERT INTO s.t AS x  (\"a\", \"K\") VALUES (1, X)")
        #expect(try made("INSERT INTO t DEFAULT VALUES RETURNING k", 0, false, [(0, "X")], at: nil, names: ["k"]) == "INSERT INTO t  (\"k\") VALUES (X) RETURNING k")
        #expect(try made("INSERT INTO default_values DEFAULT\nVALUES", 0, false, [(0, "X")], at: nil, names: ["k"], overrides: true) == "INSERT INTO default_values  (\"k\")  OVERRIDING SYSTEM VALUE VALUES (X)")
        #expect(try made("INSERT INTO t overriding system value VALUES (1)", 1, false, [(0, "X")], at: nil, names: ["a", "k"]) == "INSERT INTO t  (\"a\", \"k\") overriding system value VALUES (1, X)")
        #expect(try made("INSERT INTO t (k) VALUES (DEFAULT)", 1, true, [(0, "X")], at: 0, overrides: true) == "INSERT INTO t (k)  OVERRIDING SYSTEM VALUE VALUES (X)")
    }

    @Test func aValuesParametersAreNumberedAnew() throws {
        let found = try #require(cells("INSERT INTO t VALUES ($1, f($12, '$3', $2)), ($4, 1)", 2, false))
        #expect(found.parameterMax == 12 && found.parameters(row: 0, place: 1) == [12, 2] && found.parameters(row: 1, place: 1) == [])
        #expect(String(decoding: found.text(row: 0, place: 1) { $0 + 100 }, as: UTF8.self) == " f($112, '$3', $102)")
    }

    @Test(arguments: [
        // Another number of rows or no column list, a place that could be two, text that does not end.
        ("INSERT INTO t VALUES (1), (2)", 3, false), ("INSERT INTO t (a) VALUES (1)", 1, false), ("INSERT INTO t VALUES (1)", 1, true), ("INSERT INTO values (a) VALUES (1)", 1, true),
        ("INSERT INTO t VALUES (1), ('", 2, false), ("INSERT INTO t SELECT 1", 1, false), ("INSERT INTO t VALUES (1)", 0, false), ("", 0, false),
    ])
    func whatIsNotCertainIsNotCut(_ text: String, _ rows: Int, _ hasColumns: Bool) { #expect(cells(text, rows, hasColumns) == nil) }
}
