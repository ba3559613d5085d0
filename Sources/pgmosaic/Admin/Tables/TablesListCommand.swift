import ArgumentParser
import ControlAPI

/// `pgmosaic tables list`
struct TablesListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The declared tables of a database.")

    @Option(help: "The database; may be left out when there is only one.") var database: String?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "tables list") { client in
            let database = try await TablesCommand.database(database, client)
            let items = try await client.list(TablesCommand.path(of: database))
            options.show(JSONText(["items": .array(items)])) {
                var table = TextTable(["TABLE", "KIND", "SHARD KEY", "HOME SHARD"])
                for item in items { table.add([item.cell("name"), item.cell("kind"), item.cell("shard_key"), item.cell("home_shard")]) }
                return items.isEmpty ? "no tables are declared in \(database); declare one with: pgmosaic tables declare" : table.text
            }
        }
    }
}
