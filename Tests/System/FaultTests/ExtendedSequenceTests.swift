import ClusterTestKit
import Foundation
import PostgresProcess
import TestKit
import Testing

extension FaultTests {
    /// Sequences of the extended protocol, made at random and mostly wrong: the router answers what PostgreSQL answers.
    @Suite(.faultCluster(), .serialized)
    struct ExtendedSequenceTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// What a generated message may name.
        struct Sequence {
            var keys: [Int64]
            var generator: SeededGenerator
            /// The database has one shard, which can do everything.
            var isSingle = false
            /// The tables' rows are this client's alone, but for those of the reference table.
            var isAlone = true
            /// Statements about temporary tables are among them.
            var makesTemporary = false
            /// Bytes for either side, and a text to print.
            var bytes: [UInt8] = []
            var text: [String] = []

            mutating func pick<Element>(_ list: [Element]) -> Element { list.randomElement(using: &generator)! }

            mutating func mine(_ statements: [String]) -> String { pick(isAlone ? statements : statements.filter { !$0.contains(" ref") }) }

            mutating func add(_ text: String, _ bytes: [UInt8]) {
                self.text.append(text)
                self.bytes += bytes
            }

            mutating func step() {
                let name = pick(["", "", "a", "b"])
                let portal = pick(["", "", "p", "q"])
                switch Int.random(in: 0..<20, using: &generator) {
                case 0...4:
                    let sql = mine([
                        "SELECT v FROM kv WHERE k = $1", "UPDATE kv SET v = v + 1 WHERE k = $1", "SELECT $1::int", "SELECT 1", "", "SELEC",
                        "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "SELECT v FROM kv WHERE k = $1 AND v / 0 = 1",
                        "SELECT id FROM ref WHERE id = $1", "INSERT INTO kv VALUES ($1, 1)", "SELECT count(*) FROM ref", "DEALLOCATE a", "SHOW search_path",
                    ])
                    add("parse(\(name), \(sql))", WireMessages.parse(name, sql))
                case 5...9:
                    let parameters: [String?] = pick([["\(pick(keys))"], ["\(pick(keys))"], ["\(pick(keys))"], [], ["x"]])
                    add("bind(\(portal), \(name), \(parameters))", WireMessages.bind(portal, name, parameters))
                case 10, 11:
                    if Bool.random(using: &generator) {
                        add("describe(S \(name))", WireMessages.describe("S", name))
                    } else {
                        add("describe(P \(portal))", WireMessages.describe("P", portal))
                    }
                case 12...15:
                    let rowsMax = pick([Int32(0), 0, 0, 1])
                    add("execute(\(portal), \(rowsMax))", WireMessages.execute(portal, rowsMax: rowsMax))
                case 16:
                    if Bool.random(using: &generator) {
                        add("close(S \(name))", WireMessages.close("S", name))
                    } else {
                        add("close(P \(portal))", WireMessages.close("P", portal))
                    }
                case 17: add("flush", WireMessages.flush)
                case 18 where isAlone && Bool.random(using: &generator):
                    // As drivers send it: what runs on every shard is not looked at by one before, so that wrong parameters show late.
                    let sql = pick(["INSERT INTO ref VALUES (1, 1)", "UPDATE ref SET v = v + 1", "DELETE FROM ref WHERE v / (v - v) = 1"])
                    add(
                        "run(\(sql))",
                        WireMessages.parse("every", sql) + WireMessages.bind("", "every") + WireMessages.describe("P", "") + WireMessages.execute("")
                            + WireMessages.close("S", "every"))
                case 18:
                    let sql = mine([
                        "SELECT 1", "ROLLBACK", "BEGIN", "SELECT v FROM kv WHERE k = \(keys[0])", "SELECT 1; SELECT count(*) FROM ref",
                        "UPDATE kv SET v = v + 1 WHERE k = \(keys[0]); INSERT INTO kv VALUES (\(keys[1]), 5)",
                        "DELETE FROM kv WHERE k = \(keys[0]); SELECT v / 0 FROM kv WHERE k = \(keys[1]);; SELECT 2",
                        "BEGIN; UPDATE kv SET v = v + 1 WHERE k = \(keys[0]); COMMIT", "SELECT 1; COMMIT; SELECT v FROM kv WHERE k = \(keys[1])",
                        "UPDATE kv SET v = v + 1 WHERE k = \(keys[2]); ROLLBACK; INSERT INTO ref VALUES (2, 2); SELECT 3",
                        "INSERT INTO ref VALUES (3, 3); SAVEPOINT s; SELECT 4", "SELECT 5; BEGIN; DELETE FROM ref; SAVEPOINT s; SELECT 1 / 0; SELECT 6",
                        "SELECT v FROM kv WHERE k = \(keys[0]); SHOW search_path; SELECT 7; ROLLBACK TO s; COMMIT",
                        "START TRANSACTION; SELECT 8; COMMIT AND CHAIN; SELECT 9", "UPDATE ref SET v = v + 1; COMMIT AND CHAIN", "SELECT 10; SELEC; SELECT 11",
                    ])
                    add("query(\(sql))", WireMessages.query(sql))
                default: add("sync", WireMessages.sync)
                }
            }

