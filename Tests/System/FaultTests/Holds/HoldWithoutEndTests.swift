import ClusterTestKit
import ServerConfig
import Testing

extension FaultTests {
    /// A hold whose manager has died, or that a router does not see ending: the times are such that a statement on a busy machine does not take as long.
    @Suite(
        .faultCluster(shards: 2) { settings in
            settings.heldReadTime = .seconds(8)
            settings.heldTime = .seconds(5)
        }, .serialized)
    struct HoldWithoutEndTests {
        private let cluster: TestCluster
        private let attempt = UInt64.random(in: 1...1_000_000_000)

        init() throws { cluster = try TestCluster.current }

        private typealias W = WireMessages

        /// As a router sees it that is cut off from the catalog: the owner may be another one by then, and nothing else would tell.
        @Test func aHoldThatDoesNotEndStopsReadsToo() async throws {
            let key = try await cluster.key(on: 1)
            try await cluster.withJob {
                let client = try await cluster.login()
                #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
                try await cluster.hold(1, attempt: attempt)
                #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
                try await Task.sleep(for: .seconds(9))
                let before = try await cluster.held()
                try await client.send(W.query("SELECT v FROM kv WHERE k = \(key)"))
                try await eventually("it waits") { try await cluster.held() > before }
                let answers = try await client.until("Z")
                #expect(answers.first?.sqlState == "57P03" && answers.first?.field("D") == "PGM-HELD", "\(answers)")
            }
        }
    }
}
