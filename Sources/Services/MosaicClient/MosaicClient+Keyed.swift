internal import PoolCore
internal import PGChannel
internal import RoutePlanning
internal import ShardModel

extension MosaicClient {
    /// One statement on the shard that owns `key`.
    ///
    /// It must be answered by that shard alone, and name no other key: `WHERE` its tables' key columns are the key, or reference tables only. Else it is refused
    /// (`needsRouter`, `keyMismatch`) before anything is sent.
    ///
    /// When the shard is another one by the time the statement gets there, the shard refuses the session by its fence, and the statement goes to the new owner
    /// once the catalog says who that is; nothing has run then. A read is also repeated when its connection is lost, a write never.
    ///
    /// - consistency: nil: the database's own default. An eventual read may be answered by a replica; a statement that may write never is.
    /// - timeout: for the statement; nil: `statementTimeout`. Waiting for a connection has its own limit, `acquireTimeout`.
    @discardableResult
    public func query(
        on key: MosaicKey, _ sql: String, _ parameters: [MosaicParameter] = [], consistency: MosaicConsistency? = nil, timeout: Duration? = nil
    ) async throws -> MosaicRows {
        let token = try key.token()
        let timeout = timeout ?? configuration.statementTimeout
        let admission = try await admit(sql, parameters, key, token, isInTransaction: false)
        var attempts = 0
        while true {
            attempts += 1
            do {
                if let rows = try await readReplica(key, token, sql, parameters, admission, consistency, timeout) { return rows }
                let lent = try await lease(key, token, onlyReads: admission.onlyReads)
                return try await run(sql, parameters, on: lent, onlyReads: admission.onlyReads, timeout)
            } catch {
                let error = MosaicError.from(error)
                guard admission.onlyReads, error.code == .connectionLost, attempts < Self.attemptsMax else { throw error }
            }
        }
    }

    /// A transaction on the shard that owns `key`. Committed when `body` returns, rolled back when it throws or when its task is cancelled.
    ///
    /// `body` runs once: nothing of it is repeated. Each of its statements is held to the key as in `query`. Throws what `body` throws; `commitUnknown` where
    /// nobody can say whether it was committed.
    public func transaction<Value: Sendable>(
        on key: MosaicKey, _ options: MosaicTransaction.Options = .init(), _ body: @Sendable (MosaicTransaction) async throws -> Value
    ) async throws -> Value {
        let token = try key.token()
        let lent = try await lease(key, token, onlyReads: false)
        let transaction = MosaicTransaction(
            lent.connection, shard: lent.shard.name, timeout: configuration.statementTimeout, bytesMax: configuration.resultBytesMax
        ) { [self] sql, parameters in
            _ = try await admit(sql, parameters, key, token, isInTransaction: true)
        }
        defer { if !options.isReadOnly { wrote(to: lent.shard) } }
        return try await Self.run(transaction, options, lent, body)
    }

    static func run<Value: Sendable>(
        _ transaction: MosaicTransaction, _ options: MosaicTransaction.Options, _ lent: Lent,
        _ body: @Sendable (MosaicTransaction) async throws -> Value
    ) async throws -> Value {
        do {
            try await transaction.begin(options)
            let value = try await body(transaction)
            try Task.checkCancellation()
            try await transaction.commit()
            lent.giveBack(isClean: true)
            return value
        } catch {
            transaction.end()
            lent.giveBack(isClean: false)
            throw error is CancellationError ? MosaicError.cancelled : error
        }
    }

    /// Reads again over a connection that was lost; a server that ends every one of them is given up.
    private static let attemptsMax = 3

    // MARK: Admission

    func admit(
        _ sql: String, _ parameters: [MosaicParameter], _ key: MosaicKey, _ token: Token, isInTransaction: Bool
    ) async throws -> StatementAdmission {
        let topology = try catalog().topology(of: key.database)
        let known = knowledge(of: key.database)
        do {
            var plan: StatementPlan
            do {
                plan = try await self.plan(sql, topology, known, fresh: false)
                if plan.lacksSchema { plan = try await self.plan(sql, topology, known, fresh: true) }
            } catch let failure as PlanFailure where failure.isCuredByReload {
                plan = try await self.plan(sql, topology, known, fresh: true)
            }
            return try StatementAdmission(plan, parameters, key: token, shardCount: topology.shards.count, isInTransaction: isInTransaction)
        } catch let failure as PlanFailure {
            throw failure.error
        }
    }

    /// - fresh: with the schema as it is now.
    private func plan(_ sql: String, _ topology: Topology, _ known: DatabaseKnowledge, fresh: Bool) async throws -> StatementPlan {
        try known.plans.plan(sql, topology, try await known.schema.current(topology, fresh: fresh))
    }

    // MARK: Connections

