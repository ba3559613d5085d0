import CatalogStore
import ClusterTestKit
import ServerConfig
import ShardModel
import Testing

extension FaultTests {
    /// A database with one shard answers what PostgreSQL answers, and what code leaves in a server session stays with its client.
    @Suite(.faultCluster(shards: 1) { $0.pinnedSessionsMax = 2 }, .serialized)
    struct SingleShardTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func run(_ client: WireClient, _ statements: String...) async throws {
            for statement in statements { #expect(try await client.failure(statement) == nil, "\(statement)") }
        }

        private func pinnedBy(_ client: WireClient) async throws -> String? { try await client.rows("SHOW pgmosaic.session").first?[5] }

        @Test func statementsWithoutAKeyAreAnswered() async throws {
            let client = try await cluster.login()
            try await run(client, "DELETE FROM kv", "INSERT INTO kv SELECT i, i FROM generate_series(1, 10) i", "UPDATE kv SET v = v + 1, k = k + 100")
            #expect(try await client.rows("SELECT count(*), sum(v) FROM kv WHERE k > 100") == [["10", "65"]])
            try await run(client, "MERGE INTO kv USING (SELECT 101 AS k) AS s ON kv.k = s.k WHEN MATCHED THEN DELETE", "BEGIN", "LOCK TABLE ref", "COMMIT", "VACUUM kv")
            #expect(try await client.rows("SELECT count(*) FROM kv, pg_namespace WHERE nspname = 'public'") == [["9"]])
            #expect(try await pinnedBy(client) == nil)
            try await cluster.expectNoLeak()
            client.close()
        }

        @Test func aTemporaryTableIsTheClientsAloneAndHidesWithoutHarm() async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            try await run(one, "CREATE TEMP TABLE notes (id int, secret text)", "INSERT INTO notes VALUES (1, 'mine')")
            #expect(try await pinnedBy(one) == "session_state")
            #expect(try await one.rows("SELECT secret FROM notes") == [["mine"]])
            #expect(try await two.failure("SELECT secret FROM notes") == "42703")
            // DROP takes the temporary one, so the placement of the other stays declared.
            try await run(one, "DROP TABLE notes", "INSERT INTO notes VALUES (71, 'kept')")
            let topology = try await cluster.store.load()
            #expect(topology.tables.values.contains { $0.name.name == "notes" })
            try await run(two, "DELETE FROM notes WHERE id = 71", "SELECT 1")
            one.close()
            try await cluster.expectNoLeak()
            two.close()
        }

        @Test func whatCodeLeavesIsNeverAnotherClients() async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            try await run(one, "DO $$ BEGIN PERFORM set_config('my.secret', 'one', false); PERFORM pg_advisory_lock(5); END $$")
            #expect(try await one.rows("SELECT current_setting('my.secret', true)") == [["one"]])
            for _ in 0..<5 { #expect(try await two.rows("SELECT coalesce(current_setting('my.secret', true), 'none')") == [["none"]]) }
            #expect(try await two.rows("SELECT pg_try_advisory_xact_lock(5)") == [["f"]])
            try await run(one, "DISCARD ALL")
            #expect(try await pinnedBy(one) == nil)
            try await eventually("the lock is gone with its server session") { try await two.rows("SELECT pg_try_advisory_xact_lock(5)") == [["t"]] }
            one.close()
            two.close()
            try await cluster.expectNoLeak()
        }

        @Test func currvalTellsOfTheClientsOwnSequenceUseOrNothing() async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            try await run(one, "CREATE SEQUENCE numbers", "SELECT nextval('numbers')")
            #expect(try await two.failure("SELECT currval('numbers')") == "0A000")
            // The server session was the other's: what it knows of sequences is not passed on.
            try await run(two, "DO $$ BEGIN END $$")
            #expect(try await two.failure("SELECT currval('numbers')") == "55000")
            try await run(two, "SELECT nextval('numbers')")
            #expect(try await two.rows("SELECT currval('numbers'), lastval()") == [["2", "2"]])
            try await run(one, "DROP SEQUENCE numbers")
            one.close()
            two.close()
        }

        @Test func thePinnedSessionsAreLimitedWithAnError() async throws {
            var clients: [WireClient] = []
            for _ in 0..<3 { clients.append(try await cluster.login()) }
            try await run(clients[0], "CREATE TEMP TABLE t (a int)")
            try await run(clients[1], "CREATE TEMP TABLE t (a int)")
            #expect(try await clients[2].failure("CREATE TEMP TABLE t (a int)") == "53300")
            #expect(try await clients[2].rows("SELECT 1") == [["1"]])
            for client in clients { client.close() }
            try await cluster.expectNoLeak()
        }
    }
}
