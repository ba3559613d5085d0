internal import ControlAPI
internal import NIOCore
internal import PGWire

/// Several statements in one transaction, from the client's side: BEGIN, each statement, and COMMIT once all results are here and fit the answer.
///
/// A failure of any of them is followed by ROLLBACK. Until COMMIT is sent nothing can have happened, whatever becomes of the session.
struct BatchExchange: SessionExchange {
    private enum Step {
        case beginning
        /// The index of the statement.
        case running(Int, StatementExchange)
        case committing
        case undoing
    }

    /// Memory of a column's description, beside its name: what an answer of many results without rows costs.
    private static let columnCost = 64

    private let statements: [StatementRequest]
    private let writes: Bool
    private var limits: StatementLimits
    private var step = Step.beginning
    private var isStopped = false
    private var commitTag: CommandTag?
    private var shards: Set<String?> = []
    private var ownFailure: APIError?

    private(set) var results: [AnswerBody] = []
    private(set) var sqlState: SQLState?
    private(set) var mayHaveCommitted = false

    /// - writes: a statement may write.
    /// Precondition: there is a statement.
    init(_ statements: [StatementRequest], writes: Bool) {
        self.statements = statements
        self.writes = writes
        limits = statements[0].limits
    }

    var shard: String? { shards.count == 1 ? shards.first.flatMap { $0 } : nil }

    var failure: APIError? {
        if let ownFailure { return ownFailure }
        // The session has ended in the middle of a statement.
        guard case .running(let index, let exchange) = step, let failure = exchange.failure else { return nil }
        return Self.undone(failure).at(statement: index)
    }

    /// Before COMMIT no outcome is unknown: a transaction that is not committed has not happened.
    private static func undone(_ error: APIError) -> APIError {
        guard error.code == .outcomeUnknown else { return error }
        return APIError(.shardUnavailable, error.message, sqlstate: SQLState.connectionFailure.code, details: error.details)
    }

    mutating func stop() { isStopped = true }

    // MARK: Messages

    mutating func open() -> ByteBuffer { Self.query("BEGIN") }

    private static func query(_ text: String) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeQuery(text)
        return bytes
    }

    private mutating func next() -> ExchangeAction {
        if isStopped { return undo(.deadline(mayHaveRun: false)) }
        guard results.count < statements.count else {
            step = .committing
            mayHaveCommitted = writes
            return .send(Self.query("COMMIT"))
        }
        var statement = statements[results.count]
        statement.limits = limits
        var exchange = StatementExchange(statement, writes: false, defersSync: false, isInTransaction: true)
        let bytes = exchange.open()
        step = .running(results.count, exchange)
        return .send(bytes)
    }

    private mutating func undo(_ error: APIError) -> ExchangeAction {
        ownFailure = error
        results = []
        step = .undoing
        return .send(Self.query("ROLLBACK"))
    }

    // MARK: Answers

    mutating func received(_ kind: UInt8, _ body: ByteBuffer) throws(WireError) -> ExchangeAction {
        guard case .running(let index, var exchange) = step else { return try receivedBetween(kind, body) }
        // The step lets go of the rows while they are added to, or each row would copy those before it.
        step = .undoing
        let action: ExchangeAction
        do throws(WireError) {
            action = try exchange.received(kind, body)
        } catch {
            step = .running(index, exchange)
            throw error
        }
        sqlState = sqlState ?? exchange.sqlState
        guard action == .finished else {
            step = .running(index, exchange)
            return action
        }
        return ended(index, exchange, try ReadyForQuery(body: body).status)
    }

    /// The statement has been answered, and the transaction is open.
    private mutating func ended(_ index: Int, _ exchange: StatementExchange, _ status: UInt8) -> ExchangeAction {
        if let failure = exchange.failure { return undo(Self.undone(failure).at(statement: index)) }
        guard status == TransactionStatus.open else {
            return undo(APIError(.sqlFailed, "the statement has failed the transaction", sqlstate: "25P02").at(statement: index))
        }
        for result in exchange.results {
            results.append(result)
            shards.insert(result.shard)
            limits.rowsUsed += result.rows?.rowCount ?? 0
            limits.bytesUsed += (result.rows?.byteCount ?? 0) + (result.rows?.names.reduce(0) { $0 + $1.utf8.count + Self.columnCost } ?? 0)
        }
        if limits.bytesUsed > limits.bytesMax { return undo(.resultTooLarge(limits.tooManyBytes).at(statement: index)) }
        return next()
    }

    /// The answers to BEGIN, COMMIT and ROLLBACK.
    private mutating func receivedBetween(_ kind: UInt8, _ body: ByteBuffer) throws(WireError) -> ExchangeAction {
        switch kind {
        case BackendKind.commandComplete:
            if case .committing = step { commitTag = try CommandTag(body: body) }
        case BackendKind.errorResponse: return received(try ServerError(body: body))
        case BackendKind.readyForQuery: return ready(try ReadyForQuery(body: body).status)
        case BackendKind.noticeResponse:
            let notice = try ServerError(body: body, kind: kind)
            if case .committing = step, notice.severity == .warning { results[results.count - 1].notices.append(notice) }
        case BackendKind.parameterStatus: break
        default: throw WireError(.unexpectedMessage, kind: kind)
        }
        return .wait
    }

    private mutating func received(_ error: ServerError) -> ExchangeAction {
        if ownFailure == nil {
            sqlState = sqlState ?? error.sqlState
            var problem = APIError(error)
            if error.isFatal, mayHaveCommitted {
                problem.code = .outcomeUnknown
                problem.retryAfter = nil
            }
            ownFailure = mayHaveCommitted ? problem : Self.undone(problem)
            results = []
        }
        return error.isFatal ? .hopeless : .wait
    }

    private mutating func ready(_ status: UInt8) -> ExchangeAction {
        switch step {
        case .beginning where ownFailure == nil: return status == TransactionStatus.open ? next() : .hopeless
        // PostgreSQL answers the COMMIT of a transaction that has failed with ROLLBACK, and no error.
        case .committing where ownFailure == nil && commitTag?.text != "COMMIT":
            ownFailure = APIError(.sqlFailed, "the transaction was rolled back", sqlstate: "40000")
            results = []
        default: break
        }
        return status == TransactionStatus.idle ? .finished : .hopeless
    }

    mutating func passOver(rowOf size: Int) -> ExchangeAction? {
        guard case .running(let index, var exchange) = step else { return ownFailure == nil ? nil : .wait }
        let action = exchange.passOver(rowOf: size)
        if action != nil { step = .running(index, exchange) }
        return action
    }
}
