import CatalogStore
import ControlAPI
import ManagerService
import RESTTestKit
import ShardModel
import Testing

@Suite struct TableRouteTests {
    private let orders = QualifiedName(schema: "public", name: "orders")

    @Test func aPlacementIsDeclaredShownAndForgotten() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            let made = try await kit.declare("orders", "sharded", key: "customer_id")
            #expect(made.status == 201)
            #expect(made.json == ["kind": "sharded", "name": "public.orders", "shard_key": "customer_id", "version": 1])
            #expect(try await kit.declare("shop.local", "local").json?["home_shard"] == "s1")
            let again = try await kit.declare("public.orders", "sharded", key: "customer_id")
            #expect(again.status == 200 && again.json == made.json)
            #expect(try await kit.server.get("/api/v1/databases/app/tables").json?["items"]?.arrayValue?.count == 2)
            #expect(try await kit.server.delete("/api/v1/databases/app/tables/public.orders?version=1").status == 204)
            #expect(try await kit.server.delete("/api/v1/databases/app/tables/public.orders").error?.code == .tableNotFound)
        }
    }

    @Test func aDeclarationOfATableThatDoesNotExistMayBeChanged() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            try kit.expect(201, await kit.declare("orders", "sharded", key: "id"))
            let changed = try await kit.declare("orders", "reference")
            #expect(changed.status == 200 && changed.json?["kind"] == "reference" && changed.json?["version"] == 2)
        }
    }

    @Test(arguments: [
        #"{"name":"t","kind":"sharded"}"#, #"{"name":"t","kind":"reference","shard_key":"id"}"#, #"{"name":"t","kind":"local","shard_key":"id"}"#,
        #"{"name":"t","kind":"other"}"#, #"{"name":"","kind":"local"}"#, #"{"name":".t","kind":"local"}"#, #"{"name":"pg_catalog.t","kind":"local"}"#,
        #"{"name":"pg_temp.t","kind":"local"}"#, #"{"name":"pgmosaic.identity","kind":"local"}"#, #"{"name":"t","kind":"sharded","shard_key":""}"#,
    ])
    func aDeclarationThatMakesNoSenseIsRefused(_ body: String) async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            let answer = try await kit.server.post("/api/v1/databases/app/tables", try JSONParser.parse(body))
            #expect(answer.error?.code == .invalidRequest)
        }
    }

    @Test func aTableWithRowsGetsNoPlacement() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            kit.servers["h1/d"].tables[orders] = TableInspection(hasRows: false)
            kit.servers["h2/d"].tables[orders] = TableInspection(hasRows: true)
            for (kind, key) in [("sharded", "id"), ("reference", nil), ("local", nil)] as [(String, String?)] {
                #expect(try await kit.declare("orders", kind, key: key).error?.code == .tableNotEmpty, "\(kind)")
            }
        }
    }

    @Test func aTableThatIsOnlyOnTheHomeShardIsLocalAlready() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            kit.servers["h1/d"].tables[orders] = TableInspection(hasRows: true)
            #expect(try await kit.declare("orders", "local").status == 201)
        }
    }

    @Test func anEmptyTableThatIsMissingSomewhereOrUnfitIsRefused() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            kit.servers["h1/d"].tables[orders] = TableInspection(hasRows: false)
            let missing = try await kit.declare("orders", "reference")
            #expect(missing.error?.code == .tableUnsuitable && missing.error?.details?["missing_on"] == ["s2"])
            kit.servers["h2/d"].tables[orders] = TableInspection(hasRows: false, problems: ["no key"])
            let unfit = try await kit.declare("orders", "sharded", key: "id")
            #expect(unfit.error?.code == .tableUnsuitable && unfit.error?.details?["problems"] == ["no key"])
            kit.servers["h2/d"].tables[orders] = TableInspection(hasRows: false)
            #expect(try await kit.declare("orders", "sharded", key: "id").status == 201)
        }
    }

    @Test func aTableThatExistsKeepsItsPlacementAndItsDeclaration() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            try kit.expect(201, await kit.declare("orders", "sharded", key: "id"))
            for hasRows in [false, true] {
                kit.servers["h1/d"].tables[orders] = TableInspection(hasRows: hasRows)
                let code: APIErrorCode = hasRows ? .tableNotEmpty : .tableExists
                #expect(try await kit.declare("orders", "reference").error?.code == code)
                #expect(try await kit.server.delete("/api/v1/databases/app/tables/public.orders").error?.code == code)
                #expect(try await kit.declare("orders", "sharded", key: "id").status == 200)
            }
        }
    }

    @Test func whereAShardCannotBeAskedNothingIsDecided() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            kit.servers["h2/d"].failure = .unreachable("down")
            let answer = try await kit.declare("orders", "reference")
            #expect(answer.error?.code == .shardUnavailable && answer.error?.message.contains("s2") == true)
            #expect(try await kit.store.load().tables.isEmpty)
        }
    }

    @Test func theHomeShardOfALocalTableCanOnlyBeTheDatabases() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 2)
            let path = "/api/v1/databases/app/tables"
            try kit.expect(201, await kit.server.post(path, ["name": "a", "kind": "local", "home_shard": "s1", "shard_key": nil]))
            #expect(try await kit.server.post(path, ["name": "b", "kind": "local", "home_shard": "s2"]).error?.code == .invalidRequest)
            #expect(try await kit.server.post(path, ["name": "c", "kind": "reference", "home_shard": "s1"]).error?.code == .invalidRequest)
        }
    }

    @Test func anUnknownDatabaseHasNoTables() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase("other")
            #expect(try await kit.server.get("/api/v1/databases/app/tables").error?.code == .databaseNotFound)
            #expect(try await kit.declare("t", "local").error?.code == .databaseNotFound)
            #expect(try await kit.server.delete("/api/v1/databases/app/tables/t").error?.code == .databaseNotFound)
        }
    }
}
