package import CatalogStore
internal import Foundation
package import Logging
internal import ManagerService
internal import NIOPosix
package import PostgresProcess
internal import RouterService
package import ServerConfig
package import ShardModel

/// Shards, a catalog in memory and a router, all real, for the time of a test.
///
/// The servers are real PostgreSQL servers of their own; they end with the test, and with this process should it crash.
package struct TestCluster: Sendable {
    package struct Options: Sendable {
        package var shards = 2
        /// Streaming replicas of each shard.
        package var replicas = 0
        package var consistency = Consistency.strong
        package var defaultPlacement = DefaultPlacement.refuse
        /// Declared before anything runs.
        package var tables: [String: Placement] = [:]
        /// PostgreSQL's settings on every shard.
        package var postgres: [String: String] = [:]
        package var router: @Sendable (inout RouterSettings) -> Void = { _ in }
        /// What a cluster is given before its router begins, over a router of its own that has the test's usual limits: those of `router` may be smaller than what it takes.
        package var prepare: (@Sendable (TestCluster) async throws -> Void)?
        /// nil: the usual one.
        package var logHandler: (@Sendable (String) -> any LogHandler)?

        package init(shards: Int = 2, tables: [String: Placement] = [:]) {
            self.shards = shards
            self.tables = tables
        }
    }

    package static let database = "shop"

    package let store: InMemoryCatalogStore
    /// In the order of their ids "s1", "s2", …; the first is the home shard. The data are in the database of that name.
    package let servers: [PostgresServer]
    /// Of each shard, in the same order.
    package let replicas: [[PostgresServer]]
    package let wirePort: Int
    package let httpPort: Int

    package static func id(of index: Int) -> ShardID { ShardID("s\(index + 1)") }

    package func endpoint(of index: Int) -> String { servers[index].dsn(database: Self.database) }

    /// libpq's address of the router, with the time that a busy machine may take for a login.
    package var dsn: String { "postgres://test@127.0.0.1:\(wirePort)/\(Self.database)?connect_timeout=120" }

    /// Runs `body` with a cluster that is ready, and takes it away afterwards.
    package static func with<Value: Sendable>(_ options: Options = Options(), _ body: @Sendable (TestCluster) async throws -> Value) async throws -> Value {
        try await withShards(options) { folder, servers in
            try await withReplicas(of: servers, options, in: folder) { replicas in
                let store = InMemoryCatalogStore()
                try await register(servers, replicas: replicas, options, in: store)
                if let prepare = options.prepare {
                    var unlimited = options
                    unlimited.router = { $0.id = "test-preparing" }
                    try await run(store, servers, replicas, unlimited, prepare)
                }
                return try await run(store, servers, replicas, options, body)
            }
        }
    }

    private static func withReplicas<Value: Sendable>(
        of servers: [PostgresServer], _ options: Options, in folder: String, _ body: @Sendable ([[PostgresServer]]) async throws -> Value
    ) async throws -> Value {
        var replicas = servers.map { _ in [PostgresServer]() }
        let result: Result<Value, any Error>
        do {
            for (index, server) in servers.enumerated() {
                for number in 0..<options.replicas {
                    var settings = server.options
                    settings.dataDirectory = "\(folder)/\(id(of: index))-replica-\(number + 1)"
                    settings.logFile = settings.dataDirectory + ".log"
                    settings.port = 0
                    replicas[index].append(try await server.createReplica(settings))
                }
            }
            result = .success(try await body(replicas))
        } catch {
            result = .failure(error)
        }
        for replica in replicas.joined() { await replica.stop(.immediate) }
        return try result.get()
    }

    /// Runs `body` with the shards alone, and a folder for its own use: for routers in processes of their own.
    package static func withShards<Value: Sendable>(
        _ options: Options, _ body: @Sendable (_ folder: String, [PostgresServer]) async throws -> Value
    ) async throws -> Value {
        let folder = try makeFolder()
        defer {
            TestSecret.keepLogs(of: folder)
            try? FileManager.default.removeItem(atPath: folder)
        }
        let servers = try await startServers(options, in: folder)
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(folder, servers))
        } catch {
            result = .failure(error)
        }
        for server in servers { await server.stop(.immediate) }
        return try result.get()
    }

    private static func makeFolder() throws -> String {
        let folder = NSTemporaryDirectory() + "pgmosaic-cluster-\(UUID().uuidString)"
        // Every account may enter: as root, PostgreSQL runs under an unprivileged one.
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        return folder
    }

    private static func startServers(_ options: Options, in folder: String) async throws -> [PostgresServer] {
        var servers: [PostgresServer] = []
        do {
            for index in 0..<options.shards {
                let settings = ["shared_buffers": "16MB"].merging(options.postgres) { $1 }
                let server = try await PostgresServer.create(.init(dataDirectory: "\(folder)/\(id(of: index))", settings: settings))
                servers.append(server)
                try await server.createDatabase(database)
            }
        } catch {
            for server in servers { await server.stop(.immediate) }
            throw error
        }
        return servers
    }

    // MARK: The catalog

    /// Claims every server as the manager does, and records shards, ring and tables. `ports`: where the router shall find them instead. `password`: is
    /// recorded with them; the servers trust whoever comes.
    package static func register(
        _ servers: [PostgresServer], replicas: [[PostgresServer]] = [], _ options: Options, ports: [Int]? = nil, password: String? = nil, in store: some CatalogStore
    ) async throws {
        let catalog = try await store.load()
        let inspector = PostgresShardInspector(box: nil, group: .singleton, timeout: .seconds(60))
        let rings = RingCut.even(over: servers.count, vnodesEach: 16, after: 0)
        var operations: [CatalogChange.Operation] = [
            .putDatabase(
                DatabaseRecord(
                    name: database, vnodeCount: 16, defaultConsistency: options.consistency, defaultPlacement: options.defaultPlacement, homeShard: id(of: 0),
                    nextSlice: servers.count))
        ]
        for (index, server) in servers.enumerated() {
            let endpoint = server.dsn(database: database)
            try await inspector.claim(endpoint, as: ShardIdentity(clusterID: catalog.clusterID, database: database, shard: id(of: index)), by: "test", over: nil)
            let user = server.options.superuser
            let named = password.map { endpoint.replacing("://\(user)@", with: "://\(user):\($0)@") } ?? endpoint
            let recorded = ports.map { named.replacing(":\(server.port)/", with: ":\($0[index])/") } ?? named
            operations.append(
                .putShard(
                    ShardRecord(
                        id: id(of: index), name: id(of: index).name, database: database, primaryEndpoint: recorded,
                        replicas: replicas.isEmpty ? [] : replicas[index].map { $0.dsn(database: database) }, vnodes: rings[index],
                        slice: index)))
        }
        for (name, placement) in options.tables.sorted(by: { $0.key < $1.key }) {
            operations.append(
                .putTable(TableRecord(database: database, name: QualifiedName(schema: "public", name: name), placement: placement)))
        }
        _ = try await store.commit(CatalogChange(operations, author: "test"), expecting: catalog.epoch)
    }

    // MARK: The router

    private static func run<Value: Sendable>(
        _ store: InMemoryCatalogStore, _ servers: [PostgresServer], _ replicas: [[PostgresServer]], _ options: Options,
        _ body: @Sendable (TestCluster) async throws -> Value
    ) async throws -> Value {
        try await withRouter(on: store, options) { addresses in
            try await body(
                TestCluster(
                    store: store, servers: servers, replicas: replicas, wirePort: addresses.wirePort, httpPort: addresses.httpPort))
        }
    }

    /// Runs `body`, which gets its wire port, with one more router on the same catalog.
    package func withAnotherRouter<Value: Sendable>(_ options: Options, _ body: @Sendable (Int) async throws -> Value) async throws -> Value {
        try await Self.withRouter(on: store, options) { addresses in try await body(addresses.wirePort) }
    }

    private static func withRouter<Value: Sendable>(
        on store: InMemoryCatalogStore, _ options: Options, _ body: @Sendable (RouterServer.Addresses) async throws -> Value
    ) async throws -> Value {
        var settings = RouterSettings.defaults(catalog: "memory:")
        settings.wirePort = 0
        settings.httpPort = 0
        settings.loops = 2
        settings.wireAuth = .trust
        settings.auth.mode = .none
        settings.shutdownGrace = .seconds(1)
        // A busy machine may take longer for a login or a connection than users should wait.
        settings.startupTimeout = .seconds(60)
        settings.poolConnectTimeout = .seconds(60)
        settings.poolWaitTimeout = .seconds(60)
        settings.heldTime = .seconds(120)
        settings.heldReadTime = .seconds(120)
        options.router(&settings)
        var logger = options.logHandler.map { Logger(label: "test-router", factory: $0) } ?? Logger(label: "test-router")
        logger.logLevel = .critical
        let (listening, continuation) = AsyncStream.makeStream(of: RouterServer.Addresses.self)
        let router = RouterServer(settings: settings, store: store, logger: logger) { continuation.yield($0) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Ends the waiting below when the router cannot start.
                defer { continuation.finish() }
                try await router.run()
            }
            defer { group.cancelAll() }
            guard let addresses = await listening.first(where: { _ in true }) else {
                try await group.next()
                throw TestClusterError.routerEnded
            }
            return try await body(addresses)
        }
    }
}

package enum TestClusterError: Error { case routerEnded }
