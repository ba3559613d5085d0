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

@Suite struct ManagerServerTests {
    /// Starts the whole server as the program does, on a free port, and finds it by its announcement.
    @Test func theServerListensOnLoopbackAnnouncesItselfAndMakesItsKeyFile() async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-manager-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var settings = ManagerSettings.defaults(catalog: "memory")
        settings.auth.mode = .none
        settings.httpPort = 0
        settings.secretsKeyFile = folder + "/key"
        let store = InMemoryCatalogStore()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        try await withThrowingTaskGroup(of: Void.self) { [settings, logger] group in
            group.addTask { try await ManagerServer.run(settings: settings, store: store, logger: logger) }
            defer { group.cancelAll() }
            var members: [MemberRecord] = []
            while members.isEmpty {
                try await Task.sleep(for: .milliseconds(20))
                members = try await store.members()
            }
            #expect(members[0].kind == "manager" && members[0].url.hasPrefix("http://127.0.0.1:"))
            let port = try #require(members[0].url.split(separator: ":").last.flatMap { Int($0) })
            let ready = try await RawHTTP.send("GET", "/ready", port: port)
            #expect(ready.json?["ready"] == true)
            let metrics = try await RawHTTP.send("GET", "/metrics", port: port).text
            for series in ["pgmosaic_catalog_epoch 0", "pgmosaic_catalog_connected 1", #"role="manager""#, #"path="/ready",status="200""#] {
                #expect(metrics.contains(series), "\(series)")
            }
            #expect(FileManager.default.fileExists(atPath: folder + "/key"))
        }
    }

    @Test func healthAndMetricsHaveAListenerOfTheirOwn() async throws {
        for isOnMain in [false, true] {
            var settings = ManagerSettings.defaults(catalog: "memory")
            settings.httpPort = 0
            settings.auth.secret = "file:" + (try await Self.secretFile())
            settings.access.operations = .init(host: "127.0.0.1", port: try LoopbackPort.free())
            settings.access.operationsOnMain = isOnMain
            let port = try #require(settings.access.operations?.port)
            let store = InMemoryCatalogStore()
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            try await withThrowingTaskGroup(of: Void.self) { [settings, logger] group in
                group.addTask { try await ManagerServer.run(settings: settings, store: store, logger: logger) }
                defer { group.cancelAll() }
                var members: [MemberRecord] = []
                while members.isEmpty {
                    try await Task.sleep(for: .milliseconds(20))
                    members = try await store.members()
                }
                let main = try #require(members[0].url.split(separator: ":").last.flatMap { Int($0) })
                for path in ["/health", "/ready", "/metrics"] {
                    let deadline = ContinuousClock.now + .seconds(120)
                    while (try? await RawHTTP.send("GET", path, port: port)) == nil, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
                    #expect(try await RawHTTP.send("GET", path, port: port).status == 200, "\(path)")
                    // With a listener of their own or not, metrics need a token on the main one.
                    #expect(try await RawHTTP.send("GET", path, port: main).status == (isOnMain ? path == "/metrics" ? 401 : 200 : 404), "\(path)")
                }
                for path in ["/api/v1/users", "/api/v1/catalog", "/api/v1/auth/login"] { #expect(try await RawHTTP.send("GET", path, port: port).status == 404) }
                #expect(try await RawHTTP.send("GET", "/api/v1/users", port: main).status == 401)
            }
        }
    }

    private static func secretFile() async throws -> String {
        let path = NSTemporaryDirectory() + "pgmosaic-secret-\(UUID().uuidString)"
        _ = FileManager.default.createFile(atPath: path, contents: Data(repeating: 0x61, count: 40), attributes: [.posixPermissions: 0o600])
        return path
    }

    @Test func theServerSpeaksTLSAndTakesUpANewCertificate() async throws {
        try await TestCertificates.with { files in
            try await files.make("server")
            var settings = ManagerSettings.defaults(catalog: "memory")
            settings.auth.mode = .none
            settings.httpPort = 0
            settings.httpTLS = HTTPTLSFiles(certificateFile: files.certificate("server"), keyFile: files.key("server"))
            let store = InMemoryCatalogStore()
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let (reloads, asked) = AsyncStream.makeStream(of: Result<ManagerSettings, any Error>.self)
            try await withThrowingTaskGroup(of: Void.self) { [settings, logger] group in
                group.addTask { try await ManagerServer.run(settings: settings, reloads: reloads, store: store, logger: logger) }
                defer { group.cancelAll() }
                var members: [MemberRecord] = []
                while members.isEmpty {
                    try await Task.sleep(for: .milliseconds(20))
                    members = try await store.members()
                }
                #expect(members[0].url.hasPrefix("https://127.0.0.1:"))
                func curl() async throws -> String {
                    let arguments = ["-sS", "-m", "30", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "--cacert", files.certificate("server")]
                    let result = try await SupervisedProcess.run(.init("/usr/bin/curl", arguments + [members[0].url + "/ready"]), limit: .seconds(60))
                    return result.status == 0 ? result.output : "failed \(result.status)"
                }
                #expect(try await curl() == "2 200")
                try await files.make("server")
                #expect(try await curl() == "failed 60")
                var broken = settings
                broken.httpTLS?.keyFile = "/nonexistent"
                asked.yield(.success(broken))
                asked.yield(.success(settings))
                var answer = ""
                for _ in 0..<3000 where answer != "2 200" {
                    try await Task.sleep(for: .milliseconds(20))
                    answer = try await curl()
                }
                #expect(answer == "2 200")
            }
        }
    }

    @Test func filesThatCannotBeUsedStopItsStart() async throws {
        var settings = ManagerSettings.defaults(catalog: "memory")
        settings.auth.mode = .none
        settings.httpTLS = HTTPTLSFiles(certificateFile: "/nonexistent.crt", keyFile: "/nonexistent.key")
        do {
            try await ManagerServer.run(settings: settings, store: InMemoryCatalogStore(), logger: Logger(label: "test"))
            Issue.record("it started")
        } catch {
            #expect("\(error)" == "the file cannot be read: /nonexistent.crt")
        }
    }
}
