internal import ControlAPI

internal import RESTServer
internal import ShardModel

extension ManagerAPI {
    var shardHandlers: [String: RESTHandler] {
        [
            "GET /api/v1/shards": { request in
                let catalog = try await writer.load()
                let database = request.query["database"]
                if let database { _ = try Self.database(database, in: catalog) }
                let all = catalog.shards.values.filter { database == nil || $0.database == database }.sorted { $0.id < $1.id }
                    .map { Self.resource($0, in: catalog) }
                return .json(try request.page().page(of: all, name: \.id))
            },
            "GET /api/v1/shards/{id}": { request in
                let catalog = try await writer.load()
                return .json(Self.resource(try Self.shard(request.parameter("id"), in: catalog), in: catalog))
            },
            "POST /api/v1/shards": { request in try await register(request) },
            "DELETE /api/v1/shards/{id}": { request in try await remove(request) },
            "PUT /api/v1/shards/{id}/status": { request in try await changeStatus(request) },
            "PUT /api/v1/shards/{id}/replicas": { request in try await changeReplicas(request) },
            "GET /api/v1/shards/{id}/health": { request in try await health(request) },
            "GET /api/v1/shards/{id}/stats": { request in try await stats(request) },
        ]
    }

    static func apiError(_ error: ShardAccessError, at shard: ShardRecord) -> APIError {
        var answer = error.apiError
        answer.message = "shard \(shard.id): \(answer.message)"
        return answer
    }

    private func changeStatus(_ request: RESTRequest) async throws -> RESTAnswer {
        let (id, body) = (request.parameter("id"), try request.decode(ShardStatusRequest.self))
        guard body.status != .migrating else {
            throw APIError(.invalidRequest, "\"migrating\" is set by a job that moves data, not by hand")
        }
        return try await change(request) { .json($0) } _: { catalog in
            var record = try Self.shard(id, in: catalog)
            try Self.check(version: body.version, is: record.version, "the shard", Self.resource(record, in: catalog))
            guard record.status != .migrating else {
                throw APIError(.versionConflict, "the shard joins the database: a job must move vnodes to it first", details: ["status": "migrating"])
            }
            record.status = body.status
            record.updatedAt = now()
            let changed = record
            return CatalogWriter.Decision(operations: [.putShard(changed)]) { after in
                Self.resource(after.shards[changed.id] ?? changed, in: after)
            }
        }
    }

    private func stats(_ request: RESTRequest) async throws -> RESTAnswer {
        let shard = try Self.shard(request.parameter("id"), in: try await writer.load())
        do {
            let figures = try await inspector.figures(shard.primaryEndpoint)
            return .json(
                ShardStatsAnswer(
                    shardID: shard.id.name, databaseBytes: figures.databaseBytes, connections: figures.connections,
                    connectionsMax: figures.connectionsMax, preparedTransactions: figures.preparedTransactions,
                    vnodeCount: shard.vnodes.count,
                    tables: figures.tables.map { .init(name: $0.name.description, rowEstimate: $0.rowEstimate, bytes: $0.bytes) }))
        } catch {
            throw Self.apiError(error, at: shard)
        }
    }
}
