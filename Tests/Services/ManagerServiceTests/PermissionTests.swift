import CatalogStore
import ControlAPI
import RESTTestKit
import ShardModel
import Testing

/// Every operation of the manager, as everybody.
@Suite struct PermissionTests {
    private func call(_ route: APIRoute, _ manager: ClosedManager, _ token: String?) async throws -> Int {
        let path = route.pathParameters.reduce(route.path) { $0.replacing("{\($1)}", with: "nothing") }
        let body: [UInt8] = route.request == nil ? [] : Array("{}".utf8)
        let headers = ClosedManager.header(token) + (body.isEmpty ? [] : [("Content-Type", "application/json")])
        return try await RawHTTP.send(route.method.rawValue, path, port: manager.server.port, headers: headers, body: body).status
    }

    /// What an operation of this permission must answer to whom; nil: neither 401 nor 403.
    private func expected(_ permission: APIPermission?, of user: String?) -> Int? {
        let roles: [String: UserRole] = ["admin": .admin, "operator": .operator, "viewer": .viewer]
        switch (permission, user) {
        case (.everyone, _), (.signedIn, _?): return nil
        case (_, nil): return 401
        case (.role(let role), let user?): return roles[user]?.includes(role) == true ? nil : 403
        default: return 403
        }
    }

    @Test func everyOperationIsOpenToThoseWhomTheTableNamesAndToNobodyElse() async throws {
        try await ClosedManager.run { manager in
            for route in RouteCatalogue.manager {
                for user in [nil, "reader", "viewer", "operator", "admin"] as [String?] {
                    // A new one each time: one of the operations makes it void.
                    let token: String? = if let user { try await manager.token(of: user) } else { nil }
                    let status = try await call(route, manager, token)
                    if let expected = expected(RoutePermissions.permission(for: route), of: user) {
                        #expect(status == expected, "\(route.id) as \(user ?? "nobody")")
                    } else {
                        #expect(status != 401 && status != 403, "\(route.id) as \(user ?? "nobody")")
                    }
                }
            }
        }
    }

    @Test func noOperationTakesABadToken() async throws {
        try await ClosedManager.run { manager in
            for (name, token) in TokenForge.bad(secret: TokenForge.secret, user: "admin", now: manager.clock.now) {
                for route in RouteCatalogue.manager where RoutePermissions.permission(for: route) != .everyone {
                    let status = try await call(route, manager, token)
                    #expect(status == 401, "\(route.id) with one that is \(name)")
                }
            }
        }
    }

    @Test func theRoleInATokenIsNotBelievedAgainstTheCatalog() async throws {
        try await ClosedManager.run { manager in
            let claims = TokenForge.claims(["sub": "viewer", "roles": .array(["admin"])])
            let answer = try await manager.server.get("/api/v1/users", headers: ClosedManager.header(TokenForge.hs256(claims)))
            #expect(answer.status == 403 && answer.error?.code == .forbidden)
        }
    }

    @Test(arguments: [
        [("Authorization", "Basic YWRtaW46eA==")], [("Authorization", "Bearer")], [("Authorization", "")], [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    ])
    func anythingButOneBearerTokenIs401InTheOneErrorShape(_ headers: [(String, String)]) async throws {
        try await ClosedManager.run { manager in
            let answer = try await manager.server.get("/api/v1/users", headers: headers)
            #expect(answer.status == 401 && answer.error?.code == .unauthenticated && answer.headers["www-authenticate"] == "Bearer")
        }
    }

    @Test func changesAreRecordedUnderTheUsersName() async throws {
        try await ClosedManager.run { manager in
            let headers = ClosedManager.header(try await manager.token(of: "operator"))
            #expect(try await manager.server.post("/api/v1/databases", ["name": "shop"], headers: headers).status == 201)
            #expect(try await manager.store.history(limit: 1).first?.change.author == "operator")
        }
    }

    @Test func anIdempotencyKeyIsItsUsersOwn() async throws {
        try await ClosedManager.run { manager in
            let key = [("Idempotency-Key", "k")]
            let body: JSONValue = ["name": "shop"]
            let one = try await manager.server.post("/api/v1/databases", body, headers: ClosedManager.header(try await manager.token(of: "operator")) + key)
            let other = try await manager.server.post("/api/v1/databases", body, headers: ClosedManager.header(try await manager.token(of: "admin")) + key)
            #expect(one.status == 201 && other.status == 409, "\(other.text)")
            #expect(try await manager.server.post("/api/v1/databases", body, headers: key).status == 401)
        }
    }
}
