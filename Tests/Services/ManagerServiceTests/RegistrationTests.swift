import CatalogStore
import ControlAPI
import ManagerService
import RESTTestKit
import ShardModel
import Testing

@Suite struct RegistrationTests {
    @Test func theRingIsCutEvenlyWithoutGapOrOverlapWithEveryShard() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 5, vnodes: 3)
            let catalog = try await kit.store.load()
            let vnodes = catalog.shards.values.flatMap(\.vnodes).sorted { $0.range.start < $1.range.start }
            #expect(vnodes.count == 15 && vnodes.first?.range.start == 0 && vnodes.last?.range.end == .max)
            for (left, right) in zip(vnodes, vnodes.dropFirst()) { #expect(left.range.end + 1 == right.range.start) }
            #expect(Set(vnodes.map(\.id)).count == 15)
            #expect(catalog.databases["app"]?.homeShard == ShardID("s1"))
            let shard = try #require(try await kit.server.get("/api/v1/shards/s5").json)
            #expect(shard["hash_range_end"] == "18446744073709551615" && shard["is_home"] == false && shard["status"] == "active")
            #expect(shard["vnodes"]?.arrayValue?.count == 3 && shard["created_at"] == "2023-11-14T22:13:20.000Z")
        }
    }

    @Test func aPasswordIsAcceptedSealedAndNeverReturned() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            kit.servers["h/d"] = .init()
            kit.servers["r/d"] = .init(inspection: .init(inRecovery: true))
            let answer = try await kit.server.post(
                "/api/v1/shards",
                ["id": "s", "database": "app", "primary_endpoint": "postgres://u:hunter2@h/d", "replicas": ["postgres://u@r/d?password=hunter2"]])
            #expect(answer.status == 201)
            #expect(answer.json?["primary_endpoint"] == "postgres://u@h/d?password=***")
            for path in ["/api/v1/shards", "/api/v1/shards/s", "/api/v1/catalog", "/api/v1/shards/s/health", "/metrics"] {
                let text = try await kit.server.get(path).text
                #expect(!text.contains("hunter2") && !text.contains("sealed:"), "\(path)")
            }
            let stored = try #require(try await kit.store.load().shards[ShardID("s")])
            #expect(stored.primaryEndpoint.contains("password=sealed:"))
            #expect(!String(describing: stored).contains("hunter2"))
        }
    }

    @Test func aPlainPasswordNeedsAKeyAndAReferenceDoesNot() async throws {
        try await ManagerKit.run(box: nil) { kit in
            try await kit.makeDatabase()
            kit.servers["h/d"] = .init()
            let plain: JSONValue = ["id": "s", "database": "app", "primary_endpoint": "postgres://u:hunter2@h/d"]
            let refused = try await kit.server.post("/api/v1/shards", plain)
            #expect(refused.error?.code == .invalidEndpoint && !refused.text.contains("hunter2"))
            let reference: JSONValue = ["id": "s", "database": "app", "primary_endpoint": "postgres://u@h/d?password=env:PGMOSAIC_X"]
            #expect(try await kit.server.post("/api/v1/shards", reference).json?["primary_endpoint"] == "postgres://u@h/d?password=env:PGMOSAIC_X")
        }
    }

    @Test(arguments: [
        "h/d", "mysql://u@h/d", "postgres://h/d", "postgres://u@h", "postgres://u:hunter2@h/d?password=hunter2", "postgres://u:hunter2@h:99999/d",
        "postgres://u:hunt/er2@h/d", "postgres://u:hunter2@a,b/d", "postgres://u:hunter2@h/d?hunter=2", "postgres://u@h/d?password=sealed:hunter2", "",
    ])
    func anEndpointThatCannotBeUsedIsRefusedWithoutBeingRepeated(_ endpoint: String) async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            kit.servers["h/d"] = .init()
            let primary: JSONValue = ["id": "s", "database": "app", "primary_endpoint": .string(endpoint)]
            let replica: JSONValue = ["id": "s", "database": "app", "primary_endpoint": "postgres://u@h/d", "replicas": [.string(endpoint)]]
            for body in [primary, replica] {
                let answer = try await kit.server.post("/api/v1/shards", body)
                #expect(answer.error?.code == .invalidEndpoint, "\(answer.text)")
                #expect(!answer.text.contains("hunter2") && !answer.text.contains("hunt/"))
            }
            #expect(try await kit.store.load().shards.isEmpty)
        }
    }

    @Test(arguments: ["", "a b", "a/b", "..", "ä", String(repeating: "x", count: 64)])
    func anIDHasAPlainAlphabet(_ id: String) async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            let answer = try await kit.addShard(id, on: "h/d")
            #expect(answer.error?.code == .invalidRequest)
        }
    }

    @Test func theNameWillDoForAnIDAndTheOtherWayRound() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            kit.servers["h/d"] = .init()
            let endpoint: JSONValue = "postgres://u@h/d"
            #expect(try await kit.server.post("/api/v1/shards", ["database": "app", "primary_endpoint": endpoint]).error?.code == .invalidRequest)
            let made = try await kit.server.post("/api/v1/shards", ["name": "west", "database": "app", "primary_endpoint": endpoint])
            #expect(made.json?["id"] == "west" && made.json?["name"] == "west")
        }
    }

    @Test func everyReasonAgainstAServerIsListed() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            var server = FakeInspector.Server()
            server.inspection = ShardInspection(
                versionNumber: 120_009, versionText: "12.9", inRecovery: true, walLevel: "replica", preparedTransactionsMax: 0, encoding: "LATIN1",
                role: "app", mayCreateSchema: false)
            kit.servers["h/d"] = server
            let error = try #require(try await kit.addShard("s", on: "h/d").error)
            #expect(error.code == .shardUnsuitable)
            let problems = error.details?["problems"]?.arrayValue?.compactMap(\.stringValue) ?? []
            #expect(problems.count == 6)
            for word in ["12.9", "replica", "max_prepared_transactions", "LATIN1", "wal_level", "GRANT CREATE"] {
                #expect(problems.contains { $0.contains(word) }, "\(word)")
            }
            #expect(try await kit.store.load().shards.isEmpty && kit.servers["h/d"].inspection.identity == nil)
        }
    }

    @Test func aServerThatCannotBeReachedOrRefusesIsToldApart() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            let unreachable = try await kit.addShard("s", on: "nowhere/d")
            #expect(unreachable.error?.code == .shardUnavailable && unreachable.status == 503 && unreachable.headers["retry-after"] == "1")
            kit.servers["h/d"] = .init(failure: .refused("password authentication failed for user \"u\"", sqlstate: "28P01"))
            let refused = try await kit.addShard("s", on: "h/d")
            #expect(refused.error?.code == .shardUnsuitable && refused.error?.sqlstate == "28P01")
        }
    }

    @Test func aDatabaseOfAnotherShardOrClusterIsNotTaken() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            #expect(try await kit.addShard("s2", on: "h1/d").error?.code == .shardInUse)
            var other = FakeInspector.Server()
            other.inspection.identity = ShardIdentity(clusterID: "other", database: "x", shard: ShardID("y"))
            kit.servers["h/d"] = other
            #expect(try await kit.addShard("s2", on: "h/d").error?.code == .shardInUse)
        }
    }

    @Test func aClaimThatACrashLeftBehindIsAcceptedAgain() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            var server = FakeInspector.Server()
            server.inspection.identity = ShardIdentity(clusterID: try await kit.store.load().clusterID, database: "app", shard: ShardID("s"))
            kit.servers["h/d"] = server
            #expect(try await kit.addShard("s", on: "h/d").status == 201)
        }
    }

    @Test func theSameRegistrationTwiceSaysWhatIsThere() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            let answer = try await kit.addShard("s1", on: "h1/d")
            #expect(answer.error?.code == .alreadyExists && answer.error?.details?["current"]?["id"] == "s1")
            #expect(kit.servers["h1/d"].inspection.identity != nil)
        }
    }

    @Test func aShardWithAnotherSchemaOrCollationOrWithTablesIsRefused() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            var server = FakeInspector.Server()
            server.inspection.schemaFingerprint = "another"
            kit.servers["h/d"] = server
            #expect(try await kit.addShard("s2", on: "h/d").error?.code == .schemaMismatch)
            server = .init()
            server.inspection.collation = "de_DE.UTF-8 de_DE.UTF-8"
            kit.servers["h/d"] = server
            #expect(try await kit.addShard("s2", on: "h/d").error?.code == .schemaMismatch)
            server = .init()
            server.inspection.tables = [QualifiedName(schema: "public", name: "t")]
            kit.servers["h/d"] = server
            #expect(try await kit.addShard("s2", on: "h/d").error?.code == .schemaMismatch)
            #expect(kit.servers["h/d"].inspection.identity == nil)
        }
    }

    @Test func registrationsAtOnceAllSucceedAndTheRingStaysWhole() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            for number in 1...6 { kit.servers["h\(number)/d"] = .init() }
            let statuses = try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
                for number in 1...6 { group.addTask { try await kit.addShard("s\(number)", on: "h\(number)/d") } }
                return try await group.reduce(into: [HTTPAnswer]()) { $0.append($1) }
            }
            let catalog = try await kit.store.load()
            #expect(catalog.shards.count == 6 && statuses.allSatisfy { $0.status == 201 })
            for number in 1...6 { #expect(kit.servers["h\(number)/d"].inspection.identity?.shard == ShardID("s\(number)")) }
            #expect(Set(catalog.shards.values.map(\.slice)) == Set(0..<6))
            #expect(throws: Never.self) { try catalog.checkInvariants() }
        }
    }

    @Test func aSliceOfSequenceValuesIsNeverGivenOutAgain() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 3)
            var catalog = try await kit.store.load()
            #expect((1...3).map { catalog.shards[ShardID("s\($0)")]?.slice } == [0, 1, 2])
            #expect(try await kit.server.delete("/api/v1/shards/s3").status == 204)
            kit.servers["h4/d"] = .init()
            try kit.expect(201, try await kit.addShard("s4", on: "h4/d"))
            catalog = try await kit.store.load()
            #expect(catalog.shards[ShardID("s4")]?.slice == 3 && catalog.databases["app"]?.nextSlice == 4)
            var twice = try #require(catalog.shards[ShardID("s4")])
            twice.slice = 1
            await #expect(throws: CatalogError.self) {
                try await kit.store.commit(CatalogChange([.putShard(twice)], author: "test"), expecting: catalog.epoch)
            }
        }
    }

    @Test func shardsOfAnOlderCatalogGetSlicesTheHomeShardTheFirst() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 3)
            var catalog = try await kit.store.load()
            var database = try #require(catalog.databases["app"])
            (database.homeShard, database.nextSlice) = (ShardID("s2"), nil)
            let older = catalog.shards.values.map { shard in
                var shard = shard
                shard.slice = nil
                return CatalogChange.Operation.putShard(shard)
            }
            catalog = try await kit.store.commit(CatalogChange(older + [.putDatabase(database)], author: "test"), expecting: catalog.epoch)
            let changes = SliceAssignment.missing(in: catalog)
            catalog = try await kit.store.commit(CatalogChange(changes, author: "test"), expecting: catalog.epoch)
            #expect((1...3).map { catalog.shards[ShardID("s\($0)")]?.slice } == [1, 0, 2])
            #expect(catalog.databases["app"]?.nextSlice == 3)
            #expect(SliceAssignment.missing(in: catalog).isEmpty)
        }
    }
}
