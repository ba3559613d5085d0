import Foundation
import PostgresProcess

/// psql with statements of a test's own.
enum Psql {
    static func run(_ dsn: String, _ statements: String..., settings: [String] = []) async throws -> CommandResult {
        try await SupervisedProcess.run(try command(dsn, statements, settings))
    }

    static func command(_ dsn: String, _ statements: [String], _ settings: [String] = []) throws -> SupervisedProcess.Command {
        let words = settings.flatMap { ["-v", $0] } + statements.flatMap { ["-c", $0] }
        return SupervisedProcess.Command(
            try PostgresInstallation.find().path(of: "psql"), ["-X", "-A", "-t"] + words + [dsn],
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGCONNECT_TIMEOUT": "120"])
    }

    /// The router learns of a new user a moment after the catalog does.
    static func waitForLogin(_ dsn: String) async throws {
        for _ in 0..<2400 {
            if try await run(dsn, "SELECT 1").status == 0 { return }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
