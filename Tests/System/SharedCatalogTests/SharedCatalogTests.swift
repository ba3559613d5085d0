import CatalogPostgres
import CatalogStore
import ClusterTestKit
import EtcdTestKit
import Foundation
import NIOPosix
import PGChannel
import PostgresProcess
import ShardModel
import Synchronization
import Testing

/// Two routers and a manager, each a process of its own, that meet in a catalog on a PostgreSQL server, or in an etcd cluster of three members.
@Suite(.serialized) struct SharedCatalogTests {
    private static let database = TestCluster.database
    private static let options = TestCluster.Options(shards: 2, tables: ["kv": .sharded(key: "k")])

    private func withPostgres(_ body: @Sendable (Cluster, PostgresServer) async throws -> Void) async throws {
        try await TestCluster.withShards(Self.options) { folder, shards in
            let server = try await PostgresServer.create(.init(dataDirectory: folder + "/catalog", settings: ["shared_buffers": "16MB"]))
            let result: Result<Void, any Error>
            do {
                let cluster = try await Cluster(folder, catalog: server, shards, Self.options)
                result = await Self.stopped(cluster) { try await body($0, server) }
            } catch {
                result = .failure(error)
            }
            await server.stop(.immediate)
            try result.get()
        }
    }

    private func withEtcd(_ body: @Sendable (Cluster, EtcdCluster) async throws -> Void) async throws {
        try await TestCluster.withShards(Self.options) { folder, shards in
            try await EtcdCluster.with(members: 3) { etcd in
                let cluster = try await Cluster(folder, catalog: etcd, shards, Self.options)
                try await Self.stopped(cluster) { try await body($0, etcd) }.get()
            }
        }
    }

    private static func stopped(_ cluster: Cluster, _ body: (Cluster) async throws -> Void) async -> Result<Void, any Error> {
        let result: Result<Void, any Error>
        do { result = .success(try await body(cluster)) } catch { result = .failure(error) }
        await cluster.stop()
        return result
    }

    @Test func aChangeByTheManagerOrARouterReachesEveryRouter() async throws { try await withPostgres { cluster, _ in try await changesArrive(cluster) } }

    @Test func aChangeByTheManagerOrARouterReachesEveryRouterByEtcd() async throws { try await withEtcd { cluster, _ in try await changesArrive(cluster) } }

