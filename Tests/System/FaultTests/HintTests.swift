import ClusterTestKit
import PostgresProcess
import ShardModel
import Testing

extension FaultTests {
    /// Hints place what the planner cannot, read only, and never against a key.
    @Suite(.faultCluster(), .serialized)
    struct HintTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func code(_ client: WireClient, _ sql: String) async throws -> String? {
            let error = try await client.query(sql).first { $0.kind == "E" }
            return error.map { $0.field("D")?.hasPrefix("PGM-") == true ? $0.field("D")! : $0.sqlState! }
        }

        /// A session, with functions that the planner cannot see into and another number of rows on each shard.
        private func furnished() async throws -> WireClient {
            let client = try await cluster.login()
            for function in [
                "reader() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM kv'", "writer() RETURNS bigint LANGUAGE sql AS 'DELETE FROM kv RETURNING k'",
                "breaker(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) / $1 FROM kv'",
                "setter() RETURNS text LANGUAGE sql AS 'SELECT set_config(''app.left_behind'', ''yes'', false)'",
            ] { #expect(try await client.failure("CREATE OR REPLACE FUNCTION \(function)") == nil) }
            for shard in 0..<3 {
                for key in try await cluster.keys(on: shard, from: 10_000, count: shard + 1) {
                    #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 1) ON CONFLICT DO NOTHING") == nil)
                }
            }
            return client
        }

        private func count(on shard: Int) async throws -> String { try await cluster.onShard(shard, "SELECT count(*) FROM kv") }

        /// A batch's answers, and Sync's.
        private func batch(_ client: WireClient, _ messages: [UInt8]...) async throws -> [WireClient.Message] {
            try await client.send(messages.flatMap { $0 } + WireMessages.sync)
            return try await client.until("Z")
        }

        /// Parse, Bind, Describe and Execute of one statement without names.
        private func run(_ sql: String, _ parameters: [String?] = []) -> [UInt8] {
            WireMessages.parse("", sql) + WireMessages.bind("", "", parameters) + WireMessages.describe("P", "") + WireMessages.execute("")
        }

        private func descriptions(_ messages: [WireClient.Message]) -> [String] {
            messages.map { $0.kind == "E" && $0.field("D")?.hasPrefix("PGM-") == true ? "E(\($0.field("D")!))" : $0.description }
        }

        @Test func aHintPlacesWhatThePlannerCannot() async throws {
            let client = try await furnished()
            #expect(try await code(client, "SELECT reader()") == "PGM-USER-FUNCTION")
            for shard in 0..<3 {
                let key = try await cluster.key(on: shard)
                let count = try await cluster.onShard(shard, "SELECT count(*) FROM kv")
                for sql in [
                    "/* pgmosaic: shard_key=\(key) */ SELECT reader()", "SELECT reader() /* pgmosaic: shard_key='\(key)' */ ;",
                    "/* pgmosaic: shard_key=\(key) */ SELECT count(*) FROM kv",
                ] { #expect(try await client.rows(sql) == [[count]], "\(sql)") }
                #expect(try await client.failure("SET pgmosaic.shard_key = '\(key)'") == nil)
                #expect(try await client.query("SELECT count(*) FROM kv").map(\.description) == ["T", "D(\(count))", "C(SELECT 1)", "Z(I)"])
                // What the hint places cannot write, and says so.
                #expect(try await code(client, "SELECT writer()") == "25006")
                #expect(try await code(client, "WITH d AS (DELETE FROM kv RETURNING k) SELECT count(*) FROM d") == "25006")
                #expect(try await code(client, "DELETE FROM kv") == "PGM-NO-KEY")
                #expect(try await code(client, "SELECT reader(); COMMIT; DELETE FROM kv") != nil)
                #expect(try await cluster.onShard(shard, "SELECT count(*) FROM kv") == count)
                #expect(try await client.failure("RESET pgmosaic.shard_key") == nil)
            }
            #expect(try await code(client, "/* pgmosaic: shard_key=x */ SELECT reader()") == "PGM-HINT")
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aHintPlacesStatementsOfTheExtendedProtocol() async throws {
            let client = try await furnished()
            #expect(descriptions(try await batch(client, run("SELECT reader()"))) == ["E(PGM-USER-FUNCTION)", "Z(I)"])
            for shard in 0..<3 {
                let key = try await cluster.key(on: shard)
                let count = try await count(on: shard)
                // Twice: the second time the router knows the text.
                for _ in 0..<2 {
                    #expect(
                        descriptions(try await batch(client, run("/* pgmosaic: shard_key=\(key) */ SELECT reader() + $1", ["1"])))
                            == ["1", "2", "T", "D(\(Int(count)! + 1))", "C(SELECT 1)", "Z(I)"])
                }
                // Under a name, described, and used in batches of its own.
                let sql = "SELECT count(*), reader() FROM kv WHERE v < $1 /* pgmosaic: shard_key=\(key) */"
                #expect(
                    descriptions(try await batch(client, WireMessages.parse("named", sql), WireMessages.describe("S", "named"))) == ["1", "t", "T", "Z(I)"])
                for _ in 0..<2 {
                    #expect(
                        descriptions(try await batch(client, WireMessages.bind("p", "named", ["1000"]), WireMessages.execute("p")))
                            == ["2", "D(\(count),\(count))", "C(SELECT 1)", "Z(I)"])
                }
                #expect(descriptions(try await batch(client, WireMessages.close("S", "named"))) == ["3", "Z(I)"])
                // The session's own key, which a statement may be older than.
                #expect(descriptions(try await batch(client, run("SET pgmosaic.shard_key = '\(key)'"))) == ["1", "2", "n", "C(SET)", "Z(I)"])
                #expect(descriptions(try await batch(client, WireMessages.parse("later", "SELECT reader()"))) == ["1", "Z(I)"])
                #expect(
                    descriptions(try await batch(client, WireMessages.bind("", "later"), WireMessages.execute(""))) == ["2", "D(\(count))", "C(SELECT 1)", "Z(I)"])
                #expect(try await client.failure("RESET pgmosaic.shard_key") == nil)
                #expect(
                    descriptions(try await batch(client, WireMessages.bind("", "later"), WireMessages.execute(""))) == ["E(PGM-USER-FUNCTION)", "Z(I)"])
                #expect(descriptions(try await batch(client, WireMessages.close("S", "later"))) == ["3", "Z(I)"])
                // It cannot write, neither by a function nor by itself.
                for write in ["SELECT writer()", "WITH d AS (DELETE FROM kv RETURNING k) SELECT count(*) FROM d"] {
                    let answer = descriptions(try await batch(client, run("/* pgmosaic: shard_key=\(key) */ \(write)")))
                    #expect(answer.suffix(2) == ["E(25006)", "Z(I)"], "\(answer)")
                }
                #expect(try await self.count(on: shard) == count)
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aPipelineOfHintedStatementsReachesEachShard() async throws {
            let client = try await furnished()
            let keys = try await cluster.keys(on: 0) + cluster.keys(on: 1) + cluster.keys(on: 2)
            let fresh = try await cluster.key(on: 1, from: 20_000)
            var counts: [String] = []
            for shard in 0..<3 { counts.append(try await count(on: shard)) }
            let reads = keys.map { run("/* pgmosaic: shard_key=\($0) */ SELECT reader()") }
            let answered = ["1", "2", "T", "D(?)", "C(SELECT 1)"]
            let expected = counts.flatMap { count in answered.map { $0 == "D(?)" ? "D(\(count))" : $0 } }
            #expect(descriptions(try await batch(client, reads[0], reads[1], reads[2])) == expected + ["Z(I)"])
            // In the transaction of a pipeline that has written, and writes on: seen, and committed by Sync.
            let written = descriptions(
                try await batch(client, run("INSERT INTO kv VALUES ($1, 1)", ["\(fresh)"]), reads[0], reads[1], reads[2], run("UPDATE kv SET v = 2 WHERE k = $1", ["\(fresh)"])))
            counts[1] = "\(Int(counts[1])! + 1)"
            #expect(written.filter { $0.hasPrefix("D") } == counts.map { "D(\($0))" }, "\(written)")
            #expect(written.suffix(2) == ["C(UPDATE 1)", "Z(I)"], "\(written)")
            #expect(try await client.rows("SELECT v FROM kv WHERE k = \(fresh)") == [["2"]])
            // One that fails undoes the pipeline.
            let broken = descriptions(
                try await batch(
                    client, run("DELETE FROM kv WHERE k = $1", ["\(fresh)"]), run("/* pgmosaic: shard_key=\(keys[2]) */ SELECT breaker($1)", ["0"]), reads[0]))
            #expect(broken.suffix(3) == ["T", "E(22012)", "Z(I)"], "\(broken)")
            #expect(try await client.failure("DELETE FROM kv WHERE k = \(fresh)") == nil)
            #expect(try await count(on: 1) == "\(Int(counts[1])! - 1)")
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func inATransactionAHintedStatementReadsItsWritesAndLeavesItWritable() async throws {
            let client = try await furnished()
            let (here, there) = (try await cluster.key(on: 1, from: 30_000), try await cluster.key(on: 2, from: 30_000))
            let before = Int(try await count(on: 1))!
            let hinted = "/* pgmosaic: shard_key=\(here) */ SELECT reader()"
            #expect(try await client.failure("BEGIN") == nil)
            #expect(try await client.failure("INSERT INTO kv VALUES (\(here), 1)") == nil)
            #expect(try await client.rows(hinted) == [["\(before + 1)"]])
            #expect(descriptions(try await batch(client, run(hinted))) == ["1", "2", "T", "D(\(before + 1))", "C(SELECT 1)", "Z(T)"])
            // A second shard joins, and both can still be written.
            #expect(try await client.rows("/* pgmosaic: shard_key=\(there) */ SELECT reader()") == [[try await count(on: 2)]])
            for key in [here, there] { #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 3) ON CONFLICT (k) DO UPDATE SET v = 3") == nil) }
            #expect(try await client.failure("SAVEPOINT before") == nil)
            for protocolStep in 0..<2 {
                let answer = protocolStep == 0 ? try await client.query("\(hinted.replacing("reader", with: "writer"))") : try await batch(client, run(hinted.replacing("reader", with: "writer")))
                #expect(descriptions(answer).suffix(2) == ["E(25006)", "Z(E)"])
                #expect(try await client.failure(hinted) == "25P02")
                #expect(try await client.failure("ROLLBACK TO before") == nil)
            }
            #expect(try await client.rows(hinted) == [["\(before + 1)"]])
            #expect(try await client.query("COMMIT").map(\.description) == ["C(COMMIT)", "Z(I)"])
            for key in [here, there] {
                #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["3"]])
                #expect(try await client.failure("DELETE FROM kv WHERE k = \(key)") == nil)
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func sqlPrepareKeepsItsHint() async throws {
            let client = try await furnished()
            for shard in 0..<3 {
                let key = try await cluster.key(on: shard)
                let other = try await cluster.key(on: (shard + 1) % 3)
                let count = try await count(on: shard)
                let comment = "/* pgmosaic: shard_key=\(key) */"
                for prepare in ["PREPARE p(bigint) AS \(comment) SELECT reader() * $1", "\(comment) PREPARE p(bigint) AS SELECT reader() * $1"] {
                    #expect(try await client.failure(prepare) == nil, "\(prepare)")
                    #expect(try await client.rows("EXECUTE p(1)") == [[count]])
                    #expect(descriptions(try await batch(client, run("EXECUTE p(1)"))) == ["1", "2", "T", "D(\(count))", "C(SELECT 1)", "Z(I)"])
                    // That of an EXECUTE comes first.
                    #expect(try await client.rows("/* pgmosaic: shard_key=\(other) */ EXECUTE p(1)") == [[try await self.count(on: (shard + 1) % 3)]])
                    #expect(try await client.failure("DEALLOCATE p") == nil)
                }
                #expect(try await client.failure("PREPARE w AS \(comment) SELECT writer()") == nil)
                #expect(try await client.failure("EXECUTE w") == "25006")
                #expect(try await client.failure("DEALLOCATE w") == nil)
                // Of one that has a key, too, it must not contradict.
                #expect(try await client.failure("PREPARE k(bigint) AS SELECT v FROM kv WHERE k = $1") == nil)
                #expect(try await code(client, "EXECUTE k(\(key)) /* pgmosaic: shard_key=\(other) */") == "PGM-SHARD-KEY")
                #expect(try await code(client, "EXECUTE k(\(key)) \(comment)") == nil)
                #expect(try await client.failure("DEALLOCATE k") == nil)
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aHintContradictsNoKeyOfAStatementThatOnlyItPlaces() async throws {
            let client = try await furnished()
            let (here, there) = (try await cluster.key(on: 1), try await cluster.key(on: 2))
            let hint = "/* pgmosaic: shard_key=\(there) */"
            for condition in ["k = \(here)", "kv.k = '\(here)'", "k IN (\(there), \(here))", "(k, v) = (\(here), 1)", "k = ANY ('{\(here)}')", "\(here)::bigint = k"] {
                #expect(try await code(client, "\(hint) SELECT reader() FROM kv WHERE \(condition)") == "PGM-SHARD-KEY", "\(condition)")
            }
            for condition in ["k = \(there)", "k IN (\(there))", "v = \(here)"] {
                #expect(try await code(client, "\(hint) SELECT reader() FROM kv WHERE \(condition)") == nil, "\(condition)")
            }
            for (key, answer) in [(here, "E(PGM-SHARD-KEY)"), (there, "C(SELECT 0)")] {
                let sql = "\(hint) SELECT reader() FROM kv WHERE k = $1 AND v = -1"
                #expect(descriptions(try await batch(client, run(sql, ["\(key)"]))).contains(answer))
                #expect(try await client.failure("PREPARE p(bigint) AS \(sql)") == nil)
                #expect(descriptions(try await client.query("EXECUTE p(\(key))")).contains(answer))
                #expect(try await client.failure("DEALLOCATE p") == nil)
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aHintedFunctionLeavesNothingBehind() async throws {
            let client = try await furnished()
            let key = try await cluster.key(on: 2)
            let hinted = "/* pgmosaic: shard_key=\(key) */ SELECT setter()"
            let look = "SELECT current_setting('app.left_behind', true), count(*) FROM kv WHERE k = \(key) AND v < 0"
            for block in [false, true] {
                if block { #expect(try await client.failure("BEGIN") == nil) }
                #expect(try await client.rows(hinted) == [["yes"]])
                #expect(descriptions(try await batch(client, run(hinted))).contains("D(yes)"))
                if block { #expect(try await client.failure("COMMIT") == nil) }
                for _ in 0..<4 { #expect(try await client.rows(look).first?.first != "yes") }
            }
            client.close()
        }

        @Test func aHintedPortalGivesItsRowsOnce() async throws {
            let client = try await furnished()
            let key = try await cluster.key(on: 2)
            let statement = WireMessages.parse("", "/* pgmosaic: shard_key=\(key) */ SELECT reader(), * FROM generate_series(1, 5)") + WireMessages.bind("p", "")
            #expect(
                descriptions(try await batch(client, statement, WireMessages.execute("p", rowsMax: 2))).map { $0.hasPrefix("D") ? "D" : $0 }
                    == ["1", "2", "D", "D", "s", "Z(I)"])
            let twice = descriptions(try await batch(client, statement, WireMessages.execute("p", rowsMax: 2), WireMessages.execute("p", rowsMax: 2)))
            #expect(twice.suffix(3) == ["s", "E(PGM-HINT)", "Z(I)"], "\(twice)")
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aHintedStatementWhoseColumnsHaveChangedSaysSo() async throws {
            let client = try await furnished()
            let key = try await cluster.key(on: 0)
            for sql in ["SELECT pgmosaic.shard_table('hinted', 'k')", "CREATE TABLE hinted (k bigint PRIMARY KEY)"] { #expect(try await client.failure(sql) == nil) }
            let parse = WireMessages.parse("columns", "/* pgmosaic: shard_key=\(key) */ SELECT *, reader() FROM hinted")
            #expect(descriptions(try await batch(client, parse, WireMessages.describe("S", "columns"))) == ["1", "t", "T", "Z(I)"])
            let use = WireMessages.bind("", "columns") + WireMessages.execute("")
            #expect(descriptions(try await batch(client, use)) == ["2", "C(SELECT 0)", "Z(I)"])
            #expect(try await client.failure("ALTER TABLE hinted ADD COLUMN v int") == nil)
            #expect(descriptions(try await batch(client, use)) == ["E(0A000)", "Z(I)"])
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func hintedStatementsStandAmongOthersInOneQuery() async throws {
            let client = try await furnished()
            let (key, fresh) = (try await cluster.key(on: 2), try await cluster.key(on: 1, from: 40_000))
            let count = try await count(on: 2)
            #expect(try await client.failure("SET pgmosaic.shard_key = '\(key)'") == nil)
            #expect(
                descriptions(try await client.query("SELECT reader(); SELECT 1; SELECT reader()"))
                    == ["D(\(count))", "D(1)", "D(\(count))"].flatMap { ["T", $0, "C(SELECT 1)"] } + ["Z(I)"])
            #expect(try await client.failure("RESET pgmosaic.shard_key") == nil)
            // In the one transaction of all of them, which an error undoes.
            for (divisor, outcome) in [("1", "C(INSERT 0 1)"), ("0", "E(22012)")] {
                let list = "INSERT INTO kv VALUES (\(fresh), 1); /* pgmosaic: shard_key=\(key) */ SELECT breaker(\(divisor)); DELETE FROM kv WHERE k = \(fresh); INSERT INTO kv VALUES (\(fresh), 2)"
                let answer = descriptions(try await client.query(list))
                #expect(answer.suffix(2) == [outcome, "Z(I)"], "\(answer)")
                #expect(try await client.rows("DELETE FROM kv WHERE k = \(fresh) RETURNING v") == (divisor == "1" ? [["2"]] : []))
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aHintedStatementIsExplained() async throws {
            let client = try await furnished()
            let key = try await cluster.key(on: 1)
            let hinted = "/* pgmosaic: shard_key=\(key) */ SELECT writer()"
            #expect(try await client.failure("SET pgmosaic.explain = on") == nil)
            let shard = TestCluster.id(of: 1).name
            #expect(try await client.rows(hinted).first?.prefix(2) == ["hint", shard])
            #expect(descriptions(try await batch(client, run(hinted))).contains { $0.hasPrefix("D(hint,\(shard),") })
            client.close()
        }

        @Test func aHintNeverOverridesAKey() async throws {
            let client = try await cluster.login()
            let (here, there) = (try await cluster.key(on: 1), try await cluster.key(on: 2))
            #expect(try await code(client, "/* pgmosaic: shard_key=\(there) */ SELECT v FROM kv WHERE k = \(here)") == "PGM-SHARD-KEY")
            #expect(try await code(client, "/* pgmosaic: shard_key=\(here) */ SELECT v FROM kv WHERE k = \(here)") == nil)
            #expect(try await code(client, "DELETE FROM kv WHERE k = \(here) /* pgmosaic: shard_key=\(there) */") == "PGM-SHARD-KEY")
            try await client.send(
                WireMessages.parse("", "/* pgmosaic: shard_key=\(there) */ SELECT v FROM kv WHERE k = $1") + WireMessages.bind("", "", ["\(here)"]) + WireMessages.sync)
            #expect(try await client.until("Z").first { $0.kind == "E" }?.field("D") == "PGM-SHARD-KEY")
            client.close()
        }

        @Test func setConfigFollowsTheSession() async throws {
            let client = try await cluster.login()
            #expect(try await client.query("SELECT set_config('app.user', 'ada', false)").map(\.description) == ["T", "D(ada)", "C(SELECT 1)", "Z(I)"])
            for shard in 0..<3 {
                let key = try await cluster.key(on: shard)
                #expect(try await client.rows("SELECT current_setting('app.user'), count(*) FROM kv WHERE k = \(key) AND v < 0") == [["ada", "0"]])
            }
            for statement in ["BEGIN", "SELECT set_config('app.user', 'eve', true)"] { #expect(try await client.failure(statement) == nil) }
            for shard in 0..<3 {
                let key = try await cluster.key(on: shard)
                #expect(try await client.rows("SELECT current_setting('app.user'), count(*) FROM kv WHERE k = \(key) AND v < 0") == [["eve", "0"]])
            }
            #expect(try await client.failure("COMMIT") == nil)
            #expect(try await client.rows("SELECT current_setting('app.user')") == [["ada"]])
            #expect(try await code(client, "SELECT set_config('session_authorization', 'postgres', false)") == "PGM-ROLE")
            client.close()
            try await cluster.expectNoLeak()
        }
    }
}
