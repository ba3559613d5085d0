internal import ControlAPI
internal import Foundation
internal import PGChannel
internal import Logging
internal import RESTServer
internal import Secrets
internal import ShardModel

// Shards come here. The ring is only cut anew while the database has no tables: no row moves. To a database that has some, a shard joins without a part of
// the ring, and a job moves vnodes to it.

extension ManagerAPI {
    /// Order matters: everything is checked before anything is changed; the server is marked before the catalog names it, so that a crash in between
    /// leaves a mark that the same registration, repeated, accepts.
    func register(_ request: RESTRequest) async throws -> RESTAnswer {
        let record = try newShard(try request.decode(RegisterShardRequest.self))
        let catalog = try await writer.load()
        try Self.checkIsNew(record, in: catalog)
        let identity = ShardIdentity(clusterID: catalog.clusterID, database: record.database, shard: record.id)
        let inspection = try await suitable(record, as: identity)
        let fit = try await fit(inspection, of: record, in: catalog)
        try fit.check(joins: Self.joins(record, fit, in: catalog))
        try await checkReplicas(record.replicas, of: record, inspection)
        let claim = UUID().uuidString.lowercased()
        do {
            try await inspector.claim(record.primaryEndpoint, as: identity, by: claim, over: inspection.claim)
        } catch {
            throw error.apiError
        }
        do {
            return try await change(request) { .json($0, status: 201) } _: { catalog in
                try Self.checkIsNew(record, in: catalog)
                return try Self.decision(adding: record, fit, in: catalog)
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

    private static func checkIsNew(_ shard: ShardRecord, in catalog: CatalogSnapshot) throws(APIError) {
        _ = try database(shard.database, in: catalog)
        guard let known = catalog.shards[shard.id] else { return }
        throw APIError(
            .alreadyExists, "a shard of that id exists",
            details: ["current": (try? JSONParser.parse(APICoding.encode(resource(known, in: catalog)))) ?? .null])
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

    /// How a new shard's server compares with the home shard's.
    private struct Fit: Sendable {
        /// Declared or not.
        var homeHasTables = false
        /// Why it cannot take a part of the ring at once; nil: it can.
        var otherSchema: APIError?
        /// Why rows, and the definitions that they need, cannot be moved to it.
        var notEmpty: APIError?

        func check(joins: Bool) throws(APIError) {
            if let problem = joins ? notEmpty : otherSchema { throw problem }
        }
    }

    /// All shards of a database have the same user schema: what runs on one must run on each. A shard that joins gets it from a job, and must have none.
    private func fit(_ inspection: ShardInspection, of shard: ShardRecord, in catalog: CatalogSnapshot) async throws(APIError) -> Fit {
        var fit = Fit()
        if !inspection.objects.isEmpty {
            fit.notEmpty = APIError(
                .schemaMismatch, "the database has tables, so rows would be moved to the new shard; its own database must be empty",
                details: ["objects": .array(inspection.objects.map { .string($0) })])
        }
        guard let homeID = catalog.databases[shard.database]?.homeShard, let home = catalog.shards[homeID] else { return fit }
        let model: ShardInspection
        do {
            model = try await inspector.inspect(home.primaryEndpoint)
        } catch {
            throw Self.apiError(error, at: home)
        }
        guard inspection.collation == model.collation else {
            throw APIError(
                .schemaMismatch, "the new shard's database has another collation than the home shard's; make it with the same locale",
                details: ["collation": .string(inspection.collation), "home_collation": .string(model.collation)])
        }
        fit.homeHasTables = !model.tables.isEmpty
        if !inspection.tables.isEmpty || inspection.schemaFingerprint != model.schemaFingerprint {
            fit.otherSchema = APIError(
                .schemaMismatch, "the new shard's schema differs from the home shard's; start with an empty database",
                details: [
                    "home_shard": .string(home.id.name),
                    "tables": .array(inspection.tables.prefix(20).map { .string($0.description) }),
                ])
        }
        return fit
    }
}

// MARK: the ring

extension ManagerAPI {
    /// Whether the shard waits for a job, because the ring cannot be cut anew.
    private static func joins(_ shard: ShardRecord, _ fit: Fit, in catalog: CatalogSnapshot) -> Bool {
        if shards(of: shard.database, in: catalog).allSatisfy(\.isJoining) { return false }
        return fit.homeHasTables || !tables(of: shard.database, in: catalog).isEmpty || unfinishedJob(of: shard.database, in: catalog) != nil
    }

    /// The ring cut evenly over the old shards and the new one, where it does not join; the first shard becomes the home shard.
    private static func decision(
        adding shard: ShardRecord, _ fit: Fit, in catalog: CatalogSnapshot
    ) throws(APIError) -> CatalogWriter.Decision<ShardResource> {
        let joins = joins(shard, fit, in: catalog)
        try fit.check(joins: joins)
        var added = shard
        if joins { added.status = .migrating }
        var members = shards(of: shard.database, in: catalog) + [added]
        guard var database = catalog.databases[shard.database] else { return CatalogWriter.Decision(operations: []) { resource(shard, in: $0) } }
        guard SliceAssignment.assign(to: &members, in: &database) else {
            throw APIError(.reshardingNeeded, "the database has used up its slices of sequence values; make a new database")
        }
        if !joins { try recut(&members, of: shard.database, in: catalog, now: shard.updatedAt) }
        if database.homeShard == nil { database.homeShard = shard.id }
        let changed = members.filter { $0 != catalog.shards[$0.id] }.map { CatalogChange.Operation.putShard($0) }
        return CatalogWriter.Decision(operations: changed + [.putDatabase(database)]) { after in
            resource(after.shards[shard.id] ?? shard, in: after)
        }
    }

    /// Over those of `members` that are not joining.
    static func recut(_ members: inout [ShardRecord], of database: String, in catalog: CatalogSnapshot, now: Double) throws(APIError) {
        let lastID = shards(of: database, in: catalog).flatMap(\.vnodes).map(\.id).max() ?? 0
        let vnodesEach = catalog.databases[database]?.vnodeCount ?? 256
        let owners = members.indices.filter { !members[$0].isJoining }
        guard !owners.isEmpty else { return }
        // Ids are never used again; only a database whose ring was cut millions of times comes here.
        guard UInt64(lastID) + UInt64(owners.count * vnodesEach) <= UInt64(UInt32.max) else {
            throw APIError(.reshardingNeeded, "the database has used up its vnode ids; make a new database with a smaller vnode_count")
        }
        for (index, vnodes) in zip(owners, RingCut.even(over: owners.count, vnodesEach: vnodesEach, after: lastID)) {
            members[index].vnodes = vnodes
            members[index].updatedAt = now
        }
    }
}
