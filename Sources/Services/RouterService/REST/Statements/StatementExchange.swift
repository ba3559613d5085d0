internal import ControlAPI
internal import NIOCore
internal import PGWire
internal import SQLSyntax

/// One statement in the extended protocol, from the client's side: which messages to send, and what the answers mean.
///
/// A statement that writes and returns rows is synced (committed) only when all of its rows are here and fit the limits, so that an answer that is too large is never the
/// only trace of a committed write. The rows of a stream are gone by then: there it is the last line that nobody gets before the commit is known.
struct StatementExchange: SessionExchange {
    private enum Stage {
        /// Parameters whose text depends on their type: the server is asked for the types first.
        case describing
        case running
    }

    static let noticesMax = 20
    /// A portal that no one has: naming it undoes the batch.
    private static let undoPortal = "pgmosaic_undo"

    private let query: String
    private let params: [JSONValue]
    private let rowFormat: ExecuteRequest.Options.RowFormat
    private let limits: StatementLimits
    private let writes: Bool
    private let defersSync: Bool
    private let isInTransaction: Bool
    private let isStreamed: Bool
    /// Of a stream: what still arrives is passed over.
    private var isStopped = false
    private var hasPassedOver = false
    private var stage: Stage
    private var types: [UInt32] = []
    private var shards: Set<String> = []
    /// Messages went out that no Sync has followed yet.
    private var needsSync = false
    /// A Sync went out behind a statement that had not failed: from then on a lost session may have committed.
    private(set) var mayHaveCommitted = false

    private(set) var rows: RowEncoder?
    private(set) var tag: CommandTag?
    private(set) var notices: [ServerError] = []
    private(set) var failure: APIError?
    /// The first error of the session itself.
    private(set) var sqlState: SQLState?

    /// - writes: the statement may write.
    /// - defersSync: it may also return rows.
    /// - isInTransaction: the session is in a transaction, which goes on after the statement; it is not this exchange that ends it.
    init(_ request: StatementRequest, writes: Bool, defersSync: Bool, isInTransaction: Bool = false) {
        self.writes = writes
        self.isInTransaction = isInTransaction
        query = request.trace.map { StatementTrace.commented(request.query, parent: $0) } ?? request.query
        params = request.params
        rowFormat = request.rowFormat
        limits = request.limits
        isStreamed = request.isStreamed
        self.defersSync = defersSync
        stage = params.contains(where: ParameterText.dependsOnType) ? .describing : .running
    }

    var results: [AnswerBody] { [AnswerBody(shard: shard, rows: rows, tag: tag, notices: notices)] }
    /// The shard that answered; nil when several took part, or none.
    var shard: String? { shards.count == 1 ? shards.first : nil }

    mutating func takeLines() -> [UInt8] { rows?.takeLines() ?? [] }

    /// The outcome is then that of the statement, unless a row has been passed over.
    mutating func stop() { isStopped = isStreamed }

    // MARK: Messages

    /// What to send first.
    mutating func open() -> ByteBuffer {
        guard stage == .describing else { return run() }
        var bytes = ByteBuffer()
        bytes.writeParse(name: "", query: query)
        bytes.writeDescribe(.statement, name: "")
        bytes.writeSync()
        return bytes
    }

    private mutating func run() -> ByteBuffer {
        stage = .running
        shards.removeAll()
        var bytes = ByteBuffer()
        bytes.writeParse(name: "", query: query)
        bytes.writeBind(params, types: types)
        bytes.writeDescribe(.portal, name: "")
        bytes.writeExecute()
        if defersSync {
            bytes.writeFlush()
            needsSync = true
        } else {
            bytes.writeSync()
            mayHaveCommitted = writes
        }
        return bytes
    }

    /// Ends a batch that was left open: commits it, or undoes it where the answer cannot be given.
    private mutating func close(undoing: Bool) -> ExchangeAction {
        guard needsSync else { return .wait }
        needsSync = false
        var bytes = ByteBuffer()
        if undoing { bytes.writeDescribe(.portal, name: Self.undoPortal) }
        bytes.writeSync()
        mayHaveCommitted = writes && !undoing
        return .send(bytes)
    }

    // MARK: Answers