    /// A connection of a pool for the time of a call.
    struct Lent: Sendable {
        let connection: PooledConnection
        let pool: ServerPool
        let shard: ShardID

        /// - isClean: as `ServerPool.release`.
        func giveBack(isClean: Bool) { pool.release(connection, isClean: isClean) }
    }

    /// A connection to the primary of the key's owner.
    ///
    /// A session says its epoch to the shard once, when it begins. So what counts is the catalog *after* the connection is there: it is at least as new as what
    /// the session said, and if it still names this shard as the owner, the shard's fence is what keeps the statement from a wrong one.
    ///
    /// While the key changes its owner (a hold), nothing but a lone read may begin: the catalog as it is now says so as well, for the same reason.
    func lease(_ key: MosaicKey, _ token: Token, onlyReads: Bool) async throws -> Lent {
        let deadline = ContinuousClock.now + configuration.acquireTimeout
        while true {
            let catalog = try catalog()
            let owner = try Self.owner(catalog, key, token)
            let server = ServerID(shard: owner.id, endpoint: owner.primaryEndpoint, role: .primary)
            let pool = try servers.pool(of: server)
            do {
                let connection = try await pool.lease(until: deadline)
                let newest = try self.catalog()
                if !onlyReads, try newest.topology(of: key.database).hold(of: token) != nil {
                    pool.release(connection)
                    guard await follower.wait(above: newest.epoch, until: deadline) else {
                        throw Task.isCancelled ? .cancelled : MosaicError(.timedOut, "the key is changing its shard, and it takes too long: nothing was sent")
                    }
                    continue
                }
                let now = try Self.owner(newest, key, token)
                if now.id == owner.id, now.primaryEndpoint == owner.primaryEndpoint { return Lent(connection: connection, pool: pool, shard: owner.id) }
                pool.release(connection)
            } catch {
                let error = MosaicError.from(error).of(shard: owner.id.name)
                switch error.code {
                case .staleCatalog:
                    guard await follower.wait(above: catalog.epoch, until: deadline) else { throw Task.isCancelled ? .cancelled : error }
                // A pool that was closed because a newer catalog names another server.
                case .shutDown, .serverUnavailable, .wrongServer:
                    guard try self.catalog().epoch > catalog.epoch, ContinuousClock.now < deadline else { throw error }
                default: throw error
                }
            }
        }
    }

    private static func owner(_ catalog: RoutingCatalog, _ key: MosaicKey, _ token: Token) throws(MosaicError) -> ShardRecord {
        let topology = try catalog.topology(of: key.database)
        return topology.shards[topology.ring.owner(of: token).value]
    }

    func run(
        _ sql: String, _ parameters: [MosaicParameter], on lent: Lent, onlyReads: Bool, _ timeout: Duration
    ) async throws -> MosaicRows {
        defer { if !onlyReads { wrote(to: lent.shard) } }
        do {
            let result = try await lent.connection.client.run(sql, parameters, timeout: timeout, bytesMax: configuration.resultBytesMax)
            lent.giveBack(isClean: true)
            return MosaicRows(result, shard: lent.shard.name)
        } catch {
            let error = MosaicError.from(error)
            // Else something of it may still be under way.
            lent.giveBack(isClean: error.code == .server)
            throw error.of(shard: lent.shard.name)
        }
    }

    // MARK: Replicas

    /// nil: the primary is to answer.
    private func readReplica(
        _ key: MosaicKey, _ token: Token, _ sql: String, _ parameters: [MosaicParameter], _ admission: StatementAdmission,
        _ consistency: MosaicConsistency?, _ timeout: Duration
    ) async throws -> MosaicRows? {
        guard admission.mayReadReplica else { return nil }
        let catalog = try catalog()
        let topology = try catalog.topology(of: key.database)
        guard (consistency.map { $0 == .eventual }) ?? (topology.database.defaultConsistency == .eventual) else { return nil }
        let owner = topology.shards[topology.ring.owner(of: token).value]
        guard !owner.replicas.isEmpty else { return nil }
        let watch = await watch(of: owner)
        guard let (endpoint, _) = await watch.choose(wrote: lastWrite(to: owner.id)) else { return nil }
        let pool = try servers.pool(of: ServerID(shard: owner.id, endpoint: endpoint, role: .replica))
        do {
            let connection = try await pool.lease(until: .now + configuration.acquireTimeout)
            return try await run(sql, parameters, on: Lent(connection: connection, pool: pool, shard: owner.id), onlyReads: true, timeout)
        } catch {
            let error = MosaicError.from(error)
            switch error.code {
            // The primary would give no other answer, or nobody waits for one any more.
            case .cancelled, .timedOut, .resultTooLarge: throw error
            case .server where error.sqlState == "57014": throw error
            case .server: break
            default: await watch.failed(endpoint)
            }
            return nil
        }
    }
}
