import CatalogStore
import ControlAPI
import Foundation
import ManagerService
import NIOPosix
import PostgresProcess
import RESTTestKit
import Secrets
import ShardModel
import Testing

/// The manager's own inspector against a real PostgreSQL server, over HTTP. Each test has databases of its own on the suite's one server.
@Suite(.serialized, .postgresServer()) struct RealServerTests {
    static func run(_ body: @Sendable (PostgresServer, ManagerKit) async throws -> Void) async throws {
        let server = try #require(PostgresServerTrait.server)
        let box = SecretBox(key: Array(0..<32))
        let inspector = PostgresShardInspector(box: box, group: .singleton, timeout: .seconds(60))
        try await ManagerKit.run(inspector: inspector, box: box) { try await body(server, $0) }
    }

    static func register(_ kit: ManagerKit, _ id: String, _ endpoint: String) async throws -> HTTPAnswer {
        // A machine under load may take long to answer.
        let endpoint = endpoint + (endpoint.contains("?") ? "&" : "?") + "connect_timeout=120"
        return try await kit.server.post("/api/v1/shards", ["id": .string(id), "database": "app", "primary_endpoint": .string(endpoint)])
    }

    @Test func aShardIsClaimedGreetedWatchedAndReleased() async throws {
        try await Self.run { server, kit in
            for name in ["s1", "s2", "strange"] { try await server.createDatabase(name) }
            try await kit.makeDatabase()
            let made = try await Self.register(kit, "s1", server.dsn(database: "s1"))
            try kit.expect(201, made)
            #expect(!made.text.contains("hunter2") && made.json?["primary_endpoint"]?.stringValue?.contains("password=***") == true)
            try kit.expect(201, await Self.register(kit, "s2", server.dsn(database: "s2")))
            #expect(try await Self.register(kit, "s3", server.dsn(database: "s1")).error?.code == .shardInUse)

            let cluster = try await kit.store.load().clusterID
            try await Self.checkGreeting(server, cluster: cluster)
            try await Self.checkNotices(server)

            let health = try await kit.server.get("/api/v1/shards/s1/health")
            #expect(health.json?["healthy"] == true && health.json?["server_version"]?.stringValue?.hasPrefix("1") == true)
            try await server.psql("CREATE TABLE big (id int); INSERT INTO big SELECT generate_series(1, 100); ANALYZE big", database: "s2")
            let stats = try await kit.server.get("/api/v1/shards/s2/stats")
            #expect(stats.json?["tables"]?.arrayValue?.first?["name"] == "public.big")
            #expect((stats.json?["database_bytes"]?.integerValue ?? 0) > 1_000_000)

            #expect(try await kit.server.delete("/api/v1/shards/s2").error?.code == .shardOwnsData)
            try await server.psql("DROP TABLE big", database: "s2")
            try kit.expect(204, await kit.server.delete("/api/v1/shards/s2"))
            #expect(try await server.psql("SELECT to_regnamespace('pgmosaic') IS NULL, (SELECT count(*) FROM pg_event_trigger)", database: "s2") == "t|0")
        }
    }

    @Test func aShardThatJoinsHasNoObjectOfAUser() async throws {
        try await Self.run { server, kit in
            for name in ["j1", "j2"] { try await server.createDatabase(name) }
            try await kit.makeDatabase()
            try kit.expect(201, await Self.register(kit, "s1", server.dsn(database: "j1")))
            try kit.expect(201, await kit.declare("t", "sharded", key: "id"))
            try await server.psql(
                "CREATE SCHEMA x; CREATE TYPE x.e AS ENUM ('a'); CREATE SEQUENCE q; CREATE VIEW v AS SELECT 1 AS one; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                database: "j2")
            let error = try #require(try await Self.register(kit, "s2", server.dsn(database: "j2")).error)
            #expect(error.code == .schemaMismatch)
            #expect(error.details?["objects"] == ["function public.f", "relation public.q", "relation public.v", "schema x", "type x.e"])
            try await server.psql("DROP SCHEMA x CASCADE; DROP SEQUENCE q; DROP VIEW v; DROP FUNCTION f", database: "j2")
            #expect(try await Self.register(kit, "s2", server.dsn(database: "j2")).json?["status"] == "migrating")
            try kit.expect(204, await kit.server.delete("/api/v1/shards/s2"))
            #expect(try await server.psql("SELECT to_regnamespace('pgmosaic') IS NULL", database: "j2") == "t")
        }
    }

    /// What a router's session says first, and what the shard answers.
    private static func checkGreeting(_ server: PostgresServer, cluster: String) async throws {
        func hello(_ cluster: String, _ shard: String, _ epoch: String) async -> String {
            let call = "SELECT pgmosaic.hello(''\(cluster)'', ''\(shard)'', ''router-1'', \(epoch))"
            return (try? await server.psql("SELECT attempt('\(call)')", database: "s1")) ?? "failed"
        }
        try await server.psql(
            """
            CREATE FUNCTION attempt(statement text) RETURNS text LANGUAGE plpgsql AS
            'BEGIN EXECUTE statement; RETURN ''welcome''; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END'
            """, database: "s1")
        #expect(await hello(cluster, "s1", "0") == "welcome")
        #expect(await hello(cluster, "s2", "5") == "PM002")
        #expect(await hello("other", "s1", "5") == "PM002")
        try await server.psql("UPDATE pgmosaic.identity SET fence = 10", database: "s1")
        #expect(await hello(cluster, "s1", "9") == "PM001")
        #expect(await hello(cluster, "s1", "NULL") == "PM001")
        #expect(await hello(cluster, "s1", "10") == "welcome")
        // A search_path that leads elsewhere changes nothing of what the function does.
        try await server.psql(
            "CREATE SCHEMA evil; CREATE FUNCTION evil.format(text, text) RETURNS text LANGUAGE sql AS 'SELECT ''evil''';"
                + "SET search_path = evil, pg_catalog; SELECT pgmosaic.hello('\(cluster)', 's1', 'r', 10); DROP SCHEMA evil CASCADE", database: "s1")
        try await server.psql("CREATE ROLE stranger", database: "s1")
        #expect(try await server.psql("SELECT has_function_privilege('stranger', 'pgmosaic.hello(text,text,text,bigint)', 'EXECUTE')", database: "s1") == "f")
    }

    /// DDL tells those who listen, except in a router's sessions, which could not prepare their transaction otherwise.
    private static func checkNotices(_ server: PostgresServer) async throws {
        let heard = try await server.psql("LISTEN pgmosaic_schema; CREATE TABLE a (id int); SELECT 1", database: "s1")
        #expect(heard.contains("Asynchronous notification \"pgmosaic_schema\""))
        try await server.psql(
            "SET pgmosaic.session = 'router'; BEGIN; DROP TABLE a; PREPARE TRANSACTION 'pgmosaic:x'; COMMIT PREPARED 'pgmosaic:x'", database: "s1")
    }

    @Test func aTableOfTheShardsIsLookedAtBeforeItsPlacementIsDeclared() async throws {
        try await Self.run { server, kit in
            for name in ["t1", "t2"] { try await server.createDatabase(name) }
            try await kit.makeDatabase()
            for name in ["t1", "t2"] { try kit.expect(201, await Self.register(kit, name, server.dsn(database: name))) }
            for name in ["t1", "t2"] {
                try await server.psql(
                    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL); CREATE TABLE good (id int PRIMARY KEY, v text);"
                        + "CREATE TABLE \"odd \"\"name\" (id int); INSERT INTO \"odd \"\"name\" VALUES (1)", database: name)
            }
            let unfit = try await kit.declare("orders", "sharded", key: "customer_id")
            #expect(unfit.error?.code == .tableUnsuitable, "\(unfit.text)")
            #expect(unfit.error?.details?["problems"]?.arrayValue?.isEmpty == false)
            #expect(try await kit.declare("good", "sharded", key: "id").status == 201)
            #expect(try await kit.declare("odd \"name", "reference").error?.code == .tableNotEmpty)
            #expect(try await kit.declare("not_there", "sharded", key: "id").status == 201)
            #expect(try await kit.server.delete("/api/v1/databases/app/tables/public.good").error?.code == .tableExists)
            #expect(try await kit.server.delete("/api/v1/databases/app/tables/public.not_there").status == 204)
        }
    }

    @Test func aRoleWithoutSuperuserRightsWillDoWhenItMayMakeTheSchema() async throws {
        try await Self.run { server, kit in
            try await server.createDatabase("plain")
            try await server.psql("CREATE ROLE app LOGIN PASSWORD 'hunter2'")
            try await kit.makeDatabase()
            let endpoint = "postgres://app:hunter2@127.0.0.1:\(server.port)/plain"
            let refused = try await Self.register(kit, "s1", endpoint)
            #expect(refused.error?.code == .shardUnsuitable && refused.error?.message.contains("GRANT CREATE") == true)
            try await server.psql("GRANT CREATE ON DATABASE plain TO app")
            try kit.expect(201, await Self.register(kit, "s1", endpoint))
            #expect(try await server.psql("SELECT count(*) FROM pg_event_trigger", database: "plain") == "0")
            #expect(try await kit.server.get("/api/v1/shards/s1/health").json?["healthy"] == true)
        }
    }

    @Test func aCloneIsNotTakenForAnotherShard() async throws {
        try await Self.run { server, kit in
            try await server.createDatabase("origin")
            try await kit.makeDatabase()
            try kit.expect(201, await Self.register(kit, "s1", server.dsn(database: "origin")))
            // A clone carries the identity of the shard it was made from.
            try await server.psql("CREATE DATABASE clone TEMPLATE origin")
            #expect(try await Self.register(kit, "s2", server.dsn(database: "clone")).error?.code == .shardInUse)
        }
    }
}

