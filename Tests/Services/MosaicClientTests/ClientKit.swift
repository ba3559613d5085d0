import CatalogStore
import ClusterTestKit
import Foundation
import Logging
import ManagerService
@testable import MosaicClient
import PostgresProcess
import ServerConfig
import ShardModel
import Testing

/// A cluster with a sharded, a reference and a local table, and a client of its catalog.
struct ClientCluster: Sendable {
    let cluster: TestCluster
    let client: MosaicClient

    static func with<Value: Sendable>(
        shards: Int = 2, replicas: Int = 0, _ configure: @Sendable (inout MosaicConfiguration) -> Void = { _ in },
        _ body: @Sendable (ClientCluster) async throws -> Value
    ) async throws -> Value {
        var options = TestCluster.Options(shards: shards, tables: ["kv": .sharded(key: "k"), "names": .sharded(key: "name"), "flags": .reference, "notes": .local])
        options.replicas = replicas
        options.postgres = ["lock_timeout": "20s"]
        return try await TestCluster.with(options) { cluster in
            for server in cluster.servers {
                try await server.psql(
                    """
                    CREATE TABLE kv (k bigint PRIMARY KEY, v int); CREATE TABLE names (name varchar(5) PRIMARY KEY, v int);
                    CREATE TABLE flags (id int PRIMARY KEY, name text); INSERT INTO flags VALUES (1, 'one'); CREATE TABLE notes (id int)
                    """, database: TestCluster.database)
            }
            var configuration = Self.configuration(cluster)
            configure(&configuration)
            let client = try await MosaicClient.start(configuration, StoreCatalog(cluster.store))
            do {
                let value = try await body(ClientCluster(cluster: cluster, client: client))
                await client.shutDown()
                return value
            } catch {
                await client.shutDown()
                throw error
            }
        }
    }

    static func configuration(_ cluster: TestCluster) -> MosaicConfiguration {
        var configuration = MosaicConfiguration(catalog: .store("sqlite:unused"))
        configuration.routers = ["postgres://test@127.0.0.1:\(cluster.wirePort)"]
        return configuration
    }

    /// The first key from 1 on that this shard owns.
    func key(on shard: Int, after first: Int = 0) throws -> Int {
        try #require((first + 1...first + 1000).first { try client.shard(of: .key(TestCluster.database, $0)) == TestCluster.id(of: shard).name })
    }

    func onShard(_ shard: Int, _ sql: String) async throws -> String {
        try await cluster.servers[shard].psql(sql, database: TestCluster.database)
    }

    /// Gives each shard the other one's vnodes, as a cutover does it: the catalog says so at an epoch to which the old owners' fences were raised.
    func swapOwners() async throws -> Epoch {
        let catalog = try await cluster.store.load()
        var (first, second) = (try #require(catalog.shards[TestCluster.id(of: 0)]), try #require(catalog.shards[TestCluster.id(of: 1)]))
        try await fence(at: catalog.epoch.next)
        swap(&first.vnodes, &second.vnodes)
        return try await cluster.store.commit(CatalogChange([.putShard(first), .putShard(second)], author: "test"), expecting: catalog.epoch).epoch
    }

    /// Shuts out every session of an older epoch: the fence, then the end of those that are open.
    func fence(at epoch: Epoch) async throws {
        for shard in 0..<2 {
            _ = try await onShard(
                shard,
                """
                UPDATE pgmosaic.identity SET fence = \(epoch.number);
                SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name LIKE 'pgmosaic%'
                """)
        }
    }
}

/// A source that says what it is told to say.
actor HeldCatalog: CatalogReading {
    private var snapshot: CatalogSnapshot?
    private let bell = Bell()

    init(_ snapshot: CatalogSnapshot?) { self.snapshot = snapshot }

    func publish(_ snapshot: CatalogSnapshot) {
        self.snapshot = snapshot
        bell.ring()
    }

    func next(after epoch: Epoch?) async throws(MosaicError) -> CatalogSnapshot? {
        let rings = bell.rings
        if let snapshot, epoch.map({ snapshot.epoch > $0 }) ?? true { return snapshot }
        if snapshot == nil { throw MosaicError(.catalogUnavailable, "held back") }
        await bell.wait(after: rings, until: .now + .seconds(5))
        return snapshot
    }

    func close() {}
}

/// The code of the error that `body` throws; nil: it throws none.
func code(of body: () async throws -> Void) async -> MosaicError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? MosaicError)?.code
    }
}

let shop = TestCluster.database
