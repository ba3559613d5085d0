package import CatalogStore
internal import PGWire
internal import PoolCore
internal import ShardModel
internal import Synchronization

/// A client that knows the ring: it caches the catalog and sends each statement of one key straight to the key's shard, without a router between.
///
/// What is not of one key goes through a router (`router(_:)`), or as a read to every shard (`scatter`). All calls may be made at the same time, from any task;
/// cancelling a task cancels its statement on the server. Errors are `MosaicError`.
///
///     let client = try await MosaicClient.start(configuration)
///     let rows = try await client.query(on: .key("app", 42), "SELECT name FROM users WHERE id = $1", [42])
///     await client.shutDown()
///
/// A statement is planned as routers plan it, by the same rules: one that is not answered by the key's shard alone is refused before anything is sent
/// (`needsRouter`, `keyMismatch`).
public final class MosaicClient: Sendable {
    let configuration: MosaicConfiguration
    let follower: CatalogFollower
    let connector: ShardConnector
    let servers: ServerPools<ServerID>
    let routers: ServerPools<RouterID>
    private let knowledge = Mutex<[String: DatabaseKnowledge]>([:])
    private let watches = Mutex<[ShardID: (record: ShardRecord, watch: ReplicaWatch)]>([:])
    private let writes = Mutex<[ShardID: PoolInstant]>([:])
    private let sweeping = Mutex<Task<Void, Never>?>(nil)
    private let isShutDown = Atomic(false)

    /// What is known of a database beside the catalog.
    struct DatabaseKnowledge: Sendable {
        let schema: SchemaReader
        let plans = PlanCache()
    }

    private init(_ configuration: MosaicConfiguration, _ source: any CatalogReading) {
        self.configuration = configuration
        let connector = ShardConnector(
            id: configuration.id ?? String(SecureRandom.nonce().filter { $0.isLetter || $0.isNumber }.prefix(12)), login: configuration.login,
            timeout: configuration.connectTimeout)
        self.connector = connector
        let limits = ServerPool.Limits(configuration)
        let box = FollowerBox()
        let servers = ServerPools<ServerID> { server in
            ServerPool(limits) {
                guard let catalog = box.follower?.current else { throw MosaicError.shutDown }
                return try await connector.connect(server, catalog)
            }
        }
        self.servers = servers
        routers = ServerPools<RouterID> { router in
            ServerPool(limits, resetting: "DISCARD ALL") { try await RouterConnector(configuration, connector.name).connect(router) }
        }
        follower = CatalogFollower(source, snapshotFile: configuration.snapshotFile) { servers.keep($0.servers) }
        box.follower = follower
    }

    /// Reads the catalog, and follows it from then on. Waits for up to `acquireTimeout`, and fails with `catalogUnavailable` when none came.
    public static func start(_ configuration: MosaicConfiguration) async throws -> MosaicClient {
        try configuration.check()
        let source: any CatalogReading =
            switch configuration.catalog {
            case .managers(let urls, let token, let authority): ManagerCatalog(urls, token: token, authority: authority)
            case .store(let location): try StoreCatalog(location)
            }
        return try await start(configuration, source)
    }

    /// For tests: with a catalog store that is open.
    package static func start(_ configuration: MosaicConfiguration, store: any CatalogStore) async throws -> MosaicClient {
        try configuration.check()
        return try await start(configuration, StoreCatalog(store))
    }

    static func start(_ configuration: MosaicConfiguration, _ source: any CatalogReading) async throws -> MosaicClient {
        let client = MosaicClient(configuration, source)
        do {
            try await client.follower.start(until: .now + configuration.acquireTimeout)
        } catch {
            await client.shutDown()
            throw error
        }
        client.sweepIdle()
        return client
    }

    /// For the length of `body`; shut down afterwards.
    public static func with<Value: Sendable>(
        _ configuration: MosaicConfiguration, _ body: @Sendable (MosaicClient) async throws -> Value
    ) async throws -> Value {
        let client = try await start(configuration)
        do {
            let value = try await body(client)
            await client.shutDown()
            return value
        } catch {
            await client.shutDown()
            throw error
        }
    }

    /// Closes the connections; calls that wait for one fail with `shutDown`, those under way end by themselves. Call it once nothing is needed any more.
    public func shutDown() async {
        guard !isShutDown.exchange(true, ordering: .relaxed) else { return }
        sweeping.withLock { $0 }?.cancel()
        await follower.stop()
        for entry in watches.withLock({ Array($0.values) }) { await entry.watch.stop() }
        for known in knowledge.withLock({ Array($0.values) }) { await known.schema.stop() }
        await servers.close()
        await routers.close()
    }

