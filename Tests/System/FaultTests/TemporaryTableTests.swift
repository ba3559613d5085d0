import ClusterTestKit
import PostgresProcess
import ServerConfig
import Testing

extension FaultTests {
    /// Temporary tables with several shards: those of one session, on the home shard, before all other tables of their names.
    @Suite(.faultCluster { $0.pinnedSessionsMax = 8 }, .serialized)
    struct TemporaryTableTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func pinnedBy(_ client: WireClient) async throws -> String? { try await client.rows("SHOW pgmosaic.session").first?[5] }

        private func run(_ client: WireClient, _ statements: String...) async throws {
            for statement in statements { #expect(try await client.failure(statement) == nil, "\(statement)") }
        }

        // MARK: As in PostgreSQL

        enum Way: CaseIterable { case simple, extended, pipeline, list }

        private static let scripts: [[String]] = [
            ["CREATE TEMP TABLE t (a int PRIMARY KEY, b text)", "INSERT INTO t VALUES (1, 'x'), (2, 'y')", "SELECT * FROM t ORDER BY a", "UPDATE t SET b = b || a",
                "DELETE FROM t WHERE a = 1", "SELECT * FROM pg_temp.t", "TRUNCATE t", "SELECT count(*) FROM t", "DROP TABLE t", "SELECT * FROM t"],
            ["CREATE TEMPORARY TABLE t AS SELECT generate_series(1, 5) AS a", "SELECT sum(a) FROM t", "CREATE INDEX t_a ON t (a)", "ANALYZE t",
                "ALTER TABLE t ADD COLUMN b int DEFAULT 7", "SELECT * FROM t WHERE a = 3", "ALTER TABLE t RENAME TO u", "SELECT count(*) FROM u", "SELECT count(*) FROM t"],
            ["SELECT 1 AS a INTO TEMP t", "SELECT a FROM t", "ALTER TABLE t RENAME a TO b", "SELECT b FROM t", "ALTER TABLE t ALTER b TYPE text", "SELECT b || 'x' FROM t",
                "DROP TABLE pg_temp.t", "SELECT 1 FROM pg_temp.t"],
            ["SELECT 1 AS a INTO TEMP t UNION ALL SELECT 2", "SELECT a FROM t ORDER BY a", "INSERT INTO t SELECT a + 10 FROM t RETURNING a", "SELECT count(*) FROM t JOIN ref ON ref.id = t.a"],
            // Hiding.
            ["CREATE TEMP TABLE kv (x int)", "INSERT INTO kv VALUES (42)", "SELECT * FROM kv", "SELECT count(*) FROM public.kv WHERE k = 1", "DROP TABLE kv", "SELECT count(*) FROM kv WHERE k = 1"],
            ["CREATE TEMP TABLE ref (x int)", "INSERT INTO ref VALUES (1)", "SELECT * FROM ref", "SELECT count(*) FROM public.ref", "DELETE FROM ref", "DISCARD TEMP", "SELECT id FROM ref"],
            ["CREATE TEMP TABLE notes AS SELECT 5 AS five", "SELECT five FROM notes", "SELECT count(*) FROM public.notes", "UPDATE notes SET five = 6", "ALTER TABLE notes ADD z int",
                "SELECT * FROM notes", "DROP TABLE notes", "SELECT count(*) FROM notes"],
            ["CREATE TEMP TABLE pg_class (x int)", "SELECT * FROM pg_class", "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'kv'", "DROP TABLE pg_class"],
            // Transactions.
            ["BEGIN", "CREATE TEMP TABLE t (a int) ON COMMIT DROP", "INSERT INTO t VALUES (1)", "SELECT * FROM t", "COMMIT", "SELECT * FROM t"],
            ["CREATE TEMP TABLE t (a int) ON COMMIT DELETE ROWS", "BEGIN", "INSERT INTO t VALUES (1)", "SELECT * FROM t", "COMMIT", "SELECT * FROM t", "DROP TABLE t"],
            ["CREATE TEMP TABLE t (a int) ON COMMIT PRESERVE ROWS", "BEGIN", "INSERT INTO t VALUES (1)", "ROLLBACK", "SELECT * FROM t", "BEGIN", "DROP TABLE t", "ROLLBACK", "SELECT * FROM t"],
            ["BEGIN", "CREATE TEMP TABLE kv (a int)", "SAVEPOINT s", "CREATE TEMP TABLE ref (a int)", "INSERT INTO kv VALUES (1)", "ROLLBACK TO s", "SELECT count(*) FROM ref", "SELECT count(*) FROM kv",
                "ROLLBACK", "SELECT count(*) FROM kv WHERE k = 1"],
            ["BEGIN", "SAVEPOINT s", "CREATE TEMP TABLE kv (a int)", "SELECT * FROM kv", "SELECT 1 / 0", "ROLLBACK TO s", "SELECT count(*) FROM kv WHERE k = 1", "COMMIT"],
            ["BEGIN", "SAVEPOINT s", "CREATE TEMP TABLE kv (a int)", "RELEASE s", "SELECT * FROM kv", "COMMIT AND CHAIN", "SELECT * FROM kv", "DROP TABLE kv", "ROLLBACK AND CHAIN", "SELECT * FROM kv", "COMMIT"],
            ["BEGIN", "CREATE TEMP TABLE t (a int)", "SELECT 1 / 0", "SELECT * FROM t", "COMMIT", "SELECT * FROM t", "CREATE TEMP TABLE t (b int)", "SELECT * FROM t"],
            // What belongs to them.
            ["CREATE TEMP SEQUENCE s", "SELECT nextval('s')", "SELECT nextval('pg_temp.s')", "ALTER SEQUENCE s RESTART WITH 50", "SELECT nextval('s')", "DROP SEQUENCE s", "SELECT nextval('s')"],
            ["CREATE TEMP TABLE t (id serial, v text DEFAULT 'd', g int GENERATED ALWAYS AS (1 + 1) STORED, UNIQUE (id))", "INSERT INTO t DEFAULT VALUES", "INSERT INTO t (v) VALUES ('e') RETURNING *",
                "INSERT INTO t (id) VALUES (1)", "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET v = 'again' RETURNING *"],
            ["CREATE TEMP TABLE t (LIKE kv INCLUDING ALL)", "INSERT INTO t VALUES (1, 2)", "INSERT INTO t VALUES (1, 2)", "SELECT * FROM t"],
            ["CREATE TEMP TABLE p (a int) PARTITION BY LIST (a)", "CREATE TEMP TABLE p1 PARTITION OF p FOR VALUES IN (1)", "INSERT INTO p VALUES (1)", "SELECT * FROM p1", "INSERT INTO p VALUES (2)",
                "ALTER TABLE p DETACH PARTITION p1", "SELECT count(*) FROM p"],
            ["CREATE TEMP TABLE a (x int PRIMARY KEY)", "CREATE TEMP TABLE b (x int REFERENCES a)", "INSERT INTO b VALUES (1)", "CREATE TEMP TABLE c (x int REFERENCES ref)"],
            ["CREATE TEMP VIEW v AS SELECT id, body FROM notes", "SELECT * FROM v", "DROP VIEW v", "SELECT * FROM v"],
            ["CREATE TEMP TABLE t (a int)", "CREATE VIEW tv AS SELECT a + 1 AS b FROM t", "INSERT INTO t VALUES (1)", "SELECT * FROM tv", "DROP TABLE t", "DROP TABLE t CASCADE", "SELECT * FROM tv"],
            ["CREATE TEMP TABLE t (a int)", "COMMENT ON TABLE t IS 'mine'", "COMMENT ON COLUMN t.a IS 'its'", "SELECT obj_description('t'::regclass)", "SELECT 't'::regclass", "SELECT NULL::t IS NULL",
                "INSERT INTO t VALUES (1)", "SELECT t FROM t", "LOCK TABLE t"],
            ["CREATE TEMP TABLE IF NOT EXISTS t (a int)", "CREATE TEMP TABLE IF NOT EXISTS t (b int)", "SELECT a FROM t", "CREATE TEMP TABLE t (a int)", "DROP TABLE IF EXISTS t", "DROP TABLE IF EXISTS pg_temp.t"],
            // Other statements about them.
            ["CREATE TEMP TABLE t AS VALUES (1, 'a'), (2, 'b')", "WITH d AS (DELETE FROM t WHERE column1 = 1 RETURNING *) INSERT INTO notes SELECT column1 + 9000, column2 FROM d", "SELECT body FROM notes WHERE id = 9001",
                "DELETE FROM notes USING t WHERE id = 9001 AND column1 = 2", "SELECT n.id FROM notes n JOIN t ON n.id = t.column1", "UPDATE t SET column2 = v FROM ref WHERE id = column1"],
            ["CREATE TEMP TABLE t AS SELECT g FROM generate_series(1, 10) g", "BEGIN", "DECLARE c CURSOR FOR SELECT g FROM t ORDER BY g", "FETCH 2 FROM c", "CLOSE c", "COMMIT", "EXPLAIN (COSTS off) SELECT * FROM t",
                "EXPLAIN (COSTS off) DELETE FROM t"],
            ["CREATE TEMP TABLE t (a int)", "SELECT 1", "CREATE TEMP TABLE t (a int)"],
            ["CREATE TEMP TABLE public.t (a int)", "CREATE TABLE pg_temp.t (a int)", "SELECT * FROM t", "ALTER TABLE t SET SCHEMA public", "ALTER TABLE t OWNER TO CURRENT_USER", "SELECT count(*) FROM t"],
        ]

        private func run(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.describe("P", "") + WireMessages.execute("") }

        /// What a client sees, without notices and reports.
        private func answers(_ client: WireClient, _ statements: [String], _ way: Way) async throws -> [String] {
            let (bytes, readies): ([UInt8], Int) =
                switch way {
                case .simple: (statements.flatMap(WireMessages.query), statements.count)
                case .extended: (statements.flatMap { run($0) + WireMessages.sync }, statements.count)
                case .pipeline: (statements.flatMap(run) + WireMessages.sync, 1)
                case .list: (WireMessages.query(statements.joined(separator: "; ")), 1)
                }
            try await client.send(bytes)
            var answers: [String] = []
            for _ in 0..<readies { answers += try await client.until("Z").filter { !"NS".contains($0.kind) }.map(\.description) }
            return answers
        }

        @Test(arguments: Way.allCases)
        func everyScriptIsAnsweredAsByPostgreSQL(way: Way) async throws {
            let plainServer = cluster.servers[1]
            try await plainServer.psql("DROP DATABASE IF EXISTS plain WITH (FORCE)", database: "postgres")
            try await plainServer.createDatabase("plain")
            for statement in FaultClusterTrait.statements { try await plainServer.psql(statement, database: "plain") }
            for script in Self.scripts {
                let plain = try await WireClient.login(port: plainServer.port, database: "plain", user: "postgres")
                let router = try await cluster.login()
                let expected = try await answers(plain, script, way)
                let got = try await answers(router, script, way)
                #expect(got == expected, "\(script)")
                _ = try await router.query("ROLLBACK")
                // What is there for everybody is there again.
                _ = try await router.query("DISCARD ALL")
                #expect(try await pinnedBy(router) == nil, "\(script)")
                #expect(try await router.rows("SELECT count(*) FROM kv WHERE k = 1") == [["0"]], "\(script)")
                for client in [plain, router] { client.close() }
            }
            try await cluster.expectNoLeak()
        }

        @Test func whatWasPreparedForOtherColumnsIsRefusedAsByPostgreSQL() async throws {
            try await ChangedTemporaryTable.expectTheAnswersOfPostgreSQL(cluster, plain: cluster.servers[1])
        }

        // MARK: Whose they are

        @Test func eachSessionHasItsOwnAndNobodyElseSeesIt() async throws {
            let clients = try await (0..<3).asyncMap { _ in try await cluster.login() }
            for (number, client) in clients.enumerated() {
                if number < 2 { try await run(client, "CREATE TEMP TABLE notes AS SELECT \(number) AS mine") }
            }
            for (number, client) in clients.enumerated() where number < 2 {
                #expect(try await client.rows("SELECT mine FROM notes") == [["\(number)"]])
                #expect(try await pinnedBy(client) == "temporary")
                #expect(try await client.rows("SELECT count(*) FROM public.notes") == [["0"]])
            }
            #expect(try await clients[2].failure("SELECT mine FROM notes") == "42703")
            #expect(try await clients[2].rows("SELECT count(*) FROM notes") == [["0"]])
            #expect(try await clients[2].failure("SELECT mine FROM pg_temp.notes") == "42P01")
            #expect(try await cluster.metric("pgmosaic_sessions_pinned", "temporary") == 2)
            // A write by name is one to the session's own; the other table stays as it is.
            try await run(clients[0], "DELETE FROM notes", "INSERT INTO notes VALUES (7)", "TRUNCATE notes")
            try await run(clients[2], "INSERT INTO notes VALUES (1, 'x')")
            #expect(try await clients[0].rows("SELECT * FROM notes").isEmpty)
            #expect(try await clients[1].rows("SELECT n.mine, p.body FROM notes n JOIN public.notes p ON p.id = n.mine") == [["1", "x"]])
            try await run(clients[2], "DELETE FROM notes")
            for client in clients { client.close() }
            try await cluster.expectNoLeak()
            // The server processes that had them take them away as they end.
            try await eventually("no temporary table is left") { try await cluster.onShard(0, "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'") == "0" }
        }

        /// Plans of the same text in a session with a table that hides another, and in one without.
        @Test func plansAreNotSharedWithSessionsThatHaveOtherTables() async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            let key = try await cluster.key(on: 2)
            try await run(two, "INSERT INTO kv VALUES (\(key), 5)")
            let texts = ["SELECT v FROM kv WHERE k = \(key)", "SELECT count(*) FROM ref", "SELECT count(*) FROM notes"]
            for round in 0..<3 {
                for client in [two, one] {
                    #expect(try await texts.asyncMap { try await client.rows($0) } == [[["5"]], [["0"]], [["0"]]])
                    #expect(try await prepared(client, "SELECT v FROM kv WHERE k = $1", "\(key)").contains("D(5)"), "round \(round)")
                }
                try await run(one, "CREATE TEMP TABLE kv AS SELECT \(key)::bigint AS k, \(round) AS v")
                try await run(one, "CREATE TEMP TABLE ref AS SELECT 1", "CREATE TEMP TABLE notes AS VALUES (1), (2)")
                #expect(try await texts.asyncMap { try await one.rows($0) } == [[["\(round)"]], [["1"]], [["2"]]])
                #expect(try await prepared(one, "SELECT v FROM kv WHERE k = $1", "\(key)").contains("D(\(round))"))
                #expect(try await texts.asyncMap { try await two.rows($0) } == [[["5"]], [["0"]], [["0"]]])
                #expect(try await prepared(two, "SELECT v FROM kv WHERE k = $1", "\(key)").contains("D(5)"))
                try await run(one, "DISCARD TEMP")
            }
            try await run(two, "DELETE FROM kv WHERE k = \(key)")
            for client in [one, two] { client.close() }
            try await cluster.expectNoLeak()
        }

