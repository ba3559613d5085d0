import ClusterTestKit
import PostgresProcess
import ServerConfig
import Testing

extension FaultTests {
    /// Transactions that reach a second shard, and pipelines without BEGIN that do.
    @Suite(.faultCluster { $0.lockTimeout = .seconds(6) }, .serialized)
    struct SeveralShardsTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// A new key on each shard, with a row of value 0 each.
        private func rows() async throws -> [Int64] {
            var keys: [Int64] = []
            let client = try await cluster.login()
            defer { client.close() }
            for index in cluster.servers.indices {
                let key = try await cluster.key(on: index, from: Int64.random(in: 1...1_000_000_000_000))
                try #require(try await client.failure("INSERT INTO kv VALUES (\(key), 0)") == nil)
                keys.append(key)
            }
            return keys
        }

        private func values(_ keys: [Int64]) async throws -> [String?] {
            let client = try await cluster.login()
            defer { client.close() }
            var values: [String?] = []
            for key in keys { values.append(try await client.rows("SELECT v FROM kv WHERE k = \(key)").first?[0]) }
            return values
        }

        private func run(_ client: WireClient, _ statements: [String]) async throws -> [String] {
            var answers: [String] = []
            for statement in statements { answers.append(try await client.query(statement).filter { "CE".contains($0.kind) }.map(\.description).joined(separator: " ")) }
            return answers
        }

        private func update(_ key: Int64, by amount: Int = 1) -> String { "UPDATE kv SET v = v + \(amount) WHERE k = \(key)" }

        // MARK: Chains

        /// What a chain has brought no error takes back, but what BEGIN says; so PostgreSQL.
        @Test(arguments: [true, false]) func aChainedTransactionIsReadOnlyBehindAnErrorToo(isChained: Bool) async throws {
            let key = try await rows()[0]
            let statements =
                ["START TRANSACTION READ ONLY"] + (isChained ? ["COMMIT AND CHAIN"] : [])
                + ["SELECT v FROM kv WHERE k = \(key) FOR UPDATE", "COMMIT AND CHAIN", "DELETE FROM ref WHERE id = -1", "ROLLBACK"]
            let (client, shard) = (try await cluster.login(), try await cluster.shardSession(0))
            let answers = try await run(client, statements)
            #expect(try await run(shard, statements) == answers)
            #expect(answers.suffix(2) == [isChained ? "E(25006)" : "C(DELETE 0)", "C(ROLLBACK)"])
            for client in [client, shard] { client.close() }
        }

        // MARK: Blocks

