import ClusterTestKit
import Foundation
import PostgresProcess
import TestKit
import Testing

extension FaultTests {
    /// PREPARE, EXECUTE and DEALLOCATE, alone and mixed with the protocol's own statements: the router answers what PostgreSQL answers.
    @Suite(.faultCluster(), .serialized)
    struct SQLPrepareTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// The answers to the same bytes, notices and reports left out, errors with their text and position.
        private func answers(_ client: WireClient, _ bytes: [UInt8]) async throws -> [String] {
            try await client.send(bytes + WireMessages.query("SELECT 424242"))
            var answers: [String] = []
            while true {
                let messages = try await client.until("Z")
                answers += messages.filter { !"NSA".contains($0.kind) }.map { message in
                    guard message.kind == "E" else { return message.description }
                    return "E(\(message.field("C") ?? "?") \(message.field("M") ?? "?") \(message.field("D") ?? "") at \(message.field("P") ?? "-"))"
                }
                if messages.contains(where: { $0.kind == "D" && $0.row == ["424242"] }) { return Self.withoutOrderOfComplaints(answers) }
            }
        }

        /// In a failed transaction PostgreSQL still counts a Bind's parameters before it says 25P02; the router says 25P02 at once.
        private static func withoutOrderOfComplaints(_ answers: [String]) -> [String] {
            var isFailed = false
            return answers.map { answer in
                defer { if answer.hasPrefix("Z(") { isFailed = answer == "Z(E)" } }
                guard answer.hasPrefix("E(08P01 bind message") else { return answer }
                // Of two names for one text the router may say the other.
                return isFailed ? "E(25P02 current transaction is aborted, commands ignored until end of transaction block  at -)" : "E(08P01)"
            }
        }

        private func makePlain() async throws {
            try await cluster.servers[1].createDatabase("plain")
            for statement in FaultClusterTrait.statements { try await cluster.servers[1].psql(statement, database: "plain") }
        }

        private func plain() async throws -> WireClient {
            try await WireClient.login(port: cluster.servers[1].port, database: "plain", user: "postgres")
        }

        @Test func randomSequencesGiveWhatPostgreSQLGives() async throws {
            try await makePlain()
            let keys = try await cluster.keys(on: 1, count: 3)
            let given = ProcessInfo.processInfo.environment["PGMOSAIC_SEED"].flatMap { UInt64($0) }
            let first = given ?? UInt64.random(in: 0...UInt64(UInt32.max))
            print("replay: PGMOSAIC_SEED=\(first) swift test --filter randomSequencesGiveWhatPostgreSQLGives")
            var differences = 0
            for seed in first..<(first + UInt64(rounds(given == nil ? 250 : 1))) {
                var generator = SeededGenerator(seed: seed)
                var (bytes, texts): ([UInt8], [String]) = ([], [])
                for _ in 0..<Int.random(in: 2...12, using: &generator) { Self.step(keys, &generator, &bytes, &texts) }
                bytes += WireMessages.sync + WireMessages.query("ROLLBACK")
                for key in keys { bytes += WireMessages.query("SELECT k, v FROM kv WHERE k = \(key)") }
                bytes += WireMessages.query("SELECT id, v FROM ref ORDER BY id")
                let (plain, router) = (try await self.plain(), try await cluster.login())
                let expected = try await answers(plain, bytes)
                let got: [String]
                do { got = try await answers(router, bytes) } catch { got = ["\(error)"] }
                plain.close()
                router.close()
                guard got != expected else { continue }
                differences += 1
                Issue.record("seed \(seed):\n  \(texts.joined(separator: "\n  "))\n  PostgreSQL \(expected)\n  router     \(got)")
                if differences == 10 { break }
            }
            try await cluster.expectNoLeak()
        }

