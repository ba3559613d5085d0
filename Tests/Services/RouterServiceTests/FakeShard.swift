import CatalogStore
import ClusterTestKit
import NIOPosix
import PGTestServer
import ShardModel
import Testing

/// A cluster whose shard 1 is a server that the test scripts.
enum FakeShard {
    /// - body: gets the cluster, the server, and a key that is its own.
    static func with(
        _ options: TestCluster.Options, _ configuration: PGTestServer.Configuration, _ body: @Sendable (TestCluster, PGTestServer, Int) async throws -> Void
    ) async throws {
        try await TestCluster.with(options) { cluster in
            try await cluster.rows("CREATE TABLE kv (k bigint PRIMARY KEY, v int)")
            let shard = try await PGTestServer.start(configuration, on: MultiThreadedEventLoopGroup.singleton)
            let catalog = try await cluster.store.load()
            var record = try #require(catalog.shards[TestCluster.id(of: 1)])
            record.primaryEndpoint = "postgres://test@127.0.0.1:\(shard.port)/\(TestCluster.database)"
            _ = try await cluster.store.commit(CatalogChange([.putShard(record)], author: "test"), expecting: catalog.epoch)
            let topology = try Topology(database: TestCluster.database, in: try await cluster.store.load())
            let key = try #require((1...10_000).first { key in
                topology.shards[topology.ring.owner(of: Token(hashing: "\(key)".utf8Span.span.bytes)).value].id == TestCluster.id(of: 1)
            })
            try await body(cluster, shard, key)
            await shard.stop()
        }
    }
}
