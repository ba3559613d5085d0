import ControlAPI
import Testing

@testable import pgmosaic

@Suite struct OutputTests {
    @Test func columnsAreAlignedByWhatATerminalShows() {
        var table = TextTable(["NAME", "N"], right: [1])
        table.add(["日本", "1"])
        table.add(["Türkiye", "1000"])
        #expect(table.text == "NAME        N\n日本        1\nTürkiye  1000")
    }

    @Test func valuesCannotDriveTheTerminal() {
        #expect(TextTable.printable("a\u{1B}[2J\n\u{9B}\u{202E}b\t") == "a\\x1b[2J\\n\\x9b\\x202eb\\t")
    }

    @Test func jsonIsIndentedAndExact() {
        let value: JSONValue = ["a": [1, 2], "b": [["n": .number("18446744073709551615")]], "c": [], "d": .object([])]
        let expected = """
            {
              "a": [1,2],
              "b": [
                {
                  "n": 18446744073709551615
                }
              ],
              "c": [],
              "d": {}
            }
            """
        #expect(JSONText(value).indented == expected)
    }

    @Test func parametersAreJSONWhereTheyAreJSON() {
        #expect(StatementInput.value("42") == .integer(42) && StatementInput.value("\"42\"") == "42" && StatementInput.value("ada") == "ada")
        #expect(StatementInput.value("null") == .null && StatementInput.value("true") == true && StatementInput.value("") == "")
        #expect(StatementInput.value("1.50") == .number("1.50") && StatementInput.value("2013-01-01") == "2013-01-01")
    }

    @Test func rowsAreShownWithNullsToldFromEmptyTexts() {
        let answer: JSONValue = [
            "shard_id": "s1", "columns": [["name": "id", "type": "int8"], ["name": "note", "type": "text"]], "rows": [[7, nil], [1000, ""]],
            "affected_rows": 2, "latency_ms": .number("1.500"),
        ]
        #expect(QueryCommand.text(answer) == "  id  note\n   7  NULL\n1000\n(2 rows, s1, 1.500 ms)")
        let change: JSONValue = ["shard_id": nil, "columns": [], "rows": [], "affected_rows": 1, "latency_ms": .number("0.250")]
        #expect(QueryCommand.text(change) == "1 row affected, 0.250 ms")
    }

    @Test func aRefusedStatementIsExplained() {
        let explanation: JSONValue = [
            "kind": "select", "route": "refused", "shards": [], "tables": ["public.orders"], "writes": false, "reason": "no key was found",
            "refusal": "PGM-NO-KEY", "hint": "name the key", "epoch": 4,
        ]
        #expect(RouteCommand.text(explanation).hasPrefix("goes to  nowhere: it is refused (PGM-NO-KEY)\nwhy      no key was found\nhint     name the key\n"))
    }

    @Test func theServersAddressComesFromTheOptionThenItsVariableThenTheCommonOne() {
        let environment = ["PGMOSAIC_URL": "http://a:1/", "PGMOSAIC_ROUTER_URL": "http://r:2"]
        #expect(ServerKind.router.url(option: "h:3", environment: environment) == "http://h:3")
        #expect(ServerKind.router.url(option: nil, environment: environment) == "http://r:2")
        #expect(ServerKind.manager.url(option: nil, environment: environment) == "http://a:1")
        #expect(ServerKind.manager.url(option: nil, environment: [:]) == "http://127.0.0.1:8081")
    }
}
