import Audit
import CatalogStore
import ControlAPI
import Foundation
import Logging
import ManagerService
import PostgresProcess
import RESTTestKit
import ServerConfig
import Testing

/// Two managers, and a caller of the one that follows: what the leader's audit trail says of it.
@Suite struct FirstCallerTests {
    private struct Managers: Sendable {
        let follower: Int
        let leader: Int
        let proxy: RecordingProxy
        let folder: String
        let store: InMemoryCatalogStore

        /// The lines of a manager's trail about databases, once there are `count`.
        func lines(_ manager: String, count: Int) async throws -> [JSONValue] {
            for _ in 0..<6000 {
                let text = (try? String(contentsOfFile: "\(folder)/\(manager).jsonl", encoding: .utf8)) ?? ""
                let lines = text.split(separator: "\n").compactMap { try? JSONParser.parse(String($0)) }.filter { $0["action"]?.stringValue == "database.add" }
                if lines.count >= count { return lines }
                try await Task.sleep(for: .milliseconds(20))
            }
            throw TrailTimeout(trail: manager, count: count)
        }

        struct TrailTimeout: Error {
            var trail: String
            var count: Int
        }

        /// Makes a database through `port`, as a caller at `address` of this machine's.
        func make(_ name: String, port: Int, from address: String, headers: [String] = []) async throws -> Int {
            let fields = (["content-type: application/json"] + headers).flatMap { ["-H", $0] }
            let arguments = ["-sS", "-m", "60", "--interface", address, "-o", "/dev/null", "-w", "%{http_code}", "-d", "{\"name\": \"\(name)\"}"]
            let result = try await SupervisedProcess.run(
                .init("/usr/bin/curl", arguments + fields + ["http://127.0.0.1:\(port)/api/v1/databases"]), limit: .seconds(90))
            return Int(result.output) ?? -1
        }
    }

    private func withManagers(_ body: @Sendable (Managers) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-callers-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func settings(_ id: String) -> ManagerSettings {
            var settings = ManagerSettings.defaults(catalog: "memory")
            settings.id = id
            settings.auth.mode = .none
            settings.httpPort = 0
            settings.secretsKeyFile = folder + "/key"
            settings.leader.wait = .seconds(30)
            // However busy the machine is, it is this one that leads.
            settings.leader.lease = .seconds(60)
            settings.audit.path = "\(folder)/\(id).jsonl"
            settings.audit.sync = .always
            return settings
        }
        let store = InMemoryCatalogStore()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        var leading = settings("leader")
        leading.httpPort = try LoopbackPort.free()
        let proxy = try RecordingProxy(to: leading.httpPort)
        defer { proxy.close() }
        leading.leader.url = "http://127.0.0.1:\(proxy.port)"
        let following = settings("follower")
        try await withThrowingTaskGroup(of: Void.self) { [leading, logger] group in
            group.addTask { try await ManagerServer.run(settings: leading, store: store, logger: logger) }
            defer { group.cancelAll() }
            while try await store.lease(LeaderElection.leaseName) == nil { try await Task.sleep(for: .milliseconds(20)) }
            group.addTask { try await ManagerServer.run(settings: following, store: store, logger: logger) }
            var port: Int?
            while port == nil {
                try await Task.sleep(for: .milliseconds(20))
                port = try await store.members().first { $0.id == "follower" }?.url.split(separator: ":").last.flatMap { Int($0) }
            }
            let managers = Managers(follower: try #require(port), leader: leading.httpPort, proxy: proxy, folder: folder, store: store)
            try await body(managers)
        }
    }

    @Test func theLeadersTrailHasTheFirstCallersAddressAndTheTraceOfBoth() async throws {
        try await withManagers { managers in
            let trace = "0af7651916cd43dd8448eb211c80319c"
            let headers = ["traceparent: 00-\(trace)-b7ad6b7169203331-01", "tracestate: a=1"]
            #expect(try await managers.make("app", port: managers.follower, from: "127.0.0.9", headers: headers) == 201)
            for manager in ["leader", "follower"] {
                let line = try #require(try await managers.lines(manager, count: 1).first)
                #expect(line["address"] == "127.0.0.9" && line["trace_id"]?.stringValue == trace && line["outcome"] == "ok", "\(manager): \(line.text)")
            }
            #expect(managers.proxy.recorded.contains("tracestate: a=1") && !managers.proxy.recorded.contains("b7ad6b7169203331"))
        }
    }

    @Test func whoSendsAVoucherAgainOrMakesOneUpIsNotBelieved() async throws {
        try await withManagers { managers in
            #expect(try await managers.make("app", port: managers.follower, from: "127.0.0.9") == 201)
            let field = managers.proxy.recorded.split(separator: "\r\n").first { $0.hasPrefix("PGMosaic-Caller: ") }
            let voucher = try #require(field?.dropFirst("PGMosaic-Caller: ".count))
            #expect(voucher.contains(";127.0.0.9;"))

            // The very same request, to the leader itself and by way of the follower.
            var again = managers.proxy.recorded
            again.replace("HTTP/1.1\r\n", with: "HTTP/1.1\r\nConnection: close\r\n", maxReplacements: 1)
            // Its answer is the first one's; its line says who has sent it.
            #expect(try await RawHTTP.exchange(Array(again.utf8), port: managers.leader).status == 201)
            var lines = try await managers.lines("leader", count: 2)
            #expect(lines.map { $0["address"]?.stringValue } == ["127.0.0.9", "127.0.0.1"], "\(lines)")

            let madeUp = voucher.replacing(";127.0.0.9;", with: ";10.9.9.9;")
            for (number, text) in [String(voucher), madeUp, "1;1;n;10.9.9.9;c;m"].enumerated() {
                #expect(try await managers.make("d\(number)", port: managers.leader, from: "127.0.0.8", headers: ["PGMosaic-Caller: \(text)"]) == 201)
            }
            #expect(try await managers.make("by-follower", port: managers.follower, from: "127.0.0.7", headers: ["PGMosaic-Caller: \(madeUp)"]) == 201)
            lines = try await managers.lines("leader", count: 6)
            #expect(lines.dropFirst(2).map { $0["address"]?.stringValue } == ["127.0.0.8", "127.0.0.8", "127.0.0.8", "127.0.0.7"], "\(lines)")
        }
    }
}
