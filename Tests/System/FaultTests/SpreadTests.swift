import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// One statement that writes rows of several shards: all of it happens, or nothing, and its answer is that of one PostgreSQL.
    @Suite(.faultCluster(), .serialized)
    struct SpreadTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// Two new keys on each shard, in turn.
        private func keys() async throws -> [Int64] {
            let first = Int64.random(in: 1...1_000_000_000_000)
            var keys: [Int64] = []
            for index in cluster.servers.indices { keys += try await cluster.keys(on: index, from: first, count: 2) }
            return (0..<2).flatMap { place in cluster.servers.indices.map { keys[2 * $0 + place] } }
        }

        private func found(_ keys: [Int64]) async throws -> [String?] {
            let client = try await cluster.login()
            defer { client.close() }
            var values: [String?] = []
            for key in keys { values.append(try await client.rows("SELECT v FROM kv WHERE k = \(key)").first?[0]) }
            return values
        }

        private func list(_ keys: [Int64]) -> String { keys.map(String.init).joined(separator: ", ") }

        @Test func anInsertOfManyRowsAnswersInTheirOrder() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            let rows = keys.enumerated().map { "(\($1), \($0))" }.joined(separator: ", ")
            let answer = try await client.query("INSERT INTO kv (k, v) VALUES \(rows) RETURNING v * 10, k;")
            #expect(answer.map(\.description) == ["T"] + keys.enumerated().map { "D(\($0 * 10),\($1))" } + ["C(INSERT 0 6)", "Z(I)"])
            #expect(try await found(keys) == ["0", "1", "2", "3", "4", "5"])
            #expect(try await client.query("UPDATE kv SET v = v + 1 WHERE k IN (\(list(keys))) AND v > 1").map(\.description) == ["C(UPDATE 4)", "Z(I)"])
            #expect(try await client.query("DELETE FROM kv WHERE k = ANY ('{\(list(keys))}') AND v <> 3").map(\.description) == ["C(DELETE 5)", "Z(I)"])
            #expect(try await found(keys) == [nil, nil, "3", nil, nil, nil])
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        @Test func oneRowThatFailsUndoesAllOthers() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            #expect(try await client.failure("INSERT INTO kv VALUES (\(keys[4]), 7)") == nil)
            let rows = keys.map { "(\($0), 1)" }.joined(separator: ", ")
            #expect(try await client.failure("INSERT INTO kv VALUES \(rows)") == "23505")
            #expect(try await client.failure("UPDATE kv SET v = 1 / (v - 7) WHERE k IN (\(list(keys)))") == "22012")
            #expect(try await found(keys) == [nil, nil, nil, nil, "7", nil])
            // And in a block, where what came before is undone, too.
            try await client.query("BEGIN")
            #expect(try await client.failure("INSERT INTO kv VALUES (\(keys[0]), 1)") == nil)
            try await client.query("SAVEPOINT s")
            #expect(try await client.failure("INSERT INTO kv VALUES \(rows)") == "23505")
            try await client.query("ROLLBACK TO s")
            let others = keys.filter { $0 != keys[0] && $0 != keys[4] }.map { "(\($0), 1)" }.joined(separator: ", ")
            #expect(try await client.query("INSERT INTO kv VALUES \(others)").map(\.description) == ["C(INSERT 0 4)", "Z(T)"])
            #expect(try await client.query("COMMIT").first?.tag == "COMMIT")
            #expect(try await found(keys) == ["1", "1", "1", "1", "7", "1"])
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        @Test func onConflictSkipsAndUpdates() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            #expect(try await client.failure("INSERT INTO kv VALUES (\(keys[1]), 7), (\(keys[3]), 7)") == nil)
            let rows = keys.map { "(\($0), 1)" }.joined(separator: ", ")
            #expect(try await client.query("INSERT INTO kv VALUES \(rows) ON CONFLICT DO NOTHING").first?.tag == "INSERT 0 4")
            let answer = try await client.query("INSERT INTO kv VALUES \(rows) ON CONFLICT (k) DO UPDATE SET v = kv.v + excluded.v RETURNING k, v")
            #expect(answer.filter { $0.kind == "D" }.map(\.row) == zip(keys, ["2", "8", "2", "8", "2", "2"]).map { [String($0), $1] })
            client.close()
        }

        @Test func parametersAndArraysWorkInTheExtendedProtocol() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            let places = keys.indices.map { "($\(2 * $0 + 2), $\(2 * $0 + 1))" }.joined(separator: ", ")
            let values = keys.enumerated().flatMap { ["\($0)", "\($1)"] }
            try await client.send(
                WireMessages.parse("many", "INSERT INTO kv (k, v) VALUES \(places) RETURNING k") + WireMessages.describe("S", "many")
                    + WireMessages.bind("p", "many", values) + WireMessages.describe("P", "p") + WireMessages.execute("p") + WireMessages.sync)
            let inserted = try await client.until("Z").map(\.description)
            #expect(inserted == ["1", "t", "T", "2", "T"] + keys.map { "D(\($0))" } + ["C(INSERT 0 6)", "Z(I)"])
            // Twice in one pipeline, the second time with an error: nothing of either stays.
            let array = "{\(list(keys))}"
            let update = WireMessages.parse("", "UPDATE kv SET v = v + 10 / $2 WHERE k = ANY($1)")
            try await client.send(
                update + WireMessages.bind("", "", [array, "1"]) + WireMessages.execute("") + WireMessages.bind("", "", [array, "0"]) + WireMessages.execute("")
                    + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "C(UPDATE 6)", "2", "E(22012)", "Z(I)"])
            #expect(try await found(keys) == ["0", "1", "2", "3", "4", "5"])
            try await client.send(update + WireMessages.bind("", "", [array, "1"]) + WireMessages.execute("") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "C(UPDATE 6)", "Z(I)"])
            #expect(try await found(keys) == ["10", "11", "12", "13", "14", "15"])
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        @Test func whatOneShardCouldNotDecideAloneIsRefused() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            for statement in [
                "SELECT v FROM kv WHERE k IN (\(list(keys))) FOR UPDATE", "UPDATE kv SET v = (SELECT max(v) FROM kv WHERE k IN (\(list(keys)))) WHERE k IN (\(list(keys)))",
                "UPDATE kv SET v = (SELECT (random() * 100)::int) WHERE k IN (\(list(keys)))", "DELETE FROM kv USING ref WHERE k IN (\(list(keys))) AND v = (SELECT id FROM ref LIMIT 1)",
                "WITH gone AS (DELETE FROM kv WHERE k IN (\(list(keys))) RETURNING k) SELECT count(*) FROM gone",
                "INSERT INTO kv VALUES (\(keys[0]), generate_series(1, 1)), (\(keys[1]), 2)", "EXPLAIN UPDATE kv SET v = 1 WHERE k IN (\(list(keys)))",
            ] {
                let answer = try await client.query(statement)
                #expect(answer.first { $0.kind == "E" }?.field("D")?.hasPrefix("PGM-") == true, "\(statement): \(answer)")
            }
            // The same value of a reference table everywhere is fine.
            #expect(try await client.failure("UPDATE kv SET v = (SELECT count(*) FROM ref) WHERE k IN (\(list(keys)))") == nil)
            client.close()
        }

        @Test func theAnswersOfAllShardsTogetherAreBounded() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            let rows = keys.map { "(\($0), 1)" }.joined(separator: ", ")
            // Three megabytes a row: each shard's part would do.
            #expect(try await client.failure("INSERT INTO kv VALUES \(rows) RETURNING repeat('x', 3000000)") == "54000")
            #expect(try await found(keys) == Array(repeating: nil, count: 6))
            #expect(try await client.failure("INSERT INTO kv VALUES \(rows) RETURNING repeat('x', 2000000)") == nil)
            #expect(try await client.failure("UPDATE kv SET v = 2 WHERE k IN (\(list(keys))) RETURNING repeat('x', 3000000)") == "54000")
            #expect(try await found(keys) == Array(repeating: "1", count: 6))
            client.close()
        }

        @Test func aHintedWriteIsNotSpread() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            for prefix in ["/* pgmosaic: shard_key=\(keys[0]) */ ", ""] {
                if prefix.isEmpty { try await client.query("SET pgmosaic.shard_key = '\(keys[0])'") }
                let answer = try await client.query("\(prefix)INSERT INTO kv VALUES (\(keys[0]), 1), (\(keys[1]), 1)")
                #expect(answer.first { $0.kind == "E" }?.field("D") == "PGM-MANY-SHARDS", "\(answer)")
            }
            #expect(try await found(keys) == Array(repeating: nil, count: 6))
            client.close()
        }

        /// As drivers do before they COPY.
        @Test func aSelectWithoutTheKeyIsDescribedAndNotRun() async throws {
            let client = try await cluster.login()
            for name in ["", "s"] {
                for beginning in [[UInt8](), WireMessages.query("BEGIN")] {
                    try await client.send(beginning + WireMessages.parse(name, "select a.k, b.v from kv a join kv b on a.v = b.v for update") + WireMessages.describe("S", name) + WireMessages.sync)
                    if !beginning.isEmpty { _ = try await client.until("Z") }
                    #expect(try await client.until("Z").dropLast().map(\.description) == ["1", "t", "T"])
                    try await client.send(WireMessages.bind("", name) + WireMessages.execute("") + WireMessages.sync)
                    let answer = try await client.until("Z")
                    #expect(answer.first?.field("D") == "PGM-NO-KEY", "\(answer)")
                    try await client.send(WireMessages.query("ROLLBACK") + WireMessages.close("S", name) + WireMessages.sync)
                    for _ in 0..<2 { _ = try await client.until("Z") }
                }
            }
            // What would write is refused at once.
            try await client.send(WireMessages.parse("", "DELETE FROM kv USING kv b WHERE kv.v = b.v") + WireMessages.sync)
            #expect(try await client.until("Z").first?.field("D") == "PGM-NO-KEY")
            client.close()
            try await cluster.expectNoLeak()
        }

        /// The transaction before it ended on the last of three shards; this one has two.
        @Test func whatFollowsOnFewerShardsThanBeforeFindsItsShard() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            try await client.query("BEGIN")
            for key in keys.prefix(3) { #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 1)") == nil) }
            try await client.query("COMMIT")
            let statements = ["UPDATE kv SET v = 2 WHERE k IN (\(keys[0]), \(keys[1]))", "SHOW server_version", "SELECT 1"]
            try await client.send(
                statements.flatMap { WireMessages.parse("", $0) + WireMessages.bind("", "") + WireMessages.execute("") } + WireMessages.sync)
            #expect(try await client.until("Z").compactMap(\.tag) == ["UPDATE 2", "SHOW", "SELECT 1"])
            #expect(try await found(keys) == ["2", "2", "1", nil, nil, nil])
            client.close()
        }

        @Test func aShardThatIsKilledMeanwhileUndoesTheOthers() async throws {
            let keys = try await keys()
            let client = try await cluster.login()
            #expect(try await client.failure("INSERT INTO kv VALUES " + keys.map { "(\($0), 0)" }.joined(separator: ", ")) == nil)
            try await client.send(WireMessages.query("UPDATE kv SET v = v + 1 + length(pg_sleep(60)::text) WHERE k IN (\(list([keys[0], keys[1], keys[2]])))"))
            try await eventually("it sleeps on the first shard") {
                try await cluster.onShard(0, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
            }
            await cluster.servers[0].kill()
            let answer = try await client.until("Z").map(\.description)
            #expect(answer == ["E(08006)", "Z(I)"])
            try await cluster.regain(0)
            #expect(try await found(keys) == ["0", "0", "0", "0", "0", "0"])
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }
    }
}
