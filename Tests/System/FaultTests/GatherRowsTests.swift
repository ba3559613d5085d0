import ClusterTestKit
import Foundation
import PostgresProcess
import Testing

extension FaultTests {
    /// SELECT over three shards, when all goes well, and when a shard, the client or a statement gives up in the middle.
    @Suite(.faultCluster(), .serialized)
    struct GatherRowsTests {
        private let cluster: TestCluster
        private static let rows = 1500

        init() throws { cluster = try TestCluster.current }

        /// 45 MB in the table `wide`, more than all the sockets between a shard and a client hold.
        private func prepare() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            guard try await cluster.onShard(0, "SELECT to_regclass('wide') IS NULL") == "t" else { return }
            try #require(try await client.failure("SELECT pgmosaic.shard_table('wide', 'k')") == nil)
            try #require(try await client.failure("CREATE TABLE wide (k bigint PRIMARY KEY, body text)") == nil)
            for index in 0..<3 {
                try await cluster.onShard(
                    index, "ALTER TABLE wide ALTER body SET STORAGE external; "
                        + "INSERT INTO wide SELECT g * 3 + \(index), repeat('x', 10000) FROM generate_series(1, \(Self.rows)) g")
            }
        }

        private static let sql = "SELECT k, body FROM wide"

        enum Form: CaseIterable { case simple, extended, block }

        private func send(_ client: WireClient, _ form: Form, _ sql: String = sql) async throws {
            switch form {
            case .simple: try await client.send(WireMessages.query(sql))
            case .extended: try await client.send(extended(sql))
            case .block:
                try await client.query("BEGIN")
                try await client.send(WireMessages.query(sql))
            }
        }

        private func extended(_ sql: String, _ parameters: [String?] = []) -> [UInt8] {
            WireMessages.parse("", sql) + WireMessages.bind("", "", parameters) + WireMessages.describe("P", "") + WireMessages.execute("") + WireMessages.sync
        }

