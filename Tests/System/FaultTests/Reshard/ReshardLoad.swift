import ClusterTestKit
import Foundation
import Synchronization
import Testing

/// Clients that write while rows move, each with keys of its own, and remember what was acknowledged.
final class ReshardLoad: Sendable {
    struct Tally: Sendable {
        var statements = 0
        /// An error, or a lost connection, with the statement.
        var failures: [String] = []
        var slowest = Duration.zero
        /// What must be there in the end.
        var rows: [Int64: Int64] = [:]
        var references: Set<Int64> = []
    }

    private let ports: [Int]
    private let isOver = Mutex(false)
    private let tally = Mutex(Tally())

    init(_ ports: [Int]) { self.ports = ports }

    var now: Tally { tally.withLock { $0 } }

    /// Runs `body` with `clients` at work, and gives what they did.
    func run<Value: Sendable>(clients: Int = 8, _ body: @Sendable () async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<clients { group.addTask { await self.work(lane) } }
            let result: Result<Value, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            isOver.withLock { $0 = true }
            try await group.waitForAll()
            return try result.get()
        }
    }

    private func work(_ lane: Int) async {
        var mine: [Int64: Int64] = [:]
        var next = Int64(lane) * 1_000_000 + 1
        do {
            let client = try await WireClient.login(port: ports[lane % ports.count])
            defer { client.close() }
            var pause = Duration.zero
            while !isOver.withLock({ $0 }) {
                // As long as what it did took, however busy the machine is: clients without a pause would leave nothing of it to the job.
                try await Task.sleep(for: pause)
                let start = ContinuousClock.now
                defer { pause = min(ContinuousClock.now - start, .milliseconds(200)) + .milliseconds(2) }
                let keys = Array(mine.keys)
                switch Int.random(in: 0..<10) {
                case 0..<3:
                    if await said("INSERT INTO kv VALUES (\(next), 0)", client) { mine[next] = 0 }
                    next += 1
                case 3..<6:
                    guard let key = keys.randomElement() else { continue }
                    if await said("UPDATE kv SET v = v + 1 WHERE k = \(key)", client) { mine[key, default: 0] += 1 }
                case 6:
                    guard let key = keys.randomElement() else { continue }
                    if await said("DELETE FROM kv WHERE k = \(key)", client) { mine[key] = nil }
                case 7:
                    guard keys.count > 1 else { continue }
                    let two = keys.shuffled().prefix(2)
                    var isDone = true
                    for sql in ["BEGIN", "UPDATE kv SET v = v + 10 WHERE k = \(two[0])", "UPDATE kv SET v = v - 10 WHERE k = \(two[1])", "COMMIT"] where isDone {
                        isDone = await said(sql, client)
                    }
                    if isDone {
                        mine[two[0], default: 0] += 10
                        mine[two[1], default: 0] -= 10
                    } else {
                        _ = await said("ROLLBACK", client)
                    }
                case 8:
                    guard let key = keys.randomElement() else { continue }
                    _ = await said("SELECT v FROM kv WHERE k = \(key)", client)
                default:
                    let bytes = WireMessages.parse("", "INSERT INTO kv VALUES ($1, 5), ($2, 5)") + WireMessages.bind("", "", ["\(next)", "\(next + 1)"])
                        + WireMessages.execute("") + WireMessages.sync
                    if await said("two rows", client, bytes) { (mine[next], mine[next + 1]) = (5, 5) }
                    next += 2
                    if lane == 0 {
                        let id = next
                        if await said("INSERT INTO ref VALUES (\(id), 1)", client) { tally.withLock { _ = $0.references.insert(id) } }
                    }
                }
            }
        } catch {
            tally.withLock { $0.failures.append("lane \(lane): \(error)") }
        }
        tally.withLock { [mine] in $0.rows.merge(mine) { $1 } }
    }

    /// Whether it was done. What is not answered ends the test's claim that nothing fails, too.
    private func said(_ sql: String, _ client: WireClient, _ bytes: [UInt8]? = nil) async -> Bool {
        let began = ContinuousClock.now
        var failure: String?
        do {
            try await client.send(bytes ?? WireMessages.query(sql))
            if let error = try await client.until("Z").first(where: { $0.kind == "E" }) {
                failure = "\(error.sqlState ?? "") \(error.field("M") ?? "")"
            }
        } catch {
            failure = "\(error)"
        }
        let took = ContinuousClock.now - began
        tally.withLock { [failure] tally in
            tally.statements += 1
            tally.slowest = max(tally.slowest, took)
            if let failure, tally.failures.count < 20 { tally.failures.append("\(sql): \(failure)") }
        }
        return failure == nil
    }
}
