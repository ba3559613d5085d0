import ClusterTestKit
import Foundation
import PostgresProcess
import ServerConfig
import Testing

extension FaultTests {
    /// A shard that is stopped (SIGSTOP) while it owes the router an answer, and a client that does not wait for it: what the shard holds of its pool
    /// is free again although it never answers.
    @Suite(
        .faultCluster(preparesApart: true) { settings in
            // So that a statement finds the one backend that was used before.
            settings.loops = 1
            settings.poolSizeMax = 4
            settings.poolConnectTimeout = .seconds(6)
            settings.poolHealthCheckAfter = .seconds(600)
            settings.abandonedTime = .seconds(1)
        }, .serialized)
    struct SilentShardTests {
        private let cluster: TestCluster
        private let victim = 2

        init() throws { cluster = try TestCluster.current }

        private func busy() async throws -> Double { try await cluster.metric("pgmosaic_pool_backends", "state=\"busy\"") }

        /// Stops the shard, and does `last`, after which the router waits for it with `held` backends in use; hangs up then.
        private func goneWhileSilent(_ client: WireClient, at shard: Int, holding held: Double = 1, _ last: [UInt8] = []) async throws {
            await cluster.servers[shard].pause()
            let result: Result<Void, any Error>
            do {
                if !last.isEmpty { try await client.send(last) }
                try await eventually("the shard is waited for") { try await self.busy() == held }
                client.close()
                try await eventually("its place is free while it is silent") { try await self.busy() == 0 }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            await cluster.servers[shard].resume()
            try result.get()
            try await cluster.expectNoLeak(clients: 0)
            let next = try await cluster.login()
            let key = try await cluster.key(on: shard)
            try await eventually("the shard is used again") { try await next.failure("SELECT v FROM kv WHERE k = \(key)") == nil }
            next.close()
        }

        @Test func duringARollback() async throws {
            let key = try await cluster.key(on: victim)
            let client = try await cluster.login()
            try await client.query("BEGIN")
            try await client.query("SELECT v FROM kv WHERE k = \(key)")
            try await goneWhileSilent(client, at: victim)
        }

        @Test func duringAStatementOnEveryShard() async throws {
            let client = try await cluster.login()
            try await goneWhileSilent(client, at: victim, holding: 3, WireMessages.query("UPDATE ref SET v = v + 1"))
            _ = try await cluster.settled()
        }

        @Test func whenItIsGivenTheSettingsOfTheSession() async throws {
            let key = try await cluster.key(on: victim)
            let (client, other) = (try await cluster.login(), try await cluster.login())
            #expect(try await client.failure("SET statement_timeout = '77s'") == nil)
            // Its backend has the defaults.
            #expect(try await other.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
            other.close()
            try await goneWhileSilent(client, at: victim, WireMessages.query("SELECT v FROM kv WHERE k = \(key)"))
        }

        @Test func whenItDescribesAStatementForEveryShard() async throws {
            let client = try await cluster.login()
            try await client.send(WireMessages.parse("s", "UPDATE ref SET v = v + 1") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "Z(I)"])
            try await goneWhileSilent(client, at: 0, WireMessages.describe("S", "s") + WireMessages.sync)
        }

        /// A COMMIT on one shard has no time limit as long as somebody waits for it.
        @Test func duringAPlainCommit() async throws {
            let keys = try await (cluster.key(on: 0), cluster.key(on: victim))
            let client = try await cluster.login()
            try await client.query("BEGIN")
            try #require(try await client.failure("SELECT v FROM kv WHERE k = \(keys.0)") == nil)
            try #require(try await client.failure("INSERT INTO kv VALUES (\(keys.1), 1) ON CONFLICT (k) DO UPDATE SET v = kv.v + 1") == nil)
            try await goneWhileSilent(client, at: victim, holding: 2, WireMessages.query("COMMIT"))
        }

        @Test func duringALoginWithSettings() async throws {
            let first = try await cluster.login()
            #expect(try await first.failure("SELECT v FROM kv WHERE k = \(try await cluster.key(on: 0))") == nil)
            first.close()
            try await cluster.expectNoLeak(clients: 0)
            let client = try WireClient(port: cluster.wirePort)
            try await goneWhileSilent(client, at: 0, WireMessages.startup(["user": "test", "database": "shop", "statement_timeout": "78s"]))
        }
    }

    /// What the router asks of a shard on a session's behalf waits for a lock: whoever waits may cancel it, or leave.
    @Suite(.faultCluster(shards: 2) { $0.poolSizeMax = 4 }, .serialized)
    struct LockedDescriptionTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func whileLocked(_ body: (WireClient) async throws -> Void) async throws {
            let lock = try await cluster.shardSession(0)
            try await lock.query("BEGIN")
            let client = try await cluster.login()
            try await client.send(WireMessages.parse("s", "UPDATE ref SET v = v + 1") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "Z(I)"])
            try #require(try await lock.failure("LOCK TABLE ref IN ACCESS EXCLUSIVE MODE") == nil)
            try await client.send(WireMessages.describe("S", "s") + WireMessages.sync)
            try await eventually("it waits for the lock") {
                try await self.cluster.onShard(
                    0, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgmosaic' AND wait_event_type = 'Lock'") == "1"
            }
            try await body(client)
            client.close()
            try await cluster.expectNoLeak(clients: 0)
            try await lock.query("ROLLBACK")
            lock.close()
        }

        @Test func itCanBeCancelled() async throws {
            try await whileLocked { client in
                try await client.cancel(port: cluster.wirePort)
                #expect(try await client.until("Z").map(\.description).suffix(2) == ["E(57014)", "Z(I)"])
            }
        }

        @Test func itEndsWithItsClient() async throws {
            try await whileLocked { client in client.close() }
        }
    }
}
