import ClusterTestKit
import PostgresProcess
import ShardModel
import Testing

extension FaultTests {
    /// UPDATE and DELETE of all shards: all of it happens, or nothing, whatever gives up in the middle.
    @Suite(.faultCluster(), .serialized)
    struct EveryShardWriteTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private typealias W = WireMessages

        /// A table of its own, with two rows on each shard, whose `v` are 0; answers their keys, shard by shard.
        private func prepare() async throws -> [Int64] {
            let client = try await cluster.login()
            defer { client.close() }
            if try await cluster.onShard(0, "SELECT to_regclass('pile') IS NULL") == "t" {
                for sql in ["SELECT pgmosaic.shard_table('pile', 'k')", "CREATE TABLE pile (k bigint PRIMARY KEY, v bigint NOT NULL)"] {
                    try #require(try await client.failure(sql) == nil, "\(sql)")
                }
            }
            var keys: [Int64] = []
            for index in cluster.servers.indices { keys += try await cluster.keys(on: index, count: 2) }
            try #require(try await client.failure("DELETE FROM pile") == nil)
            try #require(try await client.failure("INSERT INTO pile VALUES \(keys.map { "(\($0), 0)" }.joined(separator: ", "))") == nil)
            return keys
        }

        /// All the values there are, as the shards have them.
        private func values() async throws -> [String] {
            var values: [String] = []
            for index in cluster.servers.indices { values.append(try await cluster.onShard(index, "SELECT string_agg(v::text, ',') FROM pile")) }
            return values
        }

        private func expectUntouched(_ location: SourceLocation = #_sourceLocation) async throws {
            #expect(try await values() == Array(repeating: "0,0", count: 3), sourceLocation: location)
        }

        private func extended(_ sql: String, _ parameters: [String?] = []) -> [UInt8] {
            W.parse("", sql) + W.bind("", "", parameters) + W.describe("P", "") + W.execute("") + W.sync
        }

        // MARK: Answers

