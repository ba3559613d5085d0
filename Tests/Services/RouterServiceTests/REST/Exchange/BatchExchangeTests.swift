import ControlAPI
import NIOCore
import PGWire
import Testing

@testable import RouterService

/// The client's side of a batch, fed with what a session answers.
@Suite struct BatchExchangeTests {
    private struct Session {
        var exchange: BatchExchange
        /// The texts of simple queries, and the kinds of other messages.
        var sent: [String] = []

        init(_ count: Int, writes: Bool = true, rowsMax: Int64? = nil) throws {
            let statements = try (0..<count).map { try StatementRequestTests.request("q\($0)", rowsMax: rowsMax) }
            exchange = BatchExchange(statements, writes: writes)
            note(exchange.open())
        }

        mutating func note(_ bytes: ByteBuffer) {
            var bytes = bytes
            while let frame = try? bytes.readFrame(limit: .max) {
                var body = frame.body
                let kind = String(Unicode.Scalar(frame.kind))
                sent.append(kind == "Q" ? body.readNullTerminatedString() ?? "" : kind)
            }
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

        /// The session has done what it was asked for.
        @discardableResult
        mutating func answer(_ tag: String, _ status: UInt8 = TransactionStatus.open, rows: Int = 0) throws -> ExchangeAction {
            try receive { buffer in
                if rows > 0 { buffer.writeRowDescription([.init(name: "v", typeOID: 23)]) }
                for _ in 0..<rows { buffer.writeDataRow(text: ["1"]) }
                buffer.writeCommandComplete(tag: tag)
                buffer.writeReadyForQuery(status: status)
            }
        }

        @discardableResult
        mutating func fail(_ state: SQLState, _ status: UInt8, severity: ServerError.Severity = .error) throws -> ExchangeAction {
            try receive {
                $0.writeErrorResponse(ServerError(severity: severity, sqlState: state, message: "no"))
                if severity == .error { $0.writeReadyForQuery(status: status) }
            }
        }
    }

    private static let failed = UInt8(ascii: "E")
    private static let idle = TransactionStatus.idle

    @Test func allStatementsRunBetweenBeginAndCommit() throws {
        var session = try Session(2)
        try session.answer("BEGIN")
        try session.receive { $0.writeParameterStatus(name: "pgmosaic.shard", value: "s1") }
        try session.answer("INSERT 0 1")
        #expect(!session.exchange.mayHaveCommitted)
        try session.receive { $0.writeParameterStatus(name: "pgmosaic.shard", value: "s1") }
        try session.answer("SELECT 2", rows: 2)
        #expect(session.sent == ["BEGIN", "P", "B", "D", "E", "S", "P", "B", "D", "E", "S", "COMMIT"])
        #expect(session.exchange.mayHaveCommitted)
        #expect(try session.answer("COMMIT", Self.idle) == .finished)
        #expect(session.exchange.failure == nil)
        #expect(session.exchange.results.map(\.affectedRows) == [1, 0])
        #expect(session.exchange.results.map { $0.rows?.rowCount } == [nil, 2])
        #expect(session.exchange.shard == "s1")
    }

    @Test func afterTheFirstFailureNothingFurtherRuns() throws {
        var session = try Session(3)
        try session.answer("BEGIN")
        try session.answer("INSERT 0 1")
        try session.fail(.uniqueViolation, Self.failed)
        #expect(session.sent.last == "ROLLBACK")
        #expect(try session.answer("ROLLBACK", Self.idle) == .finished)
        #expect(session.exchange.failure?.sqlstate == "23505")
        #expect(session.exchange.failure?.details?["statement"] == 1)
        #expect(!session.exchange.mayHaveCommitted)
        #expect(session.exchange.results.isEmpty)
    }

    @Test func aCommitThatFailsOrRollsBackIsAFailure() throws {
        var deferred = try Session(1)
        try deferred.answer("BEGIN")
        try deferred.answer("INSERT 0 1")
        #expect(try deferred.fail(.uniqueViolation, Self.idle) == .finished)
        #expect(deferred.exchange.failure?.sqlstate == "23505")
        #expect(deferred.exchange.failure?.details?["statement"] == nil)
        var undone = try Session(1)
        try undone.answer("BEGIN")
        try undone.answer("INSERT 0 1")
        #expect(try undone.answer("ROLLBACK", Self.idle) == .finished)
        #expect(undone.exchange.failure?.code == .sqlFailed)
    }

    @Test func aTransactionThatAStatementEndsIsHopeless() throws {
        var session = try Session(2)
        try session.answer("BEGIN")
        #expect(try session.answer("CALL", Self.idle) == .hopeless)
    }

    @Test func aLostSessionIsOfUnknownOutcomeOnlyBehindTheCommitOfAWrite() throws {
        var before = try Session(2)
        try before.answer("BEGIN")
        try before.fail(.transactionResolutionUnknown, Self.failed, severity: .fatal)
        #expect(before.exchange.failure?.code == .shardUnavailable)
        #expect(before.exchange.failure?.details?["statement"] == 0)
        var behind = try Session(1)
        try behind.answer("BEGIN")
        try behind.answer("INSERT 0 1")
        try behind.fail(.adminShutdown, 0, severity: .fatal)
        #expect(behind.exchange.failure?.code == .outcomeUnknown)
        var read = try Session(1, writes: false)
        try read.answer("BEGIN")
        try read.answer("SELECT 1", rows: 1)
        #expect(!read.exchange.mayHaveCommitted)
    }

    @Test func aStopBetweenStatementsUndoesAndOneBehindTheCommitDoesNot() throws {
        var session = try Session(2)
        try session.answer("BEGIN")
        session.exchange.stop()
        try session.answer("INSERT 0 1")
        #expect(session.sent.last == "ROLLBACK")
        #expect(session.exchange.failure?.code == .deadlinePassed)
        var late = try Session(1)
        try late.answer("BEGIN")
        try late.answer("INSERT 0 1")
        late.exchange.stop()
        #expect(try late.answer("COMMIT", Self.idle) == .finished)
        #expect(late.exchange.failure == nil)
    }

    @Test func theLimitsAreThoseOfAllResultsTogether() throws {
        var session = try Session(3, rowsMax: 3)
        try session.answer("BEGIN")
        try session.answer("SELECT 2", rows: 2)
        try session.answer("SELECT 1", rows: 1)
        try session.answer("SELECT 1", rows: 1)
        #expect(session.sent.last == "ROLLBACK")
        #expect(session.exchange.failure?.code == .resultTooLarge)
        #expect(session.exchange.failure?.details?["statement"] == 2)
    }

    @Test func manyDescriptionsAreTooMuchToo() throws {
        var session = try Session(60)
        try session.answer("BEGIN")
        for _ in 0..<60 where session.exchange.failure == nil {
            try session.receive {
                $0.writeRowDescription([.init(name: String(repeating: "n", count: 63), typeOID: 23)])
                $0.writeCommandComplete(tag: "SELECT 0")
                $0.writeReadyForQuery(status: TransactionStatus.open)
            }
        }
        #expect(session.exchange.failure?.code == .resultTooLarge)
    }
}