    private func sweepIdle() {
        let (servers, routers) = (servers, routers)
        let interval = max(.milliseconds(50), min(configuration.idleTimeout / 2, .seconds(10)))
        sweeping.withLock {
            $0 = Task {
                while !Task.isCancelled {
                    try? await Task.sleep(for: interval)
                    for (_, pool) in servers.all { pool.sweep() }
                    for (_, pool) in routers.all { pool.sweep() }
                }
            }
        }
    }

    // MARK: What it knows

    /// The epoch of the catalog that statements are routed by.
    public var epoch: UInt64 { follower.current?.epoch.number ?? 0 }

    /// The shard that owns the key now.
    public func shard(of key: MosaicKey) throws -> String {
        let topology = try catalog().topology(of: key.database)
        return topology.shards[topology.ring.owner(of: try key.token()).value].id.name
    }

    public var statistics: MosaicStatistics {
        var statistics = MosaicStatistics(epoch: epoch, catalogProblem: follower.problem, primaries: [:], replicas: [:], routers: [:])
        for (server, pool) in servers.all {
            switch server.role {
            case .primary: statistics.primaries[server.shard.name, default: .init(connections: 0, idle: 0, waiting: 0)].add(pool.statistics)
            case .replica: statistics.replicas[server.shard.name, default: .init(connections: 0, idle: 0, waiting: 0)].add(pool.statistics)
            }
        }
        for (router, pool) in routers.all {
            statistics.routers[router.database, default: .init(connections: 0, idle: 0, waiting: 0)].add(pool.statistics)
        }
        return statistics
    }

    func catalog() throws(MosaicError) -> RoutingCatalog {
        guard !isShutDown.load(ordering: .relaxed) else { throw .shutDown }
        guard let catalog = follower.current else { throw MosaicError(.catalogUnavailable, "there is no catalog") }
        return catalog
    }

    func knowledge(of database: String) -> DatabaseKnowledge {
        let (connector, follower) = (connector, follower)
        return knowledge.withLock { known in
            if let entry = known[database] { return entry }
            let reader = SchemaReader(database: database) { shard in
                guard let catalog = follower.current else { throw MosaicError.shutDown }
                return try await connector.connect(ServerID(shard: shard.id, endpoint: shard.primaryEndpoint, role: .primary), catalog).client
            }
            let entry = DatabaseKnowledge(schema: reader)
            known[database] = entry
            return entry
        }
    }

    func watch(of record: ShardRecord) async -> ReplicaWatch {
        let (connector, configuration) = (connector, configuration)
        let (watch, old) = watches.withLock { watches -> (ReplicaWatch, ReplicaWatch?) in
            let known = watches[record.id]
            if let known, known.record.primaryEndpoint == record.primaryEndpoint, known.record.replicas == record.replicas { return (known.watch, nil) }
            let watch = ReplicaWatch(record, interval: configuration.probeInterval, lagMax: configuration.lagMax) { endpoint in
                try await connector.connect(endpoint, callTimeout: .seconds(3))
            }
            watches[record.id] = (record, watch)
            return (watch, known?.watch)
        }
        if let old { await old.stop() }
        return watch
    }

    // MARK: Own writes

    /// The last moment at which something of this client may have been written to the shard.
    func lastWrite(to shard: ShardID) -> PoolInstant? { writes.withLock { $0[shard] } }

    func wrote(to shard: ShardID) { writes.withLock { $0[shard] = ReplicaWatch.now } }
}

/// Pools are made before the follower, and open connections by what it knows.
private final class FollowerBox: Sendable {
    private let value = Mutex<WeakFollower>(WeakFollower())
    private struct WeakFollower { weak var follower: CatalogFollower? }
    var follower: CatalogFollower? {
        get { value.withLock { $0.follower } }
        set { value.withLock { $0.follower = newValue } }
    }
}

extension ServerPool.Limits {
    init(_ configuration: MosaicConfiguration) {
        self.init(
            connectionsMax: configuration.connectionsMax, waitingMax: configuration.waitingMax, idleTimeout: configuration.idleTimeout,
            lifetimeMax: configuration.lifetimeMax)
    }
}

extension MosaicStatistics.Server {
    fileprivate mutating func add(_ other: Self) {
        connections += other.connections
        idle += other.idle
        waiting += other.waiting
    }
}
