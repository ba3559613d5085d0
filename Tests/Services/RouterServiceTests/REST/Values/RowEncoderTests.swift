import ControlAPI
import NIOCore
import PGWire
import Testing

@testable import RouterService

@Suite struct RowEncoderTests {
    typealias Column = RowDescription.Column

    static func row(_ values: [ByteBuffer?]) throws -> DataRow {
        var buffer = ByteBuffer()
        buffer.writeDataRow(values)
        return try DataRow(body: try #require(try buffer.readFrame(limit: .max)).body)
    }

    private func encode(_ text: String?, oid: UInt32) throws -> String {
        var encoder = RowEncoder([Column(name: "v", typeOID: oid)], .arrays)
        try encoder.append(Self.row([text.map { ByteBuffer(string: $0) }]))
        return String(decoding: encoder.bytes, as: UTF8.self)
    }

    @Test(arguments: [
        (20, "9223372036854775807", "[9223372036854775807]"), (20, "-9223372036854775808", "[-9223372036854775808]"), (21, "-7", "[-7]"),
        (23, "42", "[42]"), (26, "4294967295", "[4294967295]"), (16, "t", "[true]"), (16, "f", "[false]"),
        (700, "1e+20", "[1e+20]"), (701, "0.1", "[0.1]"), (701, "-0", "[-0]"), (701, "NaN", #"["NaN"]"#),
        (701, "Infinity", #"["Infinity"]"#), (701, "-Infinity", #"["-Infinity"]"#), (1700, "1.50", #"["1.50"]"#), (1700, "NaN", #"["NaN"]"#),
        (114, #"{"a": [1,  2]}"#, #"[{"a": [1,  2]}]"#), (3802, "null", "[null]"), (25, "a\"b\\c\nd", #"["a\"b\\c\nd"]"#),
        (1184, "2013-01-01 05:00:00+00", #"["2013-01-01 05:00:00+00"]"#), (17, "\\x00ff", #"["\\x00ff"]"#), (1007, "{1,2}", #"["{1,2}"]"#),
    ] as [(UInt32, String, String)])
    func everyTypeHasItsJSON(_ oid: UInt32, _ text: String, _ expected: String) throws {
        #expect(try encode(text, oid: oid) == expected)
    }

    @Test(arguments: [16, 20, 701, 1700, 114, 25] as [UInt32])
    func nullIsNullInEveryType(_ oid: UInt32) throws {
        #expect(try encode(nil, oid: oid) == "[null]")
    }

    @Test func rowsAreObjectsOrArraysAsAsked() throws {
        let columns = [Column(name: "id", typeOID: 20), Column(name: "na\"me", typeOID: 25)]
        var objects = RowEncoder(columns, .objects)
        var arrays = RowEncoder(columns, .arrays)
        for values in [["1", "a"], ["2", "b"]] {
            let row = try Self.row(values.map { ByteBuffer(string: $0) })
            try objects.append(row)
            try arrays.append(row)
        }
        #expect(String(decoding: objects.bytes, as: UTF8.self) == #"{"id":1,"na\"me":"a"},{"id":2,"na\"me":"b"}"#)
        #expect(String(decoding: arrays.bytes, as: UTF8.self) == #"[1,"a"],[2,"b"]"#)
        #expect(objects.rowCount == 2)
        #expect(objects.byteCount == objects.bytes.count)
    }

    @Test func columnsOfOneNameAreToldApartInObjectsAndLeftAloneInArrays() throws {
        let columns = ["id", "id", "id_2", "id", "other"].map { Column(name: $0, typeOID: 23) }
        #expect(RowEncoder(columns, .objects).names == ["id", "id_3", "id_2", "id_4", "other"])
        #expect(RowEncoder(columns, .arrays).names == ["id", "id", "id_2", "id", "other"])
    }

    @Test func aRowWithoutColumnsIsStillARow() throws {
        var encoder = RowEncoder([], .objects)
        try encoder.append(Self.row([]))
        #expect(String(decoding: encoder.bytes, as: UTF8.self) == "{}")
    }

    @Test(arguments: [25, 114] as [UInt32])
    func bytesThatAreNotUTF8AreAnErrorAndNeverRepaired(_ oid: UInt32) throws {
        var encoder = RowEncoder([Column(name: "v", typeOID: oid)], .arrays)
        let row = try Self.row([ByteBuffer(bytes: [0xFF, 0xFE])])
        #expect(throws: RowEncoder.Failure.notUTF8(column: "v")) { try encoder.append(row) }
    }

    @Test func aRowOfAnotherShapeIsRefused() throws {
        var encoder = RowEncoder([Column(name: "v", typeOID: 25)], .arrays)
        let row = try Self.row([nil, nil])
        #expect(throws: RowEncoder.Failure.shape) { try encoder.append(row) }
    }

    // MARK: Lines

    @Test func linesAreTakenOnceAndCountedAll() throws {
        var encoder = RowEncoder([Column(name: "v", typeOID: 25)], .arrays, .lines)
        try encoder.append(Self.row([ByteBuffer(string: "a\nb")]))
        try encoder.append(Self.row([nil]))
        #expect(String(decoding: encoder.takeLines(), as: UTF8.self) == "[\"a\\nb\"]\n[null]\n")
        #expect(encoder.takeLines() == [])
        #expect(encoder.byteCount == 0)
        try encoder.append(Self.row([ByteBuffer(string: "c")]))
        #expect(String(decoding: encoder.takeLines(), as: UTF8.self) == "[\"c\"]\n")
        #expect(encoder.rowCount == 3)
    }

    @Test(arguments: [RowEncoder.Layout.elements, .lines])
    func aRowThatCannotBeWrittenLeavesNothingBehind(_ layout: RowEncoder.Layout) throws {
        var encoder = RowEncoder([Column(name: "a", typeOID: 25), Column(name: "b", typeOID: 25)], .objects, layout)
        try encoder.append(Self.row([ByteBuffer(string: "x"), nil]))
        let before = encoder.bytes
        #expect(throws: RowEncoder.Failure.notUTF8(column: "b")) { try encoder.append(Self.row([ByteBuffer(string: "y"), ByteBuffer(bytes: [0xFF])])) }
        #expect(encoder.bytes == before)
        #expect(encoder.rowCount == 1)
    }

    @Test func jsonIsOnOneLineWhereRowsAreLines() throws {
        var encoder = RowEncoder([Column(name: "v", typeOID: 114)], .arrays, .lines)
        try encoder.append(Self.row([ByteBuffer(string: "{\r\n\"a\":\n1}")]))
        #expect(String(decoding: encoder.takeLines(), as: UTF8.self) == "[{  \"a\": 1}]\n")
    }

    @Test func noColumnIsCalledLikeTheMarkOfTheLastLine() {
        func names(_ format: ExecuteRequest.Options.RowFormat, _ layout: RowEncoder.Layout) -> [String] {
            RowEncoder([Column(name: StreamLines.endMember, typeOID: 25), Column(name: StreamLines.endMember + "_2", typeOID: 25)], format, layout).names
        }
        #expect(names(.objects, .lines) == ["end_of_stream_3", "end_of_stream_2"])
        #expect(names(.objects, .elements) == ["end_of_stream", "end_of_stream_2"])
        #expect(names(.arrays, .lines) == ["end_of_stream", "end_of_stream_2"])
    }
}
