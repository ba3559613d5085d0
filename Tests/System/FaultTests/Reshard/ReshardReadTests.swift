import ClusterTestKit
import ShardModel
import Synchronization
import Testing

extension FaultTests {
    /// Reads of all rows while vnodes move between real servers: to a shard that joins, and back to one whose rows are read all the time.
    @Suite(.serialized) struct ReshardReadTests {
        private static let rows = 300

        private final class Load: Sendable {
            struct State: Sendable {
                /// Updates that were sent, and those that were acknowledged.
                var begun = 0
                var acknowledged = 0
                var reads: [String: Int] = [:]
                var blockErrors: [String] = []
                var isOver = false
            }
            let state = Mutex(State())

            func reads(_ kind: String) -> Int { state.withLock { $0.reads[kind, default: 0] } }
            var isOver: Bool { state.withLock { $0.isOver } }

            /// Adds one to one row after the other.
            func write(_ port: Int, _ lane: Int) async throws {
                let client = try await WireClient.login(port: port)
                defer { client.close() }
                var key = lane
                while !isOver {
                    key = (key + 7) % rows
                    state.withLock { $0.begun += 1 }
                    #expect(try await client.query("UPDATE kv SET v = v + 1 WHERE k = \(key + 1)").first?.tag == "UPDATE 1")
                    state.withLock { $0.acknowledged += 1 }
                    try await Task.sleep(for: .milliseconds(5))
                }
            }

            private static let kinds = ["count", "sum", "rows", "sorted", "prepared", "groups", "block", "cursor"]

            /// Alone, nothing fails; and each answer is that of one moment of each shard's.
            func read(_ port: Int) async throws {
                let client = try await WireClient.login(port: port)
                defer { client.close() }
                var turn = 0
                while !isOver {
                    let kind = Self.kinds[turn % Self.kinds.count]
                    turn += 1
                    let before = state.withLock { $0.acknowledged }
                    let answer = try await Self.answer(client, kind)
                    let after = state.withLock { $0.begun }
                    if kind == "block" || kind == "cursor", let error = answer.first(where: { $0.kind == "E" }) {
                        state.withLock { $0.blockErrors.append(error.field("D") ?? error.sqlState ?? "") }
                        continue
                    }
                    #expect(answer.first { $0.kind == "E" } == nil, "\(kind): \(answer.first { $0.kind == "E" }?.description ?? "") \(answer.first { $0.kind == "E" }?.field("D") ?? "")")
                    let found = answer.filter { $0.kind == "D" }.map(\.row)
                    switch kind {
                    case "rows", "cursor", "sorted":
                        let keys = found.compactMap { $0[0].flatMap { Int($0) } }
                        #expect((kind == "sorted" ? keys : keys.sorted()) == Array(1...rows), "\(kind): \(keys.count)")
                    case "sum":
                        let sum = found.first?[0].flatMap { Int($0) } ?? -1
                        #expect((before...after).contains(sum), "\(sum) of \(before) to \(after)")
                    case "groups": #expect(found.compactMap { $0[1].flatMap { Int($0) } }.reduce(0, +) == rows && found.count == 10)
                    default: #expect(found == [["\(rows)"]], "\(kind): \(found)")
                    }
                    state.withLock { $0.reads[kind, default: 0] += 1 }
                }
            }

            private static func answer(_ client: WireClient, _ kind: String) async throws -> [WireClient.Message] {
                typealias W = WireMessages
                switch kind {
                case "count": return try await client.query("SELECT count(*) FROM kv")
                case "sum": return try await client.query("SELECT sum(v) FROM kv")
                case "rows": return try await client.query("SELECT k, v FROM kv")
                case "sorted": return try await client.query("SELECT k FROM kv ORDER BY k")
                case "groups": return try await client.query("SELECT k % 10, count(*) FROM kv GROUP BY 1 HAVING count(*) > 0")
                case "prepared":
                    try await client.send(W.parse("", "SELECT count(*) FROM kv WHERE v >= $1") + W.bind("", "", ["0"]) + W.execute("") + W.sync)
                    return try await client.until("Z")
                default:
                    let inner = kind == "block" ? ["SELECT count(*) FROM kv"] : ["DECLARE c CURSOR FOR SELECT k FROM kv", "FETCH 100 FROM c", "FETCH ALL FROM c"]
                    var answers = try await client.query("BEGIN")
                    for sql in inner { answers += try await client.query(sql) }
                    return try await answers + client.query("ROLLBACK")
                }
            }
        }

        @Test func everyRowIsSeenOnceAndNoReadFails() async throws {
            try await ReshardCluster.with { cluster in
                try await cluster.addThird()
                let setup = try await cluster.routers[0].login()
                try #require(try await setup.failure("INSERT INTO kv VALUES " + (1...Self.rows).map { "(\($0), 0)" }.joined(separator: ", ")) == nil)
                setup.close()
                let load = Load()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (lane, router) in cluster.routers.enumerated() {
                        group.addTask { try await load.write(router.wirePort, lane) }
                        for _ in 0..<2 { group.addTask { try await load.read(router.wirePort) } }
                    }
                    let result: Result<Void, any Error>
                    do { result = .success(try await Self.thereAndBack(cluster, load)) } catch { result = .failure(error) }
                    load.state.withLock { $0.isOver = true }
                    try await group.waitForAll()
                    try result.get()
                }
                let (owned, elsewhere) = try await cluster.rows()
                let state = load.state.withLock { $0 }
                print(state.reads, state.acknowledged, state.blockErrors)
                #expect(owned.count == Self.rows && elsewhere == 0 && owned.values.reduce(0, +) == Int64(state.acknowledged))
                // In a block only what owners leave: the transaction is ended, or would see two of them.
                #expect(state.blockErrors.allSatisfy { ["PGM-ROWS-MOVE", "PGM-MOVING"].contains($0) } && state.blockErrors.count < state.reads["block", default: 0])
            }
        }

        private static func thereAndBack(_ cluster: ReshardCluster, _ load: Load) async throws {
            for (path, body) in [
                ("split", ["source_shard_id": "s2", "target_shards": ["s3"]] as [String: Any]), ("merge", ["source_shard_ids": ["s3"], "target_shard": "s2"]),
            ] {
                try await goesOn(load)
                let job = try await cluster.begin(path, body)
                try await cluster.wait(for: "completed", of: job)
                // What has moved is on its old shard, too.
                try await goesOn(load)
                try await cluster.finish(job)
            }
            try await goesOn(load)
        }

        private static func goesOn(_ load: Load) async throws {
            for kind in ["count", "sum", "rows", "sorted", "prepared", "groups"] {
                let before = load.reads(kind)
                try await eventually("\(kind) goes on") { load.reads(kind) > before + 4 }
            }
        }
    }
}
