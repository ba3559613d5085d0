import ClusterTestKit
import Foundation
import PostgresProcess
import ServerConfig
import Testing

extension FaultTests {
    /// SELECT whose rows are brought to the home shard, when a shard, the client or a bound ends it: one error and nothing of an answer, and nothing is left.
    @Suite(.faultCluster { $0.fetchedMax = 50 << 20 }, .serialized)
    struct FinisherFaultTests {
        private let cluster: TestCluster
        private static let rows = 1500
        private static let sql = "SELECT k, length(body) FROM wide ORDER BY length(body), k + 0"

        init() throws { cluster = try TestCluster.current }

        enum Form: CaseIterable { case simple, extended, block }

        /// 45 MB in the table `wide`.
        private func prepare() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            guard try await cluster.onShard(0, "SELECT to_regclass('wide') IS NULL") == "t" else { return }
            try #require(try await client.failure("SELECT pgmosaic.shard_table('wide', 'k')") == nil)
            try #require(try await client.failure("CREATE TABLE wide (k bigint PRIMARY KEY, body text)") == nil)
            for index in 0..<3 {
                try await cluster.onShard(
                    index, "ALTER TABLE wide ALTER body SET STORAGE external; INSERT INTO wide SELECT g * 3 + \(index), repeat('x', 10000) FROM generate_series(1, \(Self.rows)) g")
            }
        }

        private func send(_ client: WireClient, _ form: Form, _ sql: String = sql) async throws {
            switch form {
            case .simple: try await client.send(WireMessages.query(sql))
            case .extended:
                try await client.send(
                    WireMessages.parse("", sql) + WireMessages.bind("", "", []) + WireMessages.describe("P", "") + WireMessages.execute("") + WireMessages.sync)
            case .block:
                try await client.query("BEGIN")
                try await client.send(WireMessages.query(sql))
            }
        }

        private func rest(_ client: WireClient) async throws -> [WireClient.Message] { try await client.until("Z") }

        private func expectNothingLeft() async throws {
            try await cluster.expectNoLeak(clients: 0)
            for index in 0..<3 {
                try await eventually("no temporary table is left") { try await cluster.onShard(index, "SELECT count(*) FROM pg_class WHERE relpersistence = 't'") == "0" }
            }
        }

        @Test(arguments: Form.allCases) func allRowsArrive(form: Form) async throws {
            try await prepare()
            let client = try await cluster.login()
            try await send(client, form)
            let answer = try await rest(client)
            #expect(answer.count { $0.kind == "D" } == 3 * Self.rows)
            #expect(answer.suffix(2).map(\.description) == ["C(SELECT \(3 * Self.rows))", form == .block ? "Z(T)" : "Z(I)"])
            client.close()
            try await expectNothingLeft()
        }