    private func changesArrive(_ cluster: Cluster) async throws {
        try await cluster.pgmosaic("tables", "declare", "orders", "--database", Self.database, "--sharded-by", "customer")
        try await eventually("router 0 knows the declaration") {
            try await cluster.execute("CREATE TABLE orders (customer bigint, item int)", on: 0)
            return true
        }
        for (router, customer) in [(0, 1), (1, 2), (1, 3), (0, 4)] {
            try await eventually("router \(router) knows the table") {
                try await cluster.execute("INSERT INTO orders VALUES (\(customer), 1)", on: router)
                return true
            }
        }
        #expect(try await cluster.rows(of: "orders") == 4)
        for router in 0...1 { #expect(try await cluster.value("SELECT item FROM orders WHERE customer = 3", on: router) == "1") }
        // What a router records is there for the other, and for the manager.
        try await cluster.execute("SELECT pgmosaic.shard_table('notes', 'id')", on: 1)
        try await eventually("the manager knows it") { try await cluster.pgmosaic("tables", "list", "--database", Self.database).contains("notes") }
        try await cluster.execute("CREATE TABLE notes (id bigint)", on: 1)
        try await eventually("router 0 knows it too") {
            try await cluster.execute("INSERT INTO notes VALUES (1)", on: 0)
            return true
        }
        try await eventually("both routers report the epoch") {
            let epoch = try await cluster.store.load().epoch
            return try await cluster.store.members().filter { $0.kind == "router" && $0.epoch == epoch }.count == 2
        }
    }

    @Test func noStatementFailsWhileTheCatalogsServerCrashesAndStalls() async throws {
        try await withPostgres { cluster, server in
            try await noStatementFails(cluster) {
                for round in 0..<3 {
                    try await Task.sleep(for: .seconds(1))
                    if round == 1 {
                        await server.pause()
                        try await Task.sleep(for: .seconds(8))
                        await server.resume()
                    } else {
                        try await server.restart(.immediate)
                    }
                }
            }
        }
    }

    @Test func noStatementFailsWhileTheLeaderOfTheCatalogsEtcdIsKilledOrStopped() async throws {
        try await withEtcd { cluster, etcd in
            try await noStatementFails(cluster) {
                for round in 0..<3 {
                    try await Task.sleep(for: .seconds(1))
                    let leader = try await etcd.leader()
                    if round == 1 { etcd.pause(leader) } else { await etcd.kill(leader) }
                    // Two of three are left: changes go on, and reach both routers.
                    try await changesGoOn(cluster, "lost\(round)")
                    if round == 1 { etcd.resume(leader) } else { try await etcd.restart(leader) }
                    try await etcd.waitUntilReady()
                }
                // And with a majority gone: nobody notices until it is back.
                await etcd.kill(0)
                await etcd.kill(1)
                try await Task.sleep(for: .seconds(3))
                try await etcd.restart(0)
                try await etcd.restart(1)
                try await etcd.waitUntilReady()
            }
        }
    }

    /// The manager changes something, and both routers say so.
    private func changesGoOn(_ cluster: Cluster, _ table: String) async throws {
        try await eventually("the manager changes something") {
            _ = try await cluster.pgmosaic("tables", "declare", table, "--database", Self.database, "--reference")
            return true
        }
        try await eventually("both routers follow") {
            let epoch = try await cluster.store.load().epoch
            return try await cluster.store.members().filter { $0.kind == "router" && $0.epoch == epoch }.count == 2
        }
    }

    /// Statements on both routers, while `harm` does what it does to the catalog.
    private func noStatementFails(_ cluster: Cluster, _ harm: @escaping @Sendable () async throws -> Void) async throws {
        try await cluster.execute("CREATE TABLE kv (k bigint PRIMARY KEY, v int)", on: 0)
        try await eventually("router 1 knows the table") {
            try await cluster.execute("INSERT INTO kv VALUES (-1, 0)", on: 1)
            return true
        }
        let isOver = Over()
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for lane in 0..<8 {
                group.addTask {
                    let client = try await cluster.client(of: lane % 2)
                    var count = 0
                    while !isOver.isSet {
                        try await client.query("INSERT INTO kv VALUES ($1, 1)", [.integer(lane * 1_000_000 + count)])
                        count += 1
                        isOver.did()
                    }
                    await client.close()
                    return count
                }
            }
            group.addTask {
                defer { isOver.set() }
                try await harm()
                try await eventually("there were enough") { isOver.done > 100 }
                return 0
            }
            return try await group.reduce(into: [Int]()) { $0.append($1) }
        }
        let total = counts.reduce(0, +)
        #expect(total > 100)
        #expect(try await cluster.rows(of: "kv") == total + 1)
        // And changes go on.
        try await changesGoOn(cluster, "later")
    }

    @Test func aRouterStartsFromItsSavedCopyWhileTheServerIsDownAndFollowsAgainLater() async throws {
        try await withPostgres { cluster, server in
            try await cluster.execute("CREATE TABLE kv (k bigint PRIMARY KEY, v int)", on: 0)
            try await eventually("the catalog is saved") { FileManager.default.fileExists(atPath: cluster.snapshotFile(of: 0)) }
            await server.stop(.immediate)
            try await cluster.restartRouter(0)
            try await cluster.execute("INSERT INTO kv VALUES (1, 1)", on: 0)
            try await server.start()
            try await eventually("the manager changes something") {
                _ = try await cluster.pgmosaic("tables", "declare", "later", "--database", Self.database, "--sharded-by", "id")
                return true
            }
            try await eventually("the router follows") {
                try await cluster.execute("CREATE TABLE later (id bigint)", on: 0)
                return true
            }
        }
    }
}

final class Over: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }

    /// How much has been done by then.
    private let count = Atomic(0)
    var done: Int { count.load(ordering: .relaxed) }
    func did() { count.add(1, ordering: .relaxed) }
}
