import CatalogStore
import ClusterTestKit
import ControlAPI
import Foundation
import RESTTestKit
import ServerConfig
import ShardModel
import Testing

/// A router that asks for tokens: every operation as everybody, and what rights on databases mean over REST.
@Suite struct RouterPermissionTests {
    private static let users: [(String, [String], [DatabaseGrant])] = [
        ("admin", ["admin"], []), ("operator", ["operator"], []), ("viewer", ["viewer"], []),
        ("reader", [], [DatabaseGrant(database: "shop", rights: [.read])]), ("writer", [], [DatabaseGrant(database: "*", rights: [.write])]),
        ("stranger", [], [DatabaseGrant(database: "other", rights: [.write])]),
    ]

    private func withRouter(_ body: @Sendable (TestCluster) async throws -> Void) async throws {
        let secret = NSTemporaryDirectory() + "pgmosaic-\(UUID().uuidString)"
        #expect(FileManager.default.createFile(atPath: secret, contents: Data(TokenForge.secret), attributes: [.posixPermissions: 0o600]))
        defer { try? FileManager.default.removeItem(atPath: secret) }
        var options = TestCluster.Options(shards: 2, tables: ["kv": .sharded(key: "k")])
        options.router = {
            $0.auth.mode = .token
            $0.auth.secret = "file:\(secret)"
        }
        try await TestCluster.with(options) { cluster in
            let records = Self.users.map { name, roles, grants in
                var record = UserRecord(name: name, verifier: "", roles: [])
                record.set(roles: roles, grants: grants)
                return CatalogChange.Operation.putUser(record)
            }
            _ = try await cluster.store.commit(CatalogChange(records, author: "test"), expecting: try await cluster.store.load().epoch)
            try await eventually("the router knows the users") { try await execute("SELECT 1", "writer", cluster).status == 200 }
            for statement in ["CREATE TABLE kv (k bigint PRIMARY KEY, v int)", "INSERT INTO kv VALUES (1, 1)"] {
                let made = try await execute(statement, "writer", cluster)
                try #require(made.status == 200, "\(made.text)")
            }
            try await body(cluster)
        }
    }

    private func token(_ user: String) -> String {
        let now = Int64(Date().timeIntervalSince1970)
        return TokenForge.hs256(TokenForge.claims(["sub": .string(user), "iat": .integer(now - 1), "exp": .integer(now + 600), "jti": .string(user)]))
    }

    private func header(_ user: String?) -> [(String, String)] { user.map { [("Authorization", "Bearer \(token($0))")] } ?? [] }

    private func execute(_ query: String, _ user: String?, _ cluster: TestCluster, headers: [(String, String)] = []) async throws -> HTTPAnswer {
        let body: JSONValue = ["database": "shop", "query": .string(query)]
        return try await RawHTTP.send(
            "POST", "/v1/execute", port: cluster.httpPort, headers: header(user) + [("Content-Type", "application/json")] + headers, body: body.encoded())
    }

    @Test func everyOperationIsOpenToThoseWhomTheTableNamesAndToNobodyElse() async throws {
        try await withRouter { cluster async throws in
            func status(_ route: APIRoute, _ headers: [(String, String)]) async throws -> Int {
                let body: JSONValue =
                    switch route.path {
                    case "/v1/batch": ["statements": [["query": "SELECT 1"]]]
                    case "/v1/log-levels": [:]
                    default: ["query": "SELECT 1"]
                    }
                let path = route.path == "/v1/shard-for-key" ? route.path + "?key=1&database=shop" : route.path
                return try await RawHTTP.send(
                    route.method.rawValue, path, port: cluster.httpPort, headers: headers + [("Content-Type", "application/json")],
                    body: route.request == nil ? [] : body.encoded()).status
            }
            for route in RouteCatalogue.router {
                let permission = RoutePermissions.permission(for: route)
                for (user, roles, grants) in Self.users {
                    let isOpen =
                        switch permission {
                        case .everyone, .signedIn: true
                        case .role(let role): roles.compactMap(UserRole.init).contains { $0.includes(role) }
                        case .query: roles.contains("admin") || grants.access(to: "shop") != nil
                        case nil: false
                        }
                    #expect(try await status(route, header(user)) == (isOpen ? 200 : 403), "\(route.id) as \(user)")
                }
                #expect(try await status(route, []) == (permission == .everyone ? 200 : 401), "\(route.id) without a token")
                guard permission != .everyone else { continue }
                for (name, token) in TokenForge.bad(secret: TokenForge.secret, user: "admin", now: Date().timeIntervalSince1970) {
                    #expect(try await status(route, [("Authorization", "Bearer \(token)")]) == 401, "\(route.id) with a token that is \(name)")
                }
            }
        }
    }

    @Test func aReadersStatementsOnlyReadWhoeverUsedTheSessionBefore() async throws {
        try await withRouter { cluster async throws in
            let write = "UPDATE kv SET v = v + 1 WHERE k = 1"
            for round in 1...4 {
                #expect(try await execute(write, "writer", cluster).status == 200)
                let refused = try await execute(write, "reader", cluster)
                #expect(refused.status == 422 && refused.error?.sqlstate == "42501" && refused.error?.details?["refusal"] == "PGM-READ-ONLY-USER", "\(refused.text)")
                let streamed = try await execute(write + " RETURNING v", "reader", cluster, headers: [("Accept", "application/x-ndjson")])
                #expect(streamed.status == 422, "\(streamed.text)")
                let read = try await execute("SELECT v FROM kv WHERE k = 1", "reader", cluster)
                #expect(read.status == 200 && read.text.contains("{\"v\":\(round + 1)}"), "\(read.text)")
            }
            let batch: JSONValue = ["database": "shop", "statements": [["query": "SELECT 1"], ["query": .string(write)]]]
            let answer = try await RawHTTP.send(
                "POST", "/v1/batch", port: cluster.httpPort, headers: header("reader") + [("Content-Type", "application/json")], body: batch.encoded())
            #expect(answer.status == 422 && answer.error?.sqlstate == "42501", "\(answer.text)")
        }
    }

    @Test func whoHasNoRightDoesNotLearnWhichDatabasesThereAre() async throws {
        try await withRouter { cluster async throws in
            for path in ["/v1/shard-for-key?key=1&database=shop", "/v1/shard-for-key?key=1&database=nowhere"] {
                let answer = try await RawHTTP.send("GET", path, port: cluster.httpPort, headers: header("stranger"))
                #expect(answer.status == 403 && answer.error?.code == .forbidden && answer.error?.sqlstate == "42501", "\(path)")
            }
        }
    }

    @Test func catalogChangesOverRESTBearTheUsersName() async throws {
        try await withRouter { cluster async throws in
            #expect(try await execute("SELECT pgmosaic.reference_table('fresh')", "writer", cluster).status == 200)
            #expect(try await cluster.store.history(limit: 1).first?.change.author == "writer")
        }
    }

    @Test func aRevokedTokenIsRefusedOnceTheCatalogSaysSo() async throws {
        try await withRouter { cluster async throws in
            let now = Date().timeIntervalSince1970
            let catalog = try await cluster.store.load()
            let setting = #"[{"jti":"writer","until":\#(now + 1000)}]"#
            _ = try await cluster.store.commit(
                CatalogChange([.setSetting(name: "auth.revoked", value: setting)], author: "test"), expecting: catalog.epoch)
            try await eventually("the token is void") { try await execute("SELECT 1", "writer", cluster).status == 401 }
            #expect(try await execute("SELECT 1", "reader", cluster).status == 200)
        }
    }
}
