internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// Temporary tables in a database with several shards: they live in one server session of the home shard, which the client's session keeps, and are planned for as
/// local tables that come before all others of their names.
///
/// Which there are is never worked out from statements, which fail, are rolled back, or say ON COMMIT DROP: behind each that may have changed them, and behind the end
/// of a transaction with one, the server session is asked before anything else is planned.
extension ClientSession {
    /// Bytes of the answers about a session's temporary relations.
    static var temporaryBytesMax: Int { 16 << 20 }
    /// Plans that a session with temporary relations keeps for itself, of each kind.
    private static var plansMax: Int { 64 }

    /// Whether a server session of the home shard is kept for temporary relations.
    var keepsTemporary: Bool { !pins.isEmpty && pins.contains { $0.kept.contains(.temporary) && !$0.isOfSingleShard } }

    /// Plans with the temporary relations' names: no other session may use them.
    var temporaryScope: PlanScope? {
        guard let schema = database.schema else { return nil }
        var context = database.planningContext(schema, placements: database.topology.placements, searchPath: settings.settings.searchPath, roles: roles)
        context.temporary = temporary
        context.keepsSequences = variables.keepsSequences
        return PlanScope(context: context, generation: database.generation, loop: loop, isForReaders: access == .read, privateCapacity: Self.plansMax)
    }

    // MARK: When they may have changed

    /// A statement has made, changed or taken away temporary relations.
    func temporaryRelationsChanged() {
        guard keepsTemporary else { return }
        for index in participants.indices where isPinned(participants[index].backend) { participants[index].cannotPrepare = true }
        doubtTemporaryNames()
    }

    /// Something has happened that takes back, or completes, what was done to temporary relations.
    func doubtTemporaryNames() {
        guard !pins.isEmpty, pins.contains(where: { $0.isDoubtful && $0.kept.contains(.temporary) && !$0.isOfSingleShard }) else { return }
        isTemporaryDoubtful = true
    }

    func forgetTemporary() {
        isTemporaryDoubtful = false
        become(.none)
    }

    private func become(_ new: TemporaryRelations) {
        // What is the same keeps its plans.
        guard new.relations != temporary.relations else { return }
        temporary = new
        forgetScope()
        privateSchema?.rebase(on: self)
    }

    // MARK: Reading them

    /// Asks the server session that has them, in the transaction that is under way, and goes on with `then`. The unit fails where that is impossible.
    func readTemporary(_ then: @escaping () -> Void) {
        guard let backend = pins.first(where: { $0.kept.contains(.temporary) })?.backend else {
            forgetTemporary()
            return then()
        }
        afterAnswers { [self] in
            // A query of the router's own must not end the pipeline's transaction.
            drainInTransaction { [self] in
                guard isPinned(backend) else { return readTemporary(then) }
                batch.rawUnnamed = nil
                ask(backend, then)
            }
        }
    }

    private func ask(_ backend: Backend, _ then: @escaping () -> Void) {
        let queries = SchemaQueries.temporary
        let suspension = suspend()
        let exchange = Exchange(.simpleQuery, readies: queries.count, bytesMax: Self.temporaryBytesMax) { [self] exchange, result in
            // A kept backend is closed with its session.
            guard resume(suspension) else { return }
            if let error = Self.failure(exchange, result, backend) {
                failUnit(error)
            } else if install(temporary: exchange.textResults) {
                then()
            } else {
                failUnit(.schemaUnreadable("temporary relations"))
            }
            pump()
        }
        backend.run(exchange) { buffer in
            for query in queries { buffer.writeQuery(query) }
        }
    }

    /// What a server session answered to `SchemaQueries.temporary`; false where that cannot be understood.
    @discardableResult
    func install(temporary answers: [[[String?]]]) -> Bool {
        guard keepsTemporary else {
            forgetTemporary()
            return true
        }
        guard let read = try? SchemaDecoder.temporary(answers, generation: loop.nextScopeID()) else { return false }
        isTemporaryDoubtful = false
        become(read)
        return true
    }

    // MARK: Where statements go that are not run yet

    /// Whether only the home shard can prepare and describe a statement: what waits to be sent to whatever shard the batch is for must not hold it.
    func usesTemporary(_ statement: Statement) -> Bool { !pins.isEmpty && statement.planned.plan?.usesTemporary == true && keepsTemporary }

    /// The same, where the session's one shard has temporary tables that nobody has looked at.
    func mayBeTemporary(_ statement: Statement) -> Bool {
        usesTemporary(statement) || !pins.isEmpty && statement.planned.plan?.lacksSchema == true && hasHiddenState
    }

    var isAtHome: Bool { !participants.isEmpty && participants[speaker].backend.pool === database.home }

    /// The shard for a statement about the session's own state: DISCARD TEMP is for the one that has something to discard.
    func pool(ofSession statement: SessionStatement) -> BackendPool {
        if case .discard = statement, keepsTemporary { database.home } else { poolOfCurrentShard() }
    }
}
