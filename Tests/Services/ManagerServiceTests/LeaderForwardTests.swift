import CatalogStore
import ControlAPI
import Foundation
import Logging
import ManagerService
import PGWire
import RESTTestKit
import ServerConfig
import ShardModel
import Testing

/// Two managers in one process: the leader speaks TLS and asks for tokens, and a follower passes writes on to it.
@Suite struct LeaderForwardTests {
    private func settings(_ id: String, key: String) -> ManagerSettings {
        var settings = ManagerSettings.defaults(catalog: "memory")
        settings.id = id
        settings.httpPort = 0
        settings.secretsKeyFile = key
        // However busy the machine is, it is this one that leads.
        settings.leader.lease = .seconds(60)
        return settings
    }

    private func port(of id: String, in store: InMemoryCatalogStore) async throws -> Int {
        while true {
            if let url = try await store.members().first(where: { $0.id == id })?.url, let port = url.split(separator: ":").last.flatMap({ Int($0) }) {
                return port
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// - trusts: whether the follower trusts the leader's certificate.
    private func withFollower(
        trusts: Bool, forward: LeaderSettings.Forwarding = .forward, _ body: @Sendable (_ follower: Int, InMemoryCatalogStore) async throws -> Void
    ) async throws {
        try await TestCertificates.with { files in
            try await files.make("leader")
            try await files.make("stranger")
            let store = InMemoryCatalogStore()
            let verifier = ScramVerifier.make(password: "correct horse", salt: Array(1...16), iterations: 8).text
            let users = ["admin", "viewer"].map { name in
                var record = UserRecord(name: name, verifier: verifier, roles: [])
                record.set(roles: [name], grants: [])
                return CatalogChange.Operation.putUser(record)
            }
            _ = try await store.commit(CatalogChange(users, author: "test"), expecting: .zero)
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let key = files.key("leader") + ".secrets"
            var leading = settings("leader", key: key)
            leading.httpTLS = HTTPTLSFiles(certificateFile: files.certificate("leader"), keyFile: files.key("leader"))
            var following = settings("follower", key: key)
            following.leader.caFile = files.certificate(trusts ? "leader" : "stranger")
            following.leader.forward = forward
            // Whose write can be passed on is not given up, however busy the machine is.
            following.leader.wait = trusts ? .seconds(60) : .seconds(3)
            try await withThrowingTaskGroup(of: Void.self) { [leading, following, logger] group in
                group.addTask { try await ManagerServer.run(settings: leading, store: store, logger: logger) }
                defer { group.cancelAll() }
                while try await store.lease(LeaderElection.leaseName) == nil { try await Task.sleep(for: .milliseconds(20)) }
                group.addTask { try await ManagerServer.run(settings: following, store: store, logger: logger) }
                try await body(try await port(of: "follower", in: store), store)
            }
        }
    }

    private func post(_ path: String, _ body: JSONValue, _ token: String?, _ port: Int) async throws -> HTTPAnswer {
        let headers = [("Content-Type", "application/json")] + ClosedManager.header(token)
        return try await RawHTTP.send("POST", path, port: port, headers: headers, body: body.encoded())
    }

    private func token(of user: String, _ port: Int) async throws -> String {
        // A login is answered by whoever is asked.
        let answer = try await post("/api/v1/auth/login", ["username": .string(user), "password": "correct horse"], nil, port)
        return try #require(answer.json?["token"]?.stringValue, "\(answer.text)")
    }

    @Test func aWriteIsPassedOnOverVerifiedTLSAsItsCaller() async throws {
        try await withFollower(trusts: true) { port, store in
            let admin = try await token(of: "admin", port)
            #expect(try await post("/api/v1/databases", ["name": "app"], admin, port).status == 201)
            #expect(try await store.history(limit: 1).first?.change.author == "admin")
            let viewer = try await token(of: "viewer", port)
            #expect(try await post("/api/v1/databases", ["name": "other"], viewer, port).error?.code == .forbidden)
            #expect(try await post("/api/v1/databases", ["name": "other"], nil, port).error?.code == .unauthenticated)
            // What the leader finds wrong comes back as it said it.
            let wrong = try await post("/api/v1/databases", ["nam": "x"], admin, port)
            #expect(wrong.error?.code == .unknownField && wrong.json?["error"]?["request_id"]?.stringValue == wrong.headers["x-request-id"])
            // Void at the one, void at the other.
            #expect(try await RawHTTP.send("POST", "/api/v1/auth/logout", port: port, headers: ClosedManager.header(admin)).status == 204)
            #expect(try await post("/api/v1/databases", ["name": "late"], admin, port).error?.code == .unauthenticated)
            #expect(try await store.load().databases.keys.sorted() == ["app"])
        }
    }

    @Test func aLeaderWhoseCertificateIsNotTrustedGetsNothing() async throws {
        try await withFollower(trusts: false) { port, store in
            let admin = try await token(of: "admin", port)
            let answer = try await post("/api/v1/databases", ["name": "app"], admin, port)
            #expect(answer.error?.code == .noLeader && answer.headers["retry-after"] == "1", "\(answer.text)")
            #expect(try await store.load().databases.isEmpty)
        }
    }

    @Test func anAnswerIsRepeatedOnlyToWhoMayStillAsk() async throws {
        try await withFollower(trusts: true) { port, store in
            let admin = try await token(of: "admin", port)
            let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "k")] + ClosedManager.header(admin)
            let body = (["name": "app"] as JSONValue).encoded()
            let first = try await RawHTTP.send("POST", "/api/v1/databases", port: port, headers: headers, body: body)
            #expect(first.status == 201)
            #expect(try await RawHTTP.send("POST", "/api/v1/databases", port: port, headers: headers, body: body).body == first.body)
            let catalog = try await store.load()
            var record = try #require(catalog.users["admin"])
            record.set(roles: ["viewer"], grants: [])
            _ = try await store.commit(CatalogChange([.putUser(record)], author: "test"), expecting: catalog.epoch)
            let again = try await RawHTTP.send("POST", "/api/v1/databases", port: port, headers: headers, body: body)
            #expect(again.error?.code == .forbidden)
        }
    }
}
