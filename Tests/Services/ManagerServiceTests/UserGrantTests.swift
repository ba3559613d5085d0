import CatalogStore
import ControlAPI
import RESTTestKit
import ShardModel
import Testing

@Suite struct UserGrantTests {
    private static func user(_ members: [JSONValue.Member]) -> JSONValue { .object([.init("name", "bob"), .init("password", "12345678")] + members) }
    private static let readsShop: JSONValue = [["database": "shop", "rights": ["query:read"]]]

    private func withAdmin(_ body: @Sendable (ManagerKit) async throws -> Void) async throws {
        try await ManagerKit.run { kit in
            try kit.expect(201, await kit.server.post("/api/v1/auth/setup", ["username": "ada", "password": "correct horse"]))
            try await body(kit)
        }
    }

    @Test func aUserOfTheDataNeedsNoRole() async throws {
        try await withAdmin { kit in
            let made = try await kit.server.post("/api/v1/users", Self.user([.init("grants", Self.readsShop)]))
            #expect(made.status == 201)
            #expect(made.json == ["databases": ["shop"], "grants": Self.readsShop, "name": "bob", "roles": [], "version": 1], "\(made.text)")
            let record = try #require(try await kit.store.load().users["bob"])
            #expect(record.access(to: "shop") == .read && record.access(to: "other") == nil)
        }
    }

    @Test func whoIsGivenNothingMayQueryNothing() async throws {
        try await withAdmin { kit in
            try kit.expect(201, await kit.server.post("/api/v1/users", Self.user([.init("roles", ["operator", "viewer"])])))
            #expect(try await kit.store.load().users["bob"]?.access(to: "shop") == nil)
            #expect(try await kit.store.load().users["ada"]?.access(to: "shop") == .write)
        }
    }

    @Test func databasesAreShortForBothRights() async throws {
        try await withAdmin { kit in
            try kit.expect(201, await kit.server.post("/api/v1/users", Self.user([.init("databases", ["shop"])])))
            let record = try #require(try await kit.store.load().users["bob"])
            #expect(record.access(to: "shop") == .write && record.access(to: "other") == nil)
            try kit.expect(200, await kit.server.put("/api/v1/users/bob", ["version": 1, "databases": nil]))
            #expect(try await kit.store.load().users["bob"]?.access(to: "other") == .write)
            try kit.expect(200, await kit.server.put("/api/v1/users/bob", ["version": 2, "grants": Self.readsShop]))
            #expect(try await kit.store.load().users["bob"]?.access(to: "other") == nil)
            // A password alone leaves the grants alone.
            try kit.expect(200, await kit.server.put("/api/v1/users/bob", ["version": 3, "password": "another one"]))
            #expect(try await kit.store.load().users["bob"]?.access(to: "shop") == .read)
        }
    }

    @Test func aRecordFromBeforeThereWereGrantsStaysOneUntilItsGrantsAreSet() async throws {
        try await withAdmin { kit in
            let epoch = try await kit.store.load().epoch
            let old = UserRecord(name: "bob", verifier: "v", roles: ["viewer"], databases: ["shop"])
            _ = try await kit.store.commit(CatalogChange([.putUser(old)], author: "test"), expecting: epoch)
            try kit.expect(200, await kit.server.put("/api/v1/users/bob", ["version": 1, "roles": ["operator"]]))
            let record = try #require(try await kit.store.load().users["bob"])
            #expect(record.grants == nil && record.access(to: "shop") == .write && record.access(to: "other") == nil)
        }
    }

    @Test(arguments: [
        #"{"grants":[{"database":"shop","rights":[]}]}"#, #"{"grants":[{"database":"shop","rights":["query:all"]}]}"#, #"{"grants":[],"roles":[]}"#,
        #"{"grants":[{"database":"","rights":["query:read"]}]}"#, #"{"grants":[{"database":"shop","rights":["query:read"]}],"databases":["shop"]}"#,
        #"{"grants":[{"database":"shop","rights":["query:read"]},{"database":"shop","rights":["query:write"]}]}"#, #"{"grants":"*","roles":["viewer"]}"#,
    ])
    func grantsThatMakeNoSenseAreRefused(_ json: String) async throws {
        try await withAdmin { kit in
            let members = try #require(try JSONParser.parse(json).members)
            #expect(try await kit.server.post("/api/v1/users", Self.user(members)).error?.code == .invalidRequest)
            #expect(try await kit.store.load().users["bob"] == nil)
        }
    }

    @Test func noDatabaseIsCalledLikeAllOfThem() async throws {
        try await withAdmin { kit in
            let answer = try await kit.server.post("/api/v1/databases", ["name": "*"])
            #expect(answer.error?.code == .invalidRequest)
        }
    }

    /// Where there never was an administrator, none is kept from leaving.
    @Test func usersOfACatalogWithoutAdministratorCanBeChanged() async throws {
        try await ManagerKit.run { kit in
            let epoch = try await kit.store.load().epoch
            _ = try await kit.store.commit(CatalogChange([.putUser(UserRecord(name: "bob", verifier: "v", roles: ["viewer"]))], author: "test"), expecting: epoch)
            try kit.expect(200, await kit.server.put("/api/v1/users/bob", ["version": 1, "password": "another one"]))
        }
    }
}