        /// A shard is held up by a lock while the others give their rows.
        @Test(arguments: Form.allCases, ["cancel", "kill", "terminate", "leave"]) func anAnswerIsWholeOrNone(form: Form, end: String) async throws {
            try await prepare()
            let lock = try await cluster.shardSession(2)
            try await lock.query("BEGIN")
            try await lock.query("LOCK TABLE wide")
            let client = try await cluster.login()
            try await send(client, form)
            try await eventually("the statement waits for the lock") {
                try await cluster.onShard(2, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1"
            }
            switch end {
            case "cancel": try await client.cancel(port: cluster.wirePort)
            case "kill": await cluster.servers[2].kill()
            case "terminate": try await lock.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            default: client.close()
            }
            if end != "leave" {
                let answer = try await rest(client)
                #expect(!answer.contains { $0.kind == "C" || $0.kind == "D" }, "\(answer)")
                #expect(answer.suffix(2).map(\.description) == [end == "cancel" ? "E(57014)" : "E(08006)", form == .block ? "Z(E)" : "Z(I)"], "\(answer)")
                if form == .block { #expect(try await client.query("ROLLBACK").last?.status == "I") }
                let key = try await cluster.key(on: 1)
                #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
                client.close()
            }
            lock.close()
            if end == "kill" { try await cluster.regain(2) }
            try await expectNothingLeft()
        }

        /// The session of the home shard's that makes the answer is ended by an operator while it does.
        @Test(arguments: Form.allCases) func theHomeShardsSessionMayBeLost(form: Form) async throws {
            try await prepare()
            let client = try await cluster.login()
            try await send(client, form, "SELECT count(DISTINCT length(body)), max(pg_sleep(60)::text) FROM wide")
            try await eventually("the statement sleeps") { try await cluster.onShard(0, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1" }
            try await cluster.onShard(0, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            let answer = try await rest(client)
            #expect(!answer.contains { $0.kind == "C" || $0.kind == "D" }, "\(answer)")
            #expect(answer.last?.status == (form == .block ? "E" : "I") && answer.contains { $0.kind == "E" }, "\(answer)")
            client.close()
            try await expectNothingLeft()
        }

        /// The home shard's server stands still.
        @Test(arguments: Form.allCases) func aCancelEndsWhatTheHomeShardHolds(form: Form) async throws {
            try await prepare()
            let client = try await cluster.login()
            try await send(client, form, "SELECT count(DISTINCT length(body)), max(pg_sleep(60)::text) FROM wide")
            try await eventually("the statement sleeps") { try await cluster.onShard(0, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1" }
            try await client.cancel(port: cluster.wirePort)
            #expect(try await rest(client).suffix(2).map(\.description) == ["E(57014)", form == .block ? "Z(E)" : "Z(I)"])
            client.close()
            try await expectNothingLeft()
        }

        @Test(arguments: Form.allCases) func anErrorInTheMiddleIsAnError(form: Form) async throws {
            try await prepare()
            let client = try await cluster.login()
            try await send(client, form, "SELECT 1 / (k - \(3 * 700 + 1)) FROM wide ORDER BY k + 0")
            let answer = try await rest(client)
            #expect(answer.suffix(2).map(\.description) == ["E(22012)", form == .block ? "Z(E)" : "Z(I)"] && !answer.contains { $0.kind == "C" })
            client.close()
            try await expectNothingLeft()
        }

        /// Twice the rows of `wide` are more than `across.fetched_max`; once is not, and a column alone is little.
        @Test(arguments: Form.allCases) func moreThanTheBoundIsAnError(form: Form) async throws {
            try await prepare()
            let client = try await cluster.login()
            try #require(try await client.failure("SELECT pgmosaic.shard_table('wider', 'k')") == nil)
            if try await cluster.onShard(0, "SELECT to_regclass('wider') IS NULL") == "t" {
                for index in 0..<3 { try await cluster.onShard(index, "CREATE TABLE wider AS SELECT * FROM wide; ALTER TABLE wider ADD PRIMARY KEY (k)") }
            }
            let sql = "SELECT max(x.body || y.body) FROM wide x JOIN wider y ON x.k + 1 = y.k"
            try await eventually("the table is known") { try await client.failure("SELECT count(*) FROM wider") == nil }
            try await send(client, form, sql)
            let answer = try await rest(client)
            #expect(answer.suffix(2).map(\.description) == ["E(54000)", form == .block ? "Z(E)" : "Z(I)"], "\(answer.suffix(2))")
            #expect(answer.first { $0.kind == "E" }?.field("D")?.contains("across.fetched_max") == true)
            if form == .block { try await client.query("ROLLBACK") }
            #expect(try await client.rows("SELECT count(DISTINCT x.k) FROM wide x JOIN wider y ON x.k + 1 = y.k") == [["\(3 * Self.rows - 1)"]])
            client.close()
            try await expectNothingLeft()
        }

        @Test func aStricterIsolationIsRefused() async throws {
            let client = try await cluster.login()
            try await client.query("SET default_transaction_isolation = 'serializable'")
            #expect(try await client.query("SELECT count(DISTINCT v) FROM kv").first?.field("D")?.hasPrefix("PGM-ISOLATION") == true)
            try await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
            #expect(try await client.query("SELECT count(DISTINCT v) FROM kv").first?.field("D")?.hasPrefix("PGM-ISOLATION") == true)
            try await client.query("ROLLBACK")
            try await client.query("RESET default_transaction_isolation")
            #expect(try await client.failure("SELECT count(DISTINCT v) FROM kv") == nil)
            try await client.query("SET default_transaction_read_only = on")
            #expect(try await client.failure("SELECT count(DISTINCT v) FROM kv") == nil)
            try await client.query("BEGIN READ ONLY")
            #expect(try await client.failure("SELECT count(DISTINCT v) FROM kv") == nil)
            try await client.query("COMMIT")
            client.close()
            try await expectNothingLeft()
        }
    }
}
