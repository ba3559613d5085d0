import ClusterTestKit
import PostgresProcess
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

        @Test func aHintPlacesWhatThePlannerCannot() async throws {
            let client = try await cluster.login()
            for function in ["reader() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM kv'", "writer() RETURNS bigint LANGUAGE sql AS 'DELETE FROM kv RETURNING k'"] {
                #expect(try await client.failure("CREATE FUNCTION \(function)") == nil)
            }
            for shard in 0..<3 {
                for key in try await cluster.keys(on: shard, from: 10_000, count: shard + 1) { #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 1)") == nil) }
            }
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
            #expect(try await client.failure("BEGIN") == nil)
            #expect(try await code(client, "/* pgmosaic: shard_key=1 */ SELECT reader()") == "PGM-HINT")
            #expect(try await client.failure("ROLLBACK") == nil)
            #expect(try await code(client, "/* pgmosaic: shard_key=x */ SELECT reader()") == "PGM-HINT")
            client.close()
            try await cluster.expectNoLeak()
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
            #expect(try await code(client, "SELECT set_config('role', 'postgres', false)") == "PGM-ROLE")
            client.close()
            try await cluster.expectNoLeak()
        }
    }
}
