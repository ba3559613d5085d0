internal import ControlAPI
internal import Foundation
internal import PGChannel
internal import Logging
internal import RESTServer
internal import Secrets
internal import ShardModel

// Shards come and go here. Until data can be moved, the ring is only cut anew while the database has no tables.

extension ManagerAPI {
    /// Order matters: everything is checked before anything is changed; the server is marked before the catalog names it, so that a crash in between
    /// leaves a mark that the same registration, repeated, accepts.
    func register(_ request: RESTRequest) async throws -> RESTAnswer {
        let record = try newShard(try request.decode(RegisterShardRequest.self))
        let catalog = try await writer.load()
        try Self.checkMayGrow(record, in: catalog)
        let identity = ShardIdentity(clusterID: catalog.clusterID, database: record.database, shard: record.id)
        let inspection = try await suitable(record, as: identity)
        try await compareSchema(inspection, of: record, in: catalog)
        try await checkReplicas(record.replicas, of: record, inspection)
        let claim = UUID().uuidString.lowercased()
        do {
            try await inspector.claim(record.primaryEndpoint, as: identity, by: claim, over: inspection.claim)
        } catch {
            throw error.apiError
        }
        do {
            return try await change(request) { .json($0, status: 201) } _: { catalog in
                try Self.checkMayGrow(record, in: catalog)
                return try Self.decision(adding: record, in: catalog)
            } after: { _ in
                let notes = ShardSuitability.notes(inspection)
                for note in notes { request.logger.warning("\(note)", metadata: ["shard": "\(record.id)"]) }
            }
        } catch let error as APIError {
            if await !mayBeRegistered(record, after: error) { try? await inspector.release(record.primaryEndpoint, from: identity, claimed: claim) }
            throw error
        }
    }

    /// The mark stays where the shard may be in the catalog: after an unknown outcome, or when the same registration ran twice at once.
    private func mayBeRegistered(_ shard: ShardRecord, after error: APIError) async -> Bool {
        guard error.code != .catalogUnknownOutcome, let catalog = try? await writer.load() else { return true }
        guard let known = catalog.shards[shard.id] else { return false }
        return EndpointSecrets.redacted(known.primaryEndpoint) == EndpointSecrets.redacted(shard.primaryEndpoint)
    }

