internal import ControlAPI
internal import RESTServer
internal import ShardModel

extension ManagerAPI {
    var tableHandlers: [String: RESTHandler] {
        [
            "GET /api/v1/databases/{name}/tables": { request in
                let catalog = try await writer.load()
                let database = try Self.database(request.parameter("name"), in: catalog)
                let all = Self.tables(of: database.name, in: catalog).map { TableResource($0, homeShard: database.homeShard) }
                return .json(try request.page().page(of: all, name: \.name))
            },
            "POST /api/v1/databases/{name}/tables": { request in try await declare(request) },
            "DELETE /api/v1/databases/{name}/tables/{table}": { request in try await forget(request) },
        ]
    }

    /// Sorted by name as shown, which is the order of pages.
    static func tables(of database: String, in catalog: CatalogSnapshot) -> [TableRecord] {
        catalog.tables.values.filter { $0.database == database }.sorted { $0.name.description < $1.name.description }
    }

    /// "schema.table"; without a schema, public. Both parts as PostgreSQL stores them.
    static func tableName(_ text: String) throws(APIError) -> QualifiedName {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts.count == 2 ? QualifiedName(schema: parts[0], name: parts[1]) : QualifiedName(schema: "public", name: text)
        try Names.checkIdentifier(name.schema, "the table's schema")
        try Names.checkIdentifier(name.name, "the table's name")
        guard !["information_schema", "pgmosaic"].contains(name.schema), !name.schema.hasPrefix("pg_") else {
            throw APIError(.invalidRequest, "tables of \(name.schema) have no placement of their own")
        }
        return name
    }

    private static func placement(_ request: DeclareTableRequest) throws(APIError) -> Placement {
        switch (request.kind, request.shardKey) {
        case (.sharded, let key?):
            try Names.checkIdentifier(key, "shard_key")
            return .sharded(key: key)
        case (.sharded, nil): throw APIError(.invalidRequest, "a sharded table needs shard_key, the column whose value decides the shard")
        case (.reference, nil): return .reference
        case (.local, nil): return .local
        default: throw APIError(.invalidRequest, "shard_key belongs to sharded tables only")
        }
    }

    private func declare(_ request: RESTRequest) async throws -> RESTAnswer {
        let body = try request.decode(DeclareTableRequest.self)
        let (database, name) = (request.parameter("name"), try Self.tableName(body.name))
        let placement = try Self.placement(body)
        let key = CatalogSnapshot.TableKey(database: database, table: name)
        let look = CatalogWriter.Look { catalog -> Whereabouts? in
            let home = try Self.database(database, in: catalog).homeShard
            if let wanted = body.homeShard, body.kind != .local || wanted != home?.name {
                throw APIError(.invalidRequest, "home_shard can only be the database's home shard, and belongs to local tables only")
            }
            // It is declared so.
            if catalog.tables[key]?.placement == placement { return nil }
            try Self.checkNoJob(of: database, in: catalog)
            return Whereabouts(of: key, in: catalog)
        } find: { whereabouts in
            if let whereabouts { try await checkExistingTable(whereabouts, for: placement) }
        }
        return try await change(request, answer: { .json($0.resource, status: $0.isNew ? 201 : 200) }, look: look) { catalog, _ in
            let (home, old) = (catalog.databases[database]?.homeShard, catalog.tables[key])
            if let old, old.placement == placement {
                return CatalogWriter.Decision(operations: []) { _ in (resource: TableResource(old, homeShard: home), isNew: false) }
            }
            let record = TableRecord(database: database, name: name, placement: placement, version: old?.version ?? 0)
            return CatalogWriter.Decision(operations: [.putTable(record)]) { after in
                (resource: TableResource(after.tables[key] ?? record, homeShard: home), isNew: old == nil)
            }
        }
    }

    /// A job has read which tables there are, and moves the rows of those.
    private static func checkNoJob(of database: String, in catalog: CatalogSnapshot) throws(APIError) {
        guard let job = unfinishedJob(of: database, in: catalog) else { return }
        throw jobConflict(job, "tables cannot be declared or forgotten while job \(job) moves rows of the database; wait for its end, or cancel it")
    }

    /// What is looked at before a table gets a placement, or loses it.
    private struct Whereabouts: Equatable, Sendable {
        var table: QualifiedName
        var home: ShardID?
        var shards: [ShardRecord]
        var declared: [QualifiedName: Placement]

