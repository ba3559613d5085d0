internal import PGChannel
internal import SQLSyntax
internal import ShardModel
internal import CPGQuery

/// What one shard said to a `scatter`.
public struct MosaicShardAnswer: Sendable {
    public let shard: String
    public let result: Result<MosaicRows, MosaicError>

    /// The rows, or the shard's error.
    public var rows: MosaicRows { get throws { try result.get() } }
}

extension MosaicClient {
    /// One read on every shard of a database at the same time; the answers in the order of the shards' names, each with its own rows or its own error.
    ///
    /// Nothing is merged: an aggregate is each shard's own, a reference table's rows come from each shard, and each shard shows its own moment. For one answer of
    /// the whole database send the statement through a router.
    ///
    /// It must be a SELECT (VALUES, TABLE). It runs in a transaction that PostgreSQL holds to reading, and that is rolled back.
    public func scatter(
        _ database: String, _ sql: String, _ parameters: [MosaicParameter] = [], timeout: Duration? = nil
    ) async throws -> [MosaicShardAnswer] {
        try Self.requireQuery(sql)
        let topology = try catalog().topology(of: database)
        let timeout = timeout ?? configuration.statementTimeout
        let shards = topology.shards.map(\.id)
        var answers = [MosaicShardAnswer?](repeating: nil, count: shards.count)
        await withTaskGroup(of: (Int, MosaicShardAnswer).self) { group in
            var next = 0
            func begin() {
                guard next < shards.count else { return }
                let index = next
                next += 1
                group.addTask { [self] in (index, await answer(of: shards[index], database, sql, parameters, timeout)) }
            }
            for _ in 0..<min(configuration.scatterWidth, shards.count) { begin() }
            for await (index, answer) in group {
                answers[index] = answer
                begin()
            }
        }
        if Task.isCancelled { throw MosaicError.cancelled }
        return answers.compactMap { $0 }
    }

    private func answer(
        of shard: ShardID, _ database: String, _ sql: String, _ parameters: [MosaicParameter], _ timeout: Duration
    ) async -> MosaicShardAnswer {
        do {
            let lent = try await lease(of: shard, database)
            do {
                let client = lent.connection.client
                try await client.execute("BEGIN READ ONLY", timeout: .init(timeout))
                let result = try await client.run(sql, parameters, timeout: timeout, bytesMax: configuration.resultBytesMax)
                // What outlives a rollback is what a query can take: session-level advisory locks.
                try await client.execute("ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all()", timeout: .init(timeout))
                lent.giveBack(isClean: true)
                return MosaicShardAnswer(shard: shard.name, result: .success(MosaicRows(result, shard: shard.name)))
            } catch {
                lent.giveBack(isClean: false)
                throw error
            }
        } catch {
            return MosaicShardAnswer(shard: shard.name, result: .failure(MosaicError.from(error).of(shard: shard.name)))
        }
    }

    /// A connection to the shard's primary, under a catalog that its fence takes.
    private func lease(of shard: ShardID, _ database: String) async throws -> Lent {
        let deadline = ContinuousClock.now + configuration.acquireTimeout
        while true {
            let catalog = try catalog()
            guard let record = catalog.snapshot.shards[shard], record.database == database else {
                throw MosaicError(.staleCatalog, "the shard is none of \"\(database)\" any more")
            }
            let pool = try servers.pool(of: ServerID(shard: shard, endpoint: record.primaryEndpoint, role: .primary))
            do {
                return Lent(connection: try await pool.lease(until: deadline), pool: pool, shard: shard)
            } catch let error as MosaicError where error.code == .staleCatalog {
                guard await follower.wait(above: catalog.epoch, until: deadline) else { throw error }
            }
        }
    }

    private static func requireQuery(_ sql: String) throws(MosaicError) {
        let statements: [ParsedStatement]
        do throws(SyntaxError) {
            statements = try ParsedSQL.parse(sql, limits: PlanCache.limits).statements
        } catch {
            throw MosaicError(error)
        }
        guard statements.count == 1, statements[0].node.kind == PG_QUERY__NODE__NODE_SELECT_STMT else {
            throw MosaicError(.needsRouter, "only one SELECT at a time goes to every shard")
        }
    }
}
