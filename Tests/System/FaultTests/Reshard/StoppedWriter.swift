import ClusterTestKit
import Foundation
import Synchronization

/// Writes new keys through one router, one after the other, whatever becomes of it, and remembers those that were acknowledged.
final class StoppedWriter: Sendable {
    private let port: Int
    private let keys = Mutex<[Int64]>([])
    private let isOver = Mutex(false)

    init(_ port: Int) { self.port = port }

    var acknowledged: [Int64] { keys.withLock { $0 } }
    func end() { isOver.withLock { $0 = true } }

    func run() async throws {
        var next: Int64 = 900_000_000
        while !isOver.withLock({ $0 }) {
            guard let client = try? await WireClient.login(port: port) else { continue }
            defer { client.close() }
            while !isOver.withLock({ $0 }) {
                next += 1
                guard let answers = try? await client.query("INSERT INTO kv VALUES (\(next), 1)", within: .seconds(300)) else { break }
                if answers.contains(where: { $0.tag == "INSERT 0 1" }) { keys.withLock { [next] in $0.append(next) } }
            }
        }
    }
}