        @Test(arguments: ["SET TRANSACTION READ WRITE", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET TRANSACTION NOT DEFERRABLE"])
        func behindASavepointATransactionIsNoLongerMadeAnother(_ statement: String) async throws {
            let client = try await cluster.login()
            for sql in ["BEGIN READ ONLY", "SAVEPOINT s"] { #expect(try await client.failure(sql) == nil) }
            #expect(try await client.failure(statement) == "25001")
            #expect(try await client.failure("ROLLBACK TO s") == nil)
            #expect(try await client.failure("INSERT INTO kv VALUES (1, 1)") == "25006")
            #expect(try await client.failure("ROLLBACK") == nil)
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aTransactionCommitsOnAllOfItsShards() async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            let before = try await cluster.metric("pgmosaic_twophase_total", "committed")
            let answers = try await run(client, ["BEGIN"] + keys.map { update($0) } + keys.map { update($0) } + ["COMMIT"])
            #expect(answers == ["C(BEGIN)"] + Array(repeating: "C(UPDATE 1)", count: 6) + ["C(COMMIT)"])
            #expect(try await values(keys) == ["2", "2", "2"])
            #expect(try await cluster.metric("pgmosaic_twophase_total", "committed") == before + 1)
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        @Test func aRollbackUndoesAllOfThem() async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            _ = try await run(client, ["BEGIN"] + keys.map { update($0) } + ["ROLLBACK"])
            #expect(try await values(keys) == ["0", "0", "0"])
            client.close()
        }

        @Test func anErrorOnOneShardUndoesTheOthersToo() async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            let answers = try await run(
                client, ["BEGIN"] + keys.map { update($0) } + ["INSERT INTO kv VALUES (\(keys[0]), 1)", update(keys[1]), "COMMIT"])
            #expect(answers.suffix(3) == ["E(23505)", "E(25P02)", "C(ROLLBACK)"])
            #expect(try await values(keys) == ["0", "0", "0"])
            client.close()
        }

        @Test func aSavepointIsOneOnEveryShardWhicheverCameFirst() async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            let answers = try await run(
                client,
                ["BEGIN", update(keys[0]), "SAVEPOINT one", update(keys[0], by: 10), update(keys[1], by: 10), "SAVEPOINT two", update(keys[2], by: 100)]
                    + ["ROLLBACK TO one", update(keys[1]), update(keys[2]), "ROLLBACK TO two", "ROLLBACK TO one", update(keys[2], by: 5), "COMMIT"])
            #expect(answers.suffix(4) == ["E(3B001)", "C(ROLLBACK)", "C(UPDATE 1)", "C(COMMIT)"])
            #expect(try await values(keys) == ["1", "0", "5"])
            client.close()
        }

        /// UPDATE of a reference table has taken every shard when it fails, and some of them have been told nothing yet.
        @Test func readOnlyHoldsOnEachShardBehindASavepointThatWasGoneBackTo() async throws {
            for key in try await rows() {
                let client = try await cluster.login()
                defer { client.close() }
                try await client.query("BEGIN")
                try await client.query("START TRANSACTION READ ONLY")
                try await client.query("SHOW work_mem")
                try await client.query("SAVEPOINT s")
                #expect(try await client.failure("UPDATE ref SET v = v + 1") == "25006")
                #expect(try await client.failure("ROLLBACK TO s") == nil)
                #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["0"]])
                #expect(try await client.rows("SHOW transaction_read_only") == [["on"]])
                #expect(try await client.failure("UPDATE kv SET v = 1 WHERE k = \(key)") == "25006")
            }
        }

        @Test func settingsFollowToEachShard() async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            try await client.query("SET application_name = 'before'")
            try await client.query("BEGIN")
            try await client.query("SET LOCAL work_mem = '7MB'")
            for key in keys {
                let answer = try await client.rows("SELECT current_setting('work_mem'), current_setting('application_name') FROM kv WHERE k = \(key)")
                #expect(answer == [["7MB", "before"]])
            }
            try await client.query("SET LOCAL work_mem = '8MB'")
            for key in keys { #expect(try await client.rows("SELECT current_setting('work_mem') FROM kv WHERE k = \(key)") == [["8MB"]]) }
            try await client.query("COMMIT")
            for key in keys { #expect(try await client.rows("SELECT current_setting('work_mem') FROM kv WHERE k = \(key)") != [["8MB"]]) }
            client.close()
        }

        @Test func oneWriterAmongReadersCommitsPlainly() async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            let before = try await cluster.metric("pgmosaic_twophase_total", "committed")
            let reads = keys.map { "SELECT v FROM kv WHERE k = \($0)" }
            #expect(try await run(client, ["BEGIN"] + reads + [update(keys[1]), "COMMIT"]).last == "C(COMMIT)")
            #expect(try await cluster.metric("pgmosaic_twophase_total", "committed") == before)
            #expect(try await values(keys) == ["0", "1", "0"])
            client.close()
        }

        @Test(arguments: [["BEGIN ISOLATION LEVEL REPEATABLE READ"], ["BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
            ["SET default_transaction_isolation = 'repeatable read'", "BEGIN"]])
        func aStricterIsolationIsRefusedAtTheSecondShardAndNotBefore(_ beginning: [String]) async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            // Without a table, on the home shard.
            let single = try await run(client, beginning + ["SET LOCAL work_mem = '5MB'", update(keys[1]), "SELECT v FROM kv WHERE k = \(keys[1])", "COMMIT"])
            #expect(single.last == "C(COMMIT)", "\(single)")
            for second in ["SELECT v FROM kv WHERE k = \(keys[2])", "SELECT body FROM notes"] {
                _ = try await run(client, beginning + [update(keys[1])])
                let answer = try await client.query(second)
                #expect(answer.first { $0.kind == "E" }?.field("D") == "PGM-ISOLATION")
                #expect(answer.last?.status == "E")
                #expect(try await run(client, ["COMMIT"]) == ["C(ROLLBACK)"])
            }
            #expect(try await values(keys) == ["0", "1", "0"])
            // On every shard nothing is read.
            let table = "made_\(keys[0])"
            #expect(try await run(client, beginning + ["CREATE TABLE \(table) (id int)", "INSERT INTO \(table) VALUES (1)", "ROLLBACK"]).last == "C(ROLLBACK)")
            client.close()
        }

        @Test func waitsForLocksAreBoundedOnEveryShard() async throws {
            let keys = try await rows()
            let (one, other) = (try await cluster.login(), try await cluster.login())
            // The first shard's waits are bounded, too, after a second has joined and a savepoint has been gone back to.
            _ = try await run(one, ["BEGIN", update(keys[0]), "SAVEPOINT s", "SELECT v FROM kv WHERE k = \(keys[2])", "ROLLBACK TO s"])
            _ = try await run(other, ["BEGIN", update(keys[1])])
            #expect(try await run(one, [update(keys[2]), update(keys[1])]) == ["C(UPDATE 1)", "E(55P03)"])
            _ = try await run(one, ["ROLLBACK"])
            _ = try await run(other, ["ROLLBACK"])
            for client in [one, other] { client.close() }
            try await cluster.expectNoLeak()
        }

        @Test func aLockTimeoutOfTheClientsStays() async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            _ = try await run(client, ["SET lock_timeout = '123ms'", "BEGIN"])
            for key in keys { #expect(try await client.rows("SELECT current_setting('lock_timeout') FROM kv WHERE k = \(key)") == [["123ms"]]) }
            _ = try await run(client, ["COMMIT", "RESET lock_timeout"])
            for key in keys { #expect(try await client.rows("SELECT current_setting('lock_timeout') FROM kv WHERE k = \(key)") == [["0"]]) }
            client.close()
        }

        /// A shard that was prepared has kept what SET changed, though nothing was committed: nobody else may meet it there.
        @Test func settingsOfACommitThatFailsStayWithNobody() async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            // Behind the writes, so that the record of the decision cannot be written.
            let answers = try await run(
                client, ["BEGIN", "SET work_mem = '9MB'"] + keys.map { update($0) } + ["SET TRANSACTION READ ONLY", "SELECT v FROM kv WHERE k = \(keys[0])", "COMMIT"])
            #expect(answers.last == "E(25006)", "\(answers)")
            #expect(try await values(keys) == ["0", "0", "0"])
            let others = try await (0..<8).asyncMap { _ in try await cluster.login() }
            for other in others + [client] {
                for key in keys { #expect(try await other.rows("SELECT current_setting('work_mem') FROM kv WHERE k = \(key)") == [["4MB"]]) }
            }
            for other in others + [client] { other.close() }
            try await cluster.settled()
        }

        // MARK: Pipelines

        private func pipeline(_ statements: [(String, [String?])]) -> [UInt8] {
            statements.flatMap { WireMessages.parse("", $0.0) + WireMessages.bind("", "", $0.1) + WireMessages.execute("") }
        }

        @Test func aPipelineWithoutBeginIsOneTransaction() async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            let statement = "UPDATE kv SET v = v + 1 WHERE k = $1"
            // Not visible to others before Sync.
            try await client.send(pipeline((keys + keys).map { (statement, ["\($0)"]) }) + WireMessages.flush)
            for _ in 0..<6 { _ = try await client.until("C") }
            #expect(try await values(keys) == ["0", "0", "0"])
            try await client.send(WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["Z(I)"])
            #expect(try await values(keys) == ["2", "2", "2"])
            // An error undoes all of it.
            try await client.send(pipeline(keys.map { (statement, ["\($0)"]) } + [("INSERT INTO kv VALUES ($1, 1)", ["\(keys[1])"]), (statement, ["\(keys[0])"])]))
            try await client.send(WireMessages.sync)
            #expect(try await client.until("Z").suffix(2).map(\.description) == ["E(23505)", "Z(I)"])
            #expect(try await values(keys) == ["2", "2", "2"])
            // One shard, then every one.
            try await client.send(pipeline([(statement, ["\(keys[2])"]), ("INSERT INTO ref VALUES (1, 1)", []), (statement, ["\(keys[0])"])]) + WireMessages.sync)
            #expect(try await client.until("Z").last?.description == "Z(I)")
            #expect(try await values(keys) == ["3", "2", "3"])
            #expect(try await cluster.settled() == "1=1")
            #expect(try await client.failure("DELETE FROM ref") == nil)
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aClientThatHangsUpInAPipelineLeavesNothing() async throws {
            let keys = try await rows()
            for _ in 0..<5 {
                let client = try await cluster.login()
                try await client.send(pipeline(keys.map { ("UPDATE kv SET v = v + 1 WHERE k = $1", ["\($0)"]) }) + WireMessages.flush)
                _ = try await client.until("C")
                client.close()
            }
            try await cluster.expectNoLeak()
            #expect(try await values(keys) == ["0", "0", "0"])
        }

        /// What is unnamed on a shard ends with its part in the transaction, though the connection is the same again.
        @Test func aStatementIsPreparedAgainBehindACommitInThePipeline() async throws {
            let keys = try await rows()
            let (client, other) = (try await cluster.login(), try await cluster.login())
            defer { client.close(); other.close() }
            let text = "SELECT v + \(keys[0]) FROM kv WHERE k = $1"
            _ = try await run(client, ["BEGIN", update(keys[0]), update(keys[1])])
            try await client.send(pipeline([(text, ["\(keys[1])"])]) + WireMessages.flush)
            #expect(try await client.until("C").last?.tag == "SELECT 1")
            // By now it is known to be right, and its Parse is answered at once.
            try await other.send(WireMessages.parse("", text) + WireMessages.sync)
            _ = try await other.until("Z")
            try await client.send(pipeline([("COMMIT", []), (text, ["\(keys[1])"])]) + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "C(COMMIT)", "1", "2", "D(\(keys[0] + 1))", "C(SELECT 1)", "Z(I)"])
        }

        // MARK: Loss

        @Test func aShardThatIsKilledBeforeTheCommitUndoesTheOthers() async throws {
            let keys = try await rows()
            let client = try await cluster.login()
            _ = try await run(client, ["BEGIN"] + keys.map { update($0) })
            await cluster.servers[2].kill()
            #expect(try await ["E(08006)", "E(25P02)"].contains(run(client, ["COMMIT"])[0]))
            try await cluster.regain(2)
            #expect(try await values(keys) == ["0", "0", "0"])
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }
    }
}
