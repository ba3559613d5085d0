import CatalogStore
import ControlAPI
import Foundation
import Logging
import ManagerService
import PostgresProcess
import RESTTestKit
import ServerConfig
import ShardModel
import Testing

/// Two managers, of which the leader asks for certificates.
@Suite struct LeaderCertificateTests {
    private struct Managers: Sendable {
        let follower: Int
        let leader: String
        let store: InMemoryCatalogStore
        let reload: @Sendable (_ change: (inout ManagerSettings) -> Void) -> Void
    }

    private func settings(_ id: String, wait: Duration = .seconds(10)) -> ManagerSettings {
        var settings = ManagerSettings.defaults(catalog: "memory")
        settings.id = id
        settings.auth.mode = .none
        settings.httpPort = 0
        settings.leader.wait = wait
        // However busy the machine is, it is this one that leads.
        settings.leader.lease = .seconds(60)
        return settings
    }

    private func url(of id: String, in store: InMemoryCatalogStore) async throws -> String {
        while true {
            if let url = try await store.members().first(where: { $0.id == id })?.url { return url }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// - authority: of which the leader demands certificates.
    /// - shown: what the follower shows; nil: nothing.
    private func withManagers(
        _ files: TestCertificates, authority: String, shown: String?, wait: Duration = .seconds(10), _ body: @Sendable (Managers) async throws -> Void
    ) async throws {
        let store = InMemoryCatalogStore()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        var leading = settings("leader")
        leading.httpTLS = HTTPTLSFiles(
            certificateFile: files.certificate("leader"), keyFile: files.key("leader"), clientAuthoritiesFile: files.certificate(authority))
        var following = settings("follower", wait: wait)
        following.leader.caFile = files.certificate("leader")
        following.leader.certificateFile = shown.map(files.certificate)
        following.leader.keyFile = shown.map(files.key)
        let (reloads, asked) = AsyncStream.makeStream(of: Result<ManagerSettings, any Error>.self)
        try await withThrowingTaskGroup(of: Void.self) { [leading, following, logger] group in
            group.addTask { try await ManagerServer.run(settings: leading, store: store, logger: logger) }
            defer { group.cancelAll() }
            while try await store.lease(LeaderElection.leaseName) == nil { try await Task.sleep(for: .milliseconds(20)) }
            group.addTask { try await ManagerServer.run(settings: following, reloads: reloads, store: store, logger: logger) }
            let port = try #require(try await url(of: "follower", in: store).split(separator: ":").last.flatMap { Int($0) })
            let managers = Managers(follower: port, leader: try await url(of: "leader", in: store), store: store) { change in
                var settings = following
                change(&settings)
                asked.yield(.success(settings))
            }
            try await body(managers)
        }
    }

    private func make(_ name: String, _ managers: Managers) async throws -> HTTPAnswer {
        let body = (["name": .string(name)] as JSONValue).encoded()
        return try await RawHTTP.send(
            "POST", "/api/v1/databases", port: managers.follower, headers: [("Content-Type", "application/json")], body: body)
    }

    private func curl(_ managers: Managers, _ files: TestCertificates, _ name: String?) async throws -> Bool {
        let own = name.map { ["--cert", files.certificate($0), "--key", files.key($0)] } ?? []
        let arguments = ["-sS", "-f", "-m", "60", "-o", "/dev/null", "--cacert", files.certificate("leader")] + own + [managers.leader + "/api/v1/databases"]
        return try await SupervisedProcess.run(.init("/usr/bin/curl", arguments), limit: .seconds(90)).status == 0
    }

    private func withCertificates(_ names: [String], _ body: (TestCertificates) async throws -> Void) async throws {
        try await TestCertificates.with { files in
            for name in names { try await files.make(name) }
            try await body(files)
        }
    }

    @Test func aFollowerShowsItsCertificateAndOthersWithoutOneGetNothing() async throws {
        try await withCertificates(["leader", "friend", "stranger"]) { files in
            // Whose write can be passed on is not given up, however busy the machine is.
            try await withManagers(files, authority: "friend", shown: "friend", wait: .seconds(60)) { managers in
                let status = try await make("app", managers).status
                #expect(status == 201)
                let databases = try await managers.store.load().databases.keys.sorted()
                #expect(databases == ["app"])
                let answered = [try await curl(managers, files, "friend"), try await curl(managers, files, nil), try await curl(managers, files, "stranger")]
                #expect(answered == [true, false, false])
            }
        }
    }

    @Test(arguments: [nil, "stranger"]) func aFollowerWithoutTheRightCertificateSaysSoAndNothingIsChanged(_ shown: String?) async throws {
        try await withCertificates(["leader", "friend", "stranger"]) { files in
            try await withManagers(files, authority: "friend", shown: shown) { managers in
                var answer = try await make("app", managers)
                // On a busy machine the leader may take no connection in time.
                for _ in 0..<10 where answer.text.contains("it takes no connection") { answer = try await make("app", managers) }
                #expect(answer.status == 503 && answer.error?.code == .noLeader && answer.text.contains("leader.certificate_file"), "\(answer.text)")
                let isEmpty = try await managers.store.load().databases.isEmpty
                #expect(isEmpty)
            }
        }
    }

    @Test func aNewCertificateIsTakenUpWithoutARestart() async throws {
        try await withCertificates(["leader", "friend", "shown"]) { files in
            try await withManagers(files, authority: "friend", shown: "shown") { managers in
                var status = try await make("app", managers).status
                #expect(status == 503)
                for (from, to) in [(files.certificate("friend"), files.certificate("shown")), (files.key("friend"), files.key("shown"))] {
                    try Data(contentsOf: URL(fileURLWithPath: from)).write(to: URL(fileURLWithPath: to))
                }
                // With a mistake in them the settings stay as they are.
                managers.reload { $0.leader.certificateFile = "/nonexistent" }
                managers.reload { _ in }
                for _ in 0..<20 where status != 201 { status = try await make("app", managers).status }
                #expect(status == 201)
            }
        }
    }

    @Test func aCertificateThatCannotBeUsedStopsTheStart() async throws {
        try await TestCertificates.with { files in
            for name in ["one", "other"] { try await files.make(name) }
            var settings = settings("manager")
            settings.leader.certificateFile = files.certificate("one")
            settings.leader.keyFile = files.key("other")
            do {
                try await ManagerServer.run(settings: settings, store: InMemoryCatalogStore(), logger: Logger(label: "test"))
                Issue.record("it started")
            } catch {
                #expect("\(error)".contains("leader.certificate_file") && "\(error)".contains(files.key("other")), "\(error)")
            }
        }
    }
}
