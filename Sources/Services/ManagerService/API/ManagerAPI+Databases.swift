internal import ControlAPI
internal import RESTServer
internal import ShardModel

extension ManagerAPI {
    var databaseHandlers: [String: RESTHandler] {
        [
            "GET /api/v1/databases": { request in
                let catalog = try await writer.load()
                let all = catalog.databases.values.sorted { $0.name < $1.name }.map { DatabaseResource($0, in: catalog) }
                return .json(try request.page().page(of: all, name: \.name))
            },
            "GET /api/v1/databases/{name}": { request in
                let catalog = try await writer.load()
                return .json(DatabaseResource(try Self.database(request.parameter("name"), in: catalog), in: catalog))
            },
            "POST /api/v1/databases": { request in
                let record = try Self.record(from: try request.decode(CreateDatabaseRequest.self))
                return try await change(request) { .json($0, status: 201) } _: { catalog in
                    guard catalog.databases[record.name] == nil else {
                        throw APIError(.alreadyExists, "a database of that name exists")
                    }
                    return CatalogWriter.Decision(operations: [.putDatabase(record)]) { after in
                        DatabaseResource(after.databases[record.name] ?? record, in: after)
                    }
                }
            },
            "DELETE /api/v1/databases/{name}": { request in
                let (name, version) = (request.parameter("name"), try request.number("version"))
                return try await change(request) { .noContent } _: { catalog in
                    try Self.deletion(of: name, version: version, in: catalog)
                }
            },
        ]
    }

    private static func record(from request: CreateDatabaseRequest) throws(APIError) -> DatabaseRecord {
        try Names.checkIdentifier(request.name, "name")
        guard request.name != "pgmosaic" else { throw APIError(.invalidRequest, "name \"pgmosaic\" is the routers' console") }
        guard request.name != DatabaseGrant.allDatabases else { throw APIError(.invalidRequest, "name \"*\" stands for all databases in grants") }
        let vnodeCount = request.vnodeCount ?? 256
        let bounds = RequestLimits.vnodeCount
        guard bounds.contains(vnodeCount) else {
            throw APIError(.invalidRequest, "vnode_count must be from \(bounds.lowerBound) to \(bounds.upperBound)")
        }
        let rules = request.keyColumnRules ?? []
        guard RequestLimits.keyColumnRules.contains(rules.count), Set(rules).count == rules.count else {
            throw APIError(.invalidRequest, "key_column_rules must be at most \(RequestLimits.keyColumnRules.upperBound) different names")
        }
        for rule in rules { try Names.checkIdentifier(rule, "key_column_rules") }
        return DatabaseRecord(
            name: request.name, vnodeCount: vnodeCount, defaultConsistency: request.defaultConsistency ?? .strong,
            defaultPlacement: request.defaultPlacement ?? .refuse, keyColumnRules: rules)
    }

    private static func deletion(
        of name: String, version: UInt64?, in catalog: CatalogSnapshot
    ) throws(APIError) -> CatalogWriter.Decision<Void> {
        let record = try database(name, in: catalog)
        try check(version: version, is: record.version, "the database", DatabaseResource(record, in: catalog))
        guard shards(of: name, in: catalog).isEmpty else {
            throw APIError(.databaseNotEmpty, "the database still has shards; remove them first")
        }
        let tables = catalog.tables.values.filter { $0.database == name }.sorted { $0.name < $1.name }
        let deletions = tables.map { CatalogChange.Operation.deleteTable(database: name, name: $0.name, version: $0.version) }
        return .init(operations: deletions + [.deleteDatabase(name: name, version: record.version)]) { _ in }
    }
}
