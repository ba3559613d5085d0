internal import ControlAPI
internal import NIOCore
internal import ShardModel

/// One statement of a REST request, checked for itself and ready to go to an event loop.
struct StatementRequest: Sendable {
    let database: String
    let query: String
    let params: [JSONValue]
    let shardKey: JSONValue?
    /// nil: the database's default.
    let consistency: Consistency?
    let rowFormat: ExecuteRequest.Options.RowFormat
    var limits: StatementLimits
    let explains: Bool
    /// What the caller may do with the database.
    let access: DatabaseAccess
    /// Who the caller is, as the author of changes; nil: nobody was asked.
    let caller: String?
    /// For the audit trail, where statements are in it.
    let origin: StatementOrigin?
    /// What the statement says to the shards of its trace, as a `traceparent`; nil: nothing.
    let trace: String?
    /// The rows go to the caller while they arrive.
    let isStreamed: Bool
    let start: ContinuousClock.Instant
    /// For all statements of the request; nil: it may take as long as it takes.
    let timeout: TimeAmount?

    /// The longest time that a request may ask for.
    static let timeoutMax = Duration.seconds(86_400)

    /// Throws an `APIError` of 400. `database` is the one to use when the request names none.
    init(
        _ request: ExecuteRequest, database: String, access: DatabaseAccess = .write, caller: String? = nil,
        origin: StatementOrigin? = nil, trace: String? = nil, limits: StatementLimits, timeoutDefault: Duration, start: ContinuousClock.Instant,
        isStreamed: Bool = false
    ) throws(APIError) {
        guard !request.query.utf8.contains(0) else { throw APIError(.invalidRequest, "field \"query\" holds a zero byte") }
        self.database = database
        self.access = access
        self.caller = caller
        self.origin = origin
        self.trace = trace
        self.start = start
        query = request.query
        params = request.params
        shardKey = request.shardKey
        consistency = request.consistency
        rowFormat = request.options.rowFormat
        explains = request.options.explain
        self.isStreamed = isStreamed
        self.limits = limits.narrowed(toRows: request.options.rowsMax)
        let asked = request.options.timeoutMilliseconds.map { Duration.milliseconds(min($0, Int64(Self.timeoutMax / .milliseconds(1)))) }
        let timeout = asked ?? (timeoutDefault == .zero ? nil : timeoutDefault)
        self.timeout = timeout.map { TimeAmount($0) }
    }
}

extension StatementRequest {
    /// The statements of a batch. Throws an `APIError` of 400.
    static func batch(
        _ request: BatchRequest, database: String, access: DatabaseAccess = .write, caller: String? = nil,
        origin: StatementOrigin? = nil, trace: String? = nil, limits: StatementLimits, timeoutDefault: Duration, start: ContinuousClock.Instant
    ) throws(APIError) -> [StatementRequest] {
        var statements: [StatementRequest] = []
        for (index, statement) in request.statements.enumerated() {
            // A transaction's reads see its own writes, so they are the primary's.
            let execute = ExecuteRequest(
                shardKey: statement.shardKey, query: statement.query, params: statement.params, consistency: .strong, options: request.options)
            do throws(APIError) {
                statements.append(
                    try StatementRequest(
                        execute, database: database, access: access, caller: caller, origin: origin, trace: trace, limits: limits,
                        timeoutDefault: timeoutDefault, start: start))
            } catch {
                throw error.at(statement: index)
            }
        }
        return statements
    }
}

/// Where a statement of REST comes from.
struct StatementOrigin: Sendable {
    var address: String?
    var requestID: String
    var traceID: String
}

/// How much one answer may hold.
struct StatementLimits: Hashable, Sendable {
    var rowsMax: Int
    var bytesMax: Int
    /// What earlier results of the same answer hold.
    var rowsUsed = 0
    var bytesUsed = 0
    /// `rowsMax` is the client's own `max_rows`.
    private(set) var isAsked = false

    init(rowsMax: Int, bytesMax: Int) {
        self.rowsMax = rowsMax
        self.bytesMax = bytesMax
    }

    /// Those of a stream: it may have as many rows as there are, none of which may be longer than a whole answer.
    func ofStream() -> StatementLimits { StatementLimits(rowsMax: .max, bytesMax: bytesMax) }

    func narrowed(toRows asked: Int64?) -> StatementLimits {
        guard let asked, asked < Int64(rowsMax) else { return self }
        var limits = self
        limits.rowsMax = Int(asked)
        limits.isAsked = true
        return limits
    }

    /// What `rows` exceed, in words; nil while they fit.
    func exceeded(by rows: RowEncoder) -> String? {
        if rows.rowCount + rowsUsed > rowsMax {
            return tooManyRows
        }
        return rows.byteCount + bytesUsed > bytesMax ? tooManyBytes : nil
    }

    var tooManyRows: String { isAsked ? "max_rows (\(rowsMax) rows)" : "this router's rest.rows_max (\(rowsMax) rows)" }
    var tooManyBytes: String { "this router's rest.bytes_max (\(bytesMax) bytes)" }
}
