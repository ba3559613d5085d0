import CatalogStore
import ClusterTestKit
import Foundation
import PGChannel
import PGWire
import PostgresProcess
import ShardModel
import Synchronization
import Testing

/// A router that is cut off from the catalog does not learn of a job: it goes on, and must not see rows twice that the job brings to a shard which it reads.
@Suite(.serialized) struct CutOffRouterTests {
    private static let rows = 4000

    private static var options: TestCluster.Options {
        var options = TestCluster.Options(shards: 2, tables: ["kv": .sharded(key: "k")])
        options.postgres = ["wal_level": "logical", "max_prepared_transactions": "20"]
        return options
    }

    private static func with(_ body: @Sendable (Cluster, CuttableProxy) async throws -> Void) async throws {
        try await TestCluster.withShards(options) { folder, shards in
            let server = try await PostgresServer.create(.init(dataDirectory: folder + "/catalog", settings: ["shared_buffers": "16MB"]))
            let result: Result<Void, any Error>
            do {
                let proxy = try CuttableProxy(to: server.port)
                defer { proxy.close() }
                let cluster = try await Cluster(
                    folder, catalog: server, routersPorts: [server.port, proxy.port], managerSettings: "reshard: {pause_budget: 10s, drain_limit: 4s}", shards, options)
                do { result = .success(try await body(cluster, proxy)) } catch { result = .failure(error) }
                await cluster.stop()
            } catch {
                result = .failure(error)
            }
            await server.stop(.immediate)
            try result.get()
        }
    }

    @Test func itCountsNoRowTwiceWhileAJobCopiesToAShardThatItReads() async throws {
        try await Self.with { cluster, proxy in
            try await fill(cluster)
            let (over, live, cutOff, keyed) = (Over(), Tally(), Tally(), Tally())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for kind in Count.allCases {
                    group.addTask { await Self.count(kind, 0, cluster, live, until: over) }
                    group.addTask { await Self.count(kind, 1, cluster, cutOff, until: over) }
                }
                for lane in 0..<3 { group.addTask { await Self.change(lane, cluster, keyed, until: over) } }
                group.addTask {
                    defer { over.set() }
                    try await move(cluster, proxy, cutOff)
                }
                try await group.waitForAll()
            }
            for tally in [live, cutOff] { #expect(tally.counts.allSatisfy { $0 == Self.rows }, "\(Set(tally.counts))") }
            // It has lost the target, and does not find its way there any more.
            #expect(!cutOff.errors.isEmpty)
            // The other one has refused what would copy rows twice, and its clients have noticed nothing else.
            #expect(live.errors.allSatisfy { $0.hasSuffix("PGM-ROWS-MOVE") }, "\(Set(live.errors))")
            #expect(keyed.errors == [] && keyed.counts.count > 100)
        }
    }

    private func fill(_ cluster: Cluster) async throws {
        try await cluster.execute("CREATE TABLE kv (k bigint PRIMARY KEY, v int)", on: 0)
        let client = try await cluster.client(of: 0)
        for start in stride(from: 0, to: Self.rows, by: 500) {
            try await client.execute("INSERT INTO kv VALUES " + (start..<start + 500).map { "(\($0), 0)" }.joined(separator: ","))
        }
        await client.close()
        for router in 0...1 {
            try await eventually("router \(router) counts") {
                try await cluster.value("SELECT count(*) FROM kv", on: router) == "\(Self.rows)"
            }
        }
    }

    /// Router 1 is cut off, and nobody waits for it any more; then a job moves half of one shard to the other. It is stopped when it has copied everything.
    private func move(_ cluster: Cluster, _ proxy: CuttableProxy, _ cutOff: Tally) async throws {
        try await eventually("it has counted") { cutOff.counts.count > 5 }
        proxy.cut()
        try await eventually("it is announced no more", within: .seconds(120)) {
            try await cluster.store.members().filter { $0.kind == "router" }.map(\.id) == ["router-0"]
        }
        let before = cutOff.counts.count
        try await eventually("it goes on") { cutOff.counts.count > before + 3 && cutOff.errors.isEmpty }
        try Data("pause".utf8).write(to: URL(fileURLWithPath: cluster.points + "/streaming.before"))
        let (source, target) = (TestCluster.id(of: 0), TestCluster.id(of: 1))
        try await cluster.pgmosaic("reshard", "split", source.name, "--to", target.name)
        let reached = cluster.points + "/streaming.before.reached"
        try await eventually("the job has copied", within: .seconds(180)) { FileManager.default.fileExists(atPath: reached) }
        #expect(try await cluster.rows(of: "kv") > Self.rows, "there is nothing that could be counted twice")
        // Every kind of statement comes several times meanwhile, to a router that has no way to the target.
        let failures = cutOff.errors.count
        try await eventually("it has tried") { cutOff.errors.count > failures + 20 }
        try FileManager.default.removeItem(atPath: reached)
        try await eventually("the owners are switched", within: .seconds(180)) {
            let shards = try await cluster.store.load().shards
            return (shards[source]?.vnodes.count ?? 0) < (shards[target]?.vnodes.count ?? 0)
        }
        let job = try #require(try await cluster.store.load().jobs.keys.first)
        try await eventually("the job is over", within: .seconds(180)) {
            _ = try? await cluster.pgmosaic("reshard", "finish", job)
            return try await cluster.store.load().jobs[job]?.isOver == true
        }
        #expect(try await cluster.rows(of: "kv") == Self.rows)
        proxy.mend()
        let after = cutOff.counts.count
        try await eventually("it follows the catalog again, and counts", within: .seconds(120)) { cutOff.counts.count > after + 3 }
    }

    // MARK: clients

    private enum Count: CaseIterable { case aggregate, gather, copy }

    private static func count(_ kind: Count, _ router: Int, _ cluster: Cluster, _ tally: Tally, until over: Over) async {
        await repeated(router, cluster, tally, until: over) { client in
            switch kind {
            case .aggregate: try await client.query("SELECT count(*) FROM kv").rows.first?.integer(0) ?? -1
            case .gather: try await client.query("SELECT k FROM kv").rows.count
            case .copy: try await client.copyOutRuns("COPY kv TO STDOUT") { _ in }
            }
        }
    }

    /// Single rows, of the router that lives: of those that move, and of others.
    private static func change(_ lane: Int, _ cluster: Cluster, _ tally: Tally, until over: Over) async {
        var number = lane
        await repeated(0, cluster, tally, until: over) { client in
            number += 7
            return try await client.query("UPDATE kv SET v = v + 1 WHERE k = $1", [.integer(number % rows)]).rowsAffected ?? -1
        }
    }

    private static func repeated(
        _ router: Int, _ cluster: Cluster, _ tally: Tally, until over: Over, _ body: (PGClient) async throws -> Int
    ) async {
        var client: PGClient?
        while !over.isSet {
            do {
                if client?.isOpen != true { client = try await cluster.client(of: router) }
                if let client { tally.add(try await body(client)) }
            } catch let error as PGClientError {
                tally.add("\(error.sqlState.code) \(error.serverError?.detail ?? "\(error)")")
            } catch {
                tally.add("\(error)")
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
        await client?.close()
    }
}

/// What clients were answered.
private final class Tally: Sendable {
    private let state = Mutex<(counts: [Int], errors: [String])>(([], []))
    var counts: [Int] { state.withLock(\.counts) }
    var errors: [String] { state.withLock(\.errors) }
    func add(_ count: Int) { state.withLock { $0.counts.append(count) } }
    func add(_ error: String) { state.withLock { $0.errors.append(error) } }
}
