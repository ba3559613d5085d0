import ClusterTestKit
import Foundation
import ServerConfig
import ShardModel
import Testing

extension FaultTests {
    /// A router that learns of other owners without having drained a hold, as one does that was stopped, or cut off from the catalog: nothing of it gets to the
    /// old owner, not even on a connection that is opened under the new epoch, which the owner's fence takes.
    @Suite(.serialized) struct MissedHoldTests {
        private typealias W = WireMessages

        private static var options: TestCluster.Options {
            var options = TestCluster.Options(shards: 2, tables: FaultClusterTrait.tables)
            // One client keeps the others waiting.
            options.router = {
                $0.poolSizeMax = 1
                // Until the last of them has logged in.
                $0.poolWaitTimeout = .seconds(60)
            }
            return options
        }

        private static func with(_ body: @Sendable (TestCluster) async throws -> Void) async throws {
            try await TestCluster.with(options) { cluster in
                let client = try await cluster.login()
                for statement in FaultClusterTrait.statements { try #require(try await client.failure(statement) == nil, "\(statement)") }
                client.close()
                try await body(cluster)
            }
        }

        @Test func whatWaitsForAConnectionFailsAndDoesNotReachTheOldOwner() async throws {
            try await Self.with { cluster in
                let keys = try await cluster.keys(on: 1, from: 1, count: 7)
                let other = try await cluster.key(on: 0)
                let blocker = try await cluster.login()
                for sql in ["BEGIN", "INSERT INTO kv VALUES (\(keys[0]), 1)"] { #expect(try await blocker.failure(sql) == nil) }
                let writes = [
                    W.query("INSERT INTO kv VALUES (\(keys[1]), 1)"),
                    W.query("INSERT INTO kv VALUES (\(keys[2]), 1), (\(other), 1)"),
                    W.query("INSERT INTO kv VALUES (\(keys[3]), 1); INSERT INTO kv VALUES (\(keys[4]), 1)"),
                    W.parse("", "INSERT INTO kv VALUES ($1, 1)") + W.bind("", "", ["\(keys[5])"]) + W.execute("") + W.sync,
                    W.query("INSERT INTO ref VALUES (1, 1)"),
                    W.query("EXECUTE late (\(keys[6]))"),
                ]
                var waiting: [WireClient] = []
                for bytes in writes {
                    let client = try await cluster.login()
                    try await client.send(W.query("PREPARE late AS INSERT INTO kv VALUES ($1, 1)"))
                    _ = try await client.until("Z")
                    try await client.send(bytes)
                    waiting.append(client)
                }
                try await eventually("they wait") { try await cluster.metric("pgmosaic_clients", "state=\"waiting\"") >= Double(writes.count) }
                try await cluster.give(1, to: 0)
                for (client, bytes) in zip(waiting, writes) {
                    let answers = try await client.until("Z")
                    let error = answers.first { $0.kind == "E" }
                    #expect(error?.sqlState == "08001", "\(answers)")
                    #expect(answers.last?.status == "I")
                    // The same again goes to the new owner.
                    try await client.send(bytes)
                    #expect(try await client.until("Z").contains { $0.kind == "E" } == false)
                }
                #expect(try await cluster.onShard(1, "SELECT count(*) FROM kv") == "0")
                let list = (keys.dropFirst() + [other]).map(String.init).joined(separator: ",")
                #expect(try await cluster.onShard(0, "SELECT count(*) FROM kv WHERE k IN (\(list))") == "7")
                for shard in 0..<2 { #expect(try await cluster.onShard(shard, "SELECT count(*) FROM ref") == "1") }
                try await eventually("the old connection's transaction is gone") {
                    try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'") == "0"
                }
                #expect(try await blocker.failure("INSERT INTO kv VALUES (\(keys[0]), 1)") == "08006")
                #expect(try await blocker.failure("SELECT 1") == "25P02")
                #expect(try await blocker.query("COMMIT").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
                try await cluster.expectNoLeak()
            }
        }

        /// When a job begins it may cut vnodes of its source: they are others then, and the source has all that it had.
        @Test func aCutOfAVNodeEndsNothing() async throws {
            try await Self.with { cluster in
                let keys = try await cluster.keys(on: 1, from: 1, count: 2)
                let client = try await cluster.login()
                for sql in ["BEGIN", "INSERT INTO kv VALUES (\(keys[0]), 1)"] { #expect(try await client.failure(sql) == nil) }
                try await cluster.cutAVNode(of: 1)
                for sql in ["INSERT INTO kv VALUES (\(keys[1]), 1)", "COMMIT"] { #expect(try await client.failure(sql) == nil) }
                #expect(try await cluster.onShard(1, "SELECT count(*) FROM kv") == "2")
                try await cluster.expectNoLeak()
            }
        }

        /// The next statement of the same session would be sent to another connection, and find an ordinary table of the same name.
        @Test func aSessionThatIsBoundToAConnectionToTheOldOwnerDoesNotGoOnWithAnother() async throws {
            try await Self.with { cluster in
                let client = try await cluster.login()
                #expect(try await client.failure("CREATE TEMP TABLE notes (id bigint)") == nil)
                let before = try await cluster.metric("pgmosaic_catalog_epoch")
                // The home shard, where temporary tables are.
                try await cluster.give(0, to: 1)
                try await eventually("the router knows") { try await cluster.metric("pgmosaic_catalog_epoch") > before }
                try await eventually("the session is ended, or its table is known to be gone") {
                    guard let answers = try? await client.query("SELECT count(*) FROM notes") else { return true }
                    return answers.contains { $0.kind == "E" }
                }
                try await cluster.expectNoLeak()
            }
        }
    }
}
