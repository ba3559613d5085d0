internal import ControlAPI
internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// Runs REST's statements on one event loop, over a bounded number of sessions that are kept open between them.
final class StatementPool {
    /// Sessions of a loop, over all databases: what runs at a time.
    static let sessionsMax = 64
    /// Of those, the ones that streams may have: each is held for as long as its caller takes, and short statements must find one, too.
    static let streamsMax = sessionsMax / 2
    /// Statements of a loop that wait for one; further ones get 429.
    static let waitingMax = 512
    /// How long a session stays open without a statement.
    static let idleTimeout = TimeAmount.seconds(60)
    /// How long a cancelled statement may take to end before its session is given up.
    static let cancelGrace = TimeAmount.seconds(1)

    let loop: RouterLoop
    private let reference: LoopReference
    private let typeNames: TypeNames
    private var sessions: [ObjectIdentifier: StatementConnection] = [:]
    /// The one used last comes last.
    private var idle: [StatementConnection] = []
    private var waiting = CircularBuffer<StatementCall>()
    private var calls: [UInt64: StatementCall] = [:]
    private var sweep: Scheduled<Void>?

    init(_ loop: RouterLoop, _ reference: LoopReference) {
        self.loop = loop
        self.reference = reference
        typeNames = TypeNames(loop)
    }

    // MARK: Calls