        private func prepared(_ client: WireClient, _ sql: String, _ parameter: String) async throws -> [String] {
            try await client.send(
                WireMessages.parse("", sql) + WireMessages.bind("", "", [parameter]) + WireMessages.describe("P", "") + WireMessages.execute("") + WireMessages.sync)
            return try await client.until("Z").map(\.description)
        }

        /// A prepared statement follows its names: PostgreSQL's error where its columns have changed.
        @Test func aPreparedStatementFollowsItsNames() async throws {
            let client = try await cluster.login()
            let key = try await cluster.key(on: 1)
            try await run(client, "INSERT INTO kv VALUES (\(key), 9)", "PREPARE p AS SELECT v FROM kv WHERE k = $1", "PREPARE q AS SELECT * FROM kv WHERE k = $1")
            #expect(try await client.rows("EXECUTE p(\(key))") == [["9"]])
            try await run(client, "CREATE TEMP TABLE kv (k bigint, v int, w int)", "INSERT INTO kv VALUES (\(key), 1, 2)")
            #expect(try await client.rows("EXECUTE p(\(key))") == [["1"]])
            #expect(try await client.failure("EXECUTE q(\(key))") == "0A000")
            try await run(client, "DROP TABLE kv")
            #expect(try await client.rows("EXECUTE p(\(key))") == [["9"]])
            // Prepared, described and executed where the table is, though the transaction is on another shard.
            try await run(client, "CREATE TEMP TABLE t (a int)", "BEGIN", "SELECT v FROM kv WHERE k = \(key)", "PREPARE r AS SELECT a FROM t", "SELECT v FROM kv WHERE k = \(key)")
            try await client.send(
                WireMessages.parse("s", "SELECT a FROM t") + WireMessages.describe("S", "s") + WireMessages.parse("", "SELECT v FROM kv WHERE k = $1")
                    + WireMessages.bind("", "", ["\(key)"]) + WireMessages.execute("") + WireMessages.parse("u", "SELECT a + 1 FROM t") + WireMessages.describe("S", "u")
                    + WireMessages.bind("", "s") + WireMessages.execute("") + WireMessages.sync)
            let answers = try await client.until("Z").map(\.description)
            #expect(answers == ["1", "t", "T", "1", "2", "D(9)", "C(SELECT 1)", "1", "t", "T", "2", "C(SELECT 0)", "Z(T)"])
            #expect(try await client.rows("EXECUTE r").isEmpty)
            try await run(client, "COMMIT", "DELETE FROM kv WHERE k = \(key)")
            client.close()
            try await cluster.expectNoLeak()
        }

