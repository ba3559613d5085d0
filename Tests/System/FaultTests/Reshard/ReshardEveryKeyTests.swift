import ClusterTestKit
import ShardModel
import Synchronization
import Testing

extension FaultTests {
    /// Writes of all rows while vnodes move between real servers.
    @Suite(.serialized) struct ReshardEveryKeyTests {
        private struct Tally: Sendable {
            var done = 0
            /// Nobody knows whether they were.
            var unknown = 0
            var refused: [String: Int] = [:]
        }

        private final class Writers: Sendable {
            let tally = Mutex(Tally())
            let isOver = Mutex(false)

            /// Adds one to each row, again and again: alone, or in a block.
            func run(_ port: Int, inBlock: Bool) async throws {
                let client = try await WireClient.login(port: port)
                defer { client.close() }
                while !isOver.withLock({ $0 }) {
                    var error: String?
                    for sql in inBlock ? ["BEGIN", "UPDATE kv SET v = v + 1", "COMMIT"] : ["UPDATE kv SET v = v + 1"] where error == nil {
                        let answer = try await client.query(sql)
                        error = answer.first { $0.kind == "E" }.map { $0.field("D").flatMap { $0.hasPrefix("PGM-") ? $0 : nil } ?? $0.sqlState ?? "" }
                        if error == nil, sql == "COMMIT", answer.first?.tag != "COMMIT" { error = "rolled back" }
                    }
                    if inBlock, error != nil { try await client.query("ROLLBACK") }
                    tally.withLock { [error] tally in
                        switch error {
                        case nil: tally.done += 1
                        case "08007": tally.unknown += 1
                        case let error?: tally.refused[error, default: 0] += 1
                        }
                    }
                    // Each is 300 changes for the stream, which a busy machine has to keep up with.
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
        }

        /// To a new shard and back again: the way back ends on a shard that these writes reach all the time.
        @Test func noRowIsWrittenTwiceNorLeftOut() async throws {
            try await ReshardCluster.with { cluster in
                try await cluster.addThird()
                let setup = try await cluster.routers[0].login()
                for block in 0..<10 {
                    let rows = (1...30).map { "(\(block * 30 + $0), 0)" }.joined(separator: ", ")
                    try #require(try await setup.failure("INSERT INTO kv VALUES \(rows)") == nil)
                }
                setup.close()
                let writers = Writers()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (lane, port) in (cluster.routers + cluster.routers).map(\.wirePort).enumerated() { group.addTask { try await writers.run(port, inBlock: lane > 1) } }
                    let result: Result<Void, any Error>
                    do { result = .success(try await Self.thereAndBack(cluster, writers)) } catch { result = .failure(error) }
                    writers.isOver.withLock { $0 = true }
                    try await group.waitForAll()
                    try result.get()
                }
                // What nobody knew the end of has one by then.
                try await eventually("every transaction is settled") {
                    for index in cluster.servers.indices where try await cluster.on(index, "SELECT count(*) FROM pg_prepared_xacts") != "0" { return false }
                    return true
                }
                let (owned, elsewhere) = try await cluster.rows()
                let tally = writers.tally.withLock { $0 }
                print(tally)
                #expect(owned.count == 300 && elsewhere == 0)
                let values = Set(owned.values)
                #expect(values.count == 1 && values.allSatisfy { (Int64(tally.done)...Int64(tally.done + tally.unknown)).contains($0) }, "\(values), \(tally)")
                #expect(tally.done > 10 && tally.refused["PGM-ROWS-MOVE"] ?? 0 > 10)
            }
        }

        private static func thereAndBack(_ cluster: ReshardCluster, _ writers: Writers) async throws {
            for (path, body) in [
                ("split", ["source_shard_id": "s2", "target_shards": ["s3"]] as [String: Any]), ("merge", ["source_shard_ids": ["s3"], "target_shard": "s2"]),
            ] {
                let before = writers.tally.withLock { $0.done }
                try await eventually("all rows are written") { writers.tally.withLock { $0.done } > before + 10 }
                let job = try await cluster.begin(path, body)
                try await cluster.wait(for: "completed", of: job)
                try await cluster.finish(job)
            }
            let before = writers.tally.withLock { $0.done }
            try await eventually("all rows are written again") { writers.tally.withLock { $0.done } > before + 10 }
        }
    }
}
