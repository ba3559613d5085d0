import ControlAPI
import Foundation
import PostgresProcess
import Telemetry
import Testing

/// What `deploy/` holds for Prometheus and Grafana, against Prometheus itself and what the servers export.
struct MonitoringTests {
    private static let folder: String = {
        var path = #filePath as NSString
        for _ in 0..<4 { path = path.deletingLastPathComponent as NSString }
        return path.appendingPathComponent("deploy")
    }()

    private static func text(_ file: String) throws -> String { try String(contentsOfFile: folder + "/" + file, encoding: .utf8) }

    @Test(arguments: ["prometheus/alerts.yml", "prometheus/alerts-test.yml", "grafana/pgmosaic.json"])
    func everyMetricThatIsUsedIsExported(by file: String) throws {
        let known = Set(MetricCatalogue.all.flatMap { family in
            family.kind == .histogram ? ["_bucket", "_sum", "_count"].map { family.name + $0 } : [family.name]
        })
        let used = Set(try Self.text(file).matches(of: /\b(pgmosaic|process)_[a-z_]+/).map { String($0.output.0) })
        #expect(used.count > 5)
        #expect(used.subtracting(known).isEmpty)
    }

    @Test func everyAlertHasACaseAndIsExplained() throws {
        let names = try Self.text("prometheus/alerts.yml").matches(of: /alert: ([A-Za-z]+)/).map { String($0.output.1) }
        #expect(names.count > 10 && Set(names).count == names.count)
        let (cases, page) = (try Self.text("prometheus/alerts-test.yml"), try Self.text("../docs/guide/monitoring.md"))
        for name in names {
            #expect(cases.contains("alertname=\"\(name)\""), "\(name) has no case in which it comes")
            #expect(page.contains(name), "monitoring.md does not say what to do about \(name)")
        }
    }

    @Test func theDashboardsPanelsHaveTheirPlaceAndTheirQueries() throws {
        let dashboard = try #require(try JSONSerialization.jsonObject(with: Data(try Self.text("grafana/pgmosaic.json").utf8)) as? [String: Any])
        let panels = try #require(dashboard["panels"] as? [[String: Any]])
        let ids = panels.compactMap { $0["id"] as? Int }
        #expect(panels.count > 10 && Set(ids).count == panels.count)
        for panel in panels where panel["type"] as? String != "row" {
            let targets = panel["targets"] as? [[String: Any]] ?? []
            #expect(!targets.isEmpty && targets.allSatisfy { ($0["expr"] as? String)?.contains("$instance") == true }, "\(panel["title"] ?? "")")
        }
    }

    @Test(.enabled(if: Prometheus.isPresent, Prometheus.missing))
    func promtoolTakesTheRulesAndTheirCases() async throws {
        let folder = Self.folder + "/prometheus"
        for words in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts-test.yml"], ["check", "config", "prometheus.yml"]] {
            let result = try await SupervisedProcess.run(.init(Prometheus.promtool, words, workingDirectory: folder), limit: .seconds(300))
            #expect(result.status == 0, "\(result.output)\(result.errors)")
        }
    }

    @Test(.enabled(if: Prometheus.isPresent, Prometheus.missing))
    func aPrometheusReadsARouterAndAManager() async throws {
        try await withDemoFolder { demo in
            try await #require(demo.start(["--shards", "2", "--dataset", "shop"]).status == 0)
            let description = try demo.description()
            try await demo.psql(try #require(description["dsn"] as? String), "SELECT name FROM customers WHERE customer_id = 42")
            let servers = ["routers", "managers"].flatMap { description[$0] as? [[String: Any]] ?? [] }
            let targets = servers.compactMap { ($0["url"] as? String)?.dropFirst("http://".count) }
            try #require(targets.count == 2)
            try await Prometheus.with(targets: targets.map(String.init), rules: Self.folder + "/prometheus/alerts.yml", folder: demo.folder) { prometheus in
                try await prometheus.expect("sum(up)", toBe: "2")
                try await prometheus.expect("count(pgmosaic_build_info)", toBe: "2")
                try await prometheus.expect("sum(pgmosaic_statements_total{kind=\"select\", outcome=\"ok\"}) > bool 0", toBe: "1")
                try await prometheus.expect("count(count by (le) (pgmosaic_statement_seconds_bucket)) > bool 20", toBe: "1")
                let unwell = try await prometheus.rulesThatAreNotWell()
                #expect(unwell.isEmpty, "\(unwell)")
            }
        }
    }
}

/// A Prometheus of the test's own, on a free port of loopback.
struct Prometheus {
    private static let program = "/usr/bin/prometheus"
    static let promtool = "/usr/bin/promtool"
    static let missing: Comment = "Debian's prometheus is missing"

    /// Always so in CI, where it is to fail when it is missing.
    static var isPresent: Bool {
        ProcessInfo.processInfo.environment["CI"] != nil || [program, promtool].allSatisfy(FileManager.default.isExecutableFile)
    }

    private let port: Int

    static func with(targets: [String], rules: String, folder: String, _ body: (Prometheus) async throws -> Void) async throws {
        let settings = folder + "/prometheus.yml"
        try """
            global: {scrape_interval: 1s, evaluation_interval: 1s}
            rule_files: ["\(rules)"]
            scrape_configs: [{job_name: pgmosaic, static_configs: [{targets: [\(targets.map { "\"\($0)\"" }.joined(separator: ", "))]}]}]

            """.write(toFile: settings, atomically: true, encoding: .utf8)
        let port = try LoopbackPort.free()
        let process = try SupervisedProcess.start(
            .init(
                program,
                ["--config.file", settings, "--storage.tsdb.path", folder + "/prometheus", "--web.listen-address", "127.0.0.1:\(port)"],
                output: .file(folder + "/prometheus.log")))
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(Prometheus(port: port)))
        } catch {
            result = .failure(error)
        }
        await process.terminate()
        try result.get()
    }

    /// By curl, which reads answers in chunks; nil without one.
    private func get(_ path: String) async -> JSONValue? {
        let words = ["-s", "-f", "http://127.0.0.1:\(port)\(path)"]
        guard let result = try? await SupervisedProcess.run(.init("/usr/bin/curl", words), limit: .seconds(60)), result.status == 0 else { return nil }
        return try? JSONParser.parse(Array(result.output.utf8))
    }

    /// Asks until the answer is that: what is scraped is there a moment later.
    func expect(_ query: String, toBe value: String) async throws {
        var last: JSONValue?
        for _ in 0..<1200 {
            let escaped = query.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? query
            last = await get("/api/v1/query?query=\(escaped)")
            if last?["data"]?["result"]?.arrayValue?.first?["value"]?.arrayValue?.last?.stringValue == value { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        Issue.record("\(query) is not \(value): \(last?.text ?? "no answer")")
    }

    /// Once all have been evaluated.
    func rulesThatAreNotWell() async throws -> [String] {
        for _ in 0..<1200 {
            let answer = await get("/api/v1/rules")
            let rules = answer?["data"]?["groups"]?.arrayValue?.flatMap { $0["rules"]?.arrayValue ?? [] } ?? []
            let states = rules.map { ($0["name"]?.stringValue ?? "", $0["health"]?.stringValue ?? "") }
            if !states.isEmpty, states.allSatisfy({ $0.1 != "unknown" }) { return states.filter { $0.1 != "ok" }.map { "\($0.0): \($0.1)" } }
            try await Task.sleep(for: .milliseconds(100))
        }
        return ["the rules are not evaluated"]
    }
}
