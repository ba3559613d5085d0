import CatalogStore
import ControlAPI
import ManagerService
import RESTTestKit
import ShardModel
import Testing

@Suite struct ReplicaRouteTests {
    private func register(_ kit: ManagerKit, _ replicas: [String]) async throws -> HTTPAnswer {
        try await kit.server.post(
            "/api/v1/shards",
            ["id": "s", "database": "app", "primary_endpoint": "postgres://u@h/d", "replicas": .array(replicas.map { .string($0) })])
    }

    private func run(_ body: @Sendable (ManagerKit) async throws -> Void) async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            kit.servers["h/d"] = .init()
            kit.servers["r1/d"] = .init(inspection: .init(inRecovery: true))
            kit.servers["r2/d"] = .init(inspection: .init(inRecovery: true))
            kit.servers["promoted/d"] = .init()
            kit.servers["foreign/d"] = .init(inspection: .init(inRecovery: true, systemIdentifier: "2"))
            try await body(kit)
        }
    }

    @Test func replicasAreCheckedKeptAndShown() async throws {
        try await run { kit in
            let answer = try await register(kit, ["postgres://u:hunter2@r1/d", "postgres://u@r2/d"])
            try kit.expect(201, answer)
            #expect(answer.json?["replicas"] == ["postgres://u@r1/d?password=***", "postgres://u@r2/d"])
            #expect(try await kit.server.get("/api/v1/shards/s").json?["replicas"]?.arrayValue?.count == 2)
            let stored = try #require(try await kit.store.load().shards[ShardID("s")])
            #expect(stored.replicas[0].contains("sealed:") && !stored.replicas[0].contains("hunter2"))
        }
    }

    @Test(arguments: [
        ("postgres://u@promoted/d", APIErrorCode.shardUnsuitable), ("postgres://u@foreign/d", .shardUnsuitable),
        ("postgres://u@nowhere/d", .shardUnavailable), ("postgres://u@h/d", .invalidRequest), ("postgres://u@r1/d", .invalidRequest),
        ("postgres://u@r2", .invalidEndpoint), ("r2", .invalidEndpoint),
    ])
    func aServerThatIsNoReplicaOfTheShardIsRefusedAndNothingChanged(endpoint: String, code: APIErrorCode) async throws {
        try await run { kit in
            let answer = try await register(kit, ["postgres://u@r1/d", endpoint])
            #expect(answer.error?.code == code, "\(answer.text)")
            #expect(try await kit.store.load().shards.isEmpty && kit.servers["h/d"].inspection.identity == nil)
        }
    }

    @Test func theListIsReplacedWithWhatIsKnownLeftAsItIs() async throws {
        try await run { kit in
            try kit.expect(201, await register(kit, ["postgres://u:hunter2@r1/d"]))
            let before = try #require(try await kit.store.load().shards[ShardID("s")])
            func put(_ replicas: [String], _ version: UInt64) async throws -> HTTPAnswer {
                try await kit.server.put(
                    "/api/v1/shards/s/replicas", ["replicas": .array(replicas.map { .string($0) }), "version": .number("\(version)")])
            }
            // One that is kept need not answer.
            kit.servers["r1/d"].failure = .unreachable("connection refused")
            try kit.expect(200, await put(["postgres://u@r1/d?password=***", "postgres://u@r2/d"], before.version))
            let after = try #require(try await kit.store.load().shards[ShardID("s")])
            #expect(after.replicas == [before.replicas[0], "postgres://u@r2/d"] && after.vnodes == before.vnodes)
            #expect(try await put([], before.version).error?.code == .versionConflict)
            #expect(try await put(["postgres://u@foreign/d"], after.version).error?.code == .shardUnsuitable)
            #expect(try await put(["postgres://u@r3/d?password=***"], after.version).error != nil)
            try kit.expect(200, await put([], after.version))
            #expect(try await kit.store.load().shards[ShardID("s")]?.replicas == [])
            #expect(try await kit.server.put("/api/v1/shards/none/replicas", ["replicas": [], "version": 1]).status == 404)
        }
    }
}
