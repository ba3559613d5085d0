import ClusterTestKit
import Logging
import ShardModel
import Synchronization
import Testing

@Suite struct RouterEndTests {
    /// Everything in a router holds its logger, and so does whatever keeps itself alive in a cycle.
    @Test func nothingOfARouterOutlivesIt() async throws {
        var options = TestCluster.Options(shards: 2, tables: ["kv": .sharded(key: "k")])
        let trace = Trace()
        options.logHandler = { _ in Handler(token: trace.token()) }
        try await TestCluster.with(options) { cluster in
            try await cluster.rows("CREATE TABLE kv (k bigint PRIMARY KEY, v int)")
            for key in 1...20 { try await cluster.rows("INSERT INTO kv VALUES (\(key), 1)") }
            #expect(trace.isAlive)
        }
        try await eventually("the router is gone") { !trace.isAlive }
    }
}

private final class Trace: Sendable {
    final class Token: Sendable {}
    private struct Reference { weak var token: Token? }
    private let reference = Mutex(Reference())

    func token() -> Token {
        let token = Token()
        reference.withLock { $0.token = token }
        return token
    }

    var isAlive: Bool { reference.withLock { $0.token != nil } }
}

private struct Handler: LogHandler {
    let token: Trace.Token
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.critical

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {}
}
