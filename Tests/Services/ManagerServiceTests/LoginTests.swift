import CatalogStore
import ControlAPI
import RESTTestKit
import Secrets
import ShardModel
import Testing

@Suite struct LoginTests {
    private func isAccepted(_ token: String, _ manager: ClosedManager) async throws -> Bool {
        try await manager.server.post("/api/v1/auth/revoke", ["jti": "no such"], headers: ClosedManager.header(token)).status != 401
    }

    @Test func aPasswordGivesATokenOfItsUser() async throws {
        try await ClosedManager.run { manager in
            let answer = try await manager.login("viewer")
            #expect(answer.status == 200 && answer.json?["username"] == "viewer" && answer.json?["roles"] == ["viewer"] && answer.json?["expires_in"] == 3600)
            #expect(answer.headers["cache-control"] == "no-store")
            #expect(try await isAccepted(answer.json?["token"]?.stringValue ?? "", manager))
            manager.clock.now += 3600 + 30
            let late = try await manager.server.get("/api/v1/databases", headers: ClosedManager.header(answer.json?["token"]?.stringValue))
            #expect(late.status == 401 && late.error?.details?["reason"] == "expired")
        }
    }

    @Test func whoDoesNotKnowThePasswordCannotTellWhetherThereIsSuchAUser() async throws {
        try await ClosedManager.run { manager in
            func shape(_ answer: HTTPAnswer) -> [String] {
                let same = answer.headers.filter { !["x-request-id", "traceparent", "date"].contains($0.key) }
                return ["\(answer.status)", "\(same.sorted { $0.key < $1.key })", answer.error?.message ?? "", answer.error?.code.rawValue ?? ""]
            }
            let wrong = try await manager.login("admin", "wrong")
            #expect(wrong.status == 401 && wrong.error?.code == .loginFailed)
            for (user, password) in [("nobody", "wrong"), ("nobody", ClosedManager.password), ("", ""), ("ADMIN", "x"), ("admin", String(repeating: "a", count: 5000))] {
                #expect(shape(try await manager.login(user, password)) == shape(wrong), "\(user)")
            }
            #expect(!wrong.text.contains("admin"))
        }
    }

    /// The lock is the same for users that there are not, and the right password does not open it early.
    @Test func afterSomeFailuresTheNextTriesMustWait() async throws {
        try await ClosedManager.run { manager in
            for user in ["viewer", "nobody"] {
                var statuses: [Int] = []
                for _ in 0..<6 { statuses.append(try await manager.login(user, "wrong").status) }
                #expect(statuses == [401, 401, 401, 401, 401, 429], "\(user)")
                let locked = try await manager.login(user)
                #expect(locked.headers["retry-after"] == "1")
                #expect(locked.status == 429 && locked.error?.code == .tooManyRequests && locked.headers["retry-after"] != nil)
            }
            // Nobody else pays.
            #expect(try await manager.login("operator").status == 200)
            manager.clock.now += 1
            #expect(try await manager.login("viewer").status == 200)
        }
    }

    @Test func aTokenThatItsUserHasGivenUpIsVoid() async throws {
        try await ClosedManager.run { manager in
            let (one, other) = (try await manager.token(of: "viewer"), try await manager.token(of: "viewer"))
            #expect(try await manager.server.post("/api/v1/auth/logout", [:], headers: ClosedManager.header(one)).status == 204)
            #expect(try await !isAccepted(one, manager))
            #expect(try await isAccepted(other, manager))
            manager.clock.now += 2
            #expect(try await manager.server.post("/api/v1/auth/logout", [:], headers: ClosedManager.header(one)).status == 401)
        }
    }

