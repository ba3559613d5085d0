import SQLSyntax
import Testing

@Suite struct InsertRowsTests {
    private func part(_ text: String, _ count: Int, _ rows: [Int]) -> (text: String, parameters: [Int])? {
        InsertRows(Array(text.utf8), count: count).map { $0.statement(with: rows) }.map { (String(decoding: $0.text, as: UTF8.self), $0.parameters) }
    }

    @Test(arguments: [
        ("INSERT INTO t VALUES (1, 'a'), (2, 'b')", 2, [1], "INSERT INTO t VALUES (2, 'b')"),
        ("insert into t(values) values(1),(2),(3) returning values;", 3, [0, 2], "insert into t(values) values(1),(3) returning values;"),
        ("INSERT INTO t VALUES ('),(', (1)), ($$ ( $$, 2) -- , (3)", 2, [0], "INSERT INTO t VALUES ('),(', (1)) -- , (3)"),
        ("INSERT INTO \"values\" VALUES ((SELECT 1 FROM (VALUES (1), (2)) v), 1), (2, ARRAY[1, 2])", 2, [1], "INSERT INTO \"values\" VALUES (2, ARRAY[1, 2])"),
        ("INSERT INTO t /* VALUES (9), (9) */ VALUES (1), (E'\\'),('), (3) ON CONFLICT DO NOTHING", 3, [1], "INSERT INTO t /* VALUES (9), (9) */ VALUES (E'\\'),(') ON CONFLICT DO NOTHING"),
        ("INSERT INTO values VALUES (1), (2)", 2, [0], "INSERT INTO values VALUES (1)"),
    ])
    func theChosenRowsStayAndNothingElseChanges(_ text: String, _ count: Int, _ rows: [Int], _ expected: String) throws {
        #expect(try #require(part(text, count, rows)).text == expected)
    }

    @Test func parametersAreNumberedAnewInTheOrderInWhichTheyStand() throws {
        let text = "INSERT INTO t VALUES ($1, $2), ($10, '$1'), ($4, $3) ON CONFLICT (a) DO UPDATE SET b = $5 RETURNING $2"
        let (found, numbers) = try #require(part(text, 3, [1, 2]))
        #expect(found == "INSERT INTO t VALUES ($1, '$1'),($2, $3) ON CONFLICT (a) DO UPDATE SET b = $4 RETURNING $5")
        #expect(numbers == [10, 4, 3, 5, 2])
        let rows = try #require(InsertRows(Array(text.utf8), count: 3))
        #expect(rows.repeatsAParameter { _ in true } && !rows.repeatsAParameter { $0 != 2 })
    }

    @Test(arguments: [
        // Another number of rows than the parser found, a place that could be two, text that does not end.
        ("INSERT INTO t VALUES (1), (2)", 3), ("INSERT INTO values (a) VALUES (1)", 1), ("INSERT INTO t VALUES (1), ('", 2), ("INSERT INTO t VALUES (1), (2", 2),
        ("INSERT INTO t SELECT 1", 1), ("", 1),
    ])
    func whatIsNotCertainIsNotCut(_ text: String, _ count: Int) {
        #expect(InsertRows(Array(text.utf8), count: count) == nil)
    }
}
