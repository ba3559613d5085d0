import ControlAPI
import NIOCore
import PGWire
import Testing

@testable import RouterService

/// The client's side of one statement, fed with what a session answers.
@Suite struct StatementExchangeTests {
    struct Session {
        var exchange: StatementExchange
        /// The kinds of the messages sent.
        var sent: [String] = []

        init(_ request: StatementRequest, writes: Bool, defersSync: Bool) {
            exchange = StatementExchange(request, writes: writes, defersSync: defersSync)
            note(exchange.open())
        }

        mutating func note(_ bytes: ByteBuffer) {
            var bytes = bytes
            while let frame = try? bytes.readFrame(limit: .max) { sent.append(String(Unicode.Scalar(frame.kind))) }
        }

        @discardableResult
        mutating func receive(_ write: (inout ByteBuffer) -> Void) throws -> ExchangeAction {
            var bytes = ByteBuffer()
            write(&bytes)
            var last = ExchangeAction.wait
            while let frame = try bytes.readFrame(limit: .max) {
                last = try exchange.received(frame.kind, frame.body)
                if case .send(let bytes) = last { note(bytes) }
            }
            return last
        }
    }

    static func describe(_ buffer: inout ByteBuffer) { buffer.writeRowDescription([.init(name: "v", typeOID: 23)]) }
    static func row(_ buffer: inout ByteBuffer) { buffer.writeDataRow(text: ["1"]) }
    static func ready(_ buffer: inout ByteBuffer) { buffer.writeReadyForQuery(status: 0x49) }
    private static func error(_ buffer: inout ByteBuffer) {
        buffer.writeErrorResponse(ServerError(sqlState: .uniqueViolation, message: "no"))
    }

    private func session(_ params: [JSONValue] = [], rowsMax: Int64? = nil, writes: Bool, defersSync: Bool) throws -> Session {
        Session(try StatementRequestTests.request("q", params, rowsMax: rowsMax), writes: writes, defersSync: defersSync)
    }

    @Test func aReadGoesOutAsOneBatchAndEndsWithItsReadyForQuery() throws {
        var session = try session([1], writes: false, defersSync: false)
        #expect(session.sent == ["P", "B", "D", "E", "S"])
        try session.receive { $0.writeParameterStatus(name: "pgmosaic.shard", value: "s2") }
        try session.receive(Self.describe)
        try session.receive(Self.row)
        #expect(try session.receive { $0.writeCommandComplete(tag: "SELECT 1") } == .wait)
        #expect(try session.receive(Self.ready) == .finished)
        #expect(session.exchange.failure == nil)
        #expect(session.exchange.shard == "s2")
        #expect(session.exchange.rows?.rowCount == 1)
        #expect(!session.exchange.mayHaveCommitted)
    }

    @Test func severalShardsAreNoShard() throws {
        var session = try session(writes: true, defersSync: false)
        for shard in ["s1", "s2"] { try session.receive { $0.writeParameterStatus(name: "pgmosaic.shard", value: shard) } }
        #expect(session.exchange.shard == nil)
    }

    @Test func aWriteThatReturnsRowsIsCommittedOnlyOnceTheyAreAllHere() throws {
        var session = try session(writes: true, defersSync: true)
        #expect(session.sent == ["P", "B", "D", "E", "H"])
        try session.receive(Self.describe)
        try session.receive(Self.row)
        #expect(!session.exchange.mayHaveCommitted)
        try session.receive { $0.writeCommandComplete(tag: "INSERT 0 1") }
        #expect(session.sent.last == "S")
        #expect(session.sent.count == 6)
        #expect(session.exchange.mayHaveCommitted)
        #expect(try session.receive(Self.ready) == .finished)
        #expect(session.exchange.failure == nil)
    }

    @Test func aRowBeyondEveryAnswerIsRefusedBeforeItArrives() throws {
        var session = try session(writes: false, defersSync: false)
        let most = try StatementRequestTests.request("q", []).limits.bytesMax
        try session.receive(Self.describe)
        #expect(session.exchange.passOver(rowOf: 100) == nil)
        #expect(session.exchange.passOver(rowOf: most) == nil)
        #expect(session.exchange.passOver(rowOf: 1 << 30) == .cancel)
        // What follows before the cancelling takes hold.
        #expect(session.exchange.passOver(rowOf: 100) == .wait)
        #expect(session.exchange.failure?.code == .resultTooLarge)
    }

    @Test func aWriteWhoseAnswerIsTooLargeIsUndone() throws {
        var session = try session(rowsMax: 1, writes: true, defersSync: true)
        try session.receive(Self.describe)
        #expect(try session.receive(Self.row) == .wait)
        #expect(try session.receive(Self.row) == .cancel)
        // The cancelling came too late: the statement is complete, and not committed.
        try session.receive { $0.writeCommandComplete(tag: "INSERT 0 2") }
        #expect(session.sent.suffix(2) == ["D", "S"])
        #expect(!session.exchange.mayHaveCommitted)
        try session.receive { $0.writeErrorResponse(ServerError(sqlState: .invalidCursorName, message: "portal does not exist")) }
        #expect(session.sent.count == 7)
        #expect(try session.receive(Self.ready) == .finished)
        #expect(session.exchange.failure?.code == .resultTooLarge)
        #expect(session.exchange.rows == nil)
    }

    @Test func aWriteThatWasCancelledInTimeIsSyncedOnce() throws {
        var session = try session(rowsMax: 1, writes: true, defersSync: true)
        try session.receive(Self.describe)
        try session.receive(Self.row)
        #expect(try session.receive(Self.row) == .cancel)
        try session.receive { $0.writeErrorResponse(ServerError(sqlState: .queryCanceled, message: "canceled")) }
        #expect(session.sent.suffix(2) == ["H", "S"])
        #expect(try session.receive(Self.ready) == .finished)
        #expect(session.exchange.failure?.code == .resultTooLarge)
    }