            /// A pipeline as drivers send it: whole statements, most of them right, with transaction statements and settings among them, and now and
            /// then a portal that is bound before and executed later.
            mutating func pipeline() {
                for _ in 0..<Int.random(in: 1...5, using: &generator) {
                    var waiting: [String] = []
                    for _ in 0..<Int.random(in: 1...7, using: &generator) {
                        let sql = mine([
                            "UPDATE kv SET v = v + 1 WHERE k = \(pick(keys))", "UPDATE kv SET v = v + 1 WHERE k = \(pick(keys))", "SELECT v FROM kv WHERE k = \(pick(keys))",
                            "INSERT INTO kv VALUES (\(pick(keys)), 1) ON CONFLICT DO NOTHING", "INSERT INTO kv VALUES (\(pick(keys)), 1)",
                            "UPDATE kv SET v = v + 10 WHERE k IN (\(pick(keys)), \(pick(keys)))", "INSERT INTO ref VALUES (\(Int.random(in: 1...3, using: &generator)), 1)",
                            "DELETE FROM ref", "SELECT count(*) FROM ref", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "SET work_mem = '\(pick([5, 6, 7]))MB'",
                            "SET LOCAL work_mem = '9MB'", "SET ROLE app", "SET LOCAL ROLE app", "SELECT current_user FROM kv WHERE k = \(pick(keys))", "RESET work_mem", "SHOW work_mem", "SELECT 1 / 0", "SELECT current_setting('work_mem') FROM kv WHERE k = \(pick(keys))",
                        ])
                        if waiting.count < 2, Int.random(in: 0..<6, using: &generator) == 0, let portal = ["p", "q"].first(where: { !waiting.contains($0) }) {
                            waiting.append(portal)
                            add("bind(\(portal), \(sql))", WireMessages.parse("", sql) + WireMessages.bind(portal, ""))
                        } else {
                            add("run(\(sql))", WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute(""))
                        }
                        if !waiting.isEmpty, Bool.random(using: &generator) {
                            let portal = waiting.removeFirst()
                            add("execute(\(portal))", WireMessages.execute(portal))
                        }
                    }
                    add("sync", WireMessages.sync)
                }
            }

            /// Statements of all kinds, one after another: as simple queries, as extended ones with a Sync each, or as a pipeline.
            mutating func mixture() {
                makesTemporary = Int.random(in: 0..<5, using: &generator) == 0
                for _ in 0..<Int.random(in: 1...6, using: &generator) {
                    let way = Int.random(in: 0..<3, using: &generator)
                    for _ in 0..<Int.random(in: 1...6, using: &generator) {
                        let sql = statement()
                        guard way > 0 else {
                            add("query(\(sql))", WireMessages.query(sql))
                            continue
                        }
                        // Behind a suspended UPDATE PostgreSQL shows what it did from the next Parse on, which the router may spare.
                        let rowsMax = sql.hasPrefix("SELECT") ? pick([Int32(0), 0, 0, 1]) : 0
                        add(
                            "run(\(sql), \(rowsMax))",
                            WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.describe("P", "") + WireMessages.execute("", rowsMax: rowsMax))
                        if way == 1 { add("sync", WireMessages.sync) }
                    }
                    add("sync", WireMessages.sync)
                }
            }

