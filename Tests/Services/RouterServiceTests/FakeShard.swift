import CatalogStore
import ClusterTestKit
import NIOPosix
import PGTestServer
import RESTTestKit
import ShardModel
import Testing

/// A cluster whose shards, all but the home shard, are a server that the test scripts.
enum FakeShard {
    /// - body: gets the cluster, the server, and a key of shard 1.
    static func with(
        _ options: TestCluster.Options, _ configuration: PGTestServer.Configuration, _ body: @Sendable (TestCluster, PGTestServer, Int) async throws -> Void
    ) async throws {
        try await withKeys(options, configuration) { cluster, shard, keys in try await body(cluster, shard, keys[1]) }
    }

    /// - body: gets a key of each shard.
    static func withKeys(
        _ options: TestCluster.Options, _ configuration: PGTestServer.Configuration, _ body: @Sendable (TestCluster, PGTestServer, [Int]) async throws -> Void
    ) async throws {
        try await TestCluster.with(options) { cluster in
            try await cluster.rows("CREATE TABLE kv (k bigint PRIMARY KEY, v int)")
            let shard = try await PGTestServer.start(configuration, on: MultiThreadedEventLoopGroup.singleton)
            let catalog = try await cluster.store.load()
            let changes = try (1..<options.shards).map { index in
                var record = try #require(catalog.shards[TestCluster.id(of: index)])
                record.primaryEndpoint = "postgres://test@127.0.0.1:\(shard.port)/\(TestCluster.database)"
                return CatalogChange.Operation.putShard(record)
            }
            let epoch = try await cluster.store.commit(CatalogChange(changes, author: "test"), expecting: catalog.epoch).epoch
            try await eventually("the router knows the shards") {
                let line = "pgmosaic_catalog_epoch \(epoch.number)"
                return try await cluster.get("/metrics").text.split(separator: "\n").contains { $0 == line }
            }
            let topology = try Topology(database: TestCluster.database, in: try await cluster.store.load())
            let keys = try (0..<options.shards).map { index in
                try #require((1...10_000).first { key in
                    topology.shards[topology.ring.owner(of: Token(hashing: "\(key)".utf8Span.span.bytes)).value].id == TestCluster.id(of: index)
                })
            }
            try await body(cluster, shard, keys)
            await shard.stop()
        }
    }
}