        init(of key: CatalogSnapshot.TableKey, in catalog: CatalogSnapshot) {
            table = key.table
            home = catalog.databases[key.database]?.homeShard
            // One that is joining has no tables yet, or those that a job is bringing.
            shards = ManagerAPI.shards(of: key.database, in: catalog).filter { !$0.isJoining }
            declared = Dictionary(uniqueKeysWithValues: ManagerAPI.tables(of: key.database, in: catalog).map { ($0.name, $0.placement) })
        }
    }

    /// A table that exists may get its first placement only while no row would be in the wrong place: it is empty, on every shard that must have
    /// it, and fit. It never gets another one: a router that has not heard of the change would write rows to where the old one says.
    private func checkExistingTable(_ whereabouts: Whereabouts, for placement: Placement) async throws {
        let shards = whereabouts.shards
        guard let home = whereabouts.home, !shards.isEmpty else { return }
        let found = try await inspections(of: whereabouts.table, for: placement, on: shards, declared: whereabouts.declared)
        if found.isEmpty { return }
        let isWhereItBelongs = placement == .local && found.keys.elementsEqual([home])
        guard whereabouts.declared[whereabouts.table] == nil else { throw Self.exists(found, "the table exists with another placement; drop it through a router first") }
        guard isWhereItBelongs || !found.values.contains(where: \.hasRows) else {
            throw APIError(.tableNotEmpty, "the table holds rows; their placement can only be chosen while it is empty")
        }
        if let problems = found.sorted(by: { $0.key < $1.key }).map(\.value.problems).first(where: { !$0.isEmpty }) {
            throw APIError(
                .tableUnsuitable, "the table cannot have this placement: \(problems[0])",
                details: ["problems": .array(problems.map { .string($0) })])
        }
        let missing = shards.map(\.id).filter { found[$0] == nil }
        guard missing.isEmpty || placement == .local else {
            throw APIError(
                .tableUnsuitable, "the table exists on some shards only; drop it, declare it, and create it through a router",
                details: ["missing_on": .array(missing.map { .string($0.name) })])
        }
    }

    private static func exists(_ found: [ShardID: TableInspection], _ message: String) -> APIError {
        APIError(
            found.values.contains(where: \.hasRows) ? .tableNotEmpty : .tableExists, message,
            details: ["found_on": .array(found.keys.sorted().map { .string($0.name) })])
    }

    /// On which of `shards` the table exists, and what it is like there.
    private func inspections(
        of name: QualifiedName, for placement: Placement, on shards: [ShardRecord], declared: [QualifiedName: Placement]
    ) async throws -> [ShardID: TableInspection] {
        let found = try await Self.onEach(shards) { shard in
            do {
                return try await inspector.table(name, for: placement, at: shard.primaryEndpoint, declared: declared)
            } catch let error as ShardAccessError {
                throw Self.apiError(error, at: shard)
            }
        }
        return found.compactMapValues(\.self)
    }

    private func forget(_ request: RESTRequest) async throws -> RESTAnswer {
        let database = request.parameter("name")
        let (name, version) = (try Self.tableName(request.parameter("table")), try request.number("version"))
        let key = CatalogSnapshot.TableKey(database: database, table: name)
        @Sendable func record(in catalog: CatalogSnapshot) throws(APIError) -> TableRecord {
            let home = try Self.database(database, in: catalog).homeShard
            guard let record = catalog.tables[key] else { throw APIError(.tableNotFound, "the table has no declared placement") }
            try Self.check(version: version, is: record.version, "the table", TableResource(record, homeShard: home))
            return record
        }
        let look = CatalogWriter.Look { catalog in
            let record = try record(in: catalog)
            try Self.checkNoJob(of: database, in: catalog)
            return Forgetting(placement: record.placement, whereabouts: Whereabouts(of: key, in: catalog))
        } find: { forgetting in
            let found = try await inspections(of: name, for: forgetting.placement, on: forgetting.whereabouts.shards, declared: [:])
            guard found.isEmpty else { throw Self.exists(found, "the table exists; drop it through a router first") }
        }
        return try await change(request, answer: { .noContent }, look: look) { catalog, _ in
            CatalogWriter.Decision(
                operations: [.deleteTable(database: database, name: name, version: try record(in: catalog).version)]) { _ in }
        }
    }

    private struct Forgetting: Equatable, Sendable {
        var placement: Placement
        var whereabouts: Whereabouts
    }
}
