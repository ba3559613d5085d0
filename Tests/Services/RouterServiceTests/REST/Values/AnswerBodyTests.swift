import ControlAPI
import NIOCore
import PGTypes
import PGWire
import Testing

@testable import RouterService

@Suite struct AnswerBodyTests {
    @Test func theBodyIsWhatTheContractsTypeEncodes() throws {
        var rows = RowEncoder([.init(name: "id", typeOID: 20), .init(name: "tags", typeOID: 1009)], .objects)
        try rows.append(RowEncoderTests.row([ByteBuffer(string: "7"), nil]))
        let body = AnswerBody(shard: "s1", rows: rows, tag: CommandTag(text: "SELECT 1"), latency: .microseconds(1234))
        let answer = ExecuteAnswer(
            shardID: "s1", columns: [.init(name: "id", type: "int8"), .init(name: "tags", type: "text[]")],
            rows: [["id": 7, "tags": nil]], affectedRows: 0, latencyMilliseconds: 1.234)
        let bytes = body.encoded { BuiltInTypes.name(of: $0) ?? "?" }
        #expect(String(decoding: bytes, as: UTF8.self) == answer.json.text)
        #expect(try JSONParser.parse(bytes).members?.map(\.name) == ExecuteAnswer.fields)
    }

    @Test(arguments: [
        ("INSERT 0 3", 3), ("UPDATE 0", 0), ("DELETE 12", 12), ("MERGE 2", 2), ("SELECT 5", 0), ("CREATE TABLE", 0), ("FETCH 3", 0),
    ])
    func onlyWritesAffectRows(_ tag: String, _ expected: Int) {
        #expect(AnswerBody(tag: CommandTag(text: tag), latency: .zero).affectedRows == expected)
    }

    @Test func aStatementWithoutRowsHasEmptyListsAndWarningsAreShown() throws {
        let warning = ServerError(severity: .warning, sqlState: .ioError, message: "not recorded", detail: "secret row", hint: "do")
        let body = AnswerBody(tag: CommandTag(text: "CREATE TABLE"), notices: [warning], latency: .zero)
        let json = try JSONParser.parse(body.encoded { _ in "" })
        #expect(json["shard_id"] == .null)
        #expect(json["columns"] == [])
        #expect(json["rows"] == [])
        #expect(json["row_count"] == 0)
        #expect(json["notices"] == [["severity": "WARNING", "sqlstate": "58030", "message": "not recorded", "hint": "do"]])
    }

    @Test func theLastLineOfAStreamHasTheMembersOfTheContract() throws {
        let warning = ServerError(severity: .warning, sqlState: .ioError, message: "not recorded")
        let body = AnswerBody(shard: "s1", tag: CommandTag(text: "UPDATE 3"), notices: [warning], latency: .milliseconds(2))
        let line = body.lastLine()
        #expect(line.last == 0x0A)
        let json = try JSONParser.parse(Array(line.dropLast()))
        #expect(json.members?.map(\.name) == StreamLines.endFields + ["notices"])
        #expect(json["end_of_stream"] == "complete")
        #expect(json["tag"] == "UPDATE 3")
        #expect(json["affected_rows"] == 3)
        #expect(json["notices"]?.arrayValue?.count == 1)
    }

    @Test func builtInTypesHaveTheirNames() {
        #expect(BuiltInTypes.name(of: 16) == "bool")
        #expect(BuiltInTypes.name(of: 1007) == "int4[]")
        #expect(BuiltInTypes.name(of: 2950) == "uuid")
        #expect(BuiltInTypes.name(of: 5069) == "xid8")
        #expect(BuiltInTypes.name(of: 16_385) == nil)
    }
}
