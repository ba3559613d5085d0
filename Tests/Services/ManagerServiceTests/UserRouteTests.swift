import CatalogStore
import ControlAPI
import RESTTestKit
import ShardModel
import Testing

@Suite struct UserRouteTests {
    private static let admin: JSONValue = ["username": "ada", "password": "correct horse"]

    @Test func theFirstAdministratorIsMadeOnce() async throws {
        try await ManagerKit.run { kit in
            let made = try await kit.server.post("/api/v1/auth/setup", Self.admin)
            #expect(made.status == 201 && made.json == ["name": "ada", "roles": ["admin"], "version": 1])
            #expect(try await kit.server.post("/api/v1/auth/setup", ["username": "eve", "password": "12345678"]).error?.code == .setupDone)
        }
    }

    @Test func passwordsAreKeptAsVerifiersAndShownNowhere() async throws {
        try await ManagerKit.run { kit in
            try kit.expect(201, await kit.server.post("/api/v1/auth/setup", Self.admin))
            let record = try #require(try await kit.store.load().users["ada"])
            #expect(record.verifier.hasPrefix("SCRAM-SHA-256$4096:") && !String(describing: record).contains("correct horse"))
            for path in ["/api/v1/users", "/api/v1/users/ada", "/api/v1/catalog"] {
                let text = try await kit.server.get(path).text
                #expect(!text.contains("SCRAM") && !text.contains("correct horse"), "\(path)")
            }
        }
    }

    @Test func usersAreAddedChangedAndRemovedByVersion() async throws {
        try await ManagerKit.run { kit in
            try kit.expect(201, await kit.server.post("/api/v1/auth/setup", Self.admin))
            let made = try await kit.server.post(
                "/api/v1/users", ["name": "bob", "password": "12345678", "roles": ["viewer", "operator"], "databases": ["app"]])
            #expect(made.status == 201 && made.json?["roles"] == ["operator", "viewer"] && made.json?["databases"] == ["app"])
            #expect(try await kit.server.post("/api/v1/users", ["name": "bob", "password": "12345678", "roles": ["viewer"]]).error?.code == .alreadyExists)
            let before = try #require(try await kit.store.load().users["bob"]?.verifier)
            let changed = try await kit.server.put("/api/v1/users/bob", ["version": 1, "roles": ["viewer"], "databases": nil])
            #expect(changed.json == ["name": "bob", "roles": ["viewer"], "version": 2])
            #expect(try await kit.store.load().users["bob"]?.verifier == before)
            #expect(try await kit.server.put("/api/v1/users/bob", ["version": 1, "roles": ["admin"]]).error?.code == .versionConflict)
            #expect(try await kit.server.put("/api/v1/users/bob", ["version": 2, "password": "another one"]).status == 200)
            #expect(try await kit.store.load().users["bob"]?.verifier != before)
            #expect(try await kit.server.delete("/api/v1/users/bob?version=1").error?.code == .versionConflict)
            #expect(try await kit.server.delete("/api/v1/users/bob?version=3").status == 204)
            #expect(try await kit.server.get("/api/v1/users/bob").error?.code == .userNotFound)
        }
    }

    @Test func theLastAdministratorStays() async throws {
        try await ManagerKit.run { kit in
            try kit.expect(201, await kit.server.post("/api/v1/auth/setup", Self.admin))
            #expect(try await kit.server.delete("/api/v1/users/ada").error?.code == .lastAdministrator)
            #expect(try await kit.server.put("/api/v1/users/ada", ["version": 1, "roles": ["viewer"]]).error?.code == .lastAdministrator)
        }
    }

    @Test(arguments: [
        #"{"name":"b","password":"short","roles":["admin"]}"#, #"{"name":"b","password":"12345678","roles":[]}"#,
        #"{"name":"b","password":"12345678","roles":["god"]}"#, #"{"name":"","password":"12345678","roles":["admin"]}"#,
        #"{"name":"b","password":12345678,"roles":["admin"]}"#,
    ])
    func aUserThatMakesNoSenseIsRefusedWithoutRepeatingThePassword(_ body: String) async throws {
        try await ManagerKit.run { kit in
            let answer = try await kit.server.post("/api/v1/users", try JSONParser.parse(body))
            #expect(answer.error?.code == .invalidRequest)
            #expect(!answer.text.contains("12345678") && !answer.text.contains("short"))
        }
    }
}
