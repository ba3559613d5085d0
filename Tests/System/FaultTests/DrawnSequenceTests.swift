import ClusterTestKit
import Foundation
import PostgresProcess
import ServerConfig
import ShardModel
import TestKit
import Testing

extension FaultTests {
    /// currval() and lastval() with several shards: what the session itself drew last, or an error.
    @Suite(.faultCluster { $0.pinnedSessionsMax = 8 }, .serialized)
    struct DrawnSequenceTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private static let keep = "SET pgmosaic.keep_sequence_state = on"

        private func run(_ client: WireClient, _ statements: String...) async throws {
            for statement in statements { #expect(try await client.failure(statement) == nil, "\(statement)") }
        }

        private func pinned(_ client: WireClient) async throws -> [String?] { try #require(try await client.rows("SHOW pgmosaic.session").first) }

        private func code(_ client: WireClient, _ sql: String) async throws -> String? {
            let error = try await client.query(sql).first { $0.kind == "E" }
            return error.map { $0.field("D") ?? $0.sqlState ?? "?" }
        }

        /// `docs` is sharded by `k`, `plain_notes` and `audited` are local; each has a sequence.
        private func makeTables() async throws {
            let client = try await cluster.login()
            guard try await client.failure("SELECT 1 FROM docs WHERE k = 1") != nil else { return client.close() }
            try await run(
                client, Self.keep, "SELECT pgmosaic.shard_table('docs', 'k')", "SELECT pgmosaic.shard_table('parts', 'k')", "SELECT pgmosaic.local_table('logs')",
                "SELECT pgmosaic.shard_table('following', 'k')", "SELECT pgmosaic.local_table('audited')",
                "CREATE TABLE docs (k bigint, id bigserial, note text, PRIMARY KEY (k, id))",
                "CREATE TABLE parts (k bigint, id bigint GENERATED ALWAYS AS IDENTITY, doc bigint, PRIMARY KEY (k, id))", "CREATE TABLE logs (id bigserial PRIMARY KEY, doc bigint)",
                "CREATE TABLE audited (a bigint)", "CREATE SEQUENCE numbers", "CREATE TABLE following (k bigint PRIMARY KEY, doc bigint DEFAULT currval('docs_id_seq'))")
            client.close()
        }

        // MARK: As applications ask

        @Test func whatAnInsertDrewIsToldWhereverItRan() async throws {
            try await makeTables()
            let client = try await WireClient.login(port: cluster.wirePort)
            try await run(client, Self.keep)
            for shard in 0..<3 {
                let key = try await cluster.key(on: shard)
                let drawn = try await client.rows("INSERT INTO docs (k) VALUES (\(key)) RETURNING id")
                #expect(try await client.rows("SELECT currval('docs_id_seq')") == drawn)
                #expect(try await client.rows("SELECT lastval()") == drawn)
                #expect(try await client.rows("SELECT currval(pg_get_serial_sequence('docs', 'id'))") == drawn)
                #expect(try await client.rows("SELECT currval('docs_id_seq'::regclass), lastval()") == [drawn[0] + drawn[0]])
                // On the same shard a child takes it.
                let child = try await client.rows("INSERT INTO parts (k, doc) VALUES (\(key), currval('docs_id_seq')) RETURNING id, doc")
                #expect(child.first?[1] == drawn[0][0])
                #expect(try await client.rows("SELECT lastval()") == [[child[0][0]]])
                #expect(try await client.rows("SELECT currval('docs_id_seq')") == drawn)
                #expect(try await client.rows("INSERT INTO following (k) VALUES (\(key)) RETURNING doc") == drawn)
                #expect(try await client.rows("SELECT id FROM docs WHERE k = \(key) AND id = currval('docs_id_seq')") == drawn)
            }
            let value = try await client.rows("SELECT nextval('numbers')")
            #expect(try await client.rows("SELECT currval('numbers'), lastval()") == [value[0] + value[0]])
            let row = try await pinned(client)
            #expect(row[5] == "sequences" && row[6] == TestCluster.id(of: 0).name)
            try await run(client, "DISCARD ALL")
            #expect(try await pinned(client)[4] == "no")
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func withoutTheSettingItIsRefusedWithAHint() async throws {
            try await makeTables()
            let client = try await cluster.login()
            for sql in ["SELECT currval('numbers')", "SELECT lastval()", "INSERT INTO following (k) VALUES (77)"] {
                let error = try #require(try await client.query(sql).first { $0.kind == "E" })
                #expect(error.field("D") == "PGM-SESSION-FUNCTION" && error.field("H")?.contains("pgmosaic.keep_sequence_state") == true, "\(sql)")
            }
            #expect(try await client.rows("SHOW pgmosaic.keep_sequence_state") == [["off"]])
            client.close()
        }

        @Test func theSettingIsTakenFromTheStartupPacketAndResetGoesBackToIt() async throws {
            try await makeTables()
            for options in [["options": "-c pgmosaic.keep_sequence_state=on"], ["pgmosaic.keep_sequence_state": "on"]] {
                let client = try WireClient(port: cluster.wirePort)
                try await client.send(WireMessages.startup(["user": "test", "database": "shop"].merging(options) { $1 }))
                _ = try await client.until("Z")
                // Nothing was drawn: PostgreSQL's own error.
                let error = try #require(try await client.query("SELECT currval('numbers')").first { $0.kind == "E" })
                #expect(error.sqlState == "55000" && error.field("H") == nil)
                #expect(try await client.failure("SELECT lastval()") == "55000")
                #expect(try await client.failure("SELECT currval('no_such')") == "42P01")
                try await run(client, "SET pgmosaic.keep_sequence_state = off")
                #expect(try await code(client, "SELECT lastval()") == "PGM-SESSION-FUNCTION")
                try await run(client, "RESET pgmosaic.keep_sequence_state")
                #expect(try await client.rows("SHOW pgmosaic.keep_sequence_state") == [["on"]])
                try await run(client, "SET pgmosaic.keep_sequence_state = off", "DISCARD ALL")
                #expect(try await client.rows("SHOW pgmosaic.keep_sequence_state") == [["on"]])
                #expect(try await client.failure("SET pgmosaic.keep_sequence_state = maybe") == "22023")
                client.close()
            }
        }

        // MARK: What cannot be known

        @Test func whatTwoShardsDrewSinceIsAnErrorAndNeverAValue() async throws {
            try await makeTables()
            let client = try await cluster.login()
            let (a, b) = (try await cluster.key(on: 1), try await cluster.key(on: 2))
            try await run(client, Self.keep)
            try await run(client, "INSERT INTO docs (k) VALUES (\(a))", "INSERT INTO parts (k) VALUES (\(b))")
            let error = try #require(try await client.query("SELECT currval('docs_id_seq')").first { $0.kind == "E" })
            #expect(error.sqlState == "55000" && error.field("H")?.contains("another shard") == true)
            // The first shard again: what it knew is forgotten, too.
            try await run(client, "INSERT INTO parts (k) VALUES (\(a))")
            #expect(try await client.failure("SELECT currval('docs_id_seq')") == "55000")
            // A statement of several shards.
            try await run(client, "INSERT INTO docs (k) VALUES (\(a)), (\(b))")
            #expect(try await code(client, "SELECT currval('docs_id_seq')") == "PGM-SEQUENCE-STATE")
            #expect(try await code(client, "SELECT lastval()") == "PGM-SEQUENCE-STATE")
            // A child on another shard than the one that drew.
            try await run(client, "INSERT INTO docs (k) VALUES (\(a))")
            #expect(try await code(client, "INSERT INTO parts (k, doc) VALUES (\(b), currval('docs_id_seq'))") == "PGM-SEQUENCE-STATE")
            try await run(client, "INSERT INTO parts (k, doc) VALUES (\(a), currval('docs_id_seq'))")
            #expect(try await client.failure("UPDATE parts SET doc = currval('docs_id_seq') WHERE k IN (\(a), \(b))") == "0A000")
            // COPY.
            try await client.send(WireMessages.query("COPY docs (k) FROM STDIN"))
            _ = try await client.until("G")
            try await client.send(WireMessages.copyData("\(a)\n\(b)\n") + WireMessages.copyDone)
            _ = try await client.until("Z")
            #expect(try await code(client, "SELECT currval('docs_id_seq')") == "PGM-SEQUENCE-STATE")
            try await run(client, "DISCARD SEQUENCES")
            let fresh = try #require(try await client.query("SELECT currval('docs_id_seq')").first { $0.kind == "E" })
            #expect(fresh.sqlState == "55000" && fresh.field("H") == nil)
            client.close()
            try await cluster.expectNoLeak()
        }

        /// What is bound draws when it is executed, and asks then.
        @Test func portalsThatRunLaterThanTheyWereBoundGiveNoStaleValue() async throws {
            try await makeTables()
            let client = try await cluster.login()
            let (a, b) = (try await cluster.key(on: 1), try await cluster.key(on: 2))
            func bind(_ portal: String, _ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind(portal, "") }
            try await run(client, Self.keep, "BEGIN", "INSERT INTO docs (k) VALUES (\(a))")
            // currval bound on the first shard, another draws, then it is asked.
            try await client.send(
                bind("ask", "SELECT currval('docs_id_seq')") + bind("draw", "INSERT INTO docs (k) VALUES (\(b))") + WireMessages.execute("draw") + WireMessages.sync
                    + WireMessages.execute("ask") + WireMessages.sync)
            #expect(try await client.until("Z").contains { $0.kind == "E" } == false)
            #expect(try await client.until("Z").first?.field("D") == "PGM-SEQUENCE-STATE")
            try await run(client, "ROLLBACK", "BEGIN")
            // A draw bound first and executed last.
            try await client.send(
                bind("late", "INSERT INTO docs (k) VALUES (\(a))") + bind("early", "INSERT INTO docs (k) VALUES (\(b))") + WireMessages.execute("early")
                    + WireMessages.execute("late") + WireMessages.sync)
            #expect(try await client.until("Z").contains { $0.kind == "E" } == false)
            #expect(try await code(client, "SELECT currval('docs_id_seq')") == "PGM-SEQUENCE-STATE")
            try await run(client, "ROLLBACK", "BEGIN", "DECLARE c CURSOR FOR SELECT nextval('numbers') FROM generate_series(1, 9)", "FETCH 1 FROM c", "INSERT INTO docs (k) VALUES (\(b))")
            #expect(try await code(client, "FETCH 1 FROM c") == "PGM-SEQUENCE-STATE")
            try await run(client, "ROLLBACK")
            // DISCARD between Bind and Execute.
            try await run(client, "BEGIN")
            try await client.send(bind("p", "SELECT nextval('numbers')") + WireMessages.sync)
            _ = try await client.until("Z")
            try await run(client, "DISCARD SEQUENCES")
            try await client.send(WireMessages.execute("p") + WireMessages.sync)
            _ = try await client.until("Z")
            #expect(try await code(client, "SELECT lastval()") == "PGM-SEQUENCE-STATE")
            try await run(client, "ROLLBACK")
            client.close()
            try await cluster.expectNoLeak()
        }

        /// An error before it in the pipeline keeps the statement that draws, and what the router sends before it, from running.
        @Test func aPipelineThatFailsBeforeItsDrawLeavesNothingOfOthersToTell() async throws {
            try await makeTables()
            let key = try await cluster.key(on: 1)
            // Every server session of the shard has drawn for somebody.
            let others = try await (0..<6).asyncMap { _ in try await cluster.login() }
            for other in others { try await run(other, "BEGIN", "INSERT INTO docs (k) VALUES (\(key))") }
            for other in others { try await run(other, "COMMIT") }
            let client = try WireClient(port: cluster.wirePort)
            try await client.send(WireMessages.startup(["user": "test", "database": "shop", "pgmosaic.keep_sequence_state": "on"]))
            _ = try await client.until("Z")
            func step(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") }
            try await client.send(step("SELECT 1 / (k - \(key)) FROM (SELECT \(key)::bigint AS k) s") + step("INSERT INTO docs (k) VALUES (\(key))") + WireMessages.sync)
            #expect(try await client.until("Z").contains { $0.sqlState == "22012" })
            #expect(try await client.failure("SELECT currval('docs_id_seq')") == "55000")
            // Nor does a failed first draw.
            #expect(try await client.failure("INSERT INTO docs (k, note) VALUES (\(key), (1 / (random() * 0)::int)::text)") == "22012")
            for _ in 0..<5 { #expect(try await client.failure("SELECT currval('numbers')") == "55000") }
            client.close()
            for other in others { other.close() }
            try await cluster.expectNoLeak()
        }

        // MARK: Random

        /// Whatever the order: a value that is told is the one that this session drew last; and PostgreSQL's error without a hint comes only where it drew none.
        @Test func aValueIsNeverAnyOtherThanTheOneThatTheSessionDrewLast() async throws {
            try await makeTables()
            var random = seeded()
            for _ in 0..<rounds(6) { try await aRandomSession(&random) }
            try await cluster.expectNoLeak()
        }

        private func aRandomSession(_ random: inout some RandomNumberGenerator) async throws {
            let client = try WireClient(port: cluster.wirePort)
            try await client.send(WireMessages.startup(["user": "test", "database": "shop", "pgmosaic.keep_sequence_state": "on"]))
            _ = try await client.until("Z")
            let noise = try await cluster.login()
            let keys = [try await cluster.key(on: 0), try await cluster.key(on: 1), try await cluster.key(on: 2)]
            // What a server of PostgreSQL would know.
            var (drawn, last): ([String: String], String?) = ([:], nil)
            var (told, isOpen, isFailed) = (0, false, false)
            for _ in 0..<60 {
                let key = keys.randomElement(using: &random)!
                let table = ["docs": "docs_id_seq", "parts": "parts_id_seq"].randomElement(using: &random)!
                switch Int.random(in: 0..<16, using: &random) {
                case 0...3:
                    // The same shard mostly, else nothing can be known.
                    let key = Bool.random(using: &random) ? keys[1] : key
                    guard let value = try await answer(client, "INSERT INTO \(table.key) (k) VALUES (\(key)) RETURNING id", &random).value else { break }
                    (drawn[table.value], last) = (value, value)
                case 4:
                    guard let value = try await answer(client, "SELECT nextval('numbers')", &random).value else { break }
                    (drawn["numbers"], last) = (value, value)
                case 5:
                    guard let value = try await answer(client, "INSERT INTO logs (doc) VALUES (1) RETURNING id", &random).value else { break }
                    (drawn["logs_id_seq"], last) = (value, value)
                case 6...9:
                    let name = ["docs_id_seq", "parts_id_seq", "numbers", "logs_id_seq"].randomElement(using: &random)!
                    let (value, error) = try await answer(client, "SELECT currval('\(name)')", &random)
                    if let value { (told, _) = (told + 1, #expect(value == drawn[name])) }
                    if error?.sqlState == "55000", error?.field("H") == nil { #expect(drawn[name] == nil) }
                    if error != nil { isFailed = isOpen }
                case 10, 11:
                    let (value, error) = try await answer(client, "SELECT lastval()", &random)
                    if let value { (told, _) = (told + 1, #expect(value == last)) }
                    if error?.sqlState == "55000", error?.field("H") == nil { #expect(last == nil) }
                    if error != nil { isFailed = isOpen }
                case 12:
                    _ = try await client.query(isOpen ? ["COMMIT", "ROLLBACK"].randomElement(using: &random)! : "BEGIN")
                    (isOpen, isFailed) = (!isOpen, false)
                case 13:
                    // Another client, which gets whatever server session is free.
                    _ = try await noise.query(["INSERT INTO docs (k) VALUES (\(key))", "SELECT nextval('numbers')"].randomElement(using: &random)!)
                case 14:
                    _ = try await client.query("UPDATE docs SET note = 'x' WHERE k = \(key)")
                default:
                    guard Int.random(in: 0..<4, using: &random) == 0, !isFailed else { break }
                    _ = try await client.query("DISCARD SEQUENCES")
                    (drawn, last) = ([:], nil)
                }
                // A failed transaction draws nothing.
                if isFailed {
                    _ = try await client.query("ROLLBACK")
                    (isOpen, isFailed) = (false, false)
                }
            }
            #expect(told > 0)
            client.close()
            noise.close()
        }

        private func answer(_ client: WireClient, _ sql: String, _ random: inout some RandomNumberGenerator) async throws -> (value: String?, error: WireClient.Message?) {
            let step = WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") + WireMessages.sync
            try await client.send(Bool.random(using: &random) ? WireMessages.query(sql) : step)
            let answers = try await client.until("Z")
            return (answers.first { $0.kind == "D" }?.row[0], answers.first { $0.kind == "E" })
        }
    }

    /// The same with one shard, where every answer is PostgreSQL's own.
    @Suite(.faultCluster(shards: 1) { $0.pinnedSessionsMax = 8 }, .serialized)
    struct DrawnSequenceOfOneShardTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// Two clients share the server sessions; each is told of its own draws only.
        @Test func twoClientsThatShareServerSessionsAreToldOfTheirOwnDraws() async throws {
            let maker = try await cluster.login()
            _ = try await maker.query("CREATE SEQUENCE shared")
            maker.close()
            let clients = [try await cluster.login(), try await cluster.login()]
            // Without the setting it is refused: a pooled server session tells of whoever used it.
            for client in clients {
                _ = try await client.query("SELECT nextval('shared')")
                #expect(try await client.query("SELECT currval('shared')").first?.field("D") == "PGM-SESSION-FUNCTION")
            }
            for client in clients { #expect(try await client.failure("SET pgmosaic.keep_sequence_state = on") == nil) }
            var last: [String?] = [nil, nil]
            for turn in 0..<20 {
                let index = turn % 2
                last[index] = try await clients[index].rows("SELECT nextval('shared')").first?[0]
                for (index, client) in clients.enumerated() where last[index] != nil {
                    #expect(try await client.rows("SELECT currval('shared'), lastval()") == [[last[index], last[index]]])
                }
            }
            for client in clients { client.close() }
            try await cluster.expectNoLeak()
        }

        private static let statements = [
            "SELECT nextval('a')", "SELECT nextval('b')", "SELECT setval('a', 500)", "SELECT setval('b', 900, false)", "INSERT INTO t DEFAULT VALUES", "INSERT INTO t (v) VALUES (1), (2)",
            "SELECT currval('a')", "SELECT currval('b')", "SELECT lastval()", "SELECT currval(pg_get_serial_sequence('t', 'id'))", "INSERT INTO t (v) VALUES (lastval())", "SELECT draw()",
            "SELECT asks()", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "SELECT 1 / 0", "DISCARD SEQUENCES", "CREATE TEMP SEQUENCE c", "SELECT nextval('c')", "SELECT currval('c')",
            "DROP SEQUENCE c", "DO $$ BEGIN PERFORM nextval('a'); END $$", "INSERT INTO triggered VALUES (1)", "SELECT v FROM drawing", "DECLARE k CURSOR FOR SELECT nextval('b') FROM generate_series(1, 5)",
            "FETCH 1 FROM k", "UPDATE t SET v = 5 WHERE id = 1", "SELECT count(*) FROM t", "SELECT id FROM t WHERE id = currval('b')",
        ]

        /// Simple and extended, with another client's draws between.
        @Test func randomSessionsAreAnsweredAsByPostgreSQL() async throws {
            let definitions = [
                "CREATE SEQUENCE a", "CREATE SEQUENCE b START 100", "CREATE TABLE t (id bigserial PRIMARY KEY, v bigint)", "CREATE TABLE triggered (a int)",
                "CREATE FUNCTION draw() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN nextval(''b''); END'",
                "CREATE FUNCTION asks() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN currval(''b''); END'",
                "CREATE FUNCTION on_insert() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''a''); RETURN NEW; END'",
                "CREATE TRIGGER draws BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION on_insert()", "CREATE VIEW drawing AS SELECT nextval('a') AS v",
            ]
            let maker = try await cluster.login()
            for name in ["t", "triggered", "drawing"] { _ = try await maker.query("SELECT pgmosaic.local_table('\(name)')") }
            for definition in definitions { #expect(try await maker.failure(definition) == nil, "\(definition)") }
            let server = cluster.servers[0]
            try await server.createDatabase("plain")
            for definition in definitions { try await server.psql(definition, database: "plain") }
            var random = seeded()
            for _ in 0..<rounds(8) {
                let plain = try await WireClient.login(port: server.port, database: "plain", user: "postgres")
                let router = try WireClient(port: cluster.wirePort)
                try await router.send(WireMessages.startup(["user": "test", "database": "shop", "pgmosaic.keep_sequence_state": "on"]))
                _ = try await router.until("Z")
                var script: [String] = []
                for _ in 0..<40 {
                    let sql = Self.statements.randomElement(using: &random)!
                    let isSimple = Bool.random(using: &random)
                    script.append((isSimple ? "Q " : "P ") + sql)
                    let step = WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") + WireMessages.sync
                    var answers: [[String]] = []
                    for client in [plain, router] {
                        try await client.send(isSimple ? WireMessages.query(sql) : step)
                        answers.append(try await client.until("Z").filter { !"12NSTn".contains($0.kind) }.map(\.description))
                    }
                    #expect(answers[1] == answers[0], "\(script)")
                    guard answers[1] == answers[0] else { break }
                    if Int.random(in: 0..<4, using: &random) == 0 {
                        // Somebody else, on both sides alike.
                        for (port, database, user) in [(server.port, "plain", "postgres"), (cluster.wirePort, "shop", "test")] {
                            let other = try await WireClient.login(port: port, database: database, user: user)
                            _ = try await other.query("SELECT nextval('a'), nextval('b')")
                            other.close()
                        }
                    }
                }
                plain.close()
                router.close()
            }
            try await cluster.expectNoLeak()
        }
    }
}

/// A new seed, or `PGMOSAIC_SEED`, printed with the command that repeats the run.
private func seeded(_ test: String = #function) -> SeededGenerator {
    let generator = SeededGenerator(
        seed: ProcessInfo.processInfo.environment["PGMOSAIC_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64(UInt32.max)))
    print("replay: PGMOSAIC_SEED=\(generator.seed) swift test --filter \(test.prefix { $0 != "(" })")
    return generator
}