    @Test func anAdministratorRevokesOneTokenOrAllOfAUser() async throws {
        try await ClosedManager.run { manager in
            let admin = ClosedManager.header(try await manager.token(of: "admin"))
            let (one, other) = (try await manager.token(of: "viewer"), try await manager.token(of: "viewer"))
            let id = try TokenAuthority(TokenSettings(secret: TokenForge.secret), now: { manager.clock.now }).verify(one).id
            #expect(try await manager.server.post("/api/v1/auth/revoke", ["jti": .string(id)], headers: admin).status == 204)
            #expect(try await !isAccepted(one, manager))
            #expect(try await isAccepted(other, manager))
            #expect(try await manager.server.post("/api/v1/auth/revoke", ["username": "viewer"], headers: admin).status == 204)
            #expect(try await !isAccepted(other, manager))
            manager.clock.now += 1
            #expect(try await isAccepted(try await manager.token(of: "viewer"), manager))
            for body in [[:], ["jti": "a", "username": "b"], ["jti": ""]] as [JSONValue] {
                #expect(try await manager.server.post("/api/v1/auth/revoke", body, headers: admin).status == 400)
            }
        }
    }

    @Test func whatAUserLosesItsTokensLose() async throws {
        try await ClosedManager.run { manager in
            let admin = ClosedManager.header(try await manager.token(of: "admin"))
            let viewer = try await manager.token(of: "viewer")
            func status(_ token: String) async throws -> Int { try await manager.server.get("/api/v1/databases", headers: ClosedManager.header(token)).status }
            #expect(try await status(viewer) == 200)
            // Its role.
            #expect(try await manager.server.put("/api/v1/users/viewer", ["version": 1, "roles": []], headers: admin).status == 200)
            #expect(try await status(viewer) == 403)
            #expect(try await manager.server.put("/api/v1/users/viewer", ["version": 2, "roles": ["viewer"]], headers: admin).status == 200)
            #expect(try await status(viewer) == 200)
            // Its password.
            manager.clock.now += 1
            #expect(try await manager.server.put("/api/v1/users/viewer", ["version": 3, "password": "another one"], headers: admin).status == 200)
            #expect(try await status(viewer) == 401)
            // Itself: a new user of that name does not get them.
            manager.clock.now += 1
            let answer = try await manager.login("viewer", "another one")
            let newer = try #require(answer.json?["token"]?.stringValue)
            #expect(try await status(newer) == 200)
            #expect(try await manager.server.delete("/api/v1/users/viewer", headers: admin).status == 204)
            #expect(try await status(newer) == 401)
            let again: JSONValue = ["name": "viewer", "password": "another one", "roles": ["viewer"]]
            #expect(try await manager.server.post("/api/v1/users", again, headers: admin).status == 201)
            #expect(try await status(newer) == 401)
        }
    }

    @Test func theFirstAdministratorIsMadeWithoutATokenAndOnlyOnce() async throws {
        try await ClosedManager.run(empty: true) { manager in
            #expect(try await manager.server.get("/api/v1/users").status == 401)
            #expect(try await manager.login("admin").status == 401)
            let admin: JSONValue = ["username": "admin", "password": .string(ClosedManager.password)]
            #expect(try await manager.server.post("/api/v1/auth/setup", admin).status == 201)
            #expect(try await manager.server.post("/api/v1/auth/setup", ["username": "eve", "password": "12345678"]).error?.code == .setupDone)
            let users = try await manager.server.get("/api/v1/users", headers: ClosedManager.header(try await manager.token(of: "admin")))
            #expect(users.status == 200)
        }
    }

    @Test func tokensAreCheckedByTheLastCatalogWhileTheStoreIsDown() async throws {
        try await ClosedManager.run { manager in
            let viewer = ClosedManager.header(try await manager.token(of: "viewer"))
            #expect(try await manager.server.get("/metrics", headers: viewer).status == 200)
            manager.faults.load = .unavailable("gone")
            #expect(try await manager.server.get("/metrics", headers: viewer).status == 200)
            #expect(try await manager.server.get("/metrics").status == 401)
            #expect(try await manager.server.get("/api/v1/users", headers: viewer).status == 403)
            #expect(try await manager.server.get("/api/v1/databases", headers: viewer).status == 503)
            #expect(try await manager.login("viewer").status == 503)
        }
    }

    @Test func manyWrongLoginsAtOnceAreBounded() async throws {
        try await ClosedManager.run { manager in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<100 { group.addTask { try await manager.login("user\(number)", "wrong").status } }
                return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(Set(statuses.keys).isSubset(of: [401, 429]) && statuses[401, default: 0] >= 19)
        }
    }
}