    func remove(_ request: RESTRequest) async throws -> RESTAnswer {
        let (id, version) = (request.parameter("id"), try request.number("version"))
        return try await change(request) { _ in .noContent } _: { catalog in
            let record = try Self.shard(id, in: catalog)
            try Self.check(version: version, is: record.version, "the shard", Self.resource(record, in: catalog))
            let operations = try Self.operations(removing: record, in: catalog, now: now())
            let own = try await checkHoldsNothing(record, in: catalog)
            let identity = ShardIdentity(clusterID: catalog.clusterID, database: record.database, shard: record.id)
            return CatalogWriter.Decision(operations: operations) { _ in Removal(shard: record, identity: identity, inspection: own) }
        } after: { removal in
            await release(removal, request)
        }
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
    private func checkHoldsNothing(_ shard: ShardRecord, in catalog: CatalogSnapshot) async throws -> ShardInspection? {
        let inspections = try await Self.onEach(Self.shards(of: shard.database, in: catalog)) { try? await inspector.inspect($0.primaryEndpoint) }
            .compactMapValues(\.self)
        if let unsettled = inspections.filter({ $0.value.inDoubt > 0 }).keys.min() {
            throw APIError(
                .shardOwnsData, "shard \(unsettled) holds prepared transactions whose outcome is not settled yet; a router will settle them")
        }
        guard let own = inspections[shard.id], own.identity?.shard == shard.id, !own.tables.isEmpty else { return inspections[shard.id] }
        throw APIError(
            .shardOwnsData, "the shard's server holds tables; drop them first",
            details: ["tables": .array(own.tables.prefix(20).map { .string($0.description) })])
    }

    private func newShard(_ body: RegisterShardRequest) throws(APIError) -> ShardRecord {
        guard let id = body.id ?? body.name else { throw APIError(.invalidRequest, "field \"id\" is missing") }
        try Names.checkID(id, "id")
        if let name = body.name { try Names.checkIdentifier(name, "name") }
        let time = now()
        return ShardRecord(
            id: ShardID(id), name: body.name ?? id, database: body.database,
            primaryEndpoint: try sealed(body.primaryEndpoint),
            replicas: try replicas(body.replicas ?? [], of: body.primaryEndpoint), createdAt: time, updatedAt: time)
    }

    func sealed(_ endpoint: String) throws(APIError) -> String {
        do {
            let parsed = try PostgresEndpoint.parse(endpoint)
            guard parsed.user != nil, parsed.database != nil else { throw APIError(.invalidEndpoint, "an endpoint must name a user and a database") }
            return try EndpointSecrets.sealed(endpoint, with: box)
        } catch let error as SecretError {
            throw APIError(.invalidEndpoint, error.description)
        } catch let error as EndpointError {
            throw APIError(.invalidEndpoint, error.description)
        } catch let error as APIError {
            throw error
        } catch {
            throw APIError(.invalidEndpoint, "the endpoint cannot be read")
        }
    }

    private static func checkMayGrow(_ shard: ShardRecord, in catalog: CatalogSnapshot) throws(APIError) {
        _ = try database(shard.database, in: catalog)
        if let known = catalog.shards[shard.id] {
            throw APIError(
                .alreadyExists, "a shard of that id exists",
                details: ["current": (try? JSONParser.parse(APICoding.encode(resource(known, in: catalog)))) ?? .null])
        }
        let others = shards(of: shard.database, in: catalog)
        guard others.isEmpty || tables(of: shard.database, in: catalog).isEmpty else {
            throw APIError(
                .reshardingNeeded,
                "the database has tables, so a new shard would need rows moved to it; this version cannot do that yet")
        }
    }

    /// What the server says, when it can become this shard.
    private func suitable(_ shard: ShardRecord, as identity: ShardIdentity) async throws(APIError) -> ShardInspection {
        let inspection: ShardInspection
        do {
            inspection = try await inspector.inspect(shard.primaryEndpoint)
        } catch {
            throw error.apiError
        }
        let problems = ShardSuitability.problems(inspection)
        if let first = problems.first {
            throw APIError(
                .shardUnsuitable, "the server cannot be a shard as it is: \(first)",
                details: ["problems": .array(problems.map { .string($0) })])
        }
        if let owner = inspection.identity, owner != identity { throw ShardAccessError.taken(owner).apiError }
        return inspection
    }

    /// All shards of a database have the same user schema: what runs on one must run on each.
    private func compareSchema(_ inspection: ShardInspection, of shard: ShardRecord, in catalog: CatalogSnapshot) async throws(APIError) {
        guard let homeID = catalog.databases[shard.database]?.homeShard, let home = catalog.shards[homeID] else { return }
        let model: ShardInspection
        do {
            model = try await inspector.inspect(home.primaryEndpoint)
        } catch {
            throw Self.apiError(error, at: home)
        }
        guard model.tables.isEmpty else {
            throw APIError(
                .reshardingNeeded, "the home shard has tables, so a new shard would need rows moved to it; this version cannot do that yet",
                details: ["home_shard": .string(home.id.name)])
        }
        guard inspection.collation == model.collation else {
            throw APIError(
                .schemaMismatch, "the new shard's database has another collation than the home shard's; make it with the same locale",
                details: ["collation": .string(inspection.collation), "home_collation": .string(model.collation)])
        }
        guard inspection.tables.isEmpty, inspection.schemaFingerprint == model.schemaFingerprint else {
            throw APIError(
                .schemaMismatch, "the new shard's schema differs from the home shard's; start with an empty database",
                details: [
                    "home_shard": .string(home.id.name),
                    "tables": .array(inspection.tables.prefix(20).map { .string($0.description) }),
                ])
        }
    }
}

// MARK: the ring

extension ManagerAPI {
    /// The ring cut evenly over the old shards and the new one; the first shard becomes the home shard.
    private static func decision(adding shard: ShardRecord, in catalog: CatalogSnapshot) throws(APIError) -> CatalogWriter.Decision<ShardResource> {
        var members = shards(of: shard.database, in: catalog) + [shard]
        guard var database = catalog.databases[shard.database] else { return CatalogWriter.Decision(operations: []) { resource(shard, in: $0) } }
        guard SliceAssignment.assign(to: &members, in: &database) else {
            throw APIError(.reshardingNeeded, "the database has used up its slices of sequence values; make a new database")
        }
        if database.homeShard == nil { database.homeShard = shard.id }
        let operations = try recut(&members, of: shard.database, in: catalog, now: shard.updatedAt) + [.putDatabase(database)]
        return CatalogWriter.Decision(operations: operations) { after in
            resource(after.shards[shard.id] ?? shard, in: after)
        }
    }

    private static func operations(
        removing shard: ShardRecord, in catalog: CatalogSnapshot, now: Double
    ) throws(APIError) -> [CatalogChange.Operation] {
        guard shard.vnodes.isEmpty || tables(of: shard.database, in: catalog).isEmpty else {
            throw APIError(.shardOwnsData, "the shard owns a part of the ring, and the database has tables; this version cannot move their rows yet")
        }
        var operations = [CatalogChange.Operation.deleteShard(id: shard.id, version: shard.version)]
        var members = shards(of: shard.database, in: catalog).filter { $0.id != shard.id }
        if !shard.vnodes.isEmpty, !members.isEmpty {
            operations += try recut(&members, of: shard.database, in: catalog, now: now)
        }
        if var database = catalog.databases[shard.database], database.homeShard == shard.id {
            database.homeShard = members.first?.id
            operations.append(.putDatabase(database))
        }
        return operations
    }

    private static func recut(
        _ members: inout [ShardRecord], of database: String, in catalog: CatalogSnapshot, now: Double
    ) throws(APIError) -> [CatalogChange.Operation] {
        let lastID = shards(of: database, in: catalog).flatMap(\.vnodes).map(\.id).max() ?? 0
        let vnodesEach = catalog.databases[database]?.vnodeCount ?? 256
        // Ids are never used again; only a database whose ring was cut millions of times comes here.
        guard UInt64(lastID) + UInt64(members.count * vnodesEach) <= UInt64(UInt32.max) else {
            throw APIError(.reshardingNeeded, "the database has used up its vnode ids; make a new database with a smaller vnode_count")
        }
        let parts = RingCut.even(over: members.count, vnodesEach: vnodesEach, after: lastID)
        for (index, vnodes) in parts.enumerated() {
            members[index].vnodes = vnodes
            members[index].updatedAt = now
        }
        return members.map { .putShard($0) }
    }
}