    @Test func tooManyBytesAreTooMuch() throws {
        var session = try session(writes: false, defersSync: false)
        try session.receive { $0.writeRowDescription([.init(name: "v", typeOID: 25)]) }
        let text = String(repeating: "x", count: 4096)
        #expect(try session.receive { $0.writeDataRow(text: [text]) } == .cancel)
        try session.receive(Self.row)
        #expect(try session.receive(Self.ready) == .finished)
        #expect(session.exchange.failure?.code == .resultTooLarge)
    }

    @Test func exactlyTheLimitIsNotTooMuch() throws {
        var session = try session(rowsMax: 2, writes: false, defersSync: false)
        try session.receive(Self.describe)
        try session.receive(Self.row)
        #expect(try session.receive(Self.row) == .wait)
    }

    @Test func anErrorOfADeferredStatementIsSynced() throws {
        var session = try session(writes: true, defersSync: true)
        try session.receive(Self.error)
        #expect(session.sent.last == "S")
        #expect(!session.exchange.mayHaveCommitted)
        #expect(try session.receive(Self.ready) == .finished)
        #expect(session.exchange.failure?.sqlstate == "23505")
    }

    @Test func anErrorOfTheCommitFailsTheStatement() throws {
        var session = try session(writes: true, defersSync: true)
        try session.receive { $0.writeCommandComplete(tag: "INSERT 0 1") }
        try session.receive(Self.error)
        #expect(session.sent.count == 6)
        #expect(try session.receive(Self.ready) == .finished)
        #expect(session.exchange.failure?.code == .sqlFailed)
    }

    @Test func arraysAreBoundOnlyWhenTheirTypeIsKnown() throws {
        var session = try session([[1, 2]], writes: false, defersSync: false)
        #expect(session.sent == ["P", "D", "S"])
        try session.receive { $0.writeParameterDescription([3802]) }
        try session.receive(Self.describe)
        let action = try session.receive(Self.ready)
        #expect(session.sent == ["P", "D", "S", "P", "B", "D", "E", "S"])
        guard case .send(var bytes) = action else { throw WireError(.unexpectedMessage, kind: 0) }
        _ = try bytes.readFrame(limit: .max)
        let bind = try BindMessage(body: try #require(try bytes.readFrame(limit: .max)).body)
        #expect(bind.parameter(at: 0).map { String(buffer: $0) } == "[1,2]")
        // The description of the statement is not that of an answer.
        #expect(session.exchange.rows == nil)
    }

    @Test func aStatementThatCannotBeDescribedIsNotRun() throws {
        var session = try session([[1]], writes: true, defersSync: true)
        try session.receive(Self.error)
        #expect(try session.receive(Self.ready) == .finished)
        #expect(session.sent == ["P", "D", "S"])
    }

    @Test func anEmptyStatementIsAnInvalidRequest() throws {
        var session = try session(writes: false, defersSync: false)
        try session.receive { $0.writeInteger(BackendKind.emptyQueryResponse); $0.writeInteger(4 as Int32) }
        #expect(try session.receive(Self.ready) == .finished)
        #expect(session.exchange.failure?.code == .invalidRequest)
    }

    @Test(arguments: [BackendKind.copyInResponse, BackendKind.copyOutResponse, BackendKind.copyBothResponse])
    func aCopyEndsTheSession(_ kind: UInt8) throws {
        var session = try session(writes: true, defersSync: true)
        let action = try session.receive { $0.writeInteger(kind); $0.writeInteger(7 as Int32); $0.writeBytes([0, 0, 0]) }
        #expect(action == .hopeless)
        #expect(session.exchange.failure?.details?["refusal"] == "PGM-REST-COPY")
    }

    @Test func aFatalErrorOrAnOpenTransactionEndsTheSession() throws {
        var first = try session(writes: false, defersSync: false)
        #expect(try first.receive { $0.writeErrorResponse(ServerError(severity: .fatal, sqlState: .adminShutdown, message: "bye")) } == .hopeless)
        var second = try session(writes: false, defersSync: false)
        #expect(try second.receive { $0.writeReadyForQuery(status: 0x54) } == .hopeless)
    }

    @Test func aWriteWhoseSessionDiesBehindItsSyncIsNotOfferedForRetry() throws {
        let fatal = ServerError(severity: .fatal, sqlState: .adminShutdown, message: "bye")
        var write = try session(writes: true, defersSync: false)
        try write.receive { $0.writeErrorResponse(fatal) }
        #expect(write.exchange.failure?.code == .outcomeUnknown)
        #expect(write.exchange.failure?.retryAfter == nil)
        var read = try session(writes: false, defersSync: false)
        try read.receive { $0.writeErrorResponse(fatal) }
        #expect(read.exchange.failure?.code == .notReady)
        var open = try session(writes: true, defersSync: true)
        try open.receive { $0.writeErrorResponse(fatal) }
        #expect(open.exchange.failure?.code == .notReady)
    }

    @Test func aRowBeforeItsDescriptionIsAProtocolError() throws {
        var session = try session(writes: false, defersSync: false)
        #expect(throws: WireError.self) { try session.receive(Self.row) }
    }

    @Test func warningsAreKeptAndOtherNoticesAreNot() throws {
        var session = try session(writes: true, defersSync: false)
        for severity in [ServerError.Severity.notice, .warning] {
            try session.receive { $0.writeNoticeResponse(ServerError(severity: severity, sqlState: .warning, message: "\(severity)")) }
        }
        #expect(session.exchange.notices.map(\.message) == ["warning"])
    }
}
