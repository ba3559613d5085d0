import NIOCore
import PGWire
import Testing
import WireFuzzing

@Suite struct BackendMessageTests {
    private func frames(_ kind: UInt8) throws -> [Frame] { try CapturedSession.serverFrames().filter { $0.kind == kind } }

    /// Reads a body of this kind to its end.
    private func parse(_ kind: UInt8, _ body: ByteBuffer) throws {
        switch kind {
        case BackendKind.authentication: _ = try AuthenticationRequest(body: body)
        case BackendKind.parameterStatus: _ = try ParameterStatus(body: body)
        case BackendKind.backendKeyData: _ = try BackendKeyData(body: body)
        case BackendKind.readyForQuery: _ = try ReadyForQuery(body: body)
        case BackendKind.commandComplete: _ = try CommandTag(body: body)
        case BackendKind.rowDescription: _ = try RowDescription(body: body)
        case BackendKind.dataRow: _ = try DataRow(body: body)
        case BackendKind.errorResponse, BackendKind.noticeResponse: _ = try ServerError(body: body)
        case BackendKind.notificationResponse: _ = try NotificationResponse(body: body)
        case BackendKind.copyInResponse, BackendKind.copyOutResponse: _ = try CopyResponse(body: body)
        default: #expect(body.readableBytes == 0 || kind == BackendKind.copyData)
        }
    }

    @Test func everyMessageOfARealServerIsUnderstoodAndItsTruncationsAreRefused() throws {
        for frame in try CapturedSession.serverFrames() {
            try parse(frame.kind, frame.body)
            // A SASL message is its body, however long.
            if frame.kind == BackendKind.authentication, frame.body.getInteger(at: frame.body.readerIndex + 3, as: UInt8.self)! > 10 { continue }
            if frame.kind == BackendKind.copyData { continue }
            for count in 0..<frame.body.readableBytes {
                let part = frame.body.getSlice(at: frame.body.readerIndex, length: count)!
                #expect(throws: WireError.self, "kind \(frame.kind) cut at \(count)") { try parse(frame.kind, part) }
            }
        }
    }

    @Test func aRealServersErrorKeepsAllFields() throws {
        let body = try #require(try frames(BackendKind.errorResponse).first).body
        let error = try ServerError(body: body)
        #expect(error.sqlState == .uniqueViolation)
        #expect(error.severity == .error)
        #expect(error.table == "t")
        #expect(error.constraint == "t_pkey")
        #expect(error.detail == "Key (id)=(1) already exists.")
        #expect(error[.file] == "nbtinsert.c")
        #expect(error[.routine] == "_bt_check_unique")
        #expect(ServerError.sqlState(of: body) == .uniqueViolation)
        var again = ByteBuffer()
        again.writeErrorResponse(error)
        again.moveReaderIndex(forwardBy: 5)
        #expect(again == body)
    }

