import ArgumentParser
import ControlAPI

/// `pgmosaic tables forget`
struct TablesForgetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget", abstract: "Take back a declaration; the table must not exist on the shards.")

    @Argument(help: "schema.table") var name: String
    @Option(help: "The database; may be left out when there is only one.") var database: String?
    @Option(name: .customLong("if-version"), help: "Only if its version is still this one.") var version: UInt64?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "tables forget") { client in
            let database = try await TablesCommand.database(database, client)
            let answer = try await client.send(
                .delete, "\(TablesCommand.path(of: database))/\(APIClient.escape(name))", query: [("version", version.map(String.init))])
            options.show(JSONText(answer)) { "forgot \(name) in \(database)" }
        }
    }
}