@Suite(.serialized, .postgresServer(settings: ["wal_level": "replica", "max_prepared_transactions": "0"])) struct UnsuitableServerTests {
    @Test func whatIsWrongWithAServerIsSaidClearlyAndWithoutSecrets() async throws {
        try await RealServerTests.run { server, kit in
            try await server.psql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
            try await kit.makeDatabase()
            let problems = try await RealServerTests.register(kit, "s", server.dsn(database: "latin")).error?.details?["problems"]?.arrayValue
            #expect(problems?.count == 3, "\(problems ?? [])")
            let wrong = try await RealServerTests.register(kit, "s", "postgres://postgres:wrong-secret@127.0.0.1:\(server.port)/latin")
            #expect(wrong.error?.code == .shardUnsuitable && wrong.error?.sqlstate == "28P01" && !wrong.text.contains("wrong-secret"))
            let missing = try await RealServerTests.register(kit, "s", server.dsn(database: "nowhere"))
            #expect(missing.error?.code == .shardUnsuitable && missing.error?.sqlstate == "3D000")
            let unset = try await RealServerTests.register(kit, "s", "postgres://postgres@127.0.0.1:\(server.port)/latin?password=env:PGMOSAIC_NOT_SET")
            #expect([.invalidEndpoint, .shardUnsuitable].contains(unset.error?.code), "\(unset.text)")
            await server.stop()
            let down = try await RealServerTests.register(kit, "s", server.dsn(database: "latin"))
            #expect(down.error?.code == .shardUnavailable && down.headers["retry-after"] != nil && !down.text.contains("hunter2"))
            #expect(try await kit.store.load().shards.isEmpty)
        }
    }
}
