import ClusterTestKit
import PostgresProcess
import ShardModel
import Testing

extension FaultTests {
    /// A second shard comes while sessions keep what only the first one's server sessions know of.
    @Suite(.serialized) struct SecondShardTests {
        private static var options: TestCluster.Options {
            var options = TestCluster.Options(shards: 1)
            options.defaultPlacement = .local
            return options
        }

        private func has(_ shards: Int, _ cluster: TestCluster) async throws {
            try await eventually("the router knows of \(shards) shards, on each of its event loops") {
                for _ in 0..<6 {
                    let client = try await cluster.login()
                    defer { client.close() }
                    guard try await client.rows("SHOW pgmosaic.shards").first?[0]?.split(separator: ",").count == shards else { return false }
                }
                return true
            }
        }

        @Test(arguments: [
            "SELECT a FROM t", "INSERT INTO t VALUES (2)", "SELECT 1", "CREATE TABLE x (a int)", "BEGIN", "EXECUTE s", "DISCARD TEMP",
            "SHOW search_path", "SELECT 1; SELECT 2",
        ])
        func aSessionWithTemporaryTablesEndsAtItsNextStatement(statement: String) async throws {
            try await ends(["CREATE TEMP TABLE t AS SELECT 1 AS a", "PREPARE s AS SELECT a FROM t"], WireMessages.query(statement))
        }

        @Test func soDoesOneWhoseStateNobodyCanTell() async throws {
            try await ends(["DO $$ BEGIN EXECUTE 'SET my.x = 1'; END $$"], WireMessages.query("SELECT 1"))
        }

        @Test func soDoesOneInTheMiddleOfATransactionAndOneWithAPreparedStatement() async throws {
            try await ends(["BEGIN", "CREATE TEMP TABLE t (a int)"], WireMessages.query("COMMIT"))
            try await ends(["CREATE TEMP TABLE t AS SELECT 1 AS a"], prepares: "SELECT a FROM t", WireMessages.bind("", "named")
                + WireMessages.execute("") + WireMessages.sync)
        }

        @Test func soDoesATransactionThatHasChangedTheSchema() async throws {
            try await TestCluster.with(Self.options) { cluster in
                let (one, two) = (try await cluster.login(), try await cluster.login())
                for (client, name) in [(one, "x"), (two, "y")] { for sql in ["BEGIN",
                    "CREATE VIEW \(name) AS SELECT 1 AS a"] { #expect(try await client.failure(sql) == nil) } }
                try await cluster.withOneShardMore { _ in
                    try await has(2, cluster)
                    for (client, sql) in [(one, "COMMIT"), (two, "SELECT a FROM y")] {
                        try await client.send(WireMessages.query(sql))
                        #expect(try await client.untilEnd().map(\.description) == ["E(57P01)"])
                    }
                    try await eventually("nothing of it is left") { try await cluster.onShard(0,
                        "SELECT count(*) FROM pg_views WHERE viewname IN ('x', 'y')") == "0" }
                    try await cluster.expectNoLeak()
                }
            }
        }

        @Test func oneThatKeepsWhatIsKeptWithSeveralShardsGoesOn() async throws {
            try await TestCluster.with(Self.options) { cluster in
                let (one, two) = (try await cluster.login(), try await cluster.login())
                for sql in ["LISTEN news", "SELECT pg_advisory_lock(3)", "PREPARE s AS SELECT 5"] { #expect(try await one.failure(sql) == nil) }
                try await cluster.withOneShardMore { _ in
                    try await has(2, cluster)
                    #expect(try await one.rows("EXECUTE s") == [["5"]])
                    #expect(try await two.rows("SELECT pg_try_advisory_xact_lock(3)") == [["f"]])
                    // What is made now is not of the one shard.
                    #expect(try await one.failure("CREATE TEMP TABLE t (a int)") == nil)
                    #expect(try await one.rows("SELECT count(*) FROM t") == [["0"]])
                    #expect(try await two.failure("SELECT count(*) FROM t") == "42P01")
                    #expect(try await two.failure("NOTIFY news") == nil)
                    _ = try await one.until("A")
                }
            }
        }

        private func ends(_ before: [String], prepares: String? = nil, _ bytes: [UInt8]) async throws {
            try await TestCluster.with(Self.options) { cluster in
                let client = try await cluster.login()
                for sql in before { #expect(try await client.failure(sql) == nil, "\(sql)") }
                if let prepares {
                    try await client.send(WireMessages.parse("named", prepares) + WireMessages.sync)
                    #expect(try await client.until("Z").map(\.description) == ["1", "Z(I)"])
                }
                try await cluster.withOneShardMore { _ in
                    try await has(2, cluster)
                    try await client.send(bytes)
                    #expect(try await client.untilEnd().map(\.description) == ["E(57P01)"])
                    try await cluster.expectNoLeak()
                    let next = try await cluster.login()
                    #expect(try await next.failure("SELECT a FROM t") == "42P01")
                    next.close()
                }
            }
        }
    }
}