        /// A client that has read the beginning and no more.
        private func stopped(_ form: Form = .simple) async throws -> WireClient {
            let client = try await WireClient.login(port: cluster.wirePort, receiveBuffer: 16_384)
            try await send(client, form)
            _ = try await client.until("T")
            for _ in 0..<5 { #expect(try await client.next()?.kind == "D") }
            return client
        }

        private func rest(_ client: WireClient) async throws -> [WireClient.Message] { try await client.until("Z") }

        @Test(arguments: Form.allCases) func allRowsOfAllShardsArrive(form: Form) async throws {
            try await prepare()
            let client = try await stopped(form)
            let answer = try await rest(client)
            #expect(answer.count { $0.kind == "D" } == 3 * Self.rows - 5)
            #expect(answer.suffix(2).map(\.description) == ["C(SELECT \(3 * Self.rows))", form == .block ? "Z(T)" : "Z(I)"])
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// Of the shard whose rows are passed on, and of one whose turn has not come.
        @Test(arguments: [0, 2], Form.allCases) func aShardThatDiesEndsItWithAnError(victim: Int, form: Form) async throws {
            try await prepare()
            let client = try await stopped(form)
            await cluster.servers[victim].kill()
            let answer = try await rest(client)
            #expect(!answer.contains { $0.kind == "C" })
            #expect(answer.suffix(2).map(\.description) == ["E(08006)", form == .block ? "Z(E)" : "Z(I)"])
            if form == .block { #expect(try await client.query("ROLLBACK").last?.status == "I") }
            let key = try await cluster.key(on: 1)
            #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
            client.close()
            try await cluster.regain(victim)
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test(arguments: Form.allCases) func aCancelEndsItAndNothingElse(form: Form) async throws {
            try await prepare()
            var cancelled = 0
            for _ in 0..<3 {
                let client = try await stopped(form)
                try await client.cancel(port: cluster.wirePort, untilTaken: true)
                let answer = try await rest(client)
                // From here on the rows and the router's request to each shard are on their way at the same time.
                if answer.contains(where: { $0.kind == "E" }) {
                    cancelled += 1
                    #expect(!answer.contains { $0.kind == "C" })
                    #expect(answer.suffix(2).map(\.description) == ["E(57014)", form == .block ? "Z(E)" : "Z(I)"])
                } else {
                    #expect(answer.suffix(2).map(\.description) == ["C(SELECT \(3 * Self.rows))", form == .block ? "Z(T)" : "Z(I)"])
                }
                if form == .block { #expect(try await client.query("ROLLBACK").last?.status == "I") }
                for index in 0..<3 {
                    let key = try await cluster.key(on: index)
                    #expect(try await client.failure("SELECT count(*) FROM kv WHERE k = \(key)") == nil)
                }
                client.close()
            }
            #expect(cancelled > 0)
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test(arguments: Form.allCases) func aClientThatIsGoneHoldsNothing(form: Form) async throws {
            try await prepare()
            let client = try await stopped(form)
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aClientThatStopsReadingCostsLittle() async throws {
            try await prepare()
            let before = residentSize
            var clients: [WireClient] = []
            for _ in 0..<8 { clients.append(try await stopped()) }
            try await Task.sleep(for: .seconds(2))
            // 8 times 45 MB are under way.
            #expect(residentSize - before < 48, "\(before) MiB before, \(residentSize) after")
            for client in clients { client.close() }
            try await cluster.expectNoLeak(clients: 0)
        }

        /// Of this process, which the router is part of; in MiB.
        private var residentSize: Int {
            let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
            return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
        }

        @Test(arguments: [0, 1, 2]) func aShardThatCannotBeginIsTheWholeAnswer(index: Int) async throws {
            try await prepare()
            let lock = try await cluster.shardSession(index)
            try await lock.query("BEGIN")
            try await lock.query("LOCK TABLE wide")
            let client = try await cluster.login()
            try await client.query("SET lock_timeout = '300ms'")
            #expect(try await client.query(Self.sql).map(\.description) == ["E(55P03)", "Z(I)"])
            try await lock.query("ROLLBACK")
            lock.close()
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// A row that one shard cannot compute: what came before it is not counted as whole.
        @Test(arguments: Form.allCases) func anErrorInTheMiddleIsAnError(form: Form) async throws {
            try await prepare()
            let client = try await cluster.login()
            try await send(client, form, "SELECT 1 / (k - \(3 * 700 + 1)), body FROM wide")
            let answer = try await rest(client)
            #expect(answer.suffix(2).map(\.description) == ["E(22012)", form == .block ? "Z(E)" : "Z(I)"])
            #expect(!answer.contains { $0.kind == "C" })
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        // MARK: Answers that are combined

        private static let combined = ["SELECT count(*), max(k) FROM wide", "SELECT k FROM wide ORDER BY k LIMIT 3", "SELECT k % 7, count(*) FROM wide GROUP BY 1"]

        /// One shard is held up by a lock when the client, an operator or a crash ends the statement.
        @Test(arguments: Form.allCases, ["cancel", "kill", "leave"]) func aCombinedAnswerIsWholeOrNone(form: Form, end: String) async throws {
            try await prepare()
            for (place, sql) in Self.combined.enumerated() {
                let lock = try await cluster.shardSession(2)
                try await lock.query("BEGIN")
                try await lock.query("LOCK TABLE wide")
                let client = try await cluster.login()
                try await send(client, form, sql)
                try await eventually("the statement waits for the lock") {
                    try await cluster.onShard(2, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1"
                }
                switch end {
                case "cancel": try await client.cancel(port: cluster.wirePort)
                case "kill" where place == 0: await cluster.servers[2].kill()
                case "kill": try await lock.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
                default: client.close()
                }
                if end != "leave" {
                    let answer = try await rest(client)
                    #expect(!answer.contains { $0.kind == "C" || $0.kind == "D" }, "\(answer)")
                    #expect(answer.suffix(2).map(\.description) == [end == "cancel" ? "E(57014)" : "E(08006)", form == .block ? "Z(E)" : "Z(I)"], "\(answer)")
                    client.close()
                }
                lock.close()
                if end == "kill", place == 0 { try await cluster.regain(2) }
            }
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aCombinedAnswerSeesItsTransactionAndItsFormats() async throws {
            let client = try await cluster.login()
            let before = Int(try await client.rows("SELECT count(*) FROM kv")[0][0] ?? "") ?? 0
            try await client.query("BEGIN")
            for index in 0..<3 {
                let key = try await cluster.key(on: index, from: 900_000)
                #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 5)") == nil)
            }
            #expect(try await client.rows("SELECT count(*) FROM kv") == [["\(before + 3)"]])
            try await client.send(extended("SELECT v, count(*) AS c FROM kv WHERE k >= $1 AND v = $2 GROUP BY v ORDER BY c LIMIT 2", ["900000", "5"]))
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "T", "D(5,3)", "C(SELECT 1)", "Z(T)"])
            try await client.send(extended("SELECT k FROM kv WHERE k >= 900000 ORDER BY k DESC LIMIT $1", ["2"]))
            #expect(try await client.until("Z").filter { $0.kind == "D" }.count == 2)
            try await expectLimits(client)
            try await client.query("ROLLBACK")
            #expect(try await client.rows("SELECT count(*) FROM kv") == [["\(before)"]])
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// Three rows from 900000 on, one a shard.
        private func expectLimits(_ client: WireClient) async throws {
            let keys = try await client.rows("SELECT k FROM kv WHERE k >= 900000 ORDER BY k").compactMap { $0[0] }
            try #require(keys.count == 3)
            let cases: [(limit: String?, offset: String?, keys: ArraySlice<String>)] = [
                ("1", "1", keys[1...1]), (nil, "2", keys[2...]), ("9223372036854775807", "1", keys[1...]), ("0", nil, []), ("2", "0", keys[..<2]), ("1", "3", []),
            ]
            for (limit, offset, expected) in cases {
                try await client.send(extended("SELECT k FROM kv WHERE k >= $3 ORDER BY k LIMIT $1 OFFSET $2", [limit, offset, "900000"]))
                #expect(try await client.until("Z").filter { $0.kind == "D" }.map(\.description) == expected.map { "D(\($0))" }, "\(limit ?? "NULL") \(offset ?? "NULL")")
            }
            try await client.send(extended("SELECT v, count(*) FROM kv WHERE k >= 900000 GROUP BY v LIMIT $1", ["1"]))
            #expect(try await client.until("Z").filter { $0.kind == "D" }.map(\.description) == ["D(5,3)"])
            try await client.send(extended("SELECT k FROM kv WHERE k >= 900000 OFFSET $1", ["2"]))
            #expect(try await client.until("Z").filter { $0.kind == "D" }.count == 1)
        }

        /// More than the router holds of a statement's parts: outside of a transaction the home shard makes the answer of the rows.
        @Test func partsThatAreTooLargeAreFinishedOrAnError() async throws {
            try await prepare()
            let client = try await cluster.login()
            // PostgreSQL puts them together: what a function gives is of a type that only it knows.
            let sorted = try await client.rows("SELECT k, length(body) FROM wide ORDER BY abs(k)")
            let whole = try await client.query("SELECT k, body FROM wide ORDER BY abs(k)")
            #expect(whole.filter { $0.kind == "D" }.count == sorted.count && whole.suffix(2).map(\.description) == ["C(SELECT \(sorted.count))", "Z(I)"])
            try await client.query("BEGIN")
            #expect(try await client.query("SELECT k, body FROM wide ORDER BY abs(k)").map(\.description) == ["E(54000)", "Z(E)"])
            try await client.query("ROLLBACK")
            #expect(try await client.rows("SELECT k FROM wide ORDER BY k LIMIT 3") == [["3"], ["4"], ["5"]])
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        // MARK: What it sees, and what it refuses

        @Test func itSeesWhatItsTransactionHasWritten() async throws {
            let client = try await cluster.login()
            try await client.query("BEGIN")
            var keys: [Int64] = []
            for index in 0..<3 {
                keys.append(try await cluster.key(on: index, from: 700_000))
                #expect(try await client.failure("INSERT INTO kv VALUES (\(keys[index]), 77)") == nil)
            }
            #expect(try await client.rows("SELECT k FROM kv WHERE v = 77").compactMap { $0[0] }.sorted() == keys.map(String.init).sorted())
            let other = try await cluster.login()
            #expect(try await other.query("SELECT k FROM kv WHERE v = 77").map(\.description) == ["T", "C(SELECT 0)", "Z(I)"])
            // In one query with others, it is of their transaction.
            #expect(
                try await client.query("UPDATE kv SET v = 78 WHERE k = \(keys[0]); SELECT v FROM kv WHERE v IN (77, 78) AND v <> 77; SELECT 1").map(\.description)
                    == ["C(UPDATE 1)", "T", "D(78)", "C(SELECT 1)", "T", "D(1)", "C(SELECT 1)", "Z(T)"])
            #expect(try await client.query("ROLLBACK").last?.status == "I")
            #expect(try await other.query("SELECT k FROM kv WHERE v = 78").map(\.description) == ["T", "C(SELECT 0)", "Z(I)"])
            client.close()
            other.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aStricterIsolationIsRefused() async throws {
            let client = try await cluster.login()
            for begin in ["BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"] {
                try await client.query(begin)
                let answer = try await client.query("SELECT k FROM kv")
                #expect(answer.first?.field("D")?.hasPrefix("PGM-ISOLATION") == true && answer.last?.status == "E", "\(answer)")
                try await client.query("ROLLBACK")
            }
            try await client.query("SET default_transaction_isolation = 'repeatable read'")
            let answer = try await client.query("SELECT k FROM kv")
            #expect(answer.first?.field("D")?.hasPrefix("PGM-ISOLATION") == true && answer.last?.status == "I", "\(answer)")
            try await client.query("RESET default_transaction_isolation")
            #expect(try await client.failure("SELECT k FROM kv") == nil)
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func thePreparedStatementRunsAgainAndAgain() async throws {
            let client = try await cluster.login()
            let keys = try await cluster.keys(on: 0, from: 800_000) + cluster.keys(on: 1, from: 800_000) + cluster.keys(on: 2, from: 800_000)
            for (place, key) in keys.enumerated() { #expect(try await client.failure("INSERT INTO kv VALUES (\(key), \(900 + place))") == nil) }
            try await client.send(WireMessages.parse("s", "SELECT v FROM kv WHERE v >= $1 AND v < 1000") + WireMessages.describe("S", "s") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "t", "T", "Z(I)"])
            for first in 900...903 {
                // A pipeline of three, with a read of one shard between.
                try await client.send(
                    WireMessages.bind("", "s", ["\(first)"]) + WireMessages.execute("") + WireMessages.parse("", "SELECT v FROM kv WHERE k = $1")
                        + WireMessages.bind("", "", ["\(keys[1])"]) + WireMessages.execute("") + WireMessages.bind("p", "s", ["902"])
                        + WireMessages.execute("p") + WireMessages.sync)
                let answer = try await client.until("Z").map(\.description)
                let rows = (0..<3).map { 900 + $0 }.filter { $0 >= first }
                #expect(answer.filter { $0.hasPrefix("D") }.sorted() == (rows.map { "D(\($0))" } + ["D(901)", "D(902)"]).sorted(), "\(answer)")
                #expect(answer.filter { $0.hasPrefix("C") } == ["C(SELECT \(rows.count))", "C(SELECT 1)", "C(SELECT 1)"])
                #expect(answer.last == "Z(I)")
            }
            // A part of the rows at a time; but no moment that each shard would read for itself.
            try await client.send(WireMessages.bind("", "s", ["900"]) + WireMessages.execute("", rowsMax: 1) + WireMessages.sync)
            #expect(try await client.until("Z").map(\.kind) == ["2", "D", "s", "Z"])
            try await client.send(extended("SELECT v FROM kv WHERE $1::timestamptz > '2000-01-01'", ["now"]))
            #expect(try await client.until("Z").first { $0.kind == "E" }?.field("D")?.hasPrefix("PGM-NO-KEY") == true)
            // Too few parameters are the shards' to refuse.
            try await client.send(WireMessages.bind("", "s", []) + WireMessages.execute("") + WireMessages.sync)
            #expect(try await client.until("Z").first { $0.kind == "E" }?.sqlState == "08P01")
            #expect(try await client.failure("DELETE FROM kv WHERE k IN (\(keys.map(String.init).joined(separator: ", ")))") == nil)
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aHintAsksItsShardAlone() async throws {
            let client = try await cluster.login()
            for index in 0..<3 {
                let key = try await cluster.key(on: index)
                let count = try await cluster.onShard(index, "SELECT count(*) FROM kv")
                #expect(try await client.rows("/* pgmosaic: shard_key=\(key) */ SELECT k FROM kv").count == Int(count))
                try await client.query("SET pgmosaic.shard_key = '\(key)'")
                #expect(try await client.rows("SELECT k FROM kv").count == Int(count))
                try await client.query("RESET pgmosaic.shard_key")
            }
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// The type was made on each shard by itself, and has another number there.
        @Test func aTypeThatIsNotTheSameIsAnsweredByOneShard() async throws {
            let client = try await cluster.login()
            try #require(try await client.failure("SELECT pgmosaic.shard_table('moods', 'k')") == nil)
            try await cluster.onShard(0, "CREATE TABLE filler (x int)")
            for index in 0..<3 { try await cluster.onShard(index, "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE moods (k bigint PRIMARY KEY, m mood)") }
            for key in 1...9 { try await eventually("the row is there") { try await client.failure("INSERT INTO moods VALUES (\(key), 'glad')") == nil } }
            #expect(try await client.rows("SELECT k, m FROM moods").count == 9)
            #expect(try await client.rows("SELECT m, count(*) FROM moods GROUP BY m") == [["glad", "9"]])
            try await client.query("BEGIN")
            let answer = try await client.query("SELECT k, m FROM moods")
            try await client.query("ROLLBACK")
            #expect(answer.first?.field("D") == "PGM-TYPES-DIFFER" && answer.first?.field("M")?.hasSuffix(": m") == true, "\(answer)")
            #expect(try await client.rows("SELECT k, m::text FROM moods WHERE m = 'glad'").count == 9)
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }
    }
}
