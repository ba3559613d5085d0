import CatalogStore
import ClusterTestKit
import ControlAPI
import Foundation
import Logging
import ManagerService
@testable import MosaicClient
import PostgresProcess
import ServerConfig
import ShardModel
import Testing

/// What becomes of a client whose catalog is old.
@Suite struct MovedOwnerTests {
    @Test func aMovedKeyIsFencedOffAtItsOldOwnerAndFoundAtItsNewOne() async throws {
        try await ClientCluster.with { it in
            let key = try it.key(on: 0)
            try await it.client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 1)", [.int(key)])
            #expect(try await it.onShard(0, "SELECT count(*) FROM kv") == "1")
            _ = try await it.swapOwners()
            // At once, whether or not the news has arrived: the shard itself says no, and the client waits for the catalog that it asks for.
            try await it.client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 2)", [.int(key)])
            #expect(try await it.onShard(0, "SELECT v FROM kv") == "1")
            #expect(try await it.onShard(1, "SELECT v FROM kv") == "2")
        }
    }

    @Test func aClientWithAnOldCatalogCannotWriteUntilItHasANewerOne() async throws {
        try await ClientCluster.with { it in
            let source = HeldCatalog(try await it.cluster.store.load())
            var configuration = ClientCluster.configuration(it.cluster)
            configuration.acquireTimeout = .seconds(8)
            let stale = try await MosaicClient.start(configuration, source)
            let key = try it.key(on: 0)
            try await stale.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 1)", [.int(key)])
            let epoch = try await it.swapOwners()
            #expect(stale.epoch < epoch.number)
            for _ in 0..<2 {
                do {
                    try await stale.query(on: .key(shop, key), "UPDATE kv SET v = 9 WHERE k = $1", [.int(key)])
                    Issue.record("a stale client wrote")
                } catch let error as MosaicError {
                    #expect(error.code == .staleCatalog && error.execution == .didNotRun && error.isSafeToRetry, "\(error)")
                }
                #expect(await code { _ = try await stale.transaction(on: .key(shop, key)) { try await $0.query("SELECT 1") } } == .staleCatalog)
            }
            #expect(try await it.onShard(0, "SELECT v FROM kv") == "1")
            // The news arrives while a statement waits for it.
            async let written = stale.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 2)", [.int(key)])
            await source.publish(try await it.cluster.store.load())
            #expect(try await written.shard == "s2")
            #expect(try await it.onShard(1, "SELECT v FROM kv") == "2")
            await stale.shutDown()
        }
    }

    /// The session that it opens says the hold's own epoch, which the fence takes: so the client itself must wait.
    @Test(arguments: [true, false]) func aWriteWaitsWhileItsKeyChangesItsOwner(throughAManager: Bool) async throws {
        try await ClientCluster.with { it in
            let key = try it.key(on: 0)
            let before = try await it.cluster.store.load()
            var (first, second) = (try #require(before.shards[TestCluster.id(of: 0)]), try #require(before.shards[TestCluster.id(of: 1)]))
            let hold = HoldRecord(
                job: "j", database: shop, ranges: first.vnodes.map(\.range), owners: [first.id], attempt: 1, epoch: before.epoch.next)
            let held = try await it.cluster.store.commit(
                CatalogChange(
                    [.putJob(ReshardJobRecord(id: "j", database: shop, shards: [first.id, second.id], body: "{}")), .putHold(hold)], author: "test"),
                expecting: before.epoch)
            try await it.fence(at: held.epoch)
            // What a manager's answer says of it is what a store says.
            let known = throughAManager ? try CatalogAnswer(held, database: nil) { $0 }.snapshot() : held
            let source = HeldCatalog(known)
            let client = try await MosaicClient.start(ClientCluster.configuration(it.cluster), source)
            #expect(try await client.query(on: .key(shop, key), "SELECT v FROM kv WHERE k = $1", [.int(key)]).shard == "s1")
            async let written = client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 1)", [.int(key)])
            async let alsoWritten = client.transaction(on: .key(shop, key)) { try await $0.query("UPDATE kv SET v = 2 WHERE k = $1", [.int(key)]).shard }
            try await Task.sleep(for: .milliseconds(200))
            #expect(try await it.onShard(0, "SELECT count(*) FROM kv") == "0")
            swap(&first.vnodes, &second.vnodes)
            let release = try #require(held.holds["j"])
            let after = try await it.cluster.store.commit(
                CatalogChange([.putShard(first), .putShard(second), .deleteHold(job: "j", version: release.version)], author: "test"),
                expecting: held.epoch)
            await source.publish(after)
            #expect(try await written.shard == "s2")
            #expect(try await alsoWritten == "s2")
            #expect(try await it.onShard(0, "SELECT count(*) FROM kv") == "0")
            await client.shutDown()
        }
    }

    @Test func aTransactionThatIsOpenAtTheFenceIsLostAndItsWritesWithIt() async throws {
        try await ClientCluster.with { it in
            let key = try it.key(on: 0)
            let lost = await code {
                try await it.client.transaction(on: .key(shop, key)) { tx in
                    try await tx.query("INSERT INTO kv VALUES ($1, 1)", [.int(key)])
                    _ = try await it.swapOwners()
                    try await tx.query("SELECT 1")
                }
            }
            #expect(lost == .connectionLost)
            #expect(try await it.onShard(0, "SELECT count(*) FROM kv") == "0")
        }
    }

    @Test func aServerThatIsAnotherShardIsNotWrittenTo() async throws {
        try await ClientCluster.with { it in
            let catalog = try await it.cluster.store.load()
            var first = try #require(catalog.shards[TestCluster.id(of: 0)])
            let key = try it.key(on: 0)
            first.primaryEndpoint = try #require(catalog.shards[TestCluster.id(of: 1)]).primaryEndpoint
            _ = try await it.cluster.store.commit(CatalogChange([.putShard(first)], author: "test"), expecting: catalog.epoch)
            try await eventually("the client has the catalog") { it.client.epoch > catalog.epoch.number }
            #expect(await code { try await it.client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 1)", [.int(key)]) } == .wrongServer)
            #expect(try await it.onShard(1, "SELECT count(*) FROM kv") == "0")
        }
    }

    @Test func theCatalogComesFromAManagerAndOutlivesIt() async throws {
        try await ClientCluster.with { it in
            var configuration = ClientCluster.configuration(it.cluster)
            let folder = NSTemporaryDirectory() + "pgmosaic-client-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            configuration.snapshotFile = folder + "/catalog"
            let key = try it.key(on: 0)
            let port = try LoopbackPort.free()
            configuration.catalog = .managers(["http://127.0.0.1:\(try LoopbackPort.free())", "http://127.0.0.1:\(port)"])
            let tooEarly = await code { [configuration] in _ = try await MosaicClient.start(Self.hurried(configuration)) }
            #expect(tooEarly == .catalogUnavailable)
            let client = try await Self.withManager(it.cluster.store, port: port) { [configuration] in
                let client = try await MosaicClient.start(configuration)
                try await client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 1)", [.int(key)])
                // By long polling: a change reaches the client.
                let catalog = try await it.cluster.store.load()
                let change = CatalogChange(
                    [.putTable(TableRecord(database: shop, name: QualifiedName(schema: "public", name: "other"), placement: .local))], author: "test")
                let epoch = try await it.cluster.store.commit(change, expecting: catalog.epoch).epoch
                try await eventually("the client has the change") { client.epoch == epoch.number }
                return client
            }
            // Nobody answers any more: what was read serves.
            try await eventually("the client has noticed", within: .seconds(40)) { client.statistics.catalogProblem?.code == .catalogUnavailable }
            #expect(try await client.query(on: .key(shop, key), "SELECT v FROM kv WHERE k = $1", [.int(key)]).count == 1)
            let epoch = client.epoch
            await client.shutDown()
            // A new one begins with the copy.
            let restarted = try await MosaicClient.start(configuration)
            #expect(restarted.epoch == epoch)
            #expect(try await restarted.query(on: .key(shop, key), "SELECT v FROM kv WHERE k = $1", [.int(key)]).count == 1)
            await restarted.shutDown()
            #expect(await code { try await restarted.query(on: .key(shop, key), "SELECT 1") } == .shutDown)
        }
    }

    private static func hurried(_ configuration: MosaicConfiguration) -> MosaicConfiguration {
        var copy = configuration
        copy.acquireTimeout = .milliseconds(500)
        return copy
    }

    private static func withManager<Value: Sendable>(
        _ store: InMemoryCatalogStore, port: Int, _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        var settings = ManagerSettings.defaults(catalog: "memory")
        settings.auth.mode = .none
        settings.httpPort = port
        settings.secretsKeyFile = nil
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try await withThrowingTaskGroup(of: Void.self) { [settings, logger] group in
            group.addTask { try await ManagerServer.run(settings: settings, store: store, logger: logger) }
            defer { group.cancelAll() }
            return try await body()
        }
    }
}
