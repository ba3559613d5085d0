import CatalogStore
import ControlAPI
import RESTTestKit
import ShardModel
import Testing

@Suite struct DatabaseRouteTests {
    @Test func aDatabaseIsMadeShownListedAndRemoved() async throws {
        try await ManagerKit.run { kit in
            let made = try await kit.server.post(
                "/api/v1/databases", ["name": "app", "default_consistency": "eventual", "default_placement": "local", "key_column_rules": ["tenant_id"]])
            #expect(made.status == 201)
            #expect(made.json?["vnode_count"] == 256 && made.json?["version"] == 1 && made.json?["shard_count"] == 0)
            #expect(made.json?["default_consistency"] == "eventual" && made.json?["key_column_rules"] == ["tenant_id"])
            #expect(try await kit.server.get("/api/v1/databases/app").json == made.json)
            #expect(try await kit.server.get("/api/v1/databases").json?["items"] == .array([made.json ?? .null]))
            #expect(try await kit.server.delete("/api/v1/databases/app?version=1").status == 204)
            #expect(try await kit.server.get("/api/v1/databases/app").error?.code == .databaseNotFound)
            #expect(try await kit.server.delete("/api/v1/databases/app").error?.code == .databaseNotFound)
        }
    }

    @Test(arguments: [
        #"{"name":""}"#, #"{"name":"."}"#, #"{"name":".."}"#, #"{"name":"a\u0007"}"#, #"{"name":"1234567890123456789012345678901234567890123456789012345678901234"}"#,
        #"{"name":"a","vnode_count":0}"#, #"{"name":"a","vnode_count":4097}"#, #"{"name":"a","vnode_count":-1}"#,
        #"{"name":"a","key_column_rules":["x","x"]}"#, #"{"name":"a","key_column_rules":[""]}"#, #"{"name":"a","default_placement":"shard"}"#,
    ])
    func aDatabaseThatMakesNoSenseIsRefused(_ body: String) async throws {
        try await ManagerKit.run { kit in
            let answer = try await kit.server.post("/api/v1/databases", try JSONParser.parse(body))
            #expect(answer.error?.code == .invalidRequest, "\(answer.text)")
        }
    }

    @Test func aNameIsTakenOnce() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            #expect(try await kit.server.post("/api/v1/databases", ["name": "app"]).error?.code == .alreadyExists)
        }
    }

    @Test func namesThatNeedEncodingWorkInPaths() async throws {
        try await ManagerKit.run { kit in
            try kit.expect(201, await kit.server.post("/api/v1/databases", ["name": "a/b ü"]))
            #expect(try await kit.server.get("/api/v1/databases/a%2Fb%20%C3%BC").json?["name"] == "a/b ü")
        }
    }

    @Test func aStaleVersionGetsTheRecordAsItIs() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            let answer = try await kit.server.delete("/api/v1/databases/app?version=7")
            #expect(answer.error?.code == .versionConflict)
            #expect(answer.error?.details?["current"]?["name"] == "app" && answer.error?.details?["current"]?["version"] == 1)
        }
    }

    @Test func aDatabaseWithShardsStays() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase(shards: 1)
            #expect(try await kit.server.delete("/api/v1/databases/app").error?.code == .databaseNotEmpty)
        }
    }

    @Test func removingADatabaseForgetsItsTables() async throws {
        try await ManagerKit.run { kit in
            try await kit.makeDatabase()
            try kit.expect(201, await kit.declare("t", "reference"))
            try kit.expect(204, await kit.server.delete("/api/v1/databases/app"))
            try await kit.makeDatabase()
            #expect(try await kit.server.get("/api/v1/databases/app/tables").json?["items"] == [])
        }
    }

    @Test func listsArePaged() async throws {
        try await ManagerKit.run { kit in
            for number in 0..<5 { try await kit.makeDatabase("db\(number)") }
            var names: [String] = []
            var path = "/api/v1/databases?limit=2"
            var pages = 0
            while true {
                let page = try #require(try await kit.server.get(path).json)
                names += page["items"]?.arrayValue?.compactMap { $0["name"]?.stringValue } ?? []
                pages += 1
                guard let cursor = page["next_cursor"]?.stringValue else { break }
                path = "/api/v1/databases?limit=2&cursor=\(cursor)"
            }
            #expect(names == ["db0", "db1", "db2", "db3", "db4"] && pages == 3)
            for bad in ["limit=0", "limit=1001", "limit=x", "cursor=zz"] {
                #expect(try await kit.server.get("/api/v1/databases?\(bad)").error?.code == .invalidRequest)
            }
        }
    }
}
