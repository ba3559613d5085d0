import CatalogStore
import ClusterTestKit
import Foundation
import ServerConfig
import ShardModel
import Testing

extension FaultTests {
    /// Which sessions on a job's shards are its own, a router says when it knows the epoch: the manager ends all others on the targets.
    @Suite(.serialized) struct SessionReportTests {
        private typealias W = WireMessages

        private static func with(_ body: @Sendable (TestCluster) async throws -> Void) async throws {
            var options = TestCluster.Options(shards: 2, tables: FaultClusterTrait.tables)
            options.router = { $0.poolConnectTimeout = .seconds(120) }
            try await TestCluster.with(options) { cluster in
                let client = try await cluster.login()
                for statement in FaultClusterTrait.statements { try #require(try await client.failure(statement) == nil, "\(statement)") }
                client.close()
                try await body(cluster)
            }
        }

        private func report(_ cluster: TestCluster) async throws -> SessionReport? {
            let epoch = try await cluster.store.load().epoch
            return try await cluster.store.members().compactMap(\.sessions).first { $0.epoch == epoch }
        }

        @Test func itNamesAllThatItHasOpenWhileThereIsAJob() async throws {
            try await Self.with { cluster in
                let key = try await cluster.key(on: 1)
                var clients: [WireClient] = []
                for _ in 0..<5 {
                    let client = try await cluster.login()
                    for sql in ["BEGIN", "SELECT v FROM kv WHERE k = \(key)"] { #expect(try await client.failure(sql) == nil) }
                    clients.append(client)
                }
                #expect(try await cluster.store.members().allSatisfy { $0.sessions == nil })
                try await cluster.withJob {
                    try await eventually("it reports") { try await self.report(cluster) != nil }
                    let report = try #require(try await self.report(cluster))
                    let sessions = try await cluster.sessions(on: 1)
                    #expect(sessions.count >= 5 && Set(report.sessions[TestCluster.id(of: 1)] ?? []) == sessions)
                }
                for client in clients { client.close() }
            }
        }

        /// The shard may have let it in by an older epoch than the job's.
        @Test func itWaitsForWhatIsBeingOpened() async throws {
            try await Self.with { cluster in
                let (key, blocker) = (try await cluster.key(on: 1), try await cluster.shardSession(1))
                for sql in ["BEGIN", "LOCK TABLE pgmosaic.identity IN ACCESS EXCLUSIVE MODE"] { #expect(try await blocker.failure(sql) == nil) }
                var clients: [WireClient] = []
                let greeting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%pgmosaic.hello%'"
                // More than there may be idle connections.
                for _ in 0..<6 {
                    let client = try await cluster.login()
                    try await client.send(W.query("BEGIN; SELECT v FROM kv WHERE k = \(key)"))
                    clients.append(client)
                }
                try await eventually("a connection is being opened") { try await cluster.onShard(1, greeting) != "" }
                let process = Int32(try await cluster.onShard(1, greeting).split(separator: "\n").first ?? "")
                try await cluster.withJob {
                    try await Task.sleep(for: .milliseconds(500))
                    #expect(try await report(cluster) == nil)
                    #expect(try await blocker.failure("COMMIT") == nil)
                    try await eventually("it reports") { try await report(cluster) != nil }
                    let sessions = try await report(cluster)?.sessions[TestCluster.id(of: 1)] ?? []
                    #expect(process.map(sessions.contains) == true)
                }
                for client in clients { client.close() }
            }
        }
    }
}
