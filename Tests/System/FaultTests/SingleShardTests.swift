import CatalogStore
import ClusterTestKit
import PostgresProcess
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
            try await run(client, "DELETE FROM kv", "INSERT INTO kv SELECT i, i FROM generate_series(1, 10) i",
                "UPDATE kv SET v = v + 1, k = k + 100")
            #expect(try await client.rows("SELECT count(*), sum(v) FROM kv WHERE k > 100") == [["10", "65"]])
            try await run(client, "MERGE INTO kv USING (SELECT 101 AS k) AS s ON kv.k = s.k WHEN MATCHED THEN DELETE", "BEGIN", "LOCK TABLE ref",
                "COMMIT", "VACUUM kv")
            #expect(try await client.rows("SELECT count(*) FROM kv, pg_namespace WHERE nspname = 'public'") == [["9"]])
            #expect(try await pinnedBy(client) == nil)
            try await cluster.expectNoLeak()
            client.close()
        }

        @Test func aTemporaryTableIsTheClientsAloneAndHidesWithoutHarm() async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            try await run(one, "CREATE TEMP TABLE notes (id int, secret text)", "INSERT INTO notes VALUES (1, 'mine')")
            #expect(try await pinnedBy(one) == "temporary")
            #expect(try await one.rows("SELECT secret FROM notes") == [["mine"]])
            #expect(try await two.failure("SELECT secret FROM notes") == "42703")
            // DROP takes the temporary one, so the placement of the other stays declared.
            try await run(one, "DROP TABLE notes", "INSERT INTO notes VALUES (71, 'kept')")
            #expect(try await pinnedBy(one) == nil)
            let topology = try await cluster.store.load()
            #expect(topology.tables.values.contains { $0.name.name == "notes" })
            try await run(two, "DELETE FROM notes WHERE id = 71", "SELECT 1")
            one.close()
            try await cluster.expectNoLeak()
            two.close()
        }

        @Test func whatWasPreparedForATemporaryTableOfOtherColumnsIsRefusedAsByPostgreSQL() async throws {
            try await ChangedTemporaryTable.expectTheAnswersOfPostgreSQL(cluster, plain: cluster.servers[0])
        }

        @Test func whatCodeLeavesIsNeverAnotherClients() async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            try await run(one, "DO $$ BEGIN PERFORM pg_notify('x', ''); END $$")
            #expect(try await pinnedBy(one) == nil)
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
            try await run(two, "SELECT setseed(0.5)")
            #expect(try await two.failure("SELECT currval('numbers')") == "55000")
            try await run(two, "SELECT nextval('numbers')")
            #expect(try await two.rows("SELECT currval('numbers'), lastval()") == [["2", "2"]])
            try await run(one, "DROP SEQUENCE numbers")
            one.close()
            two.close()
            try await cluster.expectNoLeak(clients: 0)
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

        // MARK: What keeps no server session

        @Test func viewsAndFunctionsThatTouchRowsAloneKeepNothing() async throws {
            let maker = try await cluster.login()
            try await run(
                maker, "CREATE VIEW small AS SELECT k, v FROM kv", "CREATE VIEW joined AS SELECT s.k, r.v FROM small s, ref r",
                """
                CREATE FUNCTION put(n bigint) RETURNS bigint LANGUAGE plpgsql AS
                'BEGIN INSERT INTO kv VALUES (n, 1); UPDATE kv SET v = 2 WHERE k = n; RETURN n; END'
                """,
                "CREATE FUNCTION twice(n bigint) RETURNS bigint LANGUAGE sql AS 'SELECT put(n); SELECT put(n + 1)'",
                "CREATE VIEW putting AS SELECT twice(900) AS n")
            // More of them at once than may keep one.
            var clients: [WireClient] = []
            for index in 0..<5 {
                let client = try await cluster.login()
                try await run(
                    client, "INSERT INTO small VALUES (\(800 + index), 7)", "SELECT * FROM joined", "SELECT put(\(810 + index))",
                    "SELECT twice(\(820 + 2 * index))",
                    "DO $$ BEGIN PERFORM put(\(850 + index)); END $$", "DELETE FROM small WHERE k = \(800 + index)")
                #expect(try await pinnedBy(client) == nil)
                clients.append(client)
            }
            #expect(try await maker.rows("SELECT n FROM putting") == [["901"]])
            #expect(try await maker.rows("SELECT count(*), sum(v) FROM kv WHERE k BETWEEN 800 AND 999") == [["22", "44"]])
            #expect(try await pinnedBy(maker) == nil)
            // A function that is made anew is judged anew, and so is what calls it.
            try await run(maker,
                "CREATE OR REPLACE FUNCTION put(n bigint) RETURNS bigint LANGUAGE sql AS 'SELECT set_config(''a.b'', n::text, false)::bigint'")
            try await eventually("both event loops know it") { try await self.pinnedAfter("SELECT 1 FROM putting") == "session_state" }
            #expect(try await pinnedAfter("SELECT twice(1)") == "session_state")
            #expect(try await maker.rows("SELECT coalesce(current_setting('a.b', true), 'none')") == [["none"]])
            try await run(maker, "DROP VIEW joined, small, putting", "DROP FUNCTION twice, put", "DELETE FROM kv WHERE k BETWEEN 800 AND 999")
            for client in clients + [maker] { client.close() }
            try await cluster.expectNoLeak()
        }

        private func pinnedAfter(_ sql: String) async throws -> String? {
            // Who asked before has its place until the router has heard that it left.
            try await eventually("nobody keeps one") { try await cluster.metric("pgmosaic_sessions_pinned") == 0 }
            let client = try await cluster.login()
            defer { client.close() }
            _ = try await client.failure(sql)
            return try await pinnedBy(client)
        }

        @Test(arguments: [
            ["BEGIN", "CREATE TEMP TABLE t (a int) ON COMMIT DROP", "INSERT INTO t VALUES (1)", "COMMIT"], ["CREATE TEMP TABLE t (a int)",
                "DROP TABLE t"],
            ["CREATE TEMP TABLE t (a int)", "DISCARD TEMP"], ["BEGIN", "CREATE TEMP TABLE t (a int)", "ROLLBACK"], ["SELECT 1 AS a INTO TEMP t",
                "DROP TABLE pg_temp.t"],
            ["CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION pg_temp.f()"],
        ])
        func theLastTemporaryObjectGoneTheServerSessionIsFree(statements: [String]) async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            for statement in statements {
                #expect(try await one.failure(statement) == nil, "\(statement)")
            }
            #expect(try await pinnedBy(one) == nil)
            #expect(try await two.failure("SELECT * FROM t") == "42P01")
            one.close()
            two.close()
            try await cluster.expectNoLeak()
        }

        // MARK: The extended protocol, and EXECUTE

        @Test func aBatchKeepsTheServerSessionToo() async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            func batch(_ client: WireClient, _ sql: String, _ parameters: [String?] = []) async throws -> [String] {
                try await client.send(
                    WireMessages.parse("", sql) + WireMessages.bind("", "", parameters) + WireMessages.describe("P", "") + WireMessages.execute("")
                        + WireMessages.sync)
                return try await client.until("Z").map(\.description)
            }
            #expect(try await batch(one, "CREATE TEMP TABLE t (a int)") == ["1", "2", "n", "C(CREATE TABLE)", "Z(I)"])
            #expect(try await pinnedBy(one) == "temporary")
            for value in 1...3 { #expect(try await batch(one, "INSERT INTO t VALUES ($1)", ["\(value)"]).contains("C(INSERT 0 1)")) }
            #expect(try await batch(one, "SELECT sum(a) FROM t") == ["1", "2", "T", "D(6)", "C(SELECT 1)", "Z(I)"])
            #expect(try await batch(two, "SELECT sum(a) FROM t").first == "E(42P01)")
            #expect(try await batch(one, "DROP TABLE t").contains("C(DROP TABLE)"))
            #expect(try await pinnedBy(one) == nil)
            // Computed arguments: what is set is nothing that the router could make again elsewhere.
            #expect(try await batch(one, "SELECT set_config('my.' || $1, $2, false)", ["x", "1"]).contains("D(1)"))
            #expect(try await pinnedBy(one) == "session_state")
            #expect(try await batch(one, "SELECT current_setting('my.x', true)").contains("D(1)"))
            for _ in 0..<3 { #expect(try await !batch(two, "SELECT current_setting('my.x', true)").contains("D(1)")) }
            one.close()
            two.close()
            try await cluster.expectNoLeak()
        }

        @Test func aPipelineMayBeginToKeepInTheMiddle() async throws {
            let client = try await cluster.login()
            var bytes: [UInt8] = []
            for sql in ["SELECT 1", "CREATE TEMP TABLE t (a int)", "INSERT INTO t VALUES (5)", "SELECT a FROM t", "SELECT 1/0", "SELECT 2"] {
                bytes += WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("")
            }
            try await client.send(bytes + WireMessages.sync)
            let answers = try await client.until("Z").map(\.description)
            #expect(answers.contains("D(5)") && answers.contains("E(22012)") && !answers.contains("D(2)"))
            // The error undid it all.
            #expect(try await pinnedBy(client) == nil)
            #expect(try await client.failure("SELECT a FROM t") == "42P01")
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func preparedStatementsFindWhatTheSessionKeeps() async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            try await run(one, "CREATE TEMP TABLE t (a int)", "PREPARE put (int) AS INSERT INTO t VALUES ($1)", "EXECUTE put(1)",
                "EXECUTE put(1 + 1)")
            try await run(one, "PREPARE total AS SELECT count(*), sum(a) FROM t", "PREPARE seed (float8) AS SELECT setseed($1)",
                "PREPARE everything AS SELECT count(*) FROM kv")
            #expect(try await one.rows("EXECUTE total") == [["2", "3"]])
            #expect(try await two.failure("EXECUTE total") == "26000")
            #expect(try await pinnedBy(one) == "temporary")
            try await run(one, "EXECUTE seed(0.5)", "EXECUTE everything")
            #expect(try await pinnedBy(one) == "session_state,temporary")
            // EXECUTE over the extended protocol.
            try await one.send(WireMessages.parse("", "EXECUTE total") + WireMessages.bind("", "") + WireMessages.execute("") + WireMessages.sync)
            #expect(try await one.until("Z").map(\.description).contains("D(2,3)"))
            // A session that keeps nothing is made to by EXECUTE.
            try await run(two, "PREPARE seed (float8) AS SELECT setseed($1)")
            #expect(try await pinnedBy(two) == nil)
            try await run(two, "EXECUTE seed(0.25)")
            #expect(try await pinnedBy(two) == "session_state")
            let merge = "MERGE INTO kv USING (SELECT $1 AS k) s ON kv.k = s.k WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1)"
            try await run(two, "PREPARE merging (bigint) AS \(merge)", "EXECUTE merging(777)", "DELETE FROM kv WHERE k = 777")
            one.close()
            two.close()
            try await cluster.expectNoLeak()
        }

        @Test func whatADefinitionSaysBeforeItFailsIsPassedOn() async throws {
            let client = try await cluster.login()
            let wanted = try await cluster.shardSession(0)
            let sql = "CREATE FUNCTION f(cstring) RETURNS widget LANGUAGE internal STRICT AS 'no such function'"
            #expect(try await wanted.query(sql).map(\.kind) == ["N", "E", "Z"])
            #expect(try await client.query(sql).map(\.kind) == ["N", "E", "Z"])
            try await client.send(WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.kind) == ["1", "2", "N", "E", "Z"])
            client.close()
            wanted.close()
            try await cluster.expectNoLeak()
        }

        // MARK: Roles

        @Test func aRoleIsTheClientsAlone() async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            try await cluster.onShard(0, "CREATE ROLE narrow; GRANT SELECT ON ref TO narrow")
            let own = try await two.rows("SELECT current_user")
            try await run(one, "SET ROLE narrow")
            #expect(try await pinnedBy(one) == nil)
            for _ in 0..<4 {
                #expect(try await one.rows("SELECT current_user") == [["narrow"]])
                #expect(try await two.rows("SELECT current_user") == own)
            }
            try await run(one, "SELECT count(*) FROM ref")
            #expect(try await one.failure("SELECT count(*) FROM kv") == "42501")
            #expect(try await one.failure("SELECT v FROM kv WHERE k = 1") == "42501")
            #expect(try await one.failure("SET ROLE nobody") == "22023")
            try await run(one, "RESET ROLE", "SELECT count(*) FROM kv", "BEGIN", "SET LOCAL ROLE narrow")
            #expect(try await one.rows("SELECT current_user") == [["narrow"]])
            try await run(one, "COMMIT")
            #expect(try await one.rows("SELECT current_user") == own)
            // Another user needs a server session of its own. Over the extended protocol; DISCARD ALL ends it.
            try await one.send(WireMessages.parse("", "SET SESSION AUTHORIZATION narrow") + WireMessages.bind("", "") + WireMessages.execute("")
                + WireMessages.sync)
            #expect(try await one.until("Z").filter { $0.kind != "S" }.map(\.description) == ["1", "2", "C(SET)", "Z(I)"])
            #expect(try await one.rows("SELECT session_user") == [["narrow"]])
            #expect(try await pinnedBy(one) == "session_state")
            try await run(one, "DISCARD ALL")
            #expect(try await one.rows("SELECT current_user") == own)
            #expect(try await pinnedBy(one) == nil)
            one.close()
            two.close()
            try await cluster.expectNoLeak()
            try await cluster.onShard(0, "REVOKE SELECT ON ref FROM narrow; DROP ROLE narrow")
        }

        // MARK: Placements

        @Test func whicheverTablesADropTakesTheirPlacementsGo() async throws {
            let client = try await cluster.login()
            try await run(
                client, "SELECT pgmosaic.local_table('one')", "SELECT pgmosaic.local_table('two')", "SELECT pgmosaic.local_table('three')",
                    "SELECT pgmosaic.local_table('four')")
            try await run(client, "CREATE TABLE one (a int)", "CREATE TEMP TABLE mine (a int)")
            // Made behind the router's back.
            try await cluster.onShard(0, "SET pgmosaic.session = 'router'; CREATE TABLE two (a int); CREATE TABLE three (a int)")
            try await run(client, "DROP TABLE pg_temp.mine, one", "DROP TABLE IF EXISTS two, four")
            func placed() async throws -> Set<String> { Set(try await cluster.store.load().tables.values.map(\.name.name)).intersection(["one",
                "two", "three", "four"]) }
            // That of a table which is yet to come stays, as it does with several shards.
            #expect(try await placed() == ["three", "four"])
            try await run(client, "DROP TABLE three")
            #expect(try await placed() == ["four"])
            try await run(client, "SELECT pgmosaic.forget_table('four')")
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func noNullIsStoredForAKey() async throws {
            let client = try await cluster.login()
            try await run(client, "SELECT pgmosaic.shard_table('visits', 'k')", "CREATE TABLE visits (k bigint, v int)")
            for sql in [
                "INSERT INTO visits VALUES (NULL, 1)", "INSERT INTO visits (v) VALUES (1)", "INSERT INTO visits SELECT NULL, 1",
                "INSERT INTO visits SELECT i, i FROM generate_series(1, 3) i",
                "MERGE INTO visits USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT VALUES (NULL, 1)", "INSERT INTO visits DEFAULT VALUES",
            ] { #expect(try await client.failure(sql) != nil, "\(sql)") }
            try await run(client, "INSERT INTO visits VALUES (1, 1), (2, 2)")
            for sql in ["UPDATE visits SET k = NULL", "UPDATE visits SET k = k + v", "UPDATE visits SET k = (SELECT NULL::bigint) WHERE v = 1"] {
                #expect(try await client.failure(sql) == "0A000", "\(sql)")
            }
            // A parameter is looked at when it is bound, in whatever statement.
            for sql in ["INSERT INTO visits VALUES ($1, 1)", "WITH w AS (INSERT INTO visits VALUES ($1, 1) RETURNING v) SELECT * FROM w"] {
                try await client.send(WireMessages.parse("", sql) + WireMessages.bind("", "", [nil]) + WireMessages.execute("") + WireMessages.sync)
                #expect(try await client.until("Z").contains { $0.sqlState == "23502" }, "\(sql)")
            }
            try await client.send(WireMessages.query("COPY visits FROM STDIN"))
            _ = try await client.until("G")
            try await client.send(WireMessages.copyData("3\t3\n\\N\t4\n") + WireMessages.copyDone)
            #expect(try await client.until("Z").contains { $0.sqlState == "23502" })
            #expect(try await client.rows("SELECT count(*), count(k) FROM visits") == [["2", "2"]])
            // With NOT NULL the shard sees to it, and everything runs.
            try await run(client, "ALTER TABLE visits ALTER COLUMN k SET NOT NULL", "INSERT INTO visits SELECT i, i FROM generate_series(3, 5) i",
                "UPDATE visits SET k = k + 1")
            #expect(try await client.failure("UPDATE visits SET k = NULL") == "23502")
            #expect(try await client.failure("INSERT INTO visits (v) VALUES (1)") == "23502")
            #expect(try await client.rows("SELECT count(*), sum(k) FROM visits WHERE k > 0 OR k = NULL") == [["5", "20"]])
            #expect(try await client.rows("SELECT * FROM visits WHERE k = NULL").isEmpty)
            try await run(client, "DROP TABLE visits")
            client.close()
            try await cluster.expectNoLeak()
        }
    }

    /// A session with temporary tables reads where they are.
    @Suite(.faultCluster(shards: 1, replicas: 1, consistency: .eventual) { $0.replicaProbeInterval = .milliseconds(50) }, .serialized)
    struct SingleShardReplicaTests {
        @Test func aTemporaryTableHidesAnotherFromReadsToo() async throws {
            let cluster = try TestCluster.current
            try await cluster.onShard(0, "INSERT INTO notes VALUES (1, 'everybody''s')")
            try await cluster.caughtUp(0)
            let client = try await cluster.login()
            let replica = "\(cluster.replicas[0][0].port)"
            try await eventually("reads go to the replica") { try await client.rows("SELECT inet_server_port()") == [[replica]] }
            #expect(try await client.rows("SELECT body FROM notes") == [["everybody's"]])
            #expect(try await client.failure("CREATE TEMP TABLE notes AS SELECT 1 AS id, 'mine' AS body") == nil)
            try await cluster.caughtUp(0)
            for _ in 0..<10 { #expect(try await client.rows("SELECT body FROM notes") == [["mine"]]) }
            #expect(try await client.failure("DROP TABLE notes") == nil)
            #expect(try await client.rows("SELECT body FROM notes") == [["everybody's"]])
            client.close()
            try await cluster.expectNoLeak()
        }
    }
}
