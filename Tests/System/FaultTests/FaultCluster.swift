import CatalogStore
import ClusterTestKit
import Foundation
import PostgresProcess
import RESTTestKit
import ServerConfig
import ShardModel
import Testing

/// One cluster of three shards for all the tests of a suite: `TestCluster.current` in them.
///
/// Tables: `kv` sharded by `k`, `ref` a reference table, `notes` local.
struct FaultClusterTrait: SuiteTrait, TestScoping {
    var options: TestCluster.Options
    /// The tables are made before the router with the suite's settings begins: for limits that may be smaller than what that takes on a busy machine.
    var preparesApart = false

    static let statements = [
        "CREATE TABLE kv (k bigint PRIMARY KEY, v int NOT NULL)",
        "CREATE TABLE ref (id int PRIMARY KEY, v int NOT NULL)",
        "CREATE TABLE notes (id int PRIMARY KEY, body text)",
    ]
    static let tables: [String: Placement] = ["kv": .sharded(key: "k"), "ref": .reference, "notes": .local]

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        var options = options
        if preparesApart { options.prepare = { try await Self.makeTables($0) } }
        try await TestCluster.with(options) { cluster in
            if !preparesApart { try await Self.makeTables(cluster) }
            try await Current.$cluster.withValue(cluster) { try await function() }
        }
    }

    private static func makeTables(_ cluster: TestCluster) async throws {
        let client = try await cluster.login()
        for statement in statements { try #require(try await client.failure(statement) == nil, "\(statement)") }
        client.close()
        // It has no place any more when a test counts them.
        try await eventually("the router has heard that it left") { try await cluster.metric("pgmosaic_clients") == 0 }
    }

    fileprivate enum Current {
        @TaskLocal static var cluster: TestCluster?
    }
}

extension Trait where Self == FaultClusterTrait {
    static func faultCluster(
        shards: Int = 3, replicas: Int = 0, consistency: Consistency = .strong, postgres: [String: String] = [:], preparesApart: Bool = false,
        _ router: @escaping @Sendable (inout RouterSettings) -> Void = { _ in }
    ) -> Self {
        var options = TestCluster.Options(shards: shards, tables: FaultClusterTrait.tables)
        options.replicas = replicas
        options.consistency = consistency
        // What is acknowledged must survive a killed server.
        options.postgres = ["synchronous_commit": "on"].merging(postgres) { $1 }
        options.router = router
        return FaultClusterTrait(options: options, preparesApart: preparesApart)
    }
}

extension TestCluster {
    /// The cluster of the suite's `.faultCluster` trait.
    static var current: TestCluster {
        get throws { try #require(FaultClusterTrait.Current.cluster) }
    }

    func login() async throws -> WireClient { try await WireClient.login(port: wirePort) }

    /// A session with a shard itself, past the router.
    func shardSession(_ index: Int) async throws -> WireClient {
        try await WireClient.login(port: servers[index].port, user: "postgres")
    }

    /// Runs on a shard itself.
    @discardableResult
    func onShard(_ index: Int, _ sql: String) async throws -> String { try await servers[index].psql(sql, database: Self.database) }

    /// Keys whose rows live on a shard, from `first` on.
    func keys(on index: Int, from first: Int64 = 1, count: Int = 1) async throws -> [Int64] {
        let topology = try Topology(database: Self.database, in: try await store.load())
        return Array(
            (first...).lazy.filter { key in
                topology.shards[topology.ring.owner(of: Token(hashing: "\(key)".utf8Span.span.bytes)).value].id == Self.id(of: index)
            }.prefix(count))
    }
    func key(on index: Int, from first: Int64 = 1) async throws -> Int64 { try await keys(on: index, from: first)[0] }

    /// Starts a killed shard, and waits until the router uses it again.
    func regain(_ index: Int) async throws {
        try await eventually("what a backend has kept of the killed server's memory is free") {
            do { try await self.servers[index].start() } catch where "\(error)".contains("pre-existing shared memory block") { return false }
            return true
        }
        let key = try await key(on: index)
        try await eventually("the router uses shard \(index) again, on each of its event loops") {
            for _ in 0..<6 {
                let client = try await self.login()
                defer { client.close() }
                guard try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil else { return false }
            }
            return true
        }
    }

    /// The reference table as each shard has it.
    func copies() async throws -> [String] {
        var copies: [String] = []
        for index in servers.indices { copies.append(try await onShard(index, "SELECT coalesce(string_agg(id || '=' || v, ' ' ORDER BY id), '') FROM ref")) }
        return copies
    }

    /// Nothing prepared is left, no decision is remembered, and the copies of the reference table are the same; which is returned.
    @discardableResult
    func settled(within limit: Duration = .seconds(120), _ location: SourceLocation = #_sourceLocation) async throws -> String {
        try await eventually("every transaction is settled", within: limit, location) {
            for index in self.servers.indices {
                let left = try await self.onShard(index, "SELECT (SELECT count(*) FROM pg_prepared_xacts) + (SELECT count(*) FROM pgmosaic.decisions)")
                guard left == "0" else { return false }
            }
            return true
        }
        let copies = try await copies()
        #expect(Set(copies).count == 1, "\(copies)", sourceLocation: location)
        return copies[0]
    }

    /// The value of a gauge or counter in /metrics, all its label sets together, or those whose text has `label`.
    func metric(_ name: String, _ label: String = "") async throws -> Double {
        let text = try await RawHTTP.send("GET", "/metrics", port: httpPort).text
        return text.split(separator: "\n").reduce(0) { sum, line in
            guard line.hasPrefix(name), let end = line.lastIndex(of: " "), line.dropFirst(name.count).first.map({ $0 == " " || $0 == "{" }) == true,
                label.isEmpty || line.contains(label)
            else { return sum }
            return sum + (Double(line[line.index(after: end)...]) ?? 0)
        }
    }

    /// The router holds no backend for anybody, and no shard has an open transaction or a running statement of the router's. `clients`: who may
    /// still be connected.
    func expectNoLeak(clients: Double? = nil, _ location: SourceLocation = #_sourceLocation) async throws {
        // First, for what a client has sent just before it left may begin until the router has heard of that.
        if let clients { try await eventually("no session is left", location) { try await self.metric("pgmosaic_clients") == clients } }
        try await eventually("no backend is held", location) { try await self.metric("pgmosaic_pool_backends", "state=\"busy\"") == 0 }
        for index in servers.indices {
            try await eventually("shard \(index) has nothing open", location) {
                try await self.onShard(
                    index, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgmosaic' AND state <> 'idle'") == "0"
            }
        }
    }
}

/// How often a random test repeats: `PGMOSAIC_FAULT_ROUNDS`, or its own number; a fifth of that in continuous integration, which has 45 minutes for everything.
func rounds(_ count: Int) -> Int {
    let environment = ProcessInfo.processInfo.environment
    if let given = environment["PGMOSAIC_FAULT_ROUNDS"].flatMap({ Int($0) }) { return given }
    return environment["CI"] != nil && count >= 20 ? count / 5 : count
}
