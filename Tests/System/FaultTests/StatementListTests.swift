import ClusterTestKit
import Testing

extension FaultTests {
    /// Several statements in one simple query, over several shards and with transactions of their own.
    @Suite(.faultCluster(), .serialized)
    struct StatementListTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func keys() async throws -> [Int64] {
            var keys: [Int64] = []
            for index in cluster.servers.indices { keys.append(try await cluster.key(on: index, from: Int64.random(in: 1...1_000_000_000_000))) }
            return keys
        }

        private func values(_ keys: [Int64]) async throws -> [String?] {
            let client = try await cluster.login()
            defer { client.close() }
            var values: [String?] = []
            for key in keys { values.append(try await client.rows("SELECT v FROM kv WHERE k = \(key)").first?[0]) }
            return values
        }

        private func ask(_ client: WireClient, _ sql: String) async throws -> [String] {
            try await client.query(sql).filter { !"NSA".contains($0.kind) }.map(\.description)
        }

        @Test func aListOverSeveralShardsIsOneTransaction() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            let inserts = keys.map { "INSERT INTO kv VALUES (\($0), 1)" }.joined(separator: "; ")
            #expect(try await ask(client, "\(inserts); SELECT 1;") == Array(repeating: "C(INSERT 0 1)", count: 3) + ["T", "D(1)", "C(SELECT 1)", "Z(I)"])
            #expect(try await values(keys) == ["1", "1", "1"])
            let updates = keys.map { "UPDATE kv SET v = v + 1 WHERE k = \($0)" }.joined(separator: "; ")
            #expect(try await ask(client, "\(updates); SELECT 1 / 0; \(updates)") == Array(repeating: "C(UPDATE 1)", count: 3) + ["E(22012)", "Z(I)"])
            #expect(try await values(keys) == ["1", "1", "1"])
            // What was committed on the way stays.
            #expect(
                try await ask(client, "\(updates); COMMIT; \(updates); SELECT 1 / 0").suffix(3) == ["C(UPDATE 1)", "E(22012)", "Z(I)"])
            #expect(try await values(keys) == ["2", "2", "2"])
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        @Test func schemaChangesAndWhatFollowsThemWork() async throws {
            let client = try await cluster.login()
            #expect(try await client.failure("SELECT pgmosaic.local_table('listed')") == nil)
            let answer = try await ask(client, "BEGIN; CREATE TABLE listed (id int PRIMARY KEY, t text); INSERT INTO listed VALUES (1, 'a'); COMMIT; SELECT t FROM listed")
            #expect(answer == ["C(BEGIN)", "C(CREATE TABLE)", "C(INSERT 0 1)", "C(COMMIT)", "T", "D(a)", "C(SELECT 1)", "Z(I)"])
            #expect(try await ask(client, "DROP TABLE listed; SELECT t FROM listed") == ["C(DROP TABLE)", "E(42P01)", "Z(I)"])
            #expect(try await ask(client, "SELECT t FROM listed; DROP TABLE listed") == ["T", "D(a)", "C(SELECT 1)", "C(DROP TABLE)", "Z(I)"])
            client.close()
        }

        /// What asyncpg sends when a connection goes back to its pool.
        @Test func aDriversResetIsAnswered() async throws {
            let client = try await cluster.login()
            try await client.query("SET work_mem = '7MB'")
            try await client.query("LISTEN news")
            try await client.query("SELECT pg_advisory_lock(42)")
            let answer = try await ask(client, "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;")
            #expect(answer.filter { !$0.hasPrefix("T") && !$0.hasPrefix("D") } == ["C(SELECT 1)", "C(CLOSE CURSOR ALL)", "C(UNLISTEN)", "C(RESET)", "Z(I)"])
            #expect(try await client.rows("SHOW work_mem") != [["7MB"]])
            #expect(try await client.rows("SHOW pgmosaic.session").first?[4] == "no")
            let other = try await cluster.login()
            #expect(try await other.rows("SELECT pg_try_advisory_lock(42)") == [["t"]])
            for client in [client, other] { client.close() }
            try await cluster.expectNoLeak()
        }

        @Test func manyStatementsNeedNoStack() async throws {
            let client = try await cluster.login()
            let count = 20_000
            let answer = try await client.query(String(repeating: "SHOW pgmosaic.epoch;", count: count))
            #expect(answer.count { $0.tag == "SHOW" } == count)
            client.close()
        }

        @Test func aClientThatDoesNotReadStopsItsListAndNobodyElse() async throws {
            let slow = try await WireClient.login(port: cluster.wirePort, receiveBuffer: 4096)
            let count = 40_000
            let others = try await (0..<8).asyncMap { _ in try await cluster.login() }
            // Of settings alone: nothing in it waits for a shard.
            try await slow.send(WireMessages.query(String(repeating: "SHOW pgmosaic.session;", count: count)))
            try await slow.hasBytes()
            for _ in 0..<20 { for other in others { #expect(try await other.rows("SELECT 1") == [["1"]]) } }
            #expect(try await slow.until("Z", within: .seconds(120)).count { $0.tag == "SHOW" } == count)
            for client in others + [slow] { client.close() }
            try await cluster.expectNoLeak()
        }

        @Test func whatCannotStandInAListIsRefusedAndUndoesIt() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            for statement in ["COPY kv TO STDOUT", "BEGIN ISOLATION LEVEL SERIALIZABLE", "VACUUM kv"] {
                let answer = try await ask(client, "INSERT INTO kv VALUES (\(keys[1]), 1); \(statement)")
                #expect(answer.first == "C(INSERT 0 1)" && answer.last == "Z(I)" && answer.contains { $0.hasPrefix("E(") }, "\(answer)")
            }
            #expect(try await values(keys) == [nil, nil, nil])
            client.close()
        }
    }
}
