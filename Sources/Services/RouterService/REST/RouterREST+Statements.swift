internal import ControlAPI
internal import PGTypes
internal import PGWire
internal import RESTServer
internal import RoutePlanning
internal import ServerConfig
internal import ShardModel

extension RouterREST {
    /// POST /v1/execute
    func execute(_ request: RESTRequest, _ statements: StatementRunner) async throws -> RESTAnswer {
        let statement = try await decoded(request) { try self.statement(of: $0) }
        return try await request.whileCallerWaits {
            RESTAnswer(contentType: RESTAnswer.json, body: try await statements.run(statement))
        }
    }

    /// POST /v1/execute, for callers that accept lines of JSON.
    func executeStreaming(_ request: RESTRequest, _ statements: StatementRunner) async throws -> RESTReply {
        let statement = try await decoded(request) { try self.statement(of: $0, isStreamed: true) }
        let (first, source) = try await request.whileCallerWaits { try await statements.stream(statement) }
        if first.kind == .whole { return .whole(RESTAnswer(contentType: RESTAnswer.json, body: first.bytes)) }
        return .stream(
            RESTStream(first: first.forCaller, next: { try await source.next().forCaller }, onDrop: { source.drop() }))
    }

    /// Bodies up to this many bytes are read on the event loop, in a fraction of a millisecond.
    private static let onLoopMax = 32 << 10

    private func decoded<Value: Sendable>(
        _ request: RESTRequest, _ decode: @Sendable (RESTRequest) throws -> Value
    ) async throws -> Value {
        if request.body.count <= Self.onLoopMax { return try decode(request) }
        return try await RESTRequest.offLoop { try decode(request) }
    }

    private func statement(of request: RESTRequest, isStreamed: Bool = false) throws(APIError) -> StatementRequest {
        let start = ContinuousClock.now
        let execute = try ExecuteRequest(body: request.body)
        let database = try database(execute.database)
        return try StatementRequest(
            execute, database: database, access: try access(of: request, to: database), caller: request.principal?.name, origin: origin(of: request),
            trace: trace(of: request), limits: isStreamed ? limits.ofStream() : limits, timeoutDefault: shared.settings.statementTimeout, start: start, isStreamed: isStreamed)
    }

    /// POST /v1/batch
    func batch(_ request: RESTRequest, _ statements: StatementRunner) async throws -> RESTAnswer {
        let list = try await decoded(request) { request in
            let start = ContinuousClock.now
            let batch = try BatchRequest(body: request.body)
            let database = try database(batch.database)
            return try StatementRequest.batch(
                batch, database: database, access: try access(of: request, to: database), caller: request.principal?.name, origin: origin(of: request),
                trace: trace(of: request), limits: limits, timeoutDefault: shared.settings.statementTimeout, start: start)
        }
        return try await request.whileCallerWaits {
            RESTAnswer(contentType: RESTAnswer.json, body: try await statements.run(batch: list))
        }
    }

    private func origin(of request: RESTRequest) -> StatementOrigin? {
        settings.audit.auditsWrites && shared.audit != nil ? StatementOrigin(address: request.address.full, requestID: request.id, traceID: request.trace.traceID) : nil
    }

    /// Only what somebody records: a text of its own is planned anew.
    private func trace(of request: RESTRequest) -> String? { shared.settings.restSQLComments && request.trace.isSampled ? request.trace.parent : nil }

    private var limits: StatementLimits {
        StatementLimits(rowsMax: shared.settings.restRowsMax, bytesMax: shared.settings.restBytesMax)
    }

    /// What the caller may do with a database. Throws an `APIError` of 403 where that is nothing, whether or not there is such a database.
    private func access(of request: RESTRequest, to database: String) throws(APIError) -> DatabaseAccess {
        guard let principal = request.principal else { return .write }
        guard let access = principal.access(to: database) else {
            throw APIError(.forbidden, "the user has no right on the database", sqlstate: SQLState.insufficientPrivilege.code)
        }
        return access
    }

    /// The database of a request: the one it names, else the router's own default, else the only one there is.
    func database(_ name: String?) throws(APIError) -> String {
        if let name = name ?? shared.settings.database { return name }
        let names = shared.control.catalog?.databases.keys.sorted() ?? []
        guard let only = names.first else { throw APIError(.databaseNotFound, "the catalog has no database yet") }
        guard names.count == 1 else { throw APIError(.invalidRequest, "name a database: there are several") }
        return only
    }

    /// GET /v1/shard-for-key
    func shardForKey(_ request: RESTRequest, _ statements: StatementRunner) async throws -> RESTAnswer {
        let database = try database(request.query["database"])
        _ = try access(of: request, to: database)
        let key = JSONValue.string(request.query["key"] ?? "")
        let answer = await statements.anyLoop.ask { loop -> Result<ShardForKeyAnswer, APIError> in
            do throws(APIError) {
                return .success(try loop.servedDatabase(database).owner(of: key))
            } catch {
                return .failure(error)
            }
        }
        return .json(try answer.get())
    }
}

extension ResultPiece {
    fileprivate var forCaller: RESTStream.Piece { .init(bytes: bytes, isLast: kind != .lines) }
}

extension DatabaseState {
    fileprivate func owner(of key: JSONValue) -> ShardForKeyAnswer {
        let token = StatementCheck.token(key, keyType)
        return ShardForKeyAnswer(
            shardID: pool(topology.ring.owner(of: token)).shardID.name, token: token.value, epoch: topology.epoch.number)
    }

    /// The type of the shard keys, where the database has one type only: a uuid in capitals is then the key that the column holds.
    private var keyType: KeyType? {
        var types: Set<KeyType> = []
        for (name, placement) in topology.placements {
            guard case .sharded(let key) = placement else { continue }
            guard let column = schema?.relations[name]?.columns.first(where: { $0.name == key }) else { continue }
            if let type = KeyType(typeOID: column.typeOID) { types.insert(type) }
        }
        return types.count == 1 ? types.first : nil
    }
}
