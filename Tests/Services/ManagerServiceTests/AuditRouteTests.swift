import Audit
import CatalogStore
import ControlAPI
import Foundation
import Glibc
import Logging
import RESTTestKit
import ServerConfig
import ShardModel
import Testing

/// What the manager's own trail tells, and who may read it.
@Suite struct AuditRouteTests {
    private func withTrail(_ body: @Sendable (ClosedManager, AuditTrail) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-audit-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await run(in: folder, body)
    }

    private func run(in folder: String, _ body: @Sendable (ClosedManager, AuditTrail) async throws -> Void) async throws {
        var settings = AuditSettings(path: folder + "/audit.jsonl")
        settings.sync = .always
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let trail = try AuditTrail(path: folder + "/audit.jsonl", settings, server: "manager-1", logger: logger)
        defer { trail.close() }
        try await ClosedManager.run(audit: trail) { try await body($0, trail) }
    }

    private func lines(_ manager: ClosedManager, _ token: String, _ query: String = "") async throws -> [JSONValue] {
        let answer = try await manager.server.get("/api/v1/audit" + query, headers: ClosedManager.header(token))
        #expect(answer.status == 200, "\(answer.text)")
        return answer.json?["items"]?.arrayValue ?? []
    }

    @Test func loginsRefusalsAndChangesHaveALineAndReadsHaveNone() async throws {
        try await withTrail { manager, trail in
            let token = try await manager.token(of: "admin")
            let headers = ClosedManager.header(token)
            _ = try await manager.login("viewer", "wrong password")
            _ = try await manager.login("nobody", "wrong password")
            let body: JSONValue = ["name": "bob", "password": "very-secret-9", "roles": ["viewer"]]
            #expect(try await manager.server.post("/api/v1/users", body, headers: headers + [("X-Request-Id", "request-7")]).status == 201)
            #expect(try await manager.server.post("/api/v1/users", body, headers: headers).status == 409)
            #expect(try await manager.server.delete("/api/v1/users/bob", headers: headers).status == 204)
            #expect(try await manager.server.get("/api/v1/users", headers: headers).status == 200)
            let viewer = ClosedManager.header(try await manager.token(of: "viewer"))
            #expect(try await manager.server.get("/api/v1/users", headers: viewer).status == 403)
            #expect(try await manager.server.post("/api/v1/databases", ["name": "x"], headers: viewer).status == 403)
            #expect(try await manager.server.get("/api/v1/users").status == 401)
            #expect(try await manager.server.post("/api/v1/databases", ["name": "x"], headers: [("Authorization", "Bearer a.b.c")]).status == 401)

            let shown = try await lines(manager, token).map { line in
                ["action", "outcome", "user", "object", "code", "request_id"].map { $0 == "request_id" && line[$0]?.stringValue != "request-7" ? "" : line[$0]?.stringValue ?? "-" }
                    .joined(separator: " ")
            }
            #expect(
                shown.dropFirst().map { $0.trimmingCharacters(in: .whitespaces) } == [
                    "login ok admin /api/v1/auth/login -", "login refused viewer /api/v1/auth/login LOGIN_FAILED", "login refused nobody /api/v1/auth/login LOGIN_FAILED",
                    "user.add ok admin /api/v1/users bob - request-7", "user.add failed admin /api/v1/users bob ALREADY_EXISTS",
                    "user.remove ok admin /api/v1/users/bob -", "login ok viewer /api/v1/auth/login -",
                    "GET /api/v1/users refused viewer /api/v1/users FORBIDDEN", "database.add refused viewer /api/v1/databases FORBIDDEN",
                    "GET /api/v1/users refused - /api/v1/users UNAUTHENTICATED", "database.add refused - /api/v1/databases UNAUTHENTICATED",
                ], "\(shown)")
            #expect(try await lines(manager, token).dropFirst().allSatisfy { $0["address"]?.stringValue == "127.0.0.1" })
            let text = try String(contentsOfFile: trail.path, encoding: .utf8)
            for secret in ["very-secret-9", "wrong password", ClosedManager.password, token, "a.b.c", "SCRAM-SHA-256"] { #expect(!text.contains(secret), "\(secret)") }
        }
    }

    @Test func theTrailIsReadByUserActionAndTimeInPages() async throws {
        try await withTrail { manager, _ in
            let token = try await manager.token(of: "admin")
            for _ in 0..<5 { _ = try await manager.token(of: "viewer") }
            #expect(try await lines(manager, token, "?user=viewer&action=login").count == 5)
            #expect(try await lines(manager, token, "?since=2000-01-01T00:00:00Z&action=login").count == 6)
            #expect(try await lines(manager, token, "?since=2999-01-01T00:00:00%2B01:00").isEmpty)
            let first = try await manager.server.get("/api/v1/audit?limit=2&user=viewer", headers: ClosedManager.header(token))
            let cursor = try #require(first.json?["next_cursor"]?.stringValue)
            #expect(try await lines(manager, token, "?limit=1000&user=viewer&cursor=\(cursor)").count == 3)
            for bad in ["since=yesterday", "cursor=ff", "cursor=7878", "limit=0", "who=ada"] {
                #expect(try await manager.server.get("/api/v1/audit?\(bad)", headers: ClosedManager.header(token)).status == 400, "\(bad)")
            }
        }
    }

    @Test func withoutATrailThereIsNothingToRead() async throws {
        try await ClosedManager.run { manager in
            let answer = try await manager.server.get("/api/v1/audit", headers: ClosedManager.header(try await manager.token(of: "admin")))
            #expect(answer.status == 404)
        }
    }

    @Test(.enabled(if: geteuid() == 0, "mounting a small file system takes root"))
    func onAFullDiskNothingIsChangedThatCouldNotBeToldOf() async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-audit-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try #require(mount("none", folder, "tmpfs", 0, "size=512k") == 0)
        defer { umount2(folder, Int32(MNT_DETACH)) }
        try await run(in: folder) { manager, trail in
            let token = try await manager.token(of: "admin")
            let ballast = folder + "/ballast"
            try Data(count: 1 << 10).write(to: URL(fileURLWithPath: ballast))
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: ballast))
            while (try? file.write(contentsOf: Data(count: 4096))) != nil {}
            var count = 0
            while !trail.isClosed {
                _ = try await manager.server.get("/api/v1/users")
                count += 1
                try #require(count < 2000)
            }
            let refused = try await manager.server.post("/api/v1/databases", ["name": "shop"], headers: ClosedManager.header(token))
            #expect(refused.status == 503 && refused.error?.code == .auditUnavailable && refused.headers["retry-after"] != nil, "\(refused.text)")
            #expect(try await manager.login("admin").error?.code == .auditUnavailable)
            #expect(try await manager.store.load().databases.isEmpty)
            #expect(try await manager.server.get("/api/v1/databases", headers: ClosedManager.header(token)).status == 200)
            try file.truncate(atOffset: 0)
            while trail.isClosed { try await Task.sleep(for: .milliseconds(20)) }
            #expect(try await manager.server.post("/api/v1/databases", ["name": "shop"], headers: ClosedManager.header(token)).status == 201)
            await trail.settle()
            let found = try AuditVerification.verify([trail.path])
            #expect(found.problemCount == 0 && trail.figures.dropped == 0, "\(found.problems)")
        }
    }
}
