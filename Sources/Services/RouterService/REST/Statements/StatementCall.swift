internal import ControlAPI
internal import NIOCore
internal import PGWire

/// One REST request on its event loop, a statement or a batch of them, from its arrival to its answer. Confined to the loop.
final class StatementCall {
    /// Why somebody wants it to end early.
    enum Interruption: Equatable {
        case deadline
        /// The client has gone: nobody reads the answer.
        case abandoned
    }

    let id: UInt64
    /// One, or those of a batch: of one database, with one deadline.
    let statements: [StatementRequest]
    let isBatch: Bool
    var database: DatabaseState?
    var exchange: any SessionExchange
    /// The session that runs it.
    weak var connection: StatementConnection?
    private(set) var interruption: Interruption?
    /// Of an answer in one.
    private let promise: EventLoopPromise<[UInt8]>?
    /// Of an answer in pieces.
    let stream: ResultStream?
    private var timers: [Scheduled<Void>] = []

    /// Precondition: there is a statement.
    init(id: UInt64, _ statements: [StatementRequest], isBatch: Bool, _ promise: EventLoopPromise<[UInt8]>) {
        self.id = id
        self.statements = statements
        self.isBatch = isBatch
        self.promise = promise
        stream = nil
        exchange = BatchExchange(statements, writes: true)
    }

    /// - first: gets the first piece of the answer.
    init(id: UInt64, streaming statement: StatementRequest, first: EventLoopPromise<ResultPiece>) {
        self.id = id
        statements = [statement]
        isBatch = false
        promise = nil
        let stream = ResultStream()
        stream.take(first)
        self.stream = stream
        exchange = BatchExchange(statements, writes: true)
    }

    /// What is the same for all of its statements.
    var request: StatementRequest { statements[0] }

    /// The outcome is known, and so is the answer, though pieces of it may wait for the caller.
    private(set) var isDone = false
    /// The session has said all; only the answer's form is still to be settled, and no interruption can change the outcome.
    private(set) var isAnswered = false

    func interrupt(_ reason: Interruption) {
        if interruption == nil { interruption = reason }
        exchange.stop()
    }

    func keep(_ timer: Scheduled<Void>) { timers.append(timer) }

    func answered() {
        isAnswered = true
        stopTimers()
    }

    private func stopTimers() {
        for timer in timers { timer.cancel() }
        timers.removeAll()
    }

    func end(_ result: Result<[UInt8], APIError>) {
        stopTimers()
        guard !isDone else { return }
        isDone = true
        switch result {
        case .success(let body):
            promise?.succeed(body)
            stream?.answer(body)
        case .failure(let error):
            promise?.fail(error)
            stream?.fail(error)
        }
    }

    /// The session has given all rows of the stream, and its commit; `line` is the last one.
    func complete(_ line: [UInt8]) {
        isDone = true
        stream?.complete(line)
    }

    /// The session has answered.
    var failure: APIError? {
        guard let failure = exchange.failure else { return nil }
        guard let interruption, exchange.sqlState == .queryCanceled || failure.code == .deadlinePassed,
            failure != .deadline(mayHaveRun: true)
        else { return failure }
        var error = interruption == .abandoned ? APIError.abandoned : .deadline(mayHaveRun: false)
        if let index = failure.details?["statement"]?.integerValue { error = error.at(statement: Int(index)) }
        return error
    }

    /// The session was lost before it had answered.
    func failureOfLostSession() -> APIError {
        if let failure = exchange.failure { return failure }
        if interruption == .deadline { return .deadline(mayHaveRun: exchange.mayHaveCommitted) }
        guard exchange.mayHaveCommitted else {
            let when = exchange.rows == nil ? "before the statement ran" : "before the result was complete"
            return APIError(.shardUnavailable, "the session was lost \(when)", sqlstate: SQLState.connectionFailure.code)
        }
        return APIError(
            .outcomeUnknown, "the session was lost; whether the statement took effect is unknown",
            sqlstate: SQLState.transactionResolutionUnknown.code)
    }
}