        @Test func countsAddUpAndRowsComeShardByShard() async throws {
            let keys = try await prepare()
            let client = try await cluster.login()
            #expect(try await client.query("UPDATE pile SET v = v + 1").map(\.description) == ["C(UPDATE 6)", "Z(I)"])
            #expect(try await client.query("UPDATE pile SET v = v + 1 RETURNING v").map(\.description) == ["T"] + Array(repeating: "D(2)", count: 6) + ["C(UPDATE 6)", "Z(I)"])
            try await client.send(extended("UPDATE pile SET v = v - $1 WHERE v >= $1 RETURNING k * 0", ["2"]))
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "T"] + Array(repeating: "D(0)", count: 6) + ["C(UPDATE 6)", "Z(I)"])
            try await client.send(extended("DELETE FROM pile WHERE v = $1 AND k IS NOT NULL", ["7"]))
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "n", "C(DELETE 0)", "Z(I)"])
            try await expectUntouched()
            // Prepared, and executed again behind other work.
            try await client.send(W.parse("again", "UPDATE pile SET v = v + $1") + W.describe("S", "again") + W.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "t", "n", "Z(I)"])
            for _ in 0..<3 {
                try await client.send(W.bind("p", "again", ["5"]) + W.execute("p") + W.sync)
                #expect(try await client.until("Z").map(\.description) == ["2", "C(UPDATE 6)", "Z(I)"])
                #expect(try await client.query("SELECT v FROM pile WHERE k = \(keys[3])").first?.kind == "T")
            }
            #expect(try await values() == Array(repeating: "15,15", count: 3))
            #expect(try await client.query("BEGIN; DELETE FROM pile; INSERT INTO pile VALUES (\(keys[0]), 3); COMMIT").map(\.description).suffix(4) == ["C(DELETE 6)", "C(INSERT 0 1)", "C(COMMIT)", "Z(I)"])
            #expect(try await values() == ["3", "", ""])
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func anErrorOfOneShardLeavesNothing() async throws {
            let keys = try await prepare()
            let client = try await cluster.login()
            for key in [keys[0], keys[5]] {
                let sql = "UPDATE pile SET v = 1 / (k - \(key))"
                #expect(try await client.failure(sql) == "22012")
                try await expectUntouched()
                // In a pipeline, behind one that was done.
                try await client.send(W.parse("", "UPDATE pile SET v = v + 1") + W.bind("", "") + W.execute("") + extended(sql))
                #expect(try await client.until("Z").map(\.description) == ["1", "2", "C(UPDATE 6)", "1", "2", "n", "E(22012)", "Z(I)"])
                try await expectUntouched()
                // In a block, where what came before is kept by a savepoint.
                try await client.query("BEGIN")
                #expect(try await client.query("UPDATE pile SET v = 4").map(\.description) == ["C(UPDATE 6)", "Z(T)"])
                try await client.query("SAVEPOINT s")
                #expect(try await client.query(sql).map(\.description) == ["E(22012)", "Z(E)"])
                try await client.query("ROLLBACK TO s")
                #expect(try await client.query("UPDATE pile SET v = v - 4").map(\.description) == ["C(UPDATE 6)", "Z(T)"])
                #expect(try await client.query("COMMIT").first?.tag == "COMMIT")
                try await expectUntouched()
            }
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func whatWouldNotBeOnePostgreSQLsIsRefused() async throws {
            let keys = try await prepare()
            let client = try await cluster.login()
            try await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
            #expect(try await client.query("UPDATE pile SET v = 1").first?.field("D") == "PGM-ISOLATION")
            try await client.query("ROLLBACK")
            #expect(try await client.failure("SET pgmosaic.shard_key = '\(keys[0])'") == nil)
            #expect(try await client.query("UPDATE pile SET v = 1").first?.field("D") == "PGM-NO-KEY")
            #expect(try await client.failure("RESET pgmosaic.shard_key") == nil)
            try await client.send(extended("UPDATE pile SET v = r.v FROM ref r WHERE r.id = pile.v AND $1 = 'x'", ["now"]))
            #expect(try await client.until("Z").first { $0.kind == "E" }?.field("D")?.hasPrefix("PGM-NO-KEY") == true)
            try await client.query("BEGIN READ ONLY")
            #expect(try await client.failure("DELETE FROM pile") == "25006")
            try await client.query("ROLLBACK")
            try await expectUntouched()
            client.close()
        }

        // MARK: Losses

        private enum Form: CaseIterable { case simple, extended, block }

        /// It has written on the shards before the last, and sleeps there.
        private func sleeping(_ keys: [Int64], _ form: Form) async throws -> WireClient {
            let client = try await cluster.login()
            let sql = "UPDATE pile SET v = v + 1 + CASE WHEN k = \(keys[4]) THEN length(pg_sleep(120)::text) ELSE 0 END"
            switch form {
            case .simple: try await client.send(W.query(sql))
            case .extended: try await client.send(extended(sql))
            case .block:
                try await client.query("BEGIN")
                try await client.send(W.query(sql))
            }
            try await eventually("the last shard sleeps") {
                try await cluster.onShard(2, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
            }
            return client
        }

        @Test(arguments: [0, 2]) func aShardThatDiesLeavesNothing(victim: Int) async throws {
            let keys = try await prepare()
            for form in Form.allCases {
                let client = try await sleeping(keys, form)
                await cluster.servers[victim].kill()
                if victim != 2 {
                    try await cluster.onShard(2, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
                }
                let answer = try await client.until("Z")
                #expect(answer.contains { $0.kind == "E" } && !answer.contains { $0.kind == "C" }, "\(answer)")
                if form == .block { #expect(try await client.query("COMMIT").first?.tag != "COMMIT") }
                client.close()
                try await cluster.regain(victim)
                try await cluster.settled()
                try await expectUntouched()
            }
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aCancelLeavesNothing() async throws {
            let keys = try await prepare()
            for form in Form.allCases {
                let client = try await sleeping(keys, form)
                try await client.cancel(port: cluster.wirePort)
                #expect(try await client.until("Z").first { $0.kind == "E" }?.sqlState == "57014")
                client.close()
                try await cluster.expectNoLeak(clients: 0)
                try await expectUntouched()
            }
        }

        // MARK: Several at once

        /// Each waits on the first shard for the one before it, so none waits for another in a circle.
        @Test func manyAtOnceWaitForEachOther() async throws {
            _ = try await prepare()
            let cluster = cluster
            let codes = try await withThrowingTaskGroup(of: [String?].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let client = try await cluster.login()
                        defer { client.close() }
                        var codes: [String?] = []
                        for _ in 0..<10 { codes.append(try await client.failure("UPDATE pile SET v = v + 1")) }
                        return codes
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(codes == Array(repeating: nil, count: 40))
            #expect(try await values() == Array(repeating: "40,40", count: 3))
            try await cluster.settled()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aLockingReadLocksOnEveryShard() async throws {
            let keys = try await prepare()
            let (client, other) = (try await cluster.login(), try await cluster.login())
            try await client.query("BEGIN")
            try await client.send(extended("SELECT v FROM pile WHERE v < $1 FOR UPDATE", ["1"]))
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "T"] + Array(repeating: "D(0)", count: 6) + ["C(SELECT 6)", "Z(T)"])
            for key in [keys[0], keys[3], keys[5]] { #expect(try await other.failure("SELECT v FROM pile WHERE k = \(key) FOR UPDATE NOWAIT") == "55P03") }
            #expect(try await other.query("SELECT v FROM pile FOR UPDATE SKIP LOCKED").map(\.description) == ["T", "C(SELECT 0)", "Z(I)"])
            #expect(try await other.failure("SELECT v FROM pile FOR UPDATE NOWAIT") == "55P03")
            #expect(try await client.query("COMMIT").first?.tag == "COMMIT")
            #expect(try await other.query("SELECT v FROM pile FOR UPDATE NOWAIT").last?.status == "I")
            try await client.send(W.parse("", "SELECT v FROM pile FOR UPDATE") + W.bind("", "") + W.execute("", rowsMax: 2) + W.sync)
            #expect(try await client.until("Z").first { $0.kind == "E" }?.field("D") == "PGM-ROW-LIMIT")
            client.close()
            other.close()
            try await cluster.settled()
            try await cluster.expectNoLeak(clients: 0)
        }

        // MARK: While rows move

        @Test func itIsRefusedWhileThereIsAJobAndDoesNotWaitForItsHold() async throws {
            _ = try await prepare()
            let client = try await cluster.login()
            try await client.send(W.parse("early", "UPDATE pile SET v = 9") + W.sync)
            _ = try await client.until("Z")
            try await cluster.withJob {
                for _ in 0..<2 {
                    #expect(try await client.query("UPDATE pile SET v = 9").first?.field("D") == "PGM-ROWS-MOVE")
                    try await client.send(W.bind("", "early") + W.execute("") + W.sync)
                    #expect(try await client.until("Z").first { $0.kind == "E" }?.field("D") == "PGM-ROWS-MOVE")
                    try await cluster.hold(0, attempt: 1)
                }
            }
            try await expectUntouched()
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// It has written on one shard before the job, and would on the other one find the job's first rows: these belong to nobody yet.
        @Test func whatBeginsLateOnAShardIsTakenBackWhenAJobHasComeMeanwhile() async throws {
            let keys = try await prepare()
            for (sql, isInBlock) in [("UPDATE pile SET v = v + 1", false), ("UPDATE pile SET v = v + 1", true), ("UPDATE pile SET v = v + 1 WHERE k IN (\(keys[0]), \(keys[2]))", false)] {
                let (client, blocker) = (try await cluster.login(), try await cluster.shardSession(1))
                for sql in ["BEGIN", "LOCK TABLE pile IN ACCESS EXCLUSIVE MODE"] { #expect(try await blocker.failure(sql) == nil) }
                if isInBlock { try await client.query("BEGIN") }
                try await client.send(W.query(sql))
                try await eventually("it has written on one shard, and waits on the other") {
                    try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE pile%'") == "1"
                }
                try await cluster.withJob {
                    // A row of the first shard's, on its way.
                    for sql in ["INSERT INTO pile VALUES (\(keys[0]), 0)", "COMMIT"] { #expect(try await blocker.failure(sql) == nil) }
                    let answer = try await client.until("Z")
                    #expect(answer.map(\.description) == ["E(55006)", isInBlock ? "Z(E)" : "Z(I)"], "\(sql): \(answer)")
                    #expect(answer.first?.field("D") == "PGM-ROWS-MOVE")
                    if isInBlock { #expect(try await client.query("COMMIT").first?.tag == "ROLLBACK") }
                    #expect(try await cluster.onShard(1, "SELECT v FROM pile WHERE k = \(keys[0])") == "0")
                    try await cluster.onShard(1, "DELETE FROM pile WHERE k = \(keys[0])")
                }
                blocker.close()
                client.close()
                try await expectUntouched()
            }
            try await cluster.settled()
            try await cluster.expectNoLeak(clients: 0)
        }
    }
}