    mutating func received(_ kind: UInt8, _ body: ByteBuffer) throws(WireError) -> ExchangeAction {
        switch kind {
        case BackendKind.dataRow: return try received(try DataRow(body: body))
        case BackendKind.rowDescription:
            if stage == .running { rows = RowEncoder(try RowDescription(body: body).columns, rowFormat, isStreamed ? .lines : .elements) }
        case BackendKind.parameterDescription:
            types = try ParameterDescription(body: body).types.array
        case BackendKind.commandComplete:
            tag = try CommandTag(body: body)
            if hasPassedOver { fail(.deadline(mayHaveRun: mayHaveCommitted)) }
            return close(undoing: failure != nil)
        case BackendKind.emptyQueryResponse:
            fail(APIError(.invalidRequest, "field \"query\" holds no statement"))
            return close(undoing: true)
        case BackendKind.errorResponse: return received(try ServerError(body: body))
        case BackendKind.noticeResponse: add(try ServerError(body: body, kind: kind))
        case BackendKind.parameterStatus:
            let status = try ParameterStatus(body: body)
            if status.name == "pgmosaic.shard" { shards.insert(status.value) }
        case BackendKind.copyInResponse, BackendKind.copyOutResponse, BackendKind.copyBothResponse:
            fail(APIError(RESTRefusal.copy))
            return .hopeless
        case BackendKind.readyForQuery:
            let ready = try ReadyForQuery(body: body)
            if stage == .describing, failure == nil { return .send(run()) }
            return isInTransaction != (ready.status == TransactionStatus.idle) ? .finished : .hopeless
        case BackendKind.parseComplete, BackendKind.bindComplete, BackendKind.closeComplete, BackendKind.noData: break
        default: throw WireError(.unexpectedMessage, kind: kind)
        }
        return .wait
    }

    /// A row of `size` bytes is about to arrive: what to do instead of waiting for it, where its size alone says that no answer can hold it,
    /// or nobody wants it any more.
    mutating func passOver(rowOf size: Int) -> ExchangeAction? {
        guard failure == nil, !isStopped else {
            hasPassedOver = true
            return .wait
        }
        // Each of at most 1,664 columns has four bytes of its own, which JSON may have no need of.
        guard size - 8192 > limits.bytesMax - limits.bytesUsed else { return nil }
        fail(isStreamed ? .rowTooLarge(limits.tooManyBytes) : .resultTooLarge(limits.tooManyBytes))
        return .cancel
    }

    private mutating func received(_ row: DataRow) throws(WireError) -> ExchangeAction {
        guard failure == nil, !isStopped else {
            hasPassedOver = true
            return .wait
        }
        if isStreamed, let rows, rows.rowCount >= limits.rowsMax {
            fail(.streamTooLong(limits.tooManyRows))
            return .cancel
        }
        do throws(RowEncoder.Failure) {
            guard rows != nil else { throw .shape }
            try rows!.append(row)
        } catch {
            switch error {
            case .shape: throw WireError(.unexpectedMessage, kind: BackendKind.dataRow)
            case .notUTF8(let column):
                let message = "column \"\(column)\" holds bytes that are not UTF-8, so JSON cannot carry them"
                fail(APIError(.sqlFailed, message, sqlstate: SQLState.characterNotInRepertoire.code))
            }
            return .cancel
        }
        guard !isStreamed, let limit = rows.flatMap(limits.exceeded) else { return .wait }
        fail(.resultTooLarge(limit))
        return .cancel
    }

    private mutating func received(_ error: ServerError) -> ExchangeAction {
        // Behind a failure of our own it only says that the cancelling, or the undoing, has worked.
        sqlState = sqlState ?? error.sqlState
        var problem = APIError(error)
        if error.isFatal, mayHaveCommitted {
            // The session died behind its Sync: perhaps behind the commit, too.
            problem.code = .outcomeUnknown
            problem.retryAfter = nil
        }
        fail(problem)
        if error.isFatal { return .hopeless }
        guard needsSync else { return .wait }
        // The statement is undone already.
        needsSync = false
        var bytes = ByteBuffer()
        bytes.writeSync()
        return .send(bytes)
    }

    private mutating func fail(_ error: APIError) {
        guard failure == nil else { return }
        failure = error
        // Memory for an answer that nobody gets. Lines before a failure are sent.
        if !isStreamed { rows = nil }
    }

    private mutating func add(_ notice: ServerError) {
        if notice.severity == .warning, notices.count < Self.noticesMax { notices.append(notice) }
    }
}
