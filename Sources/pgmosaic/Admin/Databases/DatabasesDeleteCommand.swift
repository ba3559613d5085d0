import ArgumentParser
import ControlAPI

/// `pgmosaic databases delete`
struct DatabasesDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove a database that has no shards, with the declarations of its tables.")

    @Argument(help: "The database.") var name: String
    @Option(name: .customLong("if-version"), help: "Only if its version is still this one.") var version: UInt64?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "databases delete") { client in
            let answer = try await client.send(
                .delete, "\(DatabasesCommand.path)/\(APIClient.escape(name))", query: [("version", version.map(String.init))])
            options.show(JSONText(answer)) { "removed database \(name)" }
        }
    }
}
