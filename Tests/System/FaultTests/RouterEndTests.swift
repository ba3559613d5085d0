import ClusterTestKit
import Logging
import ShardModel
import Synchronization
import Testing

extension FaultTests {
    @Suite struct RouterEndTests {
        /// Everything in a router holds its logger, and so does whatever keeps itself alive in a cycle.
        @Test func nothingOfARouterOutlivesIt() async throws {
            var options = TestCluster.Options(shards: 2, tables: FaultClusterTrait.tables)
            let trace = Trace()
            options.logHandler = { _ in Handler(token: trace.token()) }
            try await TestCluster.with(options) { cluster in
                let client = try await cluster.login()
                for statement in FaultClusterTrait.statements { try #require(try await client.failure(statement) == nil) }
                for key in 1...20 { try #require(try await client.failure("INSERT INTO kv VALUES (\(key), 1)") == nil) }
                // Asked aside, of a shard that takes part in the transaction.
                try await client.query("BEGIN")
                try #require(try await client.failure("UPDATE ref SET v = v + 1") == nil)
                try await client.send(WireMessages.parse("s", "UPDATE ref SET v = v + 2") + WireMessages.sync)
                _ = try await client.until("Z")
                try await client.send(WireMessages.describe("S", "s") + WireMessages.sync)
                #expect(try await client.until("Z").map(\.description) == ["t", "n", "Z(T)"])
                client.close()
                #expect(trace.isAlive)
            }
            try await eventually("the router is gone") { !trace.isAlive }
        }
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
