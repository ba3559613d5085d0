import ClusterTestKit
import ControlAPI
import Foundation
import RESTTestKit
import Testing

extension FaultTests {
    /// A router's log levels, changed while it serves: what is looked at is its log.
    @Suite(.serialized) struct LogLevelTests {
        private func withRouter(_ settings: String = "", _ body: @Sendable (RouterProcess, _ folder: String) async throws -> Void) async throws {
            let options = TestCluster.Options(shards: 1)
            try await TestCluster.withShards(options) { folder, servers in
                let audit = "audit: {path: \"\(folder)/audit.jsonl\", sync: always}"
                let router = try await RouterProcess(folder, servers, options, settings: "loops: 1\n\(audit)\n\(settings)\n")
                try await router.start()
                try await body(router, folder)
                await router.stop()
            }
        }

        private func change(_ router: RouterProcess, _ body: JSONValue, id: String = "change") async throws -> HTTPAnswer {
            try await RawHTTP.send(
                "PATCH", "/v1/log-levels", port: router.httpPort, headers: [("Content-Type", "application/json"), ("X-Request-Id", id)], body: body.encoded())
        }

        private static let trace = "0af7651916cd43dd8448eb211c80319c"

        /// A request that has a line at `debug`, of REST.
        private func request(_ router: RouterProcess, _ id: String) async throws {
            let headers = [("X-Request-Id", id), ("traceparent", "00-\(Self.trace)-b7ad6b7169203331-01")]
            #expect(try await RawHTTP.send("GET", "/v1/health", port: router.httpPort, headers: headers).status == 200)
        }

        /// All that was logged before `mark`, a request whose change of levels is always told of.
        private func lines(_ router: RouterProcess, until mark: String) async throws -> [JSONValue] {
            #expect(try await change(router, [:], id: mark).status == 200)
            try await eventually("the log has come to \(mark)") { router.log.contains("\"request_id\":\"\(mark)\"") }
            return router.log.split(separator: "\n").compactMap { try? JSONParser.parse(Array($0.utf8)) }
        }

        private func requests(in lines: [JSONValue]) -> [String] {
            lines.filter { $0["msg"] == "request" && $0["fields"]?["path"] == "/v1/health" }.compactMap { $0["fields"]?["request_id"]?.stringValue }
        }

        @Test func aSubsystemsLevelChangesAtOnceAndOthersStay() async throws {
            try await withRouter { router, folder in
                try await request(router, "before")
                let changed = try await change(router, ["subsystems": ["rest": "debug"]])
                #expect(changed.json == ["level": "info", "subsystems": ["rest": "debug"]])
                try await request(router, "while")
                #expect(try await change(router, ["subsystems": ["rest": nil]]).json == ["level": "info", "subsystems": [:]])
                try await request(router, "after")
                let lines = try await lines(router, until: "mark-1")
                #expect(requests(in: lines) == ["while"])
                let line = try #require(lines.first { $0["msg"] == "request" && $0["fields"]?["request_id"] == "while" })
                #expect(line["level"] == "debug" && line["fields"]?["subsystem"] == "rest" && line["fields"]?["trace_id"]?.stringValue == Self.trace)
                // Nobody else began to speak at that level.
                #expect(!lines.contains { $0["level"] == "debug" && $0["fields"]?["subsystem"] != "rest" })

                // The level of all others; a subsystem may be quieter than they.
                let quiet = try await change(router, ["level": "debug", "subsystems": ["rest": "critical"]])
                #expect(quiet.json == ["level": "debug", "subsystems": ["rest": "critical"]])
                try await request(router, "quiet")
                #expect(requests(in: try await self.lines(router, until: "mark-2")) == ["while"])
                #expect(try await RawHTTP.send("GET", "/v1/log-levels", port: router.httpPort).json == quiet.json)

                let audited = try String(contentsOfFile: folder + "/audit.jsonl", encoding: .utf8)
                #expect(audited.components(separatedBy: "\"log.levels\"").count == 6, "\(audited)")
            }
        }

        @Test func whatIsNoChangeOfLevelsIsRefusedAndChangesNothing() async throws {
            try await withRouter { router, _ in
                for (body, code) in [
                    (["level": "loud"], .invalidRequest), (["subsystems": ["rest": "debug", "pool": "debug"]], .unknownField), (["levels": [:]], .unknownField),
                    (["level": "debug", "subsystems": ["rest": 3]], .invalidRequest), (["level": "debug", "subsystems": ["rest"]], .invalidRequest),
                ] as [(JSONValue, APIErrorCode)] {
                    let answer = try await change(router, body)
                    #expect(answer.status == 400 && answer.error?.code == code, "\(body.text): \(answer.text)")
                }
                #expect(try await RawHTTP.send("GET", "/v1/log-levels", port: router.httpPort).json == ["level": "info", "subsystems": [:]])
            }
        }

        @Test func theLevelsOfTheSettingsCountAtTheStartAndFromAReloadOn() async throws {
            try await withRouter("log: {level: warning, levels: \"rest=debug\"}") { router, folder in
                try await request(router, "one")
                let first = try await lines(router, until: "mark-1")
                #expect(requests(in: first) == ["one"])
                // It listens, which is told at `info`, and a change at `notice`: of no subsystem, so neither is there.
                #expect(!first.contains { $0["msg"] == "Listening" || $0["msg"] == "Log levels changed" })
                let file = folder + "/router.yaml"
                let text = try String(contentsOfFile: file, encoding: .utf8)
                func reload(_ levels: String, _ words: String) async throws {
                    try text.replacing("{level: warning, levels: \"rest=debug\"}", with: levels).write(toFile: file, atomically: true, encoding: .utf8)
                    router.signal(SIGHUP)
                    try await eventually("the log says: \(words)") { router.log.contains(words) }
                }
                // A change over REST ends with it.
                #expect(try await change(router, ["subsystems": ["audit": "trace"]]).status == 200)
                try await reload("{level: info, levels: \"rest=info, catalog=error\"}", "Settings reloaded")
                try await request(router, "two")
                #expect(requests(in: try await lines(router, until: "mark-2")) == ["one"])
                let now: JSONValue = ["level": "info", "subsystems": ["catalog": "error", "rest": "info"]]
                #expect(try await RawHTTP.send("GET", "/v1/log-levels", port: router.httpPort).json == now)
                try await reload("{level: debug, levels: \"pool=debug\"}", "The settings were not reloaded")
                #expect(router.log.contains("catalog, wire, replicas"))
                #expect(try await RawHTTP.send("GET", "/v1/log-levels", port: router.httpPort).json == now)
            }
        }
    }
}
