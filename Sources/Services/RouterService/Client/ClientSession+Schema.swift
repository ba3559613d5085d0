internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// Schema changes: what a transaction's own statements see of them, and what their commit means for everybody.
extension ClientSession {
    /// Bytes of the answers to the schema's queries.
    private static var schemaBytesMax: Int { 256 << 20 }

    /// A statement has run on every shard, inside a transaction: if it changed the schema, what follows is planned by the schema as
    /// the home shard shows it to this transaction.
    ///
    /// `then` gets what it means for the catalog.
    func noteSchemaChange(_ everyShard: EveryShard, _ then: @escaping ([PlacementChange]) -> Void) {
        guard everyShard.changesSchema else { return then([]) }
        readPrivateSchema { [self] result in
            switch result {
            case .success(let schema):
                let changes = confirmed(everyShard.placementChanges, by: schema)
                if let privateSchema {
                    privateSchema.add(changes, schema, session: self)
                } else {
                    privateSchema = PrivateSchema(schema, changes: changes, session: self)
                }
                then(changes)
            case .failure(let error):
                failUnit(error)
            }
        }
    }

    /// Those changes that have come about. With one shard a name may have meant a temporary table, or one of a search_path that the router has not
    /// seen: then the table it was taken for is still there, or not there yet.
    private func confirmed(_ changes: [PlacementChange], by schema: SchemaSnapshot) -> [PlacementChange] {
        database.topology.shards.count == 1 ? changes.filter { $0.hasComeAbout(in: schema) } : changes
    }

    /// Before a definition is committed that is a transaction of its own: the placement changes to publish.
    func confirm(_ everyShard: EveryShard, _ then: @escaping (Result<[PlacementChange]?, ServerError>) -> Void) {
        guard everyShard.changesSchema else { return then(.success(nil)) }
        guard database.topology.shards.count == 1, !everyShard.placementChanges.isEmpty else { return then(.success(everyShard.placementChanges)) }
        readPrivateSchema { [self] result in then(result.map { confirmed(everyShard.placementChanges, by: $0) }) }
    }

    /// After ROLLBACK TO SAVEPOINT, which has undone some of the changes, or all.
    func rereadPrivateSchema(_ then: @escaping () -> Void) {
        guard privateSchema != nil else { return then() }
        readPrivateSchema { [self] result in
            switch result {
            case .success(let schema):
                privateSchema?.add([], schema, session: self)
                then()
            case .failure(let error):
                failUnit(error)
            }
        }
    }

    private func readPrivateSchema(_ done: @escaping (Result<SchemaSnapshot, ServerError>) -> Void) {
        guard let home = participants.first(where: { $0.backend.pool === database.home })?.backend else {
            return done(.failure(.schemaUnknown(database.name)))
        }
        let generation = SchemaGeneration.ofTransaction(loop.nextScopeID())
        let queries = SchemaQueries.all
        let suspension = suspend()
        let exchange = Exchange(.simpleQuery, readies: queries.count, bytesMax: Self.schemaBytesMax) { [self] exchange, result in
            guard resume(suspension) else { return afterClient(exchange, result, home) }
            done(Self.schema(from: exchange, result, home, generation: generation))
            pump()
        }
        home.run(exchange) { buffer in
            for query in queries { buffer.writeQuery(query) }
        }
    }

    private static func schema(
        from exchange: Exchange, _ result: Exchange.Result, _ home: Backend, generation: SchemaGeneration
    ) -> Result<SchemaSnapshot, ServerError> {
        if let error = exchange.error { return .failure(error) }
        if result == .lost { return .failure(.shardLost(home.pool.shardID, mayHaveRun: false)) }
        if exchange.isTooLarge { return .failure(.answerTooLarge) }
        do {
            return .success(try SchemaDecoder.snapshot(exchange.textResults, generation: generation))
        } catch {
            return .failure(.schemaUnreadable("\(error)"))
        }
    }

    /// Makes committed changes known: placements to the catalog, the schema to this router. nil: nothing changed.
    func publish(_ changes: [PlacementChange]?, _ then: @escaping (_ notice: ServerError?) -> Void) {
        guard let changes else { return then(nil) }
        let suspension = suspend()
        loop.shared.requests.publish(changes, database: database.name, author: user).hop(to: loop.eventLoop)
            .assumeIsolated().whenComplete { [self] result in
                guard resume(suspension) else { return }
                forgetScope()
                then((try? result.get()) ?? nil)
                pump()
            }
    }

    /// Whether a name that the schema does not have is looked for: in a session with temporary objects it is likely one of them, but for what it means to
    /// the catalog that a table goes.
    func looksForNames(of plan: CachedPlan) -> Bool { plan.kind == .ddl || !hasHiddenState }

    /// Reads the schema anew, for a statement that does not fit what is known of it.
    func reloadSchema(_ then: @escaping () -> Void) {
        // Inside a transaction that has changed the schema, the session's own reading is the newest there is.
        guard privateSchema == nil else { return then() }
        if scatter != nil { return leaveScatter { [self] in reloadSchema(then) } }
        let suspension = suspend()
        loop.shared.requests.refreshSchema(database: database.name).hop(to: loop.eventLoop)
            .assumeIsolated().whenComplete { [self] _ in
                guard resume(suspension) else { return }
                forgetScope()
                then()
                pump()
            }
    }
}