        private static func step(_ keys: [Int64], _ generator: inout SeededGenerator, _ bytes: inout [UInt8], _ texts: inout [String]) {
            let (name, key) = (["a", "b", "\"C d\""].randomElement(using: &generator)!, keys.randomElement(using: &generator)!)
            let sql = [
                "PREPARE \(name) AS SELECT v FROM kv WHERE k = $1", "PREPARE \(name) (bigint, int) AS UPDATE kv SET v = v + $2 WHERE k = $1",
                "PREPARE \(name) (int8, int) AS INSERT INTO kv VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v RETURNING *",
                "PREPARE \(name) AS SELECT nothing FROM kv WHERE k = $1", "PREPARE \(name) AS SELECT 1", "PREPARE \(name)(int) AS SELECT id FROM ref WHERE id = $1",
                "  PREPARE \(name) AS SELECT $2::text, $1::int", "EXECUTE \(name)", "EXECUTE \(name)(\(key))", "EXECUTE \(name)('\(key)')",
                "EXECUTE \(name)(\(key), 3)", "EXECUTE \(name) (\(key), 1 + 1)", "EXECUTE \(name)(\(key), 'x')", "EXECUTE  /* c */ \(name)(\(key), nothing)",
                "EXECUTE \(name)(\(key), 1/0)", "EXECUTE \(name)(1, 2, 3)", "DEALLOCATE \(name)", "DEALLOCATE PREPARE \(name)", "DEALLOCATE ALL", "BEGIN", "COMMIT",
                "ROLLBACK", "SELECT 1", "EXECUTE nowhere(1)", "SAVEPOINT s", "ROLLBACK TO s", "DISCARD PLANS", "DISCARD ALL",
            ].randomElement(using: &generator)!
            switch Int.random(in: 0..<10, using: &generator) {
            case 0:
                let inner = ["SELECT v FROM kv WHERE k = $1", "SELECT $1::int", "SELECT 1"].randomElement(using: &generator)!
                texts.append("parse(\(name), \(inner)) sync")
                bytes += WireMessages.parse(name.replacing("\"", with: ""), inner) + WireMessages.sync
            case 1:
                texts.append("bind(\(name)) describe execute sync")
                bytes += WireMessages.bind("", name.replacing("\"", with: ""), ["\(key)"]) + WireMessages.describe("P", "") + WireMessages.execute("")
                bytes += WireMessages.sync
            case 2, 3:
                texts.append("extended: \(sql)")
                bytes += WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.describe("P", "") + WireMessages.execute("")
                bytes += WireMessages.sync
            case 4:
                texts.append("close(\(name)) sync")
                bytes += WireMessages.close("S", name.replacing("\"", with: "")) + WireMessages.sync
            default:
                texts.append(sql)
                bytes += WireMessages.query(sql)
            }
        }

