import Foundation
import PostgresProcess

/// The built program, beside the test bundle.
enum Program {
    static let path: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return (bundle as NSString).deletingLastPathComponent + "/pgmosaic"
    }()

    /// Runs it with nothing of ours in its environment but `environment`.
    static func run(_ arguments: [String], input: String = "", environment: [String: String] = [:]) async throws -> CommandResult {
        let base = ["PATH": "/usr/bin:/bin", "HOME": NSTemporaryDirectory(), "LC_ALL": "C.UTF-8", "COLUMNS": "80"]
        let command = SupervisedProcess.Command(path, arguments, environment: base.merging(environment) { $1 })
        return try await SupervisedProcess.run(command, input: input, limit: .seconds(300))
    }

    /// Looks again until it is so, for as long as a busy machine may take.
    static func wait(until condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while try await !condition(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(50)) }
    }

    static func run(_ arguments: String..., environment: [String: String] = [:]) async throws -> CommandResult {
        try await run(arguments, environment: environment)
    }
}

extension CommandResult {
    /// What it said of errors, but for the warning of a password on the command line.
    var complaint: String {
        errors.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("pgmosaic: warning: a URL on the command line") }.joined(separator: "\n")
    }
}
