internal import ControlAPI
internal import Logging
internal import RESTServer
internal import ShardModel

// Shards go here.

extension ManagerAPI {
    func remove(_ request: RESTRequest) async throws -> RESTAnswer {
        let (id, version) = (request.parameter("id"), try request.number("version"))
        let look = CatalogWriter.Look { catalog in
            let record = try Self.shard(id, in: catalog)
            try Self.check(version: version, is: record.version, "the shard", Self.resource(record, in: catalog))
            _ = try Self.operations(removing: record, in: catalog, now: now())
            return Holdings(shard: record, isOwner: Self.isOwner(record, in: catalog), all: Self.shards(of: record.database, in: catalog))
        } find: { holdings in
            try await checkNothingIsHeld(holdings)
        }
        return try await change(request, answer: { _ in .noContent }, look: look) { catalog, own in
            let record = try Self.shard(id, in: catalog)
            let identity = ShardIdentity(clusterID: catalog.clusterID, database: record.database, shard: record.id)
            return CatalogWriter.Decision(operations: try Self.operations(removing: record, in: catalog, now: now())) { _ in
                Removal(shard: record, identity: identity, inspection: own)
            }
        } after: { removal in
            await release(removal, request)
        }
    }

    /// What is looked through before a shard is removed.
    private struct Holdings: Equatable, Sendable {
        var shard: ShardRecord
        /// Whether its tables may hold anything that is nowhere else.
        var isOwner: Bool
        /// The shards of its database.
        var all: [ShardRecord]
    }

    private struct Removal: Sendable {
        var shard: ShardRecord
        var identity: ShardIdentity
        /// As it was before the shard was removed: should somebody register the server anew meanwhile, its claim is another. nil: it did not answer.
        var inspection: ShardInspection?
    }

    private func release(_ removal: Removal, _ request: RESTRequest) async {
        do {
            guard let inspection = removal.inspection else { throw ShardAccessError.unreachable("it did not answer when the shard was removed") }
            try await inspector.release(removal.shard.primaryEndpoint, from: removal.identity, claimed: inspection.claim)
        } catch {
            request.logger.warning("the mark of the removed shard stays on its server", error: error, metadata: ["shard": "\(removal.shard.id)"])
        }
    }

    /// The catalog knows of declared tables only; a server that answers is asked for the others, and for transactions in doubt, whose outcome
    /// may be recorded on the shard that goes. A server that does not answer can be removed: it may be gone for good.
    /// Returns what the shard's own server said, where it did.
    private func checkNothingIsHeld(_ holdings: Holdings) async throws -> ShardInspection? {
        let shard = holdings.shard
        let inspections = try await Self.onEach(holdings.all) { try? await inspector.inspect($0.primaryEndpoint) }.compactMapValues(\.self)
        if let unsettled = inspections.filter({ $0.value.inDoubt > 0 }).keys.min() {
            throw APIError(
                .shardOwnsData, "shard \(unsettled) holds prepared transactions whose outcome is not settled yet; a router will settle them")
        }
        guard holdings.isOwner, let own = inspections[shard.id], own.identity?.shard == shard.id, !own.tables.isEmpty else { return inspections[shard.id] }
        throw APIError(
            .shardOwnsData, "the shard's server holds tables; drop them first",
            details: ["tables": .array(own.tables.prefix(20).map { .string($0.description) })])
    }

    /// Whether the shard has something that is nowhere else: keys, or the database's local tables. One that is not an owner has definitions and
    /// copies of reference tables at most.
    private static func isOwner(_ shard: ShardRecord, in catalog: CatalogSnapshot) -> Bool {
        !shard.vnodes.isEmpty || catalog.databases[shard.database]?.homeShard == shard.id
    }

    private static func operations(
        removing shard: ShardRecord, in catalog: CatalogSnapshot, now: Double
    ) throws(APIError) -> [CatalogChange.Operation] {
        if let job = catalog.jobs.values.filter({ !$0.isOver && $0.shards.contains(shard.id) }).map(\.id).min() {
            throw jobConflict(job, "job \(job) moves vnodes from or to the shard; wait for its end, or cancel it")
        }
        let deletion = CatalogChange.Operation.deleteShard(id: shard.id, version: shard.version)
        guard isOwner(shard, in: catalog) else { return [deletion] }
        guard tables(of: shard.database, in: catalog).isEmpty else {
            throw APIError(
                .shardOwnsData,
                shard.vnodes.isEmpty
                    ? "the shard is the home shard, and the database has tables" : "the shard owns a part of the ring, and the database has tables; move its vnodes to other shards first")
        }
        if let job = unfinishedJob(of: shard.database, in: catalog) {
            throw jobConflict(job, "the ring cannot be cut anew while job \(job) moves vnodes of the database")
        }
        var members = shards(of: shard.database, in: catalog).filter { $0.id != shard.id }
        try recut(&members, of: shard.database, in: catalog, now: now)
        var operations = [deletion] + members.filter { $0 != catalog.shards[$0.id] }.map { .putShard($0) }
        if var database = catalog.databases[shard.database], database.homeShard == shard.id {
            database.homeShard = members.first { !$0.isJoining }?.id
            operations.append(.putDatabase(database))
        }
        return operations
    }
}