        @Test func aPreparedStatementFollowsItsArgumentsToEveryShard() async throws {
            let client = try await cluster.login()
            #expect(try await client.failure("PREPARE put (bigint, int) AS INSERT INTO kv VALUES ($1, $2)") == nil)
            #expect(try await client.failure("PREPARE get AS SELECT v FROM kv WHERE k = $1") == nil)
            for shard in 0..<3 {
                let key = try await cluster.keys(on: shard, from: 5_000, count: 1)[0]
                #expect(try await client.query("EXECUTE put(\(key), \(shard))").map(\.description) == ["C(INSERT 0 1)", "Z(I)"])
                #expect(try await client.rows("EXECUTE get('\(key)')") == [["\(shard)"]])
                #expect(try await cluster.onShard(shard, "SELECT v FROM kv WHERE k = \(key)") == "\(shard)")
            }
            // Through the protocol, too: one namespace.
            let key = try await cluster.keys(on: 2, from: 5_000, count: 1)[0]
            try await client.send(WireMessages.bind("", "get", ["\(key)"]) + WireMessages.execute("") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["2", "D(2)", "C(SELECT 1)", "Z(I)"])
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func anExplainOfAnExecuteIsOfTheStatementOnItsShard() async throws {
            let client = try await cluster.login()
            let key = try await cluster.keys(on: 1, from: 6_000, count: 1)[0]
            #expect(try await client.failure("PREPARE \"q q\" (bigint, int) AS INSERT INTO kv VALUES ($1, $2)") == nil)
            #expect(try await client.failure("PREPARE get AS SELECT v FROM kv WHERE k = $1") == nil)
            // Without ANALYZE nothing is written; with it once.
            let plan = try await client.rows("EXPLAIN (COSTS OFF) /* é */ EXECUTE \"q q\" (\(key), 7)")
            #expect(plan == [["Insert on kv"], ["  ->  Result"]])
            #expect(try await cluster.onShard(1, "SELECT count(*) FROM kv WHERE k = \(key)") == "0")
            #expect(try await client.rows("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE \"q q\" (\(key), 7)").count == 2)
            #expect(try await cluster.onShard(1, "SELECT v FROM kv WHERE k = \(key)") == "7")
            let analyzed = try await client.rows("explain analyze verbose execute get(\(key))").joined().compactMap(\.self).joined(separator: "\n")
            // A server session that has run it often has one plan for all keys.
            #expect(analyzed.contains("kv.k = '\(key)'::bigint") || analyzed.contains("kv.k = $1"), "\(analyzed)")
            #expect(analyzed.contains("rows=1 loops=1"), "\(analyzed)")

            try await client.send(
                WireMessages.parse("", "EXPLAIN (FORMAT json) EXECUTE get('\(key)')") + WireMessages.describe("S", "") + WireMessages.bind("", "")
                    + WireMessages.execute("") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.kind) == ["1", "t", "T", "2", "D", "C", "Z"])

            // Errors name what the client wrote, and where; the transaction is the client's.
            let missing = "EXPLAIN EXECUTE nowhere(1)"
            #expect(try await client.failure(missing) == "26000")
            let error = try #require(try await client.query("EXPLAIN (COSTS OFF) /* é */ EXECUTE \"q q\" (\(key), nothing)").first { $0.kind == "E" })
            #expect(error.field("C") == "42703" && error.field("P") == String(46 + "\(key)".count), "\(error)")
            #expect(try await client.query("BEGIN; EXPLAIN EXECUTE get(1); COMMIT").contains { $0.kind == "E" } == false)
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aPreparedWriteToAReferenceTableRunsOnEveryShard() async throws {
            let client = try await cluster.login()
            #expect(try await client.failure("PREPARE r (int, int) AS INSERT INTO ref VALUES ($1, $2)") == nil)
            #expect(try await client.query("EXECUTE r(900, 1)").map(\.description) == ["C(INSERT 0 1)", "Z(I)"])
            #expect(try await client.query("BEGIN").last?.status == "T")
            #expect(try await client.query("EXECUTE r(901, 1)").map(\.description) == ["C(INSERT 0 1)", "Z(T)"])
            #expect(try await client.query("COMMIT").map(\.description) == ["C(COMMIT)", "Z(I)"])
            #expect(try await client.failure("EXECUTE r(900, 1)") == "23505")
            #expect(try await client.failure("EXECUTE r(902, (random() * 10)::int)") == "0A000")
            for shard in 0..<3 { #expect(try await cluster.onShard(shard, "SELECT count(*) FROM ref WHERE id IN (900, 901)") == "2") }
            #expect(try await client.failure("DELETE FROM ref WHERE id IN (900, 901)") == nil)
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test(arguments: [
            ("EXECUTE get(1 + 1)", "PGM-KEY-EXPRESSION"), ("EXECUTE get(4.2)", "PGM-KEY-TYPE"), ("EXECUTE get(NULL)", "PGM-KEY-NULL"),
            ("CREATE TABLE x AS EXECUTE get(1)", "PGM-CREATE-TABLE-AS"), ("EXECUTE every", "PGM-SQL-PREPARE"),
        ])
        func whatTheRouterCannotEvaluateIsRefused(sql: String, code: String) async throws {
            let client = try await cluster.login()
            #expect(try await client.failure("PREPARE get AS SELECT v FROM kv WHERE k = $1") == nil)
            try await client.send(WireMessages.parse("every", "TRUNCATE ref") + WireMessages.sync)
            _ = try await client.until("Z")
            #expect(try await client.query(sql).first { $0.kind == "E" }?.field("D")?.hasPrefix(code) == true, "\(sql)")
            client.close()
        }

        @Test func explainingTellsWhereAnExecuteWouldGo() async throws {
            let client = try await cluster.login()
            let key = try await cluster.key(on: 2)
            #expect(try await client.failure("PREPARE get AS SELECT v FROM kv WHERE k = $1") == nil)
            #expect(try await client.failure("SET pgmosaic.explain = on") == nil)
            #expect(try await client.rows("EXECUTE get(\(key))").first?.prefix(2) == ["keyed", "s3"])
            client.close()
        }
    }
}