    func run(_ call: StatementCall) {
        calls[call.id] = call
        if let timeout = call.request.timeout {
            call.keep(loop.eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.interrupt(call, .deadline) })
        }
        check(call, mayRefresh: true)
    }

    /// The caller does not want the answer any more.
    func abandon(id: UInt64) {
        if let call = calls[id] { interrupt(call, .abandoned) }
    }

    private func interrupt(_ call: StatementCall, _ reason: StatementCall.Interruption) {
        guard !call.isDone, !call.isAnswered else { return }
        call.interrupt(reason)
        guard let connection = call.connection else {
            waiting.removeAll { $0 === call }
            return end(call, .failure(reason == .abandoned ? .abandoned : .deadline(mayHaveRun: false)))
        }
        connection.cancel()
        guard !call.isDone else { return }
        // What a stream's caller has not taken holds nothing up any more.
        connection.setReading(true)
        call.keep(loop.eventLoop.assumeIsolated().scheduleTask(in: Self.cancelGrace) { connection.close() })
    }

    private func end(_ call: StatementCall, _ result: Result<[UInt8], APIError>) {
        call.connection = nil
        call.end(result)
        if call.stream != nil { advance(call) } else { calls[call.id] = nil }
    }

    // MARK: Before a session is needed

    private func check(_ call: StatementCall, mayRefresh: Bool) {
        guard !call.isDone else { return }
        do throws(APIError) {
            let database = try loop.servedDatabase(call.request.database)
            guard let scope = database.scope(for: loop.settings(SessionSettings()), roles: [], call.request.access) else {
                guard mayRefresh else { throw APIError(ServerError.schemaUnknown(database.name)) }
                return refresh(call)
            }
            let checks = try Self.checks(of: call, database, scope)
            if call.request.explains, let check = checks.first {
                // The schema could be older than the table; a statement that runs finds out in its session.
                if check.planned.plan == nil, check.planned.isCuredByReload, mayRefresh { return refresh(call) }
                return end(call, .success(APICoding.encode(check.explanation())))
            }
            for (index, check) in checks.enumerated() {
                do throws(APIError) {
                    try check.admit()
                } catch {
                    throw call.isBatch ? error.at(statement: index) : error
                }
            }
            try admitStream(call)
            call.exchange = Self.exchange(of: call, checks)
            call.database = database
            try dispatch(call, database)
        } catch {
            end(call, .failure(error))
        }
    }

    private static func checks(
        of call: StatementCall, _ database: DatabaseState, _ scope: PlanScope
    ) throws(APIError) -> [StatementCheck] {
        var checks: [StatementCheck] = []
        for (index, statement) in call.statements.enumerated() {
            do throws(WireError) {
                checks.append(try StatementCheck(statement, database, scope: scope))
            } catch {
                let error = APIError(.invalidRequest, "field \"query\" is not a statement")
                throw call.isBatch ? error.at(statement: index) : error
            }
        }
        return checks
    }

    private static func exchange(of call: StatementCall, _ checks: [StatementCheck]) -> any SessionExchange {
        // What cannot be planned yet may turn out to write.
        let writes = checks.contains { $0.planned.plan?.writes ?? true }
        if call.isBatch { return BatchExchange(call.statements, writes: writes) }
        return StatementExchange(call.request, writes: writes, defersSync: checks.contains(where: \.mayWriteAndReturn))
    }

    private func refresh(_ call: StatementCall) {
        loop.shared.requests.refreshSchema(database: call.request.database).hop(to: loop.eventLoop).assumeIsolated().whenComplete { _ in
            self.check(call, mayRefresh: false)
        }
    }

    // MARK: Sessions

    private func dispatch(_ call: StatementCall, _ database: DatabaseState) throws(APIError) {
        if let index = idle.lastIndex(where: { $0.database === database }) {
            return start(call, on: idle.remove(at: index))
        }
        if sessions.count >= Self.sessionsMax, !idle.isEmpty { discard(idle.removeFirst()) }
        if sessions.count < Self.sessionsMax { return open(call, database) }
        guard waiting.count < Self.waitingMax else {
            throw APIError(.tooManyRequests, "too many statements wait for a session of this router")
        }
        waiting.append(call)
    }

    private func open(_ call: StatementCall, _ database: DatabaseState) {
        let connection = StatementConnection(database, for: call, in: self)
        sessions[ObjectIdentifier(connection)] = connection
        call.connection = connection
        connection.open(reference)
    }

    private func start(_ call: StatementCall, on connection: StatementConnection) {
        call.connection = connection
        connection.run(call)
    }

    private func discard(_ connection: StatementConnection) {
        // It counts no longer, though its end takes a moment.
        sessions[ObjectIdentifier(connection)] = nil
        connection.close()
    }

    /// The session can take a statement.
    func isFree(_ connection: StatementConnection) {
        guard sessions[ObjectIdentifier(connection)] != nil else { return }
        guard let next = waiting.popFirst(), let database = next.database else {
            if loop.databases[connection.database.name] !== connection.database { return discard(connection) }
            idle.append(connection)
            return sweepLater()
        }
        if connection.database === database { return start(next, on: connection) }
        discard(connection)
        open(next, database)
    }

    /// The session has answered the statement.
    func finished(_ call: StatementCall, on connection: StatementConnection) {
        call.connection = nil
        call.answered()
        if let failure = call.failure { return end(call, .failure(failure)) }
        if let stream = call.stream { return complete(call, stream, connection.database) }
        let results = call.exchange.results
        let shard = call.exchange.shard
        typeNames.resolve(results, in: connection.database) { [self] name in
            let latency = ContinuousClock.now - call.request.start
            if call.isBatch {
                return end(call, .success(BatchBody(shard: shard, results: results, latency: latency).encoded(typeName: name)))
            }
            var body = results[0]
            body.latency = latency
            end(call, .success(body.encoded { name($0, body.shard) }))
        }
    }

    // MARK: Streams

    private func admitStream(_ call: StatementCall) throws(APIError) {
        guard call.stream != nil else { return }
        let running = calls.values.count { $0.stream != nil && !$0.isAnswered && !$0.isDone }
        guard running <= Self.streamsMax else { throw APIError(.tooManyRequests, "too many streams are open on this router") }
    }

    /// The caller wants the next piece.
    func take(id: UInt64, _ promise: EventLoopPromise<ResultPiece>) {
        guard let call = calls[id], let stream = call.stream else { return promise.fail(APIError.abandoned) }
        stream.take(promise)
        advance(call)
    }

    /// Nobody takes any further piece.
    func drop(id: UInt64) {
        guard let call = calls[id] else { return }
        call.stream?.drop()
        interrupt(call, .abandoned)
        if call.isDone { calls[id] = nil }
    }

    /// Something of a stream has arrived, was taken, or has come to an end.
    func advance(_ call: StatementCall) {
        guard let stream = call.stream else { return }
        if let rows = call.exchange.rows, rows.rowCount > 0, stream.needsHead, let database = call.database {
            askForHead(call, stream, rows, database)
        }
        stream.deliver { call.exchange.takeLines() }
        if stream.isOver, call.isDone { calls[call.id] = nil }
        let hasRoom = call.interruption != nil || (call.exchange.rows?.byteCount ?? 0) < ResultStream.waitingMax
        call.connection?.setReading(hasRoom)
    }

    private func complete(_ call: StatementCall, _ stream: ResultStream, _ database: DatabaseState) {
        var body = call.exchange.results[0]
        body.latency = ContinuousClock.now - call.request.start
        call.complete(body.lastLine())
        if stream.needsHead { askForHead(call, stream, body.rows, database) }
        advance(call)
    }

    private func askForHead(_ call: StatementCall, _ stream: ResultStream, _ rows: RowEncoder?, _ database: DatabaseState) {
        guard let rows else { return stream.headIsKnown(AnswerBody.headLineWithoutColumns) }
        stream.headIsAsked()
        var columns = rows
        _ = columns.takeLines()
        typeNames.resolve(rows.columns.map(\.typeOID), shard: call.exchange.shard, in: database) { [self] name in
            stream.headIsKnown(columns.headLine(typeName: name))
            advance(call)
        }
    }

    // MARK: Sessions that end

    /// The session is over; what it was running fails.
    func closed(_ connection: StatementConnection, _ call: StatementCall?, _ error: APIError?) {
        sessions[ObjectIdentifier(connection)] = nil
        idle.removeAll { $0 === connection }
        if let call, !call.isDone { end(call, .failure(error ?? call.failureOfLostSession())) }
        // Its place is free.
        guard sessions.count < Self.sessionsMax, let next = waiting.popFirst(), let database = next.database else { return }
        open(next, database)
    }

    // MARK: Idle sessions

    private func sweepLater() {
        guard sweep == nil else { return }
        sweep = loop.eventLoop.assumeIsolated().scheduleTask(in: Self.idleTimeout) { [weak self] in self?.sweepNow() }
    }

    private func sweepNow() {
        sweep = nil
        let limit = NIODeadline.now() - Self.idleTimeout
        let old = idle.filter { $0.idleSince <= limit }
        idle.removeAll { $0.idleSince <= limit }
        for connection in old { discard(connection) }
        if !idle.isEmpty { sweepLater() }
    }

    /// The router is shutting down.
    func closeAll() {
        for connection in sessions.values { connection.close() }
    }
}

extension RouterLoop {
    /// Throws an `APIError`: 404 where the catalog has no such database, 409 where it has no shard yet, 503 during a shutdown.
    func servedDatabase(_ name: String) throws(APIError) -> DatabaseState {
        guard !isClosed else { throw APIError(.notReady, "the router is shutting down") }
        if let database = databases[name] { return database }
        guard catalog.databases[name] != nil else { throw APIError(.databaseNotFound, "there is no database of that name") }
        throw APIError(.noShards, "the database has no shard yet; register one first")
    }
}
