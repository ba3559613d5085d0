import ControlAPI
import Foundation
import PostgresProcess
import RESTTestKit
import Testing

/// Both servers against their own OpenAPI documents: schemathesis (PyPI) makes requests of each document, right ones and wrong ones, and looks at the answers.
@Suite(.enabled(if: Schemathesis.isPresent, "schemathesis (PyPI) is missing where PGMOSAIC_TEST_PYTHON points"))
struct SchemathesisTests {
    @Test func theServersKeepToTheirDocuments() async throws {
        try await withDemoFolder { demo in
            try await #require(demo.start(["--shards", "2"]).status == 0)
            let description = try demo.description()
            for kind in ["routers", "managers"] {
                let url = try #require((description[kind] as? [[String: Any]])?.first?["url"] as? String)
                try await Schemathesis.run(url, in: demo.folder)
            }
        }
    }

    /// The same demo, with servers beside its own that ask for tokens.
    @Test func serversThatAskForTokensLetNobodyInWithoutOne() async throws {
        try await withDemoFolder { demo in
            try await #require(demo.start(["--shards", "2"]).status == 0)
            let admin = try #require(try demo.description()["admin"] as? [String: String])
            let manager = try await OpenServer.start(["manager", "--config", demo.folder + "/config/manager.yaml", "--id", "manager-2"])
            let router = try await OpenServer.start([
                "router", "--config", demo.folder + "/config/router-1.yaml", "--id", "router-2", "--wire-port", "0", "--snapshot-file", demo.folder + "/other.snapshot",
            ])
            let token = try await manager.token(of: admin)
            // Who makes its own token void, or takes its own rights away, is let in nowhere afterwards, and nothing would be looked at.
            let left = ["--exclude-operation-id-regex", "auth_|^(put|delete)_api_v1_users"]
            for server in [router, manager] {
                let words = ["-H", "Authorization: Bearer \(token)", "--phases", "coverage,fuzzing"] + left
                try await Schemathesis.run("http://127.0.0.1:\(server.port)", in: demo.folder, words)
                await server.process.terminate()
            }
        }
    }
}

/// A server of the demo's cluster that asks for tokens.
private struct OpenServer {
    let port: Int
    let process: SupervisedProcess

    static func start(_ words: [String]) async throws -> OpenServer {
        let port = try LoopbackPort.free()
        let process = try SupervisedProcess.start(.init(Demo.program, words + ["--http-port", String(port), "--http-auth", "token"]))
        for _ in 0..<1200 {
            if let answer = try? await RawHTTP.send("GET", "/health", port: port), answer.status == 200 { return OpenServer(port: port, process: process) }
            try await Task.sleep(for: .milliseconds(100))
        }
        await process.terminate()
        throw PostgresProcessError.system(call: "GET /health of \(words[0])", errno: ETIMEDOUT)
    }

    func token(of user: [String: String]) async throws -> String {
        let body = JSONValue.object(["username", "password"].map { .init($0, .string(user[$0] ?? "")) }).encoded()
        let answer = try await RawHTTP.send("POST", "/api/v1/auth/login", port: port, headers: [("Content-Type", "application/json")], body: body)
        return try #require(answer.json?["token"]?.stringValue, "\(answer.status)")
    }
}

enum Schemathesis {
    private static let environment = ProcessInfo.processInfo.environment
    private static let program: String? = environment["PGMOSAIC_TEST_PYTHON"].map { ($0 as NSString).deletingLastPathComponent + "/schemathesis" }
    private static let settings = (#filePath as NSString).deletingLastPathComponent + "/schemathesis.toml"

    /// Always so in CI, where it is to fail when it is missing.
    static var isPresent: Bool { environment["CI"] != nil || program.map(FileManager.default.isExecutableFile) == true }

    /// The same requests each time.
    static func run(_ url: String, in folder: String, _ words: [String] = []) async throws {
        let program = try #require(program, "PGMOSAIC_TEST_PYTHON is not set")
        let fixed = ["--config-file", settings, "run", url + "/openapi.json", "--no-color", "--generation-deterministic", "--request-timeout", "30"]
        let result = try await SupervisedProcess.run(
            .init(program, fixed + ["--max-examples", environment["CI"] == nil ? "20" : "12"] + words, workingDirectory: folder), limit: .seconds(900))
        #expect(result.status == 0, "\(url)\n\(result.output)\n\(result.errors)")
        // A run that chose nothing finds nothing.
        #expect(result.output.contains("Test cases:"), "\(result.output)")
    }
}