            private mutating func statement() -> String {
                while true {
                    let statement = anyStatement()
                    if isAlone || !statement.contains(" ref") { return statement }
                }
            }

            private mutating func anyStatement() -> String {
                let (key, other) = (pick(keys), pick(keys))
                let value = pick(["5MB", "6MB", "7MB"])
                if isSingle, Int.random(in: 0..<4, using: &generator) == 0 {
                    return pick([
                        "CREATE TEMP TABLE tt (a int)", "CREATE TEMP TABLE tt (a int) ON COMMIT DROP", "INSERT INTO tt VALUES (1), (2)", "SELECT count(*) FROM tt",
                        "DROP TABLE tt", "DROP TABLE IF EXISTS tt", "DISCARD TEMP", "SELECT sum(v) FROM kv", "UPDATE kv SET v = v + 1", "DELETE FROM kv WHERE v > 50",
                        "SELECT k, v FROM kv ORDER BY k", "INSERT INTO kv SELECT k + 1000000, v FROM kv WHERE k = \(key) ON CONFLICT DO NOTHING", "DELETE FROM kv WHERE k > 1000000",
                        "LOCK TABLE kv", "TRUNCATE ref", "UPDATE kv SET k = k WHERE k = \(key)", "WITH d AS (DELETE FROM kv WHERE k = \(key) RETURNING v) INSERT INTO ref SELECT 9, v FROM d",
                        "DO $$ BEGIN UPDATE kv SET v = v + 1; END $$", "SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock_all()", "LISTEN n", "UNLISTEN *",
                    ])
                }
                if makesTemporary, Int.random(in: 0..<3, using: &generator) == 0 { return temporary(key) }
                // A statement that was prepared before goes on with the table that it was prepared for, in PostgreSQL, when a temporary one comes to hide it.
                return switch Int.random(in: 0..<(makesTemporary ? 11 : 12), using: &generator) {
                case 0, 1: pick(["BEGIN", "BEGIN", "START TRANSACTION READ ONLY", "BEGIN ISOLATION LEVEL READ COMMITTED"])
                case 2: pick(["COMMIT", "COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "END"])
                case 3: pick(["SAVEPOINT s", "SAVEPOINT t", "ROLLBACK TO s", "ROLLBACK TO t", "RELEASE s", "RELEASE t"])
                case 4:
                    pick([
                        "SET work_mem = '\(value)'", "SET LOCAL work_mem = '\(value)'", "RESET work_mem", "SET work_mem TO DEFAULT", "RESET ALL",
                        "SELECT set_config('work_mem', '\(value)', false)", "SELECT set_config('work_mem', '\(value)', true)", "SET work_mem = 'nonsense'",
                        // Not READ ONLY, behind writes on two shards: the decision of their commit is a write, too.
                        "SET TRANSACTION READ WRITE", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET default_transaction_read_only = off",
                        "SET DateStyle = 'German'", "SET LOCAL DateStyle = 'SQL, MDY'",
                        "SET ROLE app", "SET LOCAL ROLE app", "SET ROLE app", "SET LOCAL ROLE app", "RESET ROLE", "SET ROLE NONE", "SET ROLE nobody",
                        "SELECT set_config('role', 'app', \(Bool.random(using: &generator)))",
                    ])
                case 5:
                    pick([
                        "SHOW role", "SELECT current_user", "SELECT current_user FROM kv WHERE k = \(key)", "SHOW work_mem", "SELECT current_setting('work_mem') FROM kv WHERE k = \(key)", "SHOW transaction_read_only",
                        "SELECT current_setting('DateStyle')",
                    ])
                case 6, 7:
                    pick([
                        "UPDATE kv SET v = v + 1 WHERE k = \(key)", "UPDATE kv SET v = v + 1 WHERE k = \(key) RETURNING k, v", "DELETE FROM kv WHERE k = \(key)",
                        "INSERT INTO kv VALUES (\(key), 1)", "INSERT INTO kv VALUES (\(key), 1) ON CONFLICT (k) DO UPDATE SET v = kv.v + 100",
                        "UPDATE kv SET v = v / 0 WHERE k = \(key)",
                    ])
                case 8:
                    pick([
                        "INSERT INTO kv VALUES (\(key), 1), (\(other), 2) ON CONFLICT DO NOTHING", "DELETE FROM kv WHERE k IN (\(key), \(other))",
                        "UPDATE kv SET v = v + 3 WHERE k = ANY ('{\(key),\(other)}')", "INSERT INTO kv VALUES (\(key), 1), (\(other), 2)",
                    ])
                case 9: pick(["SELECT v FROM kv WHERE k = \(key)", "SELECT count(*) FROM ref", "SELECT v FROM kv WHERE k = \(key) FOR UPDATE", "SELECT id, v FROM ref ORDER BY id"])
                case 10: pick(["INSERT INTO ref VALUES (\(Int.random(in: 1...3, using: &generator)), 1)", "UPDATE ref SET v = v + 1", "DELETE FROM ref WHERE id = 2", "SELEC", ""])
                default:
                    pick([
                        "DECLARE c CURSOR FOR SELECT generate_series(1, 5) FROM kv WHERE k = \(key)", "FETCH 2 FROM c", "MOVE 1 FROM c", "CLOSE c", "CLOSE ALL",
                        "PREPARE x AS SELECT v FROM kv WHERE k = $1", "PREPARE y AS UPDATE kv SET v = v + $2 WHERE k = $1", "EXECUTE x(\(key))",
                        "EXECUTE y(\(key), 7)", "DEALLOCATE x", "DEALLOCATE ALL", "DISCARD ALL",
                    ])
                }
            }

            private mutating func temporary(_ key: Int64) -> String {
                pick([
                    "CREATE TEMP TABLE tt (a int)", "CREATE TEMP TABLE tt (a int) ON COMMIT DROP", "CREATE TEMP TABLE IF NOT EXISTS tt AS SELECT 1 AS a", "SELECT 1 AS a INTO TEMP tt",
                    "CREATE TEMP TABLE tt (a int UNIQUE) ON COMMIT DELETE ROWS", "INSERT INTO tt VALUES (1), (2)", "SELECT count(*) FROM tt", "SELECT a FROM pg_temp.tt ORDER BY a",
                    "UPDATE tt SET a = a + 1", "DELETE FROM tt", "ANALYZE tt",
                    // With their schema, for of two errors, no such table and READ ONLY, the router tells the other one.
                    "ALTER TABLE pg_temp.tt ADD COLUMN IF NOT EXISTS b int", "ALTER TABLE pg_temp.tt RENAME TO uu", "ALTER TABLE pg_temp.uu RENAME TO tt",
                    "DROP TABLE tt", "DROP TABLE IF EXISTS pg_temp.tt", "DROP TABLE IF EXISTS pg_temp.tt, pg_temp.uu", "DISCARD TEMP", "DISCARD ALL",
                    "CREATE TEMP TABLE kv (k bigint PRIMARY KEY, v int NOT NULL)", "CREATE TEMP TABLE kv (k bigint PRIMARY KEY, v int NOT NULL) ON COMMIT DROP",
                    "DROP TABLE pg_temp.kv", "DROP TABLE IF EXISTS pg_temp.kv", "CREATE TEMP TABLE ref (id int, v int)", "DROP TABLE IF EXISTS pg_temp.ref",
                    "SELECT v FROM public.kv WHERE k = \(key)", "UPDATE public.kv SET v = v + 1 WHERE k = \(key)", "CREATE TEMP SEQUENCE ss", "SELECT nextval('ss')", "DROP SEQUENCE IF EXISTS pg_temp.ss",
                    "CREATE TEMP VIEW vv AS SELECT 1 AS one", "SELECT one FROM vv", "DROP VIEW IF EXISTS pg_temp.vv",
                ])
            }

            /// Ends whatever is open, looks at what it left, and ends with a query whose answer nobody can mistake.
            mutating func finish() {
                add("sync", WireMessages.sync)
                add("rollback", WireMessages.query("ROLLBACK"))
                if isAlone { add("ref", WireMessages.query("SELECT id, v FROM ref ORDER BY id")) }
                for key in keys { add("kv", WireMessages.query("SELECT k, v, current_setting('work_mem'), current_user FROM kv WHERE k = \(key)")) }
                add("work_mem", WireMessages.query("SHOW work_mem"))
                add("the end", WireMessages.query("SELECT 424242"))
            }
        }

        private func answers(_ client: WireClient, _ bytes: [UInt8]) async throws -> [String] {
            try await client.send(bytes)
            var answers: [String] = []
            while true {
                let messages = try await client.until("Z")
                // Notices and reports come when they come.
                answers += messages.filter { !"NSA".contains($0.kind) }.map(\.description)
                if messages.contains(where: { $0.kind == "D" && $0.row == ["424242"] }) { return answers }
            }
        }

        /// The same answers. In a failed transaction the router may say 25P02 where PostgreSQL still describes a statement that it has, or
        /// has another complaint: either way the batch changes nothing.
        private func agree(_ got: [String], _ expected: [String]) -> Bool {
            let (got, expected) = (units(got), units(expected))
            guard got.count == expected.count else { return false }
            return zip(got, expected).enumerated().allSatisfy { index, pair in
                if pair.0 == pair.1 { return true }
                let wasFailed = index > 0 && expected[index - 1].last == "Z(E)"
                return wasFailed && pair.1.last == "Z(E)" && pair.0.suffix(2) == ["E(25P02)", "Z(E)"]
                    && pair.1.starts(with: pair.0.dropLast(2))
            }
        }

        /// Cut behind each ReadyForQuery. A Bind with two faults, a portal's name that is taken and too few parameters, may be told either; and that a
        /// definition's table does not exist may be told at Parse.
        private func units(_ answers: [String]) -> [[String]] {
            answers.reduce(into: [[]]) { units, answer in
                // Of pg_temp in a server session that has had nothing temporary.
                let answer = answer == "E(3F000)" ? "E(42P01)" : answer
                if answer == "E(42P01)", units[units.count - 1].suffix(3) == ["1", "2", "n"] { units[units.count - 1].removeLast(3) }
                units[units.count - 1].append(answer == "E(42P03)" ? "E(08P01)" : answer)
                if answer.hasPrefix("Z(") { units.append([]) }
            }
        }

        /// With all keys on one shard, and with each on another.
        @Test(arguments: [[1, 1, 1], [0, 1, 2]])
        func theRouterAnswersAsPostgreSQLDoes(shards: [Int]) async throws {
            try await compare(shards, rounds: 150) {}
        }

        @Test(arguments: [[1, 1, 1], [0, 1, 2]])
        func aPipelineIsTheTransactionThatPostgreSQLMakesOfIt(shards: [Int]) async throws {
            try await compare(shards, rounds: 150, of: .pipelines) {}
        }

        @Test(arguments: [[1, 1, 1], [0, 1, 2]])
        func statementsOfAllKindsAnswerAsInPostgreSQL(shards: [Int]) async throws {
            try await compare(shards, rounds: 150, of: .mixtures) {}
        }

        /// One shard answers while the others' answers wait.
        @Test(arguments: [[1, 1, 1], [0, 1, 2]])
        func readsOfSeveralShardsAnswerAsInPostgreSQL(shards: [Int]) async throws {
            try await compare(shards, rounds: 150, of: .reads) {}
        }

        enum Kind { case messages, pipelines, mixtures, reads }

        /// - shards: of the keys.
        /// - before: called before each sequence.
        func compare(_ shards: [Int], rounds count: Int, of kind: Kind = .messages, before: () async throws -> Void) async throws {
            var keys: [Int64] = []
            for shard in shards { keys.append(try await cluster.key(on: shard, from: (keys.last ?? 0) + 1)) }
            try await makePlainDatabase()
            var differences = 0
            let first = Self.firstSeed
            for seed in first..<(first + UInt64(rounds(count))) {
                try await before()
                if try await !compare(seed, keys, kind, isAlone: true) { differences += 1 }
                if differences == 20 { break }
            }
            for key in keys { #expect(try await cluster.login().failure("DELETE FROM kv WHERE k = \(key)") == nil) }
            #expect(try await cluster.login().failure("DELETE FROM ref") == nil)
            try await cluster.expectNoLeak()
        }

        /// Many clients, each with rows of its own: none of them notices another by what is left in a connection that it had before.
        @Test(arguments: [Kind.messages, .pipelines, .mixtures, .reads])
        func clientsDoNotNoticeEachOther(kind: Kind) async throws {
            let clients = 8
            let keys = try await (0..<3).asyncMap { try await cluster.keys(on: $0, from: 1, count: clients) }
            try await makePlainDatabase()
            let first = Self.firstSeed
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in 0..<clients {
                    group.addTask {
                        for round in 0..<UInt64(rounds(40)) {
                            _ = try await compare(first + UInt64(client) + round * UInt64(clients), keys.map { $0[client] }, kind, isAlone: false)
                        }
                    }
                }
                try await group.waitForAll()
            }
            for key in keys.joined() { #expect(try await cluster.login().failure("DELETE FROM kv WHERE k = \(key)") == nil) }
            try await cluster.expectNoLeak()
        }

        private var plainServer: PostgresServer { cluster.servers[min(1, cluster.servers.count - 1)] }

        private func makePlainDatabase() async throws {
            try await plainServer.psql("DROP DATABASE IF EXISTS plain WITH (FORCE)", database: "postgres")
            try await plainServer.createDatabase("plain")
            for statement in FaultClusterTrait.statements { try await plainServer.psql(statement, database: "plain") }
            // A role that may do most things.
            let grant = "GRANT SELECT, INSERT, UPDATE ON kv, ref TO app"
            for index in cluster.servers.indices {
                try await cluster.onShard(index, "DO $$ BEGIN IF to_regrole('app') IS NULL THEN CREATE ROLE app; END IF; END $$; \(grant)")
            }
            try await plainServer.psql(grant, database: "plain")
        }

        /// In CI always the same, so that a change is judged by its own sequences and not by luck.
        private static var firstSeed: UInt64 {
            let environment = ProcessInfo.processInfo.environment
            let given = environment["PGMOSAIC_SEED"].flatMap { UInt64($0) }
            let first = given ?? (environment["CI"] != nil ? 4_178_185_500 : UInt64.random(in: 0...UInt64(UInt32.max)))
            print("replay: PGMOSAIC_SEED=\(first) swift test --filter ExtendedSequenceTests")
            return first
        }

        /// Whether both answer alike, or the router refuses.
        private func compare(_ seed: UInt64, _ keys: [Int64], _ kind: Kind, isAlone: Bool) async throws -> Bool {
            var sequence = Sequence(keys: keys, generator: SeededGenerator(seed: seed), isSingle: cluster.servers.count == 1, isAlone: isAlone)
            switch kind {
            case .messages: for _ in 0..<Int.random(in: 1...14, using: &sequence.generator) { sequence.step() }
            case .pipelines: sequence.pipeline()
            case .mixtures: sequence.mixture()
            case .reads: sequence.reads()
            }
            sequence.finish()
            let plain = try await WireClient.login(port: plainServer.port, database: "plain", user: "postgres")
            let router = try await cluster.login()
            let expected = try await answers(plain, sequence.bytes)
            let got: [String]
            do { got = try await answers(router, sequence.bytes) } catch { got = ["\(error)"] }
            plain.close()
            router.close()
            // The record of a decision cannot be written in a transaction that was made READ ONLY behind its writes.
            let cannotDecide = zip(got, expected).first { $0 != $1 }.map { $0 == "E(25006)" && $1 == "C(COMMIT)" } ?? false
            let isRefused = got.contains("E(0A000)") || cannotDecide
            let isAlike = agree(got, expected)
            if isRefused || !isAlike {
                // After a documented refusal, too, the tables may differ.
                let rows = cluster.servers.count == 1 ? ["DELETE FROM kv"] : keys.map { "DELETE FROM kv WHERE k = \($0)" }
                for statement in (isAlone ? ["DELETE FROM ref"] : []) + rows {
                    try await plainServer.psql(statement, database: "plain")
                    let client = try await cluster.login()
                    #expect(try await client.failure(statement) == nil)
                    client.close()
                }
            }
            if isRefused || isAlike { return true }
            Issue.record("seed \(seed): \(sequence.text.joined(separator: " "))\n  PostgreSQL \(expected)\n  router     \(got)")
            return false
        }

        @Test func aBatchThatOnlyPreparesBehindABeginIsAnswered() async throws {
            let client = try await cluster.login()
            let key = try await cluster.key(on: 1)
            let select = "SELECT v FROM kv WHERE k = $1"
            // The shard knows both statements before.
            try await client.send(WireMessages.parse("s", select) + WireMessages.parse("u", "UPDATE kv SET v = v + 1 WHERE k = $1"))
            for name in ["s", "u"] {
                for _ in 0..<2 { try await client.send(WireMessages.bind("", name, ["\(key)"]) + WireMessages.execute("")) }
            }
            try await client.send(WireMessages.sync)
            _ = try await client.until("Z")
            for _ in 0..<3 {
                try await client.send(WireMessages.query("BEGIN") + WireMessages.parse("", select) + WireMessages.describe("S", "") + WireMessages.parse("", ""))
                try await client.send(WireMessages.execute("nowhere") + WireMessages.sync + WireMessages.query("ROLLBACK"))
                #expect(try await client.until("Z").map(\.description) == ["C(BEGIN)", "Z(T)"])
                #expect(try await client.until("Z").map(\.description) == ["1", "t", "T", "1", "E(34000)", "Z(E)"])
                #expect(try await client.until("Z").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
            }
            client.close()
        }

        /// PostgreSQL would undo with the query what came before it.
        @Test(arguments: ["INSERT INTO ref VALUES (77, 1)", "INSERT INTO kv VALUES (%, 1)"], ["ROLLBACK", "SELECT 1"])
        func aSimpleQueryBehindABatchThatHasWrittenIsRefused(write: String, query: String) async throws {
            let key = try await cluster.keys(on: 1, count: 9).last!
            let write = write.replacing("%", with: "\(key)")
            let client = try await cluster.login()
            try await client.send(WireMessages.parse("", write) + WireMessages.bind("", "") + WireMessages.execute("") + WireMessages.query(query))
            let answer = try await client.until("Z")
            #expect(answer.map(\.description) == ["1", "2", "C(INSERT 0 1)", "E(0A000)", "Z(I)"])
            #expect(answer.first { $0.kind == "E" }?.field("D")?.contains("PGM-QUERY-IN-PIPELINE") == true)
            #expect(try await client.failure(write) == nil)
            #expect(try await client.failure(write.hasPrefix("INSERT INTO ref") ? "DELETE FROM ref WHERE id = 77" : "DELETE FROM kv WHERE k = \(key)") == nil)
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aSimpleQueryBehindABatchThatHasReadIsAnswered() async throws {
            let key = try await cluster.key(on: 1)
            let client = try await cluster.login()
            try await client.send(WireMessages.parse("", "SELECT count(*) FROM kv WHERE k = \(key) AND v < 0") + WireMessages.bind("", ""))
            try await client.send(WireMessages.execute("") + WireMessages.query("SELECT 5"))
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "D(0)", "C(SELECT 1)", "T", "D(5)", "C(SELECT 1)", "Z(I)"])
            client.close()
        }
    }
    /// The same with one shard, where nothing is refused.
    @Suite(.faultCluster(shards: 1), .serialized)
    struct SingleShardSequenceTests {
        @Test(arguments: [ExtendedSequenceTests.Kind.messages, .pipelines, .mixtures, .reads])
        func oneShardAnswersAsPostgreSQLDoes(kind: ExtendedSequenceTests.Kind) async throws {
            try await ExtendedSequenceTests().compare([0, 0, 0], rounds: 200, of: kind) {}
        }
    }
}
