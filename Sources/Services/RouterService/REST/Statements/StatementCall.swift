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
    private var promise: EventLoopPromise<[UInt8]>?
    private var timers: [Scheduled<Void>] = []

    /// Precondition: there is a statement.
    init(id: UInt64, _ statements: [StatementRequest], isBatch: Bool, _ promise: EventLoopPromise<[UInt8]>) {
        self.id = id
        self.statements = statements
        self.isBatch = isBatch
        self.promise = promise
        exchange = BatchExchange(statements, writes: true)
    }

    /// What is the same for all of its statements.
    var request: StatementRequest { statements[0] }

    var isDone: Bool { promise == nil }
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
        guard let promise else { return }
        self.promise = nil
        switch result {
        case .success(let body): promise.succeed(body)
        case .failure(let error): promise.fail(error)
        }
    }

    /// The session has answered.
    var failure: APIError? {
        guard let failure = exchange.failure else { return nil }
        guard let interruption, exchange.sqlState == .queryCanceled || failure.code == .deadlinePassed else { return failure }
        var error = interruption == .abandoned ? APIError.abandoned : .deadline(mayHaveRun: false)
        if let index = failure.details?["statement"]?.integerValue { error = error.at(statement: Int(index)) }
        return error
    }

    /// The session was lost before it had answered.
    func failureOfLostSession() -> APIError {
        if let failure = exchange.failure { return failure }
        if interruption == .deadline { return .deadline(mayHaveRun: exchange.mayHaveCommitted) }
        guard exchange.mayHaveCommitted else {
            return APIError(.shardUnavailable, "the session was lost before the statement ran", sqlstate: SQLState.connectionFailure.code)
        }
        return APIError(
            .outcomeUnknown, "the session was lost; whether the statement took effect is unknown",
            sqlstate: SQLState.transactionResolutionUnknown.code)
    }
}
