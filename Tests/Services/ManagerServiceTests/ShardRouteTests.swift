import CatalogStore
import ControlAPI
import ManagerService
import RESTTestKit
import ShardModel
import Testing

@Suite struct ShardRouteTests {
    @Test func aStatusIsChangedByWhoeverReadTheNewestVersion() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            let version = try #require(try await kit.server.get("/api/v1/shards/s1").json?["version"])
            let changed = try await kit.server.put("/api/v1/shards/s1/status", ["status": "readonly", "version": version])
            #expect(changed.status == 200 && changed.json?["status"] == "readonly")
            let stale = try await kit.server.put("/api/v1/shards/s1/status", ["status": "active", "version": version])
            #expect(stale.error?.code == .versionConflict && stale.error?.details?["current"]?["status"] == "readonly")
            #expect(stale.error?.details?["current"]?["version"] == changed.json?["version"])
        }
    }

    @Test(arguments: [#"{"status":"migrating","version":1}"#, #"{"status":"gone","version":1}"#, #"{"status":"active"}"#, #"{"version":1}"#])
    func aStatusThatIsNotForHandsIsRefused(_ body: String) async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            let answer = try await kit.server.put("/api/v1/shards/s1/status", try JSONParser.parse(body))
            #expect(answer.error?.code == .invalidRequest)
        }
    }

    @Test func whatIsNotThereIsSaidOnEveryPathOfAShard() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            for path in ["", "/health", "/stats"] { #expect(try await kit.server.get("/api/v1/shards/x\(path)").error?.code == .shardNotFound) }
            #expect(try await kit.server.delete("/api/v1/shards/x").error?.code == .shardNotFound)
            #expect(try await kit.server.put("/api/v1/shards/x/status", ["status": "active", "version": 1]).error?.code == .shardNotFound)
            #expect(try await kit.addShard("s", on: "h/d", to: "nope").error?.code == .databaseNotFound)
            #expect(try await kit.server.get("/api/v1/shards?database=nope").error?.code == .databaseNotFound)
        }
    }

    @Test func theListIsOfOneDatabaseWhenAsked() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            try await kit.makeDatabase("other")
            #expect(try await kit.server.get("/api/v1/shards?database=other").json?["items"] == [])
            #expect(try await kit.server.get("/api/v1/shards?database=app").json?["items"]?.arrayValue?.count == 1)
        }
    }

    @Test func healthIsWhatAProbeSeesNow() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            let good = try #require(try await kit.server.get("/api/v1/shards/s1/health").json)
            #expect(good["healthy"] == true && good["in_recovery"] == false && good["latency_ms"] != nil)
            kit.servers["h1/d"].inspection.identity = nil
            #expect(try await kit.server.get("/api/v1/shards/s1/health").json?["problem"]?.stringValue?.contains("not marked") == true)
            kit.servers["h1/d"].failure = .unreachable("connection refused")
            let bad = try await kit.server.get("/api/v1/shards/s1/health")
            #expect(bad.status == 200 && bad.json?["healthy"] == false && bad.json?["problem"] != nil)
            #expect(try await kit.server.get("/api/v1/shards/s1/stats").error?.code == .shardUnavailable)
        }
    }

    @Test func figuresStayExact() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            let stats = try #require(try await kit.server.get("/api/v1/shards/s1/stats").json)
            #expect(stats["database_bytes"] == 9_007_199_254_740_993 && stats["vnode_count"] == 4 && stats["tables"] == [])
        }
    }
}

@Suite struct ShardRemovalTests {
    @Test func theOthersTakeOverTheRingAndTheHome() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 3)
            #expect(try await kit.server.delete("/api/v1/shards/s1").status == 204)
            let catalog = try await kit.store.load()
            #expect(catalog.databases["app"]?.homeShard == ShardID("s2"))
            #expect(throws: Never.self) { try catalog.checkInvariants() }
            #expect(kit.servers["h1/d"].inspection.identity == nil)
            #expect(try await kit.addShard("s1", on: "h1/d").status == 201)
        }
    }

    @Test func theLastShardLeavesTheDatabaseEmpty() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            #expect(try await kit.server.delete("/api/v1/shards/s1").status == 204)
            #expect(try await kit.store.load().databases["app"]?.homeShard == nil)
            #expect(try await kit.server.delete("/api/v1/databases/app").status == 204)
        }
    }

    @Test func aShardThatHoldsSomethingStays() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            kit.servers["h1/d"].inspection.tables = [QualifiedName(schema: "public", name: "t")]
            #expect(try await kit.server.delete("/api/v1/shards/s1").error?.code == .shardOwnsData)
            kit.servers["h1/d"].inspection.tables = []
            // The outcome of what is in doubt there may be recorded here.
            kit.servers["h2/d"].inspection.inDoubt = 1
            #expect(try await kit.server.delete("/api/v1/shards/s1").error?.code == .shardOwnsData)
            kit.servers["h2/d"].inspection.inDoubt = 0
            try kit.expect(201, await kit.declare("t", "reference"))
            #expect(try await kit.server.delete("/api/v1/shards/s1").error?.code == .shardOwnsData)
            #expect(try await kit.store.load().shards.count == 2)
        }
    }

    @Test func aShardWhoseServerIsGoneCanBeRemoved() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            kit.servers["h1/d"].failure = .unreachable("gone")
            #expect(try await kit.server.delete("/api/v1/shards/s1").status == 204)
        }
    }

    @Test func aStaleVersionRemovesNothing() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            #expect(try await kit.server.delete("/api/v1/shards/s1?version=99").error?.code == .versionConflict)
            #expect(try await kit.server.delete("/api/v1/shards/s1?version=x").error?.code == .invalidRequest)
            #expect(try await kit.store.load().shards.count == 1)
        }
    }
}
