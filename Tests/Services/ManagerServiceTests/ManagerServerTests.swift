import CatalogStore
import ControlAPI
import Foundation
import Logging
import ManagerService
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
}
