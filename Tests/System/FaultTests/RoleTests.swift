import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// SET ROLE over several shards.
    @Suite(.faultCluster(), .serialized)
    struct RoleTests {
        private let cluster: TestCluster
        private static let privileges = "GRANT SELECT, INSERT, UPDATE ON kv, ref TO app"

        init() throws { cluster = try TestCluster.current }

        /// A session, and a key with a row of value 0 on each shard. The role `app` may read and write `kv` and `ref`.
        private func with(_ body: (WireClient, [Int64]) async throws -> Void) async throws {
            for index in cluster.servers.indices {
                try await cluster.onShard(
                    index, "DO $$ BEGIN IF to_regrole('app') IS NULL THEN CREATE ROLE app; \(Self.privileges); END IF; END $$")
            }
            let client = try await cluster.login()
            defer { client.close() }
            var keys: [Int64] = []
            for index in cluster.servers.indices {
                let key = try await cluster.key(on: index, from: Int64.random(in: 1...1_000_000_000_000))
                try #require(try await client.failure("INSERT INTO kv VALUES (\(key), 0)") == nil)
                keys.append(key)
            }
            try await body(client, keys)
        }

        private func run(_ client: WireClient, _ statements: String...) async throws {
            for statement in statements { #expect(try await client.failure(statement) == nil, "\(statement)") }
        }

        private func who(_ client: WireClient, _ key: Int64) async throws -> String? {
            try await client.rows("SELECT current_user FROM kv WHERE k = \(key)").first?[0]
        }

        private func refusal(_ client: WireClient, _ sql: String) async throws -> String? {
            try await client.query(sql).first { $0.kind == "E" }?.field("D")
        }

        // MARK: Carried

        @Test func aRoleFollowsItsSessionAndNobodyElse() async throws {
            try await with { client, keys in
                let other = try await cluster.login()
                defer { other.close() }
                try await run(client, "SET ROLE app")
                for _ in 0..<3 {
                    for key in keys {
                        #expect(try await who(client, key) == "app")
                        #expect(try await who(other, key) == "postgres")
                    }
                }
                #expect(try await client.rows("SHOW role") == [["app"]])
                #expect(try await client.failure("DELETE FROM kv WHERE k = \(keys[1])") == "42501")
                #expect(try await client.failure("SELECT * FROM notes") == "42501")
                #expect(try await client.failure("SET ROLE nobody") == "22023")
                // It stays what it was.
                #expect(try await who(client, keys[2]) == "app")
                try await run(client, "RESET ALL")
                #expect(try await who(client, keys[2]) == "app")
                try await run(client, "RESET ROLE")
                for key in keys { #expect(try await who(client, key) == "postgres") }
                try await run(client, "SET ROLE app", "DISCARD ALL")
                for key in keys { #expect(try await who(client, key) == "postgres") }
                try await run(client, "SELECT set_config('role', 'app', false)", "SET ROLE NONE")
                for key in keys { #expect(try await who(client, key) == "postgres") }
            }
        }

        /// Only a superuser may set it; the session has been one.
        @Test func settingsThatTheRoleMayNotMakeAreCarriedAllTheSame() async throws {
            try await with { client, keys in
                try await run(client, "SET log_min_messages = 'error'", "SET ROLE app", "SET work_mem = '5MB'")
                for key in keys {
                    let seen = try await client.rows(
                        "SELECT current_user, current_setting('log_min_messages'), current_setting('work_mem') FROM kv WHERE k = \(key)")
                    #expect(seen == [["app", "error", "5MB"]])
                }
                #expect(try await client.failure("SET log_min_messages = 'info'") == "42501")
            }
        }

        @Test func anErrorTakesTheRoleBack() async throws {
            try await with { client, keys in
                try await run(client, "BEGIN", "SET ROLE app", "SELECT v FROM kv WHERE k = \(keys[0])", "ROLLBACK")
                for key in keys { #expect(try await who(client, key) == "postgres") }
                try await run(client, "BEGIN", "SAVEPOINT a", "SET ROLE app", "SELECT v FROM kv WHERE k = \(keys[0])")
                #expect(try await client.failure("DELETE FROM kv WHERE k = \(keys[0])") == "42501")
                try await run(client, "ROLLBACK TO a")
                for key in keys { #expect(try await who(client, key) == "postgres") }
                try await run(client, "COMMIT")
            }
        }

        // MARK: Two-phase commit

        @Test(arguments: ["SET ROLE app", "SET LOCAL ROLE app", "SELECT set_config('role', 'app', true)"])
        func aTransactionOfSeveralShardsCommitsUnderARole(_ taking: String) async throws {
            try await with { client, keys in
                try await run(client, "BEGIN", taking)
                for key in keys { try await run(client, "UPDATE kv SET v = v + 1 WHERE k = \(key)") }
                try await run(client, "INSERT INTO ref VALUES (\(Int.random(in: 1...1_000_000_000)), 1)", "COMMIT")
                let after = taking == "SET ROLE app" ? "app" : "postgres"
                for _ in 0..<2 {
                    for key in keys { #expect(try await client.rows("SELECT v, current_user FROM kv WHERE k = \(key)") == [["1", after]]) }
                }
                let other = try await cluster.login()
                for key in keys { #expect(try await who(other, key) == "postgres") }
                other.close()
            }
            try await cluster.settled()
        }

        /// What is prepared must be the router's to end, also where its role is no superuser.
        @Test func theRoutersRoleNeedNotBeASuperuser() async throws {
            try await with { client, keys in
                for index in cluster.servers.indices {
                    try await cluster.onShard(index, "CREATE ROLE root SUPERUSER LOGIN; GRANT app TO postgres; ALTER ROLE postgres NOSUPERUSER")
                }
                for taking in ["SET LOCAL ROLE app", "SET ROLE app"] {
                    try await run(client, "BEGIN", taking)
                    for key in keys { try await run(client, "UPDATE kv SET v = v + 1 WHERE k = \(key)") }
                    try await run(client, "COMMIT")
                }
                for key in keys { #expect(try await client.rows("SELECT v, current_user FROM kv WHERE k = \(key)") == [["2", "app"]]) }
                // A shard that cannot prepare: what the others have prepared is rolled back.
                try await cluster.onShard(
                    2,
                    """
                    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
                    CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON kv DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()
                    """)
                try await run(client, "BEGIN")
                for key in keys { try await run(client, "UPDATE kv SET v = v + 1 WHERE k = \(key)") }
                #expect(try await client.failure("COMMIT") == "P0001")
                try await cluster.onShard(2, "DROP TRIGGER late ON kv; DROP FUNCTION fail")
                for key in keys { #expect(try await client.rows("SELECT v, current_user FROM kv WHERE k = \(key)") == [["2", "app"]]) }
                for index in cluster.servers.indices {
                    let root = try await WireClient.login(port: cluster.servers[index].port, user: "root")
                    try await run(root, "ALTER ROLE postgres SUPERUSER")
                    root.close()
                    try await eventually("its session has ended") { try await cluster.onShard(index, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'root'") == "0" }
                    try await cluster.onShard(index, "DROP ROLE root")
                }
            }
            try await cluster.settled()
        }

        /// As on one PostgreSQL, where COMMIT runs them as the role that the transaction has then.
        @Test func whatIsDeferredRunsAsTheRole() async throws {
            try await with { client, keys in
                for index in cluster.servers.indices {
                    try await cluster.onShard(
                        index,
                        """
                        CREATE TABLE seen (who text); GRANT INSERT ON seen TO app;
                        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (current_user); RETURN NULL; END $$;
                        CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON kv DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION see()
                        """)
                }
                try await run(client, "BEGIN", "SET LOCAL ROLE app")
                for key in keys { try await run(client, "UPDATE kv SET v = v + 1 WHERE k = \(key)") }
                try await run(client, "COMMIT")
                for index in cluster.servers.indices {
                    #expect(try await cluster.onShard(index, "SELECT who FROM seen") == "app")
                    try await cluster.onShard(index, "DROP TRIGGER late ON kv; DROP FUNCTION see; DROP TABLE seen")
                }
            }
        }

        // MARK: Bounds

        /// One after the other they are forgotten; what an open transaction may come back to is bounded.
        @Test func aSessionTakesAnyNumberOfRolesOneAfterTheOther() async throws {
            try await with { client, keys in
                for number in 0..<150 { #expect(try await client.failure("SET ROLE nobody_\(number)") == "22023") }
                try await run(client, "SET ROLE app")
                for key in keys { #expect(try await who(client, key) == "app") }
                try await run(client, "RESET ROLE", "BEGIN")
                var codes: Set<String?> = []
                for number in 0..<150 {
                    try await run(client, "SAVEPOINT a")
                    codes.insert(try await client.failure("SET LOCAL ROLE nobody_\(number)"))
                    try await run(client, "ROLLBACK TO a", "RELEASE a")
                }
                #expect(codes == ["22023", "53400"])
                try await run(client, "ROLLBACK", "SET ROLE app")
                for key in keys { #expect(try await who(client, key) == "app") }
            }
        }

        // MARK: Names

        /// PostgreSQL leaves out what the role may not use, and then means another table.
        @Test func aNameOfSeveralSchemasMustBeWrittenInFull() async throws {
            try await with { client, keys in
                let admin = try await cluster.login()
                defer { admin.close() }
                try await run(
                    admin, "CREATE SCHEMA inner_one", "SELECT pgmosaic.shard_table('inner_one.kv', 'k')", "CREATE TABLE inner_one.kv (k bigint PRIMARY KEY, v int)")
                try await run(client, "SET search_path = inner_one, public", "SELECT v FROM kv WHERE k = \(keys[0])", "SET ROLE app")
                #expect(try await refusal(client, "SELECT v FROM kv WHERE k = \(keys[0])") == "PGM-UNCERTAIN-NAME")
                #expect(try await refusal(client, "CREATE TABLE more (k bigint)") == "PGM-UNCERTAIN-NAME")
                #expect(try await client.rows("SELECT v FROM public.kv WHERE k = \(keys[0])") == [["0"]])
                try await run(client, "SELECT v FROM ref WHERE id = 1", "DISCARD ALL", "SET search_path = inner_one, public", "SELECT v FROM kv WHERE k = \(keys[0])")
                try await run(admin, "DROP TABLE inner_one.kv", "DROP SCHEMA inner_one")
            }
        }
    }
}
