import Foundation
import PostgresProcess
import Testing

/// A manager's trail as operators meet it, and its first administrator.
@Suite struct AuditCommandTests {
    private static let password = "first-password-1"

    private func manager(_ folder: String, _ port: Int, name: String = "manager-1", environment: [String: String] = [:]) throws -> SupervisedProcess {
        let words = [
            "manager", "--id", name, "--catalog", "sqlite:\(folder)/c.sqlite", "--secrets-key-file", folder + "/key", "--http-port", String(port), "--log-level", "trace",
            "--audit-path", "\(folder)/\(name).jsonl", "--audit-key-file", folder + "/audit.key",
        ]
        let base = ["PATH": "/usr/bin:/bin", "PGMOSAIC_ADMIN_USER": "root", "PGMOSAIC_ADMIN_PASSWORD": Self.password, "PGMOSAIC_MANAGER_LEADER_WAIT": "60s"]
        return try SupervisedProcess.start(.init(Program.path, words, environment: base.merging(environment) { $1 }, output: .file("\(folder)/\(name).log")))
    }

    private func run(_ folder: String, _ port: Int, _ words: String..., input: String = password + "\n") async throws -> CommandResult {
        try await Program.run(words, input: input, environment: ["PGMOSAIC_URL": "http://127.0.0.1:\(port)", "PGMOSAIC_TOKEN_FILE": folder + "/token"])
    }

    private func login(_ folder: String, _ port: Int) async throws -> CommandResult {
        for _ in 0..<1200 {
            let answer = try await run(folder, port, "login", "root")
            if answer.status != 69 { return answer }
            try await Task.sleep(for: .milliseconds(50))
        }
        return try await run(folder, port, "login", "root")
    }

    @Test func theTrailOfAKilledManagerGoesOnAndIsWhole() async throws {
        try await withTemporaryFolder { folder in
            let port = try LoopbackPort.free()
            let trail = folder + "/manager-1.jsonl"
            for round in 1...3 {
                let process = try manager(folder, port)
                #expect(try await login(folder, port).status == 0)
                #expect(try await run(folder, port, "databases", "create", "shop\(round)").status == 0)
                let shown = try await run(folder, port, "audit", "show", "--action", "database.add")
                #expect(shown.status == 0 && shown.output.contains("/api/v1/databases shop\(round)"), "\(shown.output)\(shown.errors)")
                process.signal(SIGKILL)
                _ = await process.waitForExit()
                // As if it had been killed in the middle of a line.
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: trail))
                try file.seekToEnd()
                try file.write(contentsOf: Data(#"{"seq":9"#.utf8))
                try file.close()
            }
            let process = try manager(folder, port)
            #expect(try await login(folder, port).status == 0)
            _ = await process.terminate()
            let whole = try await Program.run("audit", "verify", trail, trail + ".head", "--key-file", folder + "/audit.key")
            #expect(whole.status == 0 && whole.output.contains(": whole") && whole.output.components(separatedBy: "was not written to its end").count == 4, "\(whole.output)")
            let line = try #require(whole.output.split(separator: "\n").last?.split(separator: " ").last)
            #expect(try await Program.run("audit", "verify", trail, "--expect", String(line)).status == 0)
            // The password, the token and what the verifier is made of are nowhere.
            let text = try String(contentsOfFile: trail, encoding: .utf8) + String(contentsOfFile: folder + "/manager-1.log", encoding: .utf8)
            let token = try String(contentsOfFile: folder + "/token", encoding: .utf8).trimmingCharacters(in: .newlines)
            for secret in [Self.password, token, "SCRAM-SHA-256$"] { #expect(!text.contains(secret), "\(secret)") }

            let changed = try String(contentsOfFile: trail, encoding: .utf8).replacing("shop2", with: "shop9")
            try changed.write(toFile: trail, atomically: false, encoding: .utf8)
            let found = try await Program.run("audit", "verify", trail)
            // How many lines a killed manager has written of what only looked, it depends on.
            let lines = changed.split(separator: "\n").enumerated().filter { $1.contains("shop9") }.map { $0.offset + 1 }
            #expect(!lines.isEmpty && found.status == 1 && found.output.contains("was changed"), "\(found.output)")
            #expect(lines.contains { found.output.contains(":\($0): ") || found.output.contains(":\($0 + 1): ") }, "\(lines) \(found.output)")
            #expect(try await Program.run("audit", "verify", folder + "/none").status == 1)
        }
    }

    @Test func managersThatStartAtOnceMakeOneFirstAdministrator() async throws {
        try await withTemporaryFolder { folder in
            let ports = [try LoopbackPort.free(), try LoopbackPort.free()]
            let processes = try ports.enumerated().map { try manager(folder, $1, name: "manager-\($0 + 1)") }
            for port in ports { #expect(try await login(folder, port).status == 0) }
            let users = try await run(folder, ports[1], "users", "--json")
            #expect(users.output.components(separatedBy: "\"root\"").count == 2, "\(users.output)")
            for process in processes { _ = await process.terminate() }
            let made = try ["manager-1", "manager-2"].map { try String(contentsOfFile: "\(folder)/\($0).jsonl", encoding: .utf8).contains("\"user.setup\"") }
            #expect(made.count { $0 } == 1)
            // A later start changes nothing, whatever the environment says by then.
            let again = try manager(folder, ports[0], environment: ["PGMOSAIC_ADMIN_PASSWORD": "other-password"])
            #expect(try await login(folder, ports[0]).status == 0)
            _ = await again.terminate()
        }
    }

    @Test(arguments: [
        (["PGMOSAIC_ADMIN_PASSWORD": "short"], "8 to 1024 bytes"), (["PGMOSAIC_ADMIN_USER": ""], "must not be empty"),
        (["PGMOSAIC_ADMIN_PASSWORD_FILE": "/nonexistent"], "one of them is enough"), (["PGMOSAIC_ADMIN_USER": "a\tb"], "control characters"),
    ])
    func aFirstAdministratorThatCannotBeIsAnErrorOfTheStart(_ environment: [String: String], _ reason: String) async throws {
        try await withTemporaryFolder { folder in
            let process = try manager(folder, try LoopbackPort.free(), environment: environment)
            #expect(await process.waitForExit() == 78)
            let log = try String(contentsOfFile: folder + "/manager-1.log", encoding: .utf8)
            #expect(log.contains(reason) && !log.contains("\"short\""), "\(log)")
        }
    }
}
