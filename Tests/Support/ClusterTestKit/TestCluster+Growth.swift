internal import CatalogStore
internal import Foundation
internal import ManagerService
internal import NIOPosix
package import PostgresProcess
internal import ShardModel

extension TestCluster {
    /// Runs `body` with one shard more, on a server that holds no tables, as the manager would record it once it has found the home shard to hold none.
    package func withOneShardMore<Value: Sendable>(_ body: @Sendable (PostgresServer) async throws -> Value) async throws -> Value {
        var settings = servers[0].options
        settings.dataDirectory += "-more"
        settings.logFile = settings.dataDirectory + ".log"
        settings.port = 0
        let server = try await PostgresServer.create(settings)
        let result: Result<Value, any Error>
        do {
            try await server.createDatabase(Self.database)
            try await register(further: server)
            result = .success(try await body(server))
        } catch {
            result = .failure(error)
        }
        await server.stop(.immediate)
        return try result.get()
    }

    private func register(further server: PostgresServer) async throws {
        let catalog = try await store.load()
        let id = Self.id(of: servers.count)
        let endpoint = server.dsn(database: Self.database)
        try await PostgresShardInspector(box: nil, group: .singleton, timeout: .seconds(60))
            .claim(endpoint, as: ShardIdentity(clusterID: catalog.clusterID, database: Self.database, shard: id), by: "test", over: nil)
        var members = servers.indices.compactMap { catalog.shards[Self.id(of: $0)] }
        members.append(ShardRecord(id: id, name: id.name, database: Self.database, primaryEndpoint: endpoint, slice: servers.count))
        let rings = RingCut.even(over: members.count, vnodesEach: 16, after: members.flatMap(\.vnodes).map(\.id).max() ?? 0)
        for index in members.indices { members[index].vnodes = rings[index] }
        _ = try await store.commit(CatalogChange(members.map { .putShard($0) }, author: "test"), expecting: catalog.epoch)
    }
}
