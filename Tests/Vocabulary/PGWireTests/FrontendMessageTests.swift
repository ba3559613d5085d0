import NIOCore
import PGWire
import Testing
import WireFuzzing

@Suite struct FrontendMessageTests {
    private func body(_ write: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var buffer = ByteBuffer()
        write(&buffer)
        return buffer
    }

    /// Every strict prefix of a body that is checked as a whole must be refused, never read beyond.
    private func expectEveryTruncationRefused(_ kind: UInt8, _ parse: (ByteBuffer) throws -> Void) throws {
        let frames = try CapturedSession.clientFrames().filter { $0.kind == kind }
        #expect(!frames.isEmpty)
        for frame in frames {
            try parse(frame.body)
            for count in 0..<frame.body.readableBytes {
                let part = frame.body.getSlice(at: frame.body.readerIndex, length: count)!
                #expect(throws: WireError.self) { try parse(part) }
            }
            var longer = frame.body
            longer.writeInteger(0 as UInt8)
            #expect(throws: WireError.self) { try parse(longer) }
        }
    }

    @Test func truncatedOrLongerMessagesOfLibpqAreRefusedAtEveryOffset() throws {
        try expectEveryTruncationRefused(FrontendKind.parse) { _ = try ParseMessage(body: $0) }
        try expectEveryTruncationRefused(FrontendKind.bind) { _ = try BindMessage(body: $0) }
        try expectEveryTruncationRefused(FrontendKind.describe) { _ = try DescribeMessage(body: $0) }
        try expectEveryTruncationRefused(FrontendKind.execute) { _ = try ExecuteMessage(body: $0) }
        try expectEveryTruncationRefused(FrontendKind.query) { _ = try QueryMessage(body: $0) }
    }

    @Test func libpqsParseIsUnderstoodAndWrittenAgainByteForByte() throws {
        let frame = try #require(try CapturedSession.clientFrames().first { $0.kind == FrontendKind.parse })
        let message = try ParseMessage(body: frame.body)
        #expect(message.query.utf8Text == "insert into t values ($1,$2,$3)")
        #expect(message.name.utf8Text == "_pg3_0")
        #expect(message.parameterTypes.array == [21, 0, 17])
        var again = ByteBuffer()
        again.writeParse(rewriting: message, name: "_pg3_0")
        again.moveReaderIndex(forwardBy: 5)
        #expect(again == frame.body)
        var other = ByteBuffer()
        other.writeParse(rewriting: message, name: "other name")
        other.moveReaderIndex(forwardBy: 5)
        let renamed = try ParseMessage(body: other)
        #expect(renamed.name.utf8Text == "other name")
        #expect(renamed.query == message.query)
        #expect(renamed.parameterTypes.array == message.parameterTypes.array)
    }

    @Test func libpqsBindIsUnderstood() throws {
        let frame = try #require(try CapturedSession.clientFrames().first { $0.kind == FrontendKind.bind })
        let message = try BindMessage(body: frame.body)
        #expect(message.portal.readableBytes == 0)
        #expect(message.statement.utf8Text == "_pg3_0")
        #expect(message.parameters.count == 3)
        #expect((0..<3).map(message.format(ofParameter:)) == [.binary, .text, .binary])
        #expect(message.parameter(at: 0) == ByteBuffer(integer: Int16(1)))
        #expect(message.parameter(at: 1) == ByteBuffer(string: "one"))
        #expect(message.parameter(at: 2) == ByteBuffer(bytes: [0, 255]))
    }

    @Test func aBindForAnotherStatementChangesItsNameAlone() throws {
        for frame in try CapturedSession.clientFrames() where frame.kind == FrontendKind.bind {
            let message = try BindMessage(body: frame.body)
            var written = ByteBuffer()
            written.writeBind(rewriting: message, statementName: "a longer name")
            let header = try #require(try FrameHeader.next(in: written, limit: 1000))
            #expect(header.totalLength == written.readableBytes)
            let again = try BindMessage(body: written.frameBody(header)!)
            #expect(again.statement.utf8Text == "a longer name")
            #expect(again.portal == message.portal)
            #expect(again.parameterFormats == message.parameterFormats)
            #expect(Array(again.parameters) == Array(message.parameters))
            #expect(again.resultFormats == message.resultFormats)
        }
    }

