import CatalogStore
import ControlAPI
import ManagerService
import NIOPosix
import PostgresProcess
import RESTTestKit
import Secrets
import ShardModel
import Testing

/// Jobs over HTTP, on real PostgreSQL servers, without routers.
@Suite(.serialized, .postgresServer()) struct RealJobTests {
    private static let rows = 500

    private func run(_ name: String, _ body: @Sendable (PostgresServer, ManagerKit) async throws -> Void) async throws {
        let server = try #require(PostgresServerTrait.server)
        let box = SecretBox(key: Array(0..<32))
        let inspector = PostgresShardInspector(box: box, group: .singleton, timeout: .seconds(60))
        let work = PostgresServerWork(box: box, group: MultiThreadedEventLoopGroup.singleton)
        try await ManagerKit.run(inspector: inspector, serverWork: work, box: box) { kit in
            for shard in ["a", "b"] { try await server.createDatabase(name + shard) }
            try await kit.makeDatabase(vnodes: 8)
            try kit.expect(201, await RealServerTests.register(kit, "a", server.dsn(database: name + "a")))
            try kit.expect(201, await kit.declare("orders", "sharded", key: "id"))
            try kit.expect(201, await kit.declare("countries", "reference"))
            try await server.psql(
                """
                CREATE TABLE countries (code text PRIMARY KEY);
                INSERT INTO countries VALUES ('at'), ('jp');
                CREATE TABLE orders (id bigint PRIMARY KEY, country text NOT NULL REFERENCES countries, note text);
                INSERT INTO orders SELECT n, 'at', repeat('x', 100) FROM generate_series(1, \(Self.rows)) n;
                """, database: name + "a")
            try kit.expect(201, await RealServerTests.register(kit, "b", server.dsn(database: name + "b")))
            #expect(try await kit.store.load().shards[ShardID("b")]?.isJoining == true)
            try await body(server, kit)
        }
    }

    private func job(_ kit: ManagerKit, _ id: String, is status: String, step: String) async throws -> JSONValue {
        let deadline = ContinuousClock.now + .seconds(120)
        var last: JSONValue?
        repeat {
            last = try await kit.server.get("/api/v1/reshard/jobs/\(id)").json
            if let last, last["status"]?.stringValue == status, last["step"]?.stringValue == step { return last }
            try await Task.sleep(for: .milliseconds(50))
        } while deadline > .now
        throw RawHTTPError(description: "the job is not \(status) \(step): \(last.map { $0.text } ?? "")")
    }

    static func awaitStep(_ step: String, of id: String, _ kit: ManagerKit) async throws {
        let deadline = ContinuousClock.now + .seconds(300)
        var last: JSONValue?
        repeat {
            last = try await kit.server.get("/api/v1/reshard/jobs/\(id)").json
            if last?["step"]?.stringValue == step { return }
            if last?["status"]?.stringValue == "failed" { break }
            try await Task.sleep(for: .milliseconds(50))
        } while deadline > .now
        throw RawHTTPError(description: "the job is not \(step): \(last.map { $0.text } ?? "")")
    }

    private func count(_ server: PostgresServer, _ database: String) async throws -> Int {
        Int(try await server.psql("SELECT count(*) FROM orders", database: database)) ?? -1
    }

    @Test func aShardIsSplitOntoOneThatJoinsAndTheJobIsFinished() async throws {
        try await run("split") { server, kit in
            let begun = try await kit.server.post("/api/v1/reshard/split", ["source_shard_id": "a", "target_shards": ["b"]])
            try kit.expect(202, begun)
            let id = try #require(begun.json?["id"]?.stringValue)
            let guarded = try await job(kit, id, is: "completed", step: "guarding")
            #expect(guarded["pause_ms"] != nil)
            let moved = try await count(server, "splitb")
            #expect(moved > 0 && moved < Self.rows)
            #expect(try await server.psql("SELECT count(*) FROM countries", database: "splitb") == "2")
            try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(id)/finish", .null))
            let over = try await job(kit, id, is: "completed", step: "over")
            #expect(over["keys_migrated"] == .integer(Int64(moved)))
            #expect(try await count(server, "splita") == Self.rows - moved)
            #expect(try await server.psql("SELECT count(*) FROM pg_replication_slots", database: "splita") == "0")
            #expect(try await server.psql("SELECT count(*) FROM pg_publication", database: "splita") == "0")
            // All of it back again, onto a shard that is active.
            let merge = try await kit.server.post("/api/v1/reshard/merge", ["source_shard_ids": ["b"], "target_shard": "a"])
            try kit.expect(202, merge)
            let back = try #require(merge.json?["id"]?.stringValue)
            _ = try await job(kit, back, is: "completed", step: "guarding")
            #expect(try await count(server, "splita") == Self.rows)
            try kit.expect(200, await kit.server.post("/api/v1/reshard/jobs/\(back)/finish", .null))
            _ = try await job(kit, back, is: "completed", step: "over")
            #expect(try await count(server, "splitb") == 0)
            try kit.expect(204, await kit.server.delete("/api/v1/shards/b"))
        }
    }

    @Test func aJobThatCannotBeDoneFailsWithTheReasonAndLeavesNothing() async throws {
        try await run("fail") { server, kit in
            try await server.psql("ALTER TABLE orders DROP CONSTRAINT orders_pkey", database: "faila")
            let begun = try await kit.server.post("/api/v1/reshard/split", ["source_shard_id": "a", "target_shards": ["b"]])
            let id = try #require(begun.json?["id"]?.stringValue)
            let failed = try await job(kit, id, is: "failed", step: "over")
            #expect(failed["error_message"]?.stringValue?.contains("orders") == true, "\(failed.text)")
            #expect(try await count(server, "faila") == Self.rows)
            #expect(try await server.psql("SELECT count(*) FROM pg_replication_slots", database: "faila") == "0")
            #expect(try await kit.store.load().shards[ShardID("b")]?.isJoining == true)
        }
    }
}
