import ArgumentParser
import ControlAPI
import Foundation

/// The options of every command that asks a server.
protocol ClientOptions: ParsableArguments {
    static var server: ServerKind { get }
    var url: String? { get }
    var json: Bool { get }
}

extension ClientOptions {
    var client: APIClient {
        APIClient(server: Self.server, baseURL: Self.server.url(option: url, environment: ProcessInfo.processInfo.environment))
    }

    /// Runs a command's work. A failure becomes one line on standard error (with `--json`, the server's error as it came) and an exit status.
    func reportingErrors(of command: String, _ body: (APIClient) async throws -> Void) async throws {
        do {
            try await body(client)
        } catch let error as ClientError {
            if json, let answer = error.answer {
                Console.complain(answer.text)
            } else {
                Console.complain("pgmosaic \(command): \(error.description)")
            }
            throw error.exitStatus
        }
    }

    /// Prints a server's answer: as JSON, or as `text` makes it.
    func show(_ answer: JSONText, _ text: () -> String) {
        Console.line(json ? answer.indented : text())
    }
}

struct ManagerOptions: ClientOptions {
    static let server = ServerKind.manager
    @Option(help: "The manager. (PGMOSAIC_MANAGER_URL, PGMOSAIC_URL, http://127.0.0.1:8081)") var url: String?
    @Flag(help: "Print the server's answer as JSON.") var json = false
}

struct RouterOptions: ClientOptions {
    static let server = ServerKind.router
    @Option(help: "The router. (PGMOSAIC_ROUTER_URL, PGMOSAIC_URL, http://127.0.0.1:8080)") var url: String?
    @Flag(help: "Print the server's answer as JSON.") var json = false
}