        // MARK: With other shards

        /// The home shard decides such a transaction, for it cannot be prepared there.
        @Test func aTransactionWithTemporaryTablesWritesOnSeveralShards() async throws {
            let client = try await cluster.login()
            let keys = try await (0..<3).asyncMap { try await cluster.keys(on: $0, from: 300)[0] }
            for (end, count) in [("ROLLBACK", "0"), ("COMMIT", "1")] {
                try await run(client, "BEGIN", "INSERT INTO kv VALUES (\(keys[1]), 1)", "CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 6 AS a")
                try await run(client, "INSERT INTO kv VALUES (\(keys[2]), 2)", "UPDATE t SET a = 7", "INSERT INTO kv VALUES (\(keys[0]), 3)")
                #expect(try await client.rows("SELECT a FROM t") == [["7"]])
                #expect(try await client.query(end).map(\.description) == ["C(\(end))", "Z(I)"])
                #expect(try await client.failure("SELECT a FROM t") == "42P01")
                #expect(try await client.rows("SELECT count(*) FROM kv WHERE k = \(keys[0])") == [[count]])
                #expect(try await pinnedBy(client) == nil)
            }
            // Reading one, and discarding it, count as well; and so does what is done on every shard.
            try await run(client, "CREATE TEMP TABLE t AS SELECT 6 AS a")
            for middle in ["SELECT a FROM t", "DISCARD TEMP", "CREATE TEMP TABLE u (x int)", "ANALYZE", "CREATE TABLE notes2 (LIKE notes)", "INSERT INTO ref VALUES (5, 5)"] {
                if middle.hasPrefix("CREATE TABLE") { _ = try await client.failure("SELECT pgmosaic.local_table('notes2')") }
                try await run(client, "BEGIN", "UPDATE kv SET v = 1 WHERE k = \(keys[1])", middle, "UPDATE kv SET v = 1 WHERE k = \(keys[2])", "COMMIT")
            }
            try await run(client, "DROP TABLE notes2", "DELETE FROM ref")
            for key in keys { try await run(client, "DELETE FROM kv WHERE k = \(key)") }
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        /// What would need rows of several places is refused when it is asked, and leaves nothing.
        @Test func whatNeedsShardedRowsIsRefused() async throws {
            let client = try await cluster.login()
            let key = try await cluster.key(on: 0)
            let refused = [
                "CREATE TEMP TABLE t AS SELECT * FROM kv WHERE k = \(key)", "SELECT * INTO TEMP t FROM kv", "CREATE TEMP VIEW v AS SELECT * FROM kv WHERE k = \(key)",
                "CREATE TEMP TABLE t () INHERITS (kv)", "SET search_path = pg_temp, public", "CREATE TEMP TABLE t AS EXECUTE x", "CREATE TEMP TABLE pg_temp_1.t (a int)",
                "SELECT * FROM pg_temp_1.t", "DROP TABLE pg_temp_1.t", "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ]
            for sql in refused { #expect(try await client.failure(sql) == "0A000", "\(sql)") }
            #expect(try await pinnedBy(client) == nil)
            try await run(client, "CREATE TEMP TABLE t (a int)", "CREATE TEMP TABLE kv2 (k bigint, v int)")
            for sql in refused + [
                "SELECT * FROM t JOIN kv ON kv.k = t.a WHERE k = \(key)", "INSERT INTO kv SELECT a, 1 FROM t", "INSERT INTO t SELECT v FROM kv WHERE k = \(key)", "INSERT INTO ref SELECT a, 1 FROM t",
                "UPDATE kv SET v = a FROM t WHERE k = \(key)", "DELETE FROM kv WHERE k = \(key) AND v IN (SELECT a FROM t)", "SELECT (NULL::t).a FROM kv WHERE k = \(key)", "TRUNCATE t, kv",
                "DROP TABLE t, notes", "CREATE TABLE notes3 (LIKE t)", "CREATE FUNCTION f(t) RETURNS int LANGUAGE sql AS 'SELECT 1'", "GRANT SELECT ON t TO PUBLIC", "ALTER TABLE t INHERIT kv",
                "CREATE VIEW w AS WITH t AS (SELECT 1 AS b) SELECT b FROM t", "/* pgmosaic: shard_key=1 */ SELECT count(*) FROM kv, t",
            ] {
                #expect(try await client.failure(sql) == "0A000", "\(sql)")
            }
            #expect(try await client.rows("SELECT count(*) FROM t") == [["0"]])
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func copyGoesToTheTemporaryTable() async throws {
            let client = try await cluster.login()
            try await run(client, "CREATE TEMP TABLE kv (k bigint, v int)")
            try await client.send(WireMessages.query("COPY kv FROM STDIN"))
            _ = try await client.until("G")
            try await client.send(WireMessages.copyData("1\t2\n3\t4\n") + WireMessages.copyDone)
            #expect(try await client.until("Z").map(\.description) == ["C(COPY 2)", "Z(I)"])
            #expect(try await client.rows("SELECT sum(k), sum(v) FROM kv") == [["4", "6"]])
            let copied = try await client.query("COPY kv TO STDOUT").filter { $0.kind == "d" }
            #expect(copied.map { String(decoding: $0.body, as: UTF8.self) } == ["1\t2\n", "3\t4\n"])
            #expect(try await client.rows("SELECT count(*) FROM public.kv WHERE k = 1") == [["0"]])
            client.close()
            try await cluster.expectNoLeak()
        }

        /// A definition of everybody's takes a temporary view along, and one of another session's does so unseen.
        @Test func aTemporaryViewEndsWithWhatItShows() async throws {
            let (one, two) = (try await cluster.login(), try await cluster.login())
            _ = try await one.failure("SELECT pgmosaic.local_table('shown')")
            try await run(one, "CREATE TABLE shown (a int)", "CREATE TEMP VIEW v AS SELECT a FROM shown", "SELECT a FROM v", "DROP TABLE shown CASCADE")
            #expect(try await one.failure("SELECT a FROM v") == "42P01")
            #expect(try await pinnedBy(one) == nil)
            _ = try await one.failure("SELECT pgmosaic.local_table('shown')")
            try await run(one, "CREATE TABLE shown (a int)", "CREATE TEMP VIEW v AS SELECT a FROM shown")
            try await run(two, "DROP TABLE shown CASCADE")
            #expect(try await one.failure("SELECT a FROM v") == "42P01")
            // Nor may one stand before a permanent table, which would show through then.
            try await run(one, "CREATE TEMP VIEW kv AS SELECT 1 AS k")
            #expect(try await one.failure("SELECT k FROM kv") == "0A000")
            try await run(one, "DROP VIEW kv")
            #expect(try await one.rows("SELECT k FROM kv WHERE k = 1").isEmpty)
            for client in [one, two] { client.close() }
            try await cluster.expectNoLeak()
        }

        // MARK: Bounds and ends

        @Test func thePinsAreBounded() async throws {
            let clients = try await (0..<8).asyncMap { _ in try await cluster.login() }
            for client in clients { try await run(client, "CREATE TEMP TABLE t (a int)") }
            let late = try await cluster.login()
            #expect(try await late.failure("CREATE TEMP TABLE t (a int)") == "53300")
            #expect(try await late.failure("SELECT 1") == nil)
            try await run(clients[0], "DROP TABLE t")
            #expect(try await pinnedBy(clients[0]) == nil)
            try await run(late, "CREATE TEMP TABLE t (a int)")
            for client in clients + [late] { client.close() }
            try await cluster.expectNoLeak()
        }

        @Test(arguments: ["DISCARD ALL", "DISCARD TEMP", "DROP TABLE t", "BEGIN; DROP TABLE t; COMMIT"])
        func theSessionIsFreeAgainBehindIt(sql: String) async throws {
            let client = try await cluster.login()
            try await run(client, "CREATE TEMP TABLE t (a int)")
            #expect(try await pinnedBy(client) == "temporary")
            try await run(client, sql)
            #expect(try await pinnedBy(client) == nil)
            #expect(try await client.failure("SELECT * FROM t") == "42P01")
            client.close()
            try await cluster.expectNoLeak()
        }

        /// Its tables are gone with the connection, so that the client must hear of it.
        @Test func theLossOfTheConnectionEndsTheSession() async throws {
            let client = try await cluster.login()
            try await run(client, "CREATE TEMP TABLE kv (k bigint)")
            try await cluster.onShard(0, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_my_temp_schema%' AND pid <> pg_backend_pid()")
            #expect(try await client.untilEnd().map(\.description) == ["E(08006)"])
            try await cluster.expectNoLeak()
        }
    }
}
