import NIOCore
import PGWire
import Testing

@Suite struct ServerErrorTests {
    /// Each field that the protocol names, with a value of its own.
    static let complete: ServerError = {
        var error = ServerError(sqlState: .checkViolation, message: "m")
        for code in ServerError.FieldCode.allCases { error[code] = "\(code)" }
        error[.severityPlain] = "WARNING"
        error[.sqlState] = "23514"
        error[.position] = "12"
        return error
    }()

    @Test func everyFieldHasItsAccessor() {
        let error = Self.complete
        #expect(error.fields.count == 18)
        #expect(error.severity == .warning)
        #expect(error.sqlState == .checkViolation)
        #expect(error.position == 12)
        #expect([error.message, error.detail, error.hint] == ["message", "detail", "hint"])
        #expect([error.schema, error.table, error.column, error.constraint] == ["schema", "table", "column", "constraint"])
        #expect(error[.internalQuery] == "internalQuery")
    }

    @Test func fieldsAreReplacedRemovedAndAddedInTheirPlace() {
        var error = ServerError(sqlState: .syntaxError, message: "m", hint: "h")
        error[.severity] = "FATAL"
        error[.severityPlain] = "FATAL"
        #expect(error.isFatal)
        error[.hint] = nil
        error[.detail] = "d"
        #expect(error.fields.map(\.code) == [0x53, 0x56, 0x43, 0x4D, 0x44])
    }

    @Test func theUnlocalizedSeverityCounts() {
        var error = ServerError(sqlState: .adminShutdown, message: "m")
        error[.severity] = "SCHWERWIEGEND"
        error[.severityPlain] = "FATAL"
        #expect(error.isFatal)
        // Servers before 9.6 send the localized one alone; what cannot be read is an error that the session survives.
        error[.severityPlain] = nil
        #expect(error.severity == .error)
    }

    @Test func textThatIsNotUTF8IsRepairedAndNotRefused() throws {
        // Before the encoding is agreed on a server may answer in Latin 1.
        let body = ByteBuffer(bytes: Array("SFATAL\0C28000\0Mpass\u{FC}".unicodeScalars.map { UInt8($0.value) }) + [0, 0])
        #expect(try ServerError(body: body).message == "pass\u{FFFD}")
        #expect(ServerError.sqlState(of: body) == .invalidAuthorizationSpecification)
    }

    @Test func aMissingOrWrongStateIsAnInternalError() throws {
        #expect(try ServerError(body: ByteBuffer(string: "Mx\0\0")).sqlState == .internalError)
        #expect(try ServerError(body: ByteBuffer(string: "C4 00\0\0")).sqlState == .internalError)
        #expect(ServerError.sqlState(of: ByteBuffer(string: "Mx\0\0")) == nil)
        #expect(ServerError.sqlState(of: ByteBuffer(string: "C235")) == nil)
    }

    @Test func aZeroByteInAFieldDoesNotMoveTheOthers() throws {
        var frame = ByteBuffer()
        frame.writeErrorResponse(ServerError(sqlState: .syntaxError, message: "a\0C00000", hint: "h"))
        frame.moveReaderIndex(forwardBy: FrameHeader.length)
        let error = try ServerError(body: frame)
        #expect(error.message == "a")
        #expect(error.sqlState == .syntaxError)
        #expect(error.hint == "h")
    }

    @Test func aBrokenProtocolIsToldInPostgreSQLsWords() {
        for reason in WireError.Reason.allCases {
            let error = WireError(reason, kind: FrontendKind.bind)
            #expect(error.serverError.isFatal != error.isRecoverable)
            #expect(error.serverError.sqlState == error.sqlState)
            #expect(!error.message.isEmpty)
        }
        #expect(WireError(.truncated, kind: 0x42).description == "insufficient data left in message (kind 42)")
    }
}