    @Test func aDescriptionOfAnErrorQuotesNoRow() throws {
        let error = try ServerError(body: try #require(try frames(BackendKind.errorResponse).first).body)
        #expect(error.description == "ERROR 23505 table t constraint t_pkey in _bt_check_unique")
    }

    @Test func unknownFieldsOfAnErrorSurvive() throws {
        let error = ServerError(fields: [.init(code: UInt8(ascii: "C"), value: "40001"), .init(code: UInt8(ascii: "~"), value: "new")])
        var frame = ByteBuffer()
        frame.writeErrorResponse(error)
        frame.moveReaderIndex(forwardBy: 5)
        #expect(try ServerError(body: frame) == error)
    }

    @Test func rowsOfARealServerHaveTheirValues() throws {
        let columns = try RowDescription(body: try #require(try frames(BackendKind.rowDescription).first).body).columns
        #expect(columns.map(\.name) == ["id", "name", "b"])
        #expect(columns.map(\.typeOID) == [20, 25, 17])
        #expect(columns.map(\.attributeNumber) == [1, 2, 3])
        let rows = try frames(BackendKind.dataRow).map { try DataRow(body: $0.body) }
        #expect(rows[0].columns.map { $0?.utf8Text } == ["1", "one", "\\x00ff"])
        #expect(rows[1].columns.map { $0?.utf8Text } == ["2", nil, nil])
        let binary = try #require(try frames(BackendKind.rowDescription).last)
        #expect(try RowDescription(body: binary.body).columns.map(\.format) == [.binary, .binary])
        #expect(rows[2].columns[0] == ByteBuffer(integer: Int64(1)))
    }

    @Test func whatIsWrittenIsReadBack() throws {
        let columns = [
            RowDescription.Column(name: "a", typeOID: 23, tableOID: 9, attributeNumber: 2, typeSize: 4, typeModifier: 7, format: .binary)
        ]
        var stream = ByteBuffer()
        stream.writeRowDescription(columns)
        stream.writeDataRow([ByteBuffer(string: "x"), nil, ByteBuffer()])
        stream.writeDataRow(text: ["x", nil, ""])
        stream.writeParameterDescription([1, 2])
        stream.writeNegotiateProtocolVersion(.init(unrecognizedOptions: ["_pq_.a"]))
        stream.writeReadyForQuery(status: UInt8(ascii: "E"))
        stream.writeCopyOutResponse(CopyResponse(format: .binary, columnFormats: [.binary]))
        func next() throws -> ByteBuffer { try #require(try stream.readFrame(limit: 1000)).body }
        #expect(try RowDescription(body: next()).columns == columns)
        let row = try next()
        #expect(try Array(DataRow(body: row).columns) == [ByteBuffer(string: "x"), nil, ByteBuffer()])
        #expect(try next() == row)
        #expect(try ParameterDescription(body: next()).types.array == [1, 2])
        #expect(try NegotiateProtocolVersion(body: next()).unrecognizedOptions == ["_pq_.a"])
        #expect(try ReadyForQuery(body: next()).status == UInt8(ascii: "E"))
        #expect(try CopyResponse(body: next()).format == .binary)
        #expect(stream.readableBytes == 0)
    }

    @Test func commandTagsSayWhatAndHowMany() {
        let tags: [(String, String, Int?)] = [
            ("INSERT 0 5", "INSERT", 5), ("SELECT 12", "SELECT", 12), ("CREATE TABLE", "CREATE TABLE", nil), ("BEGIN", "BEGIN", nil),
            ("COPY 3", "COPY", 3), ("REFRESH MATERIALIZED VIEW", "REFRESH MATERIALIZED VIEW", nil), ("", "", nil),
        ]
        for (text, verb, rows) in tags {
            #expect(CommandTag(text: text).verb == verb)
            #expect(CommandTag(text: text).rows == rows)
        }
    }

    @Test func countsThatExceedTheirMessageAreRefusedBeforeAnythingIsReserved() {
        for kind in [BackendKind.rowDescription, BackendKind.dataRow, BackendKind.parameterStatus] {
            var body = ByteBuffer()
            body.writeInteger(UInt16.max)
            #expect(throws: WireError.self) { try parse(kind, body) }
        }
        var options = ByteBuffer()
        options.writeMultipleIntegers(0 as Int32, Int32.max)
        #expect(throws: WireError(.invalidCount, kind: BackendKind.negotiateProtocolVersion)) { try NegotiateProtocolVersion(body: options) }
    }

    @Test func onlyTheThreeTransactionStatesAreReady() {
        #expect(throws: WireError(.invalidValue, kind: BackendKind.readyForQuery)) { try ReadyForQuery(body: ByteBuffer(string: "X")) }
    }

    @Test func sqlStatesAreFiveDigitsOrCapitals() {
        #expect(SQLState(code: "23505") == .uniqueViolation)
        #expect(SQLState(code: "0A000")?.classCode == "0A")
        for wrong in ["", "2350", "235055", "23a05", "2350é", "23 05"] { #expect(SQLState(code: wrong) == nil) }
    }
}
