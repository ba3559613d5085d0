import NIOCore
import PGWire
import Testing

/// Messages with one parser each: what is written must be read back, and no other length of the same bytes may be.
@Suite struct TruncationTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let write: @Sendable (inout ByteBuffer) -> Void
        let parse: @Sendable (ByteBuffer) throws -> Void

        init(_ name: String, _ write: @escaping @Sendable (inout ByteBuffer) -> Void, _ parse: @escaping @Sendable (ByteBuffer) throws -> Void) {
            testDescription = name
            self.write = write
            self.parse = parse
        }

        var body: ByteBuffer {
            var buffer = ByteBuffer()
            write(&buffer)
            buffer.moveReaderIndex(forwardBy: FrameHeader.length)
            return buffer
        }
    }

    private static let column = RowDescription.Column(name: "größe", typeOID: 1700, tableOID: 7, attributeNumber: -1, typeSize: -1, typeModifier: 655_366)
    private static let values: [ByteBuffer.BindValue] = [(ByteBuffer(integer: Int64(7)), .binary), (nil, .text), (ByteBuffer(), .text)]

    static let samples: [Sample] = [
        Sample("Parse", { $0.writeParse(name: "s", query: "SELECT $1", parameterTypes: [20, 0]) }) {
            let message = try ParseMessage(body: $0)
            #expect(message.name.utf8Text == "s")
            #expect(message.query.utf8Text == "SELECT $1")
            #expect(message.parameterTypes.array == [20, 0])
        },
        Sample("Bind", { $0.writeBind(portal: "p", statement: "s", parameters: values, resultFormat: .binary) }) {
            let message = try BindMessage(body: $0)
            #expect(Array(message.parameters) == values.map(\.value))
            #expect((0..<3).map(message.format(ofParameter:)) == [.binary, .text, .text])
            #expect(message.resultFormats[5] == .binary)
        },
        Sample("Describe", { $0.writeDescribe(.portal, name: "p") }) {
            let message = try DescribeMessage(body: $0)
            #expect(message.target == .portal)
            #expect(message.name.utf8Text == "p")
        },
        Sample("Close", { $0.writeClose(.statement, name: "s") }) {
            let message = try CloseMessage(body: $0)
            #expect(message.target == .statement)
            #expect(message.name.utf8Text == "s")
        },
        Sample("Execute", { $0.writeExecute(portal: "p", rowsMax: -3) }) {
            let message = try ExecuteMessage(body: $0)
            #expect(message.portal.utf8Text == "p")
            #expect(message.rowsMax == -3)
        },
        Sample("Query", { $0.writeQuery("SELECT 'é'") }) { try #expect(QueryMessage(body: $0).query.utf8Text == "SELECT 'é'") },
        Sample("PasswordMessage", { $0.writePassword("secret") }) { try #expect(PasswordMessage(body: $0).password.utf8Text == "secret") },
        Sample("SASLInitialResponse", { $0.writeSASLInitialResponse(mechanism: "M", data: [1, 0, 2]) }) {
            let message = try SASLInitialResponse(body: $0)
            #expect(message.mechanism == "M")
            #expect(message.data == ByteBuffer(bytes: [1, 0, 2]))
        },
        Sample("SASLInitialResponse without data", { $0.writeSASLInitialResponse(mechanism: "M", data: nil) }) {
            try #expect(SASLInitialResponse(body: $0).data == nil)
        },
        Sample("CopyFail", { $0.writeCopyFail(reason: "no") }) { try #expect(CopyFail(body: $0).reason == "no") },
        Sample("AuthenticationOk", { $0.writeAuthentication(.ok) }) { try #expect(AuthenticationRequest(body: $0) == .ok) },
        Sample("AuthenticationCleartextPassword", { $0.writeAuthentication(.cleartextPassword) }) {
            try #expect(AuthenticationRequest(body: $0) == .cleartextPassword)
        },
        Sample("AuthenticationMD5Password", { $0.writeAuthentication(.md5Password(salt: [1, 2, 3, 4])) }) {
            try #expect(AuthenticationRequest(body: $0) == .md5Password(salt: [1, 2, 3, 4]))
        },
        Sample("AuthenticationSASL", { $0.writeAuthentication(.sasl(mechanisms: ["A", "B"])) }) {
            try #expect(AuthenticationRequest(body: $0) == .sasl(mechanisms: ["A", "B"]))
        },
        Sample("BackendKeyData", { $0.writeBackendKeyData(processID: 1, secret: .min) }) {
            let message = try BackendKeyData(body: $0)
            #expect(message.processID == 1)
            #expect(message.secret == .min)
        },
        Sample("ParameterStatus", { $0.writeParameterStatus(name: "n", value: "v") }) {
            let message = try ParameterStatus(body: $0)
            #expect(message.name == "n")
            #expect(message.value == "v")
        },
        Sample("ReadyForQuery", { $0.writeReadyForQuery(status: 0x54) }) { try #expect(ReadyForQuery(body: $0).status == 0x54) },
        Sample("CommandComplete", { $0.writeCommandComplete(tag: "COPY 3") }) { try #expect(CommandTag(body: $0).text == "COPY 3") },
        Sample("RowDescription", { $0.writeRowDescription([column, column]) }) {
            try #expect(RowDescription(body: $0).columns == [column, column])
        },
        Sample("DataRow", { $0.writeDataRow(values.map(\.value)) }) { try #expect(Array(DataRow(body: $0).columns) == values.map(\.value)) },
        Sample("ParameterDescription", { $0.writeParameterDescription([.max, 0]) }) {
            try #expect(ParameterDescription(body: $0).types.array == [.max, 0])
        },
        Sample("NotificationResponse", { $0.writeNotificationResponse(.init(processID: 9, channel: "c", payload: "p")) }) {
            try #expect(NotificationResponse(body: $0) == NotificationResponse(processID: 9, channel: "c", payload: "p"))
        },
        Sample("NegotiateProtocolVersion", { $0.writeNegotiateProtocolVersion(.init(minorVersion: 2, unrecognizedOptions: ["_pq_.a", "_pq_.b"])) }) {
            try #expect(NegotiateProtocolVersion(body: $0) == .init(minorVersion: 2, unrecognizedOptions: ["_pq_.a", "_pq_.b"]))
        },
        Sample("CopyInResponse", { $0.writeCopyInResponse(.init(format: .text, columnFormats: [.text, .binary])) }) {
            try #expect(CopyResponse(body: $0) == CopyResponse(format: .text, columnFormats: [.text, .binary]))
        },
        Sample("CopyOutResponse", { $0.writeCopyOutResponse(.init(format: .binary, columnFormats: [])) }) {
            try #expect(CopyResponse(body: $0) == CopyResponse(format: .binary, columnFormats: []))
        },
        Sample("ErrorResponse", { $0.writeErrorResponse(ServerErrorTests.complete) }) {
            try #expect(ServerError(body: $0) == ServerErrorTests.complete)
        },
        Sample("NoticeResponse", { $0.writeNoticeResponse(ServerErrorTests.complete) }) {
            try #expect(ServerError(body: $0, kind: BackendKind.noticeResponse) == ServerErrorTests.complete)
        },
    ]

    @Test(arguments: samples) func whatIsWrittenIsReadBackAtItsFullLengthOnly(_ sample: Sample) throws {
        let body = sample.body
        try sample.parse(body)
        for count in 0..<body.readableBytes {
            let part = body.getSlice(at: body.readerIndex, length: count)!
            #expect(throws: WireError.self, "cut at \(count)") { try sample.parse(part) }
        }
        var longer = body
        longer.writeInteger(1 as UInt8)
        #expect(throws: WireError.self, "one byte too many") { try sample.parse(longer) }
    }

    @Test(arguments: samples) func theFrameSaysTheLengthThatItHas(_ sample: Sample) throws {
        var buffer = ByteBuffer()
        sample.write(&buffer)
        #expect(try FrameHeader.next(in: buffer, limit: 1 << 16)?.totalLength == buffer.readableBytes)
    }

    /// No parser may reserve memory, loop or read on the word of a count.
    @Test(arguments: samples) func everyByteMayBeOfTheWorstValue(_ sample: Sample) {
        let bytes = Array(sample.body.readableBytesView)
        for place in bytes.indices {
            for hostile: [UInt8] in [[0xFF, 0xFF, 0xFF, 0xFF], [0x7F, 0xFF, 0xFF, 0xFF], [0x80, 0, 0, 0], [0, 0, 0, 0]] {
                var spoiled = bytes
                for offset in 0..<4 where place + offset < bytes.count { spoiled[place + offset] = hostile[offset] }
                let body = ByteBuffer(bytes: spoiled)
                // Which of them is still a message is not the point: each must end, with a value or with an error.
                _ = try? ParseMessage(body: body)
                _ = try? BindMessage(body: body)
                _ = try? DataRow(body: body)
                _ = try? RowDescription(body: body)
                _ = try? CopyResponse(body: body)
                _ = try? ParameterDescription(body: body)
                _ = try? NegotiateProtocolVersion(body: body)
                _ = try? AuthenticationRequest(body: body)
                _ = try? SASLInitialResponse(body: body)
                _ = try? ServerError(body: body)
            }
        }
    }

    @Test func aServersVersionIsReadInBothForms() throws {
        // PostgreSQL sends 3.0 as 196608; the documentation's words would make it 0.
        for word in [Int32(3 << 16), 0] {
            var body = ByteBuffer()
            body.writeMultipleIntegers(word, 0 as Int32)
            #expect(try NegotiateProtocolVersion(body: body).minorVersion == 0)
        }
        var frame = ByteBuffer()
        frame.writeNegotiateProtocolVersion(.init(unrecognizedOptions: []))
        #expect(frame.getInteger(at: 5, as: Int32.self) == 196_608)
    }
}