    @Test func aBindWithMoreParametersKeepsItsOwn() throws {
        for frame in try CapturedSession.clientFrames() where frame.kind == FrontendKind.bind {
            let message = try BindMessage(body: frame.body)
            var written = ByteBuffer()
            written.writeBind(appending: [(ByteBuffer(string: "more"), .text), (nil, .binary)], to: message)
            let header = try #require(try FrameHeader.next(in: written, limit: 1000))
            #expect(header.totalLength == written.readableBytes)
            let again = try BindMessage(body: written.frameBody(header)!)
            #expect(again.portal == message.portal && !again.hasNamedStatement && again.resultFormats == message.resultFormats)
            #expect(Array(again.parameters) == Array(message.parameters) + [ByteBuffer(string: "more"), nil])
            let count = message.parameterCount
            #expect((0..<count + 2).map(again.format(ofParameter:)) == (0..<count).map(message.format(ofParameter:)) + [.text, .binary])
        }
    }

    @Test func formatsForNoneOneOrAllParametersAreUnderstoodAndOthersRefused() throws {
        func bind(formats: [Int16], parameters: Int) -> ByteBuffer {
            body { buffer in
                buffer.writeBytes([0, 0])
                buffer.writeInteger(UInt16(formats.count))
                for format in formats { buffer.writeInteger(format) }
                buffer.writeInteger(UInt16(parameters))
                for _ in 0..<parameters { buffer.writeInteger(-1 as Int32) }
                buffer.writeInteger(0 as UInt16)
            }
        }
        #expect(try BindMessage(body: bind(formats: [], parameters: 2)).format(ofParameter: 1) == .text)
        #expect(try BindMessage(body: bind(formats: [1], parameters: 2)).format(ofParameter: 1) == .binary)
        #expect(try BindMessage(body: bind(formats: [1, 0], parameters: 2)).format(ofParameter: 1) == .text)
        #expect(throws: WireError(.invalidCount, kind: FrontendKind.bind)) { try BindMessage(body: bind(formats: [1, 0], parameters: 3)) }
        #expect(throws: WireError(.unsupportedFormat, kind: FrontendKind.bind)) { try BindMessage(body: bind(formats: [2], parameters: 1)) }
    }

    @Test(arguments: [Int32.min, -2, 5, .max]) func aParameterLengthThatLiesIsRefused(_ length: Int32) {
        let body = body { buffer in
            buffer.writeBytes([0, 0, 0, 0, 0, 1])
            buffer.writeInteger(length)
            buffer.writeBytes([0, 0, 0, 0])
        }
        #expect(throws: WireError.self) { try BindMessage(body: body) }
    }

    @Test func theMostParametersPossibleAreReadInAnyOrder() throws {
        let values: [ByteBuffer.BindValue] = (0..<65_535).map { ($0 % 7 == 0 ? nil : ByteBuffer(string: "\($0)"), .text) }
        let frame = body { $0.writeBind(portal: "", statement: "s", parameters: values) }
        let header = try #require(try FrameHeader.next(in: frame, limit: 1 << 24))
        let message = try BindMessage(body: frame.frameBody(header)!)
        #expect(message.parameters.count == 65_535)
        var cursor = message.parameters.makeCursor()
        for index in [65_534, 0, 7, 8, 8, 40_000, 39_999] { #expect(cursor.value(at: index) == values[index].value) }
    }

    @Test func closeAndDescribeNameAStatementOrAPortalAndNothingElse() throws {
        let close = body { buffer in
            buffer.writeClose(.portal, name: "p")
            buffer.moveReaderIndex(forwardBy: 5)
        }
        #expect(try CloseMessage(body: close).target == .portal)
        #expect(try CloseMessage(body: close).name.utf8Text == "p")
        #expect(throws: WireError(.invalidValue, kind: FrontendKind.describe)) { try DescribeMessage(body: ByteBuffer(string: "Xp\0")) }
    }

    @Test func aZeroByteInATextEndsItInsteadOfMovingWhatFollows() throws {
        let parse = body { buffer in
            buffer.writeParse(name: "a\0b", query: "SELECT 1\0DROP", parameterTypes: [7])
            buffer.moveReaderIndex(forwardBy: 5)
        }
        let message = try ParseMessage(body: parse)
        #expect(message.name.utf8Text == "a")
        #expect(message.query.utf8Text == "SELECT 1")
        #expect(message.parameterTypes.array == [7])
    }

    @Test func saslResponsesCarryTheirData() throws {
        let first = try #require(try CapturedSession.clientFrames().first { $0.kind == FrontendKind.password })
        let message = try SASLInitialResponse(body: first.body)
        #expect(message.mechanism == "SCRAM-SHA-256")
        #expect(message.data?.utf8Text?.hasPrefix("n,,n=,r=") == true)
        for length in [Int32.min, -2, .max] {
            var body = ByteBuffer(string: "SCRAM-SHA-256\0")
            body.writeInteger(length)
            #expect(throws: WireError.self) { try SASLInitialResponse(body: body) }
        }
    }
}
