import CatalogStore
import ClusterTestKit
import ServerConfig
import ShardModel
import Testing

extension FaultTests {
    /// What the catalog takes away, or adds, under sessions that are at work.
    @Suite(.serialized) struct CatalogChangeTests {
        private static var options: TestCluster.Options {
            var options = TestCluster.Options(shards: 2, tables: FaultClusterTrait.tables)
            options.router = {
                $0.loops = 1
                $0.poolSizeMax = 1
                // A server is made meanwhile.
                $0.poolWaitTimeout = .seconds(120)
            }
            return options
        }

        private func with(_ body: @Sendable (TestCluster) async throws -> Void) async throws {
            try await TestCluster.with(Self.options) { cluster in
                let client = try await cluster.login()
                for statement in FaultClusterTrait.statements { try #require(try await client.failure(statement) == nil) }
                client.close()
                try await body(cluster)
            }
        }

        /// The router hears of its own commit twice, of the store's watch and of the commit's end, in any order: the declaration is over when its loops have it.
        @Test func whoDeclaresATableMayMakeItAtOnce() async throws {
            var options = Self.options
            options.router = { $0.loops = 2 }
            try await TestCluster.with(options) { cluster in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lane in 0..<2 {
                        group.addTask {
                            let client = try await cluster.login()
                            for number in 0..<4 {
                                for sql in ["SELECT pgmosaic.shard_table('t\(lane)_\(number)', 'k')", "CREATE TABLE t\(lane)_\(number) (k bigint)"] {
                                    let error = try await client.query(sql).first { $0.kind == "E" }
                                    #expect(error == nil, "\(sql): \(error?.field("M") ?? "")")
                                }
                            }
                            client.close()
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }

        @Test func sessionsOfADatabaseThatIsDroppedEnd() async throws {
            try await with { cluster in
                let (idle, open, busy) = (try await cluster.login(), try await cluster.login(), try await cluster.login())
                for sql in ["BEGIN", "INSERT INTO kv VALUES (\(try await cluster.key(on: 1)), 1)"] { try #require(try await open.failure(sql) == nil) }
                try await busy.send(WireMessages.query("SELECT pg_sleep(120)"))
                try await eventually("it sleeps") {
                    try await cluster.onShard(0, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
                }
                let catalog = try await cluster.store.load()
                let database = try #require(catalog.databases[TestCluster.database])
                var operations = catalog.shards.values.map { CatalogChange.Operation.deleteShard(id: $0.id, version: $0.version) }
                operations += catalog.tables.values.map { .deleteTable(database: $0.database, name: $0.name, version: $0.version) }
                operations.append(.deleteDatabase(name: TestCluster.database, version: database.version))
                _ = try await cluster.store.commit(CatalogChange(operations, author: "test"), expecting: catalog.epoch)
                for client in [idle, open] { #expect(try await client.untilEnd().map(\.description) == ["E(57P01)"]) }
                #expect(try await busy.untilEnd().map(\.description).suffix(3) == ["E(57014)", "Z(I)", "E(57P01)"])
                // The router serves on.
                let next = try WireClient(port: cluster.wirePort)
                try await next.send(WireMessages.startup(["user": "test", "database": TestCluster.database]))
                #expect(try await next.untilEnd().map(\.description) == ["E(3D000)"])
                #expect(try await cluster.onShard(1, "SELECT count(*) FROM kv") == "0")
            }
        }

        /// It takes vnodes without a hold: what was planned before, and has not begun on the old owner, does not begin there any more, nor without the new shard.
        @Test(arguments: ["COPY kv FROM STDIN", "COPY kv TO STDOUT", "UPDATE ref SET v = 1"])
        func aShardThatComesWhileAStatementForAllIsBegunEndsIt(sql: String) async throws {
            try await with { cluster in
                let (holder, client) = (try await cluster.login(), try await cluster.login())
                for sql in ["BEGIN", "SELECT v FROM kv WHERE k = \(try await cluster.key(on: 1))"] { try #require(try await holder.failure(sql) == nil) }
                try await client.send(WireMessages.query(sql))
                try await eventually("it waits") { try await cluster.metric("pgmosaic_pool_waiting") == 1 }
                try await cluster.withOneShardMore { _ in
                    try await eventually("the router knows of the shard") {
                        let client = try await cluster.login()
                        defer { client.close() }
                        return try await client.rows("SHOW pgmosaic.shards").first?[0]?.split(separator: ",").count == 3
                    }
                    let answers = try await client.until("Z").map(\.description)
                    // Before it has a connection to the old owner, or when the first of several was cut off.
                    #expect(answers.suffix(2) == ["E(08001)", "Z(I)"] || answers.suffix(2) == ["E(08006)", "Z(I)"], "\(answers)")
                    #expect(try await holder.failure("SELECT v FROM kv WHERE k = \(try await cluster.key(on: 1))") == "08006")
                    holder.close()
                    #expect(try await client.rows("SHOW pgmosaic.database") == [["shop"]])
                }
            }
        }
    }
}
