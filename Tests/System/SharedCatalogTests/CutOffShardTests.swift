import CatalogStore
import ClusterTestKit
import Foundation
import PGChannel
import PostgresProcess
import ShardModel
import Synchronization
import Testing

/// Shards to which nobody finds a way for a while, in the middle of a job's copy.
@Suite(.serialized) struct CutOffShardTests {
    private static let rows = 6000

    private static var options: TestCluster.Options {
        var options = TestCluster.Options(shards: 2, tables: ["kv": .sharded(key: "k")])
        options.postgres = ["wal_level": "logical", "max_prepared_transactions": "20"]
        return options
    }

    private static func with(_ body: @Sendable (Cluster, [CuttableProxy]) async throws -> Void) async throws {
        try await TestCluster.withShards(options) { folder, shards in
            let server = try await PostgresServer.create(.init(dataDirectory: folder + "/catalog", settings: ["shared_buffers": "16MB"]))
            let proxies = try shards.map { try CuttableProxy(to: $0.port) }
            let result: Result<Void, any Error>
            do {
                // So slow that there is a middle of the copy.
                let settings = "reshard: {pause_budget: 10s, drain_limit: 4s, copy_rate_min: 131072, copy_rate_max: 131072}"
                let cluster = try await Cluster(folder, catalog: server, managerSettings: settings, shards, shardPorts: proxies.map(\.port), options)
                do { result = .success(try await body(cluster, proxies)) } catch { result = .failure(error) }
                for proxy in proxies { proxy.mend() }
                await cluster.stop()
            } catch {
                result = .failure(error)
            }
            for proxy in proxies { proxy.close() }
            await server.stop(.immediate)
            try result.get()
        }
    }

    /// The way to the source, then to the target, is lost, and then answers nothing, while rows are copied. No acknowledged write is lost or doubled, and the job ends.
    @Test func aJobGoesOnWhenTheShardIsThereAgain() async throws {
        try await Self.with { cluster, proxies in
            try await cluster.execute("CREATE TABLE kv (k bigint PRIMARY KEY, v int, filler text)", on: 0)
            let client = try await cluster.client(of: 0)
            let filler = String(repeating: "x", count: 900)
            for start in stride(from: 0, to: Self.rows, by: 300) {
                try await client.execute("INSERT INTO kv VALUES " + (start..<start + 300).map { "(\($0), 0, '\(filler)')" }.joined(separator: ","))
            }
            await client.close()
            let (over, ledger) = (Over(), Ledger())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in 0..<4 { group.addTask { await Self.write(lane, cluster, ledger, until: over) } }
                group.addTask {
                    defer { over.set() }
                    try await move(cluster, proxies)
                }
                try await group.waitForAll()
            }
            let (acknowledged, unknown) = ledger.counts
            #expect(acknowledged > 100)
            let sum = try #require(Int(try await cluster.value("SELECT sum(v) FROM kv", on: 0) ?? ""))
            #expect(sum >= acknowledged && sum <= acknowledged + unknown, "\(acknowledged) writes were acknowledged, of \(unknown) nobody knows, and there are \(sum)")
            #expect(try await cluster.rows(of: "kv") == Self.rows)
        }
    }

    private func move(_ cluster: Cluster, _ proxies: [CuttableProxy]) async throws {
        let point = cluster.points + "/copying.before"
        try Data("pause".utf8).write(to: URL(fileURLWithPath: point))
        let (source, target) = (TestCluster.id(of: 0), TestCluster.id(of: 1))
        try await cluster.pgmosaic("reshard", "split", source.name, "--to", target.name)
        try await eventually("it is about to copy", within: .seconds(120)) { FileManager.default.fileExists(atPath: point + ".reached") }
        try FileManager.default.removeItem(atPath: point + ".reached")
        for proxy in proxies {
            try await eventually("it copies", within: .seconds(120)) { try await isCopying(cluster) }
            proxy.cut()
            try await Task.sleep(for: .seconds(3))
            proxy.mend()
            try await eventually("it copies again", within: .seconds(120)) { try await isCopying(cluster) }
            proxy.stall()
            try await Task.sleep(for: .seconds(8))
            proxy.mend()
        }
        let job = try #require(try await cluster.store.load().jobs.keys.first)
        try await eventually("the owners are switched", within: .seconds(240)) {
            let shards = try await cluster.store.load().shards
            return (shards[source]?.vnodes.count ?? 0) < (shards[target]?.vnodes.count ?? 0)
        }
        try await eventually("the job is over", within: .seconds(180)) {
            _ = try? await cluster.pgmosaic("reshard", "finish", job)
            return try await cluster.store.load().jobs[job]?.isOver == true
        }
        #expect(try await cluster.leftovers() == [])
    }

    private func isCopying(_ cluster: Cluster) async throws -> Bool {
        try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgmosaic-job-%' AND query LIKE 'COPY%' AND state = 'active'") != "0"
    }

    private static func write(_ lane: Int, _ cluster: Cluster, _ ledger: Ledger, until over: Over) async {
        var client: PGClient?
        var number = lane
        while !over.isSet {
            number += 7
            do {
                if client?.isOpen != true { client = try await cluster.client(of: lane % 2) }
                let changed = try await client?.query("UPDATE kv SET v = v + 1 WHERE k = $1", [.integer(number % rows)]).rowsAffected
                ledger.add(changed == 1)
            } catch {
                ledger.add(false)
                await client?.close()
            }
            try? await Task.sleep(for: .milliseconds(10))
        }
        await client?.close()
    }
}

/// Writes that were acknowledged, and those of which nobody knows.
private final class Ledger: Sendable {
    private let state = Mutex((acknowledged: 0, unknown: 0))
    var counts: (acknowledged: Int, unknown: Int) { state.withLock(\.self) }
    func add(_ isAcknowledged: Bool) {
        state.withLock { if isAcknowledged { $0.acknowledged += 1 } else { $0.unknown += 1 } }
    }
}
