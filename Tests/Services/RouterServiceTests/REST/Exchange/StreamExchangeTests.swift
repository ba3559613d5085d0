import ControlAPI
import NIOCore
import PGWire
import Testing

@testable import RouterService

/// One statement whose rows go on while they arrive, from the client's side.
@Suite struct StreamExchangeTests {
    private typealias Fixture = StatementExchangeTests

    private func session(rowsMax: Int64? = nil, writes: Bool = false, defersSync: Bool = false) throws -> Fixture.Session {
        var session = Fixture.Session(
            try StatementRequestTests.request("q", rowsMax: rowsMax, isStreamed: true), writes: writes, defersSync: defersSync)
        try session.receive(Fixture.describe)
        return session
    }

    private static func complete(_ buffer: inout ByteBuffer) { buffer.writeCommandComplete(tag: "SELECT 1") }
    private static func canceled(_ buffer: inout ByteBuffer) {
        buffer.writeErrorResponse(ServerError(sqlState: .queryCanceled, message: "canceling statement due to user request"))
    }

    private func lines(_ session: inout Fixture.Session) -> String { String(decoding: session.exchange.takeLines(), as: UTF8.self) }

    @Test func moreThanAnAnswerMayHoldIsNotTooMuch() throws {
        var session = try session()
        for _ in 0..<5000 { #expect(try session.receive(Fixture.row) == .wait) }
        #expect(session.exchange.rows?.rowCount == 5000)
        #expect(lines(&session) == String(repeating: "[1]\n", count: 5000))
        try session.receive(Self.complete)
        #expect(try session.receive(Fixture.ready) == .finished)
        #expect(session.exchange.failure == nil)
    }

    @Test func linesBeforeAFailureStay() throws {
        var session = try session()
        try session.receive(Fixture.row)
        try session.receive { $0.writeErrorResponse(ServerError(sqlState: .uniqueViolation, message: "no")) }
        #expect(try session.receive(Fixture.ready) == .finished)
        #expect(session.exchange.failure?.sqlstate == "23505")
        #expect(lines(&session) == "[1]\n")
    }

    @Test func aRowTooLongEndsTheStreamBeforeItArrives() throws {
        var session = try session(writes: true, defersSync: true)
        try session.receive(Fixture.row)
        #expect(session.exchange.passOver(rowOf: 1 << 30) == .cancel)
        #expect(session.exchange.failure?.code == .resultTooLarge)
        // The cancelling came too late: the write is complete, and undone.
        try session.receive(Self.complete)
        #expect(session.sent.suffix(2) == ["D", "S"])
        #expect(!session.exchange.mayHaveCommitted)
    }

    @Test func theClientsOwnRowLimitHolds() throws {
        var session = try session(rowsMax: 2)
        #expect(try session.receive(Fixture.row) == .wait)
        #expect(try session.receive(Fixture.row) == .wait)
        #expect(try session.receive(Fixture.row) == .cancel)
        #expect(session.exchange.rows?.rowCount == 2)
        #expect(session.exchange.failure?.code == .resultTooLarge)
    }

    // MARK: Stopped

    @Test func aStoppedStreamThatIsCancelledHasFailed() throws {
        var session = try session()
        try session.receive(Fixture.row)
        session.exchange.stop()
        #expect(session.exchange.passOver(rowOf: 100) == .wait)
        try session.receive(Self.canceled)
        #expect(try session.receive(Fixture.ready) == .finished)
        #expect(session.exchange.sqlState == .queryCanceled)
        #expect(session.exchange.failure != nil)
    }

    @Test func aStreamWhoseRowsWerePassedOverIsNeverComplete() throws {
        var session = try session()
        session.exchange.stop()
        #expect(session.exchange.passOver(rowOf: 100) == .wait)
        try session.receive(Self.complete)
        #expect(try session.receive(Fixture.ready) == .finished)
        #expect(session.exchange.failure == .deadline(mayHaveRun: false))
    }

    @Test func aWriteWhoseRowsWerePassedOverIsUndone() throws {
        var session = try session(writes: true, defersSync: true)
        session.exchange.stop()
        try session.receive(Fixture.row)
        try session.receive { $0.writeCommandComplete(tag: "INSERT 0 1") }
        #expect(session.sent.suffix(2) == ["D", "S"])
        #expect(!session.exchange.mayHaveCommitted)
        #expect(session.exchange.failure == .deadline(mayHaveRun: false))
    }

    @Test func aWriteThatMayBeCommittedThoughItsRowsWerePassedOverIsUnknown() throws {
        var session = try session(writes: true, defersSync: false)
        session.exchange.stop()
        try session.receive(Fixture.row)
        try session.receive(Self.complete)
        #expect(try session.receive(Fixture.ready) == .finished)
        #expect(session.exchange.failure == .deadline(mayHaveRun: true))
    }

    @Test func aStreamThatWasStoppedTooLateIsComplete() throws {
        var session = try session(writes: true, defersSync: true)
        try session.receive(Fixture.row)
        session.exchange.stop()
        try session.receive(Self.complete)
        #expect(session.sent.last == "S")
        #expect(session.exchange.mayHaveCommitted)
        #expect(try session.receive(Fixture.ready) == .finished)
        #expect(session.exchange.failure == nil)
    }
}
