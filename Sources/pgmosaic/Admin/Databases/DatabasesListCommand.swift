import ArgumentParser
import ControlAPI

/// `pgmosaic databases list`
struct DatabasesListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The databases.")

    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "databases list") { client in
            let items = try await client.list(DatabasesCommand.path)
            options.show(JSONText(["items": .array(items)])) {
                var table = TextTable(["NAME", "SHARDS", "TABLES", "HOME SHARD", "UNPLACED TABLES", "KEY COLUMNS"], right: [1, 2])
                for item in items {
                    table.add([
                        item.cell("name"), item.cell("shard_count"), item.cell("table_count"), item.cell("home_shard"),
                        item.cell("default_placement"), item.cell("key_column_rules"),
                    ])
                }
                return items.isEmpty ? "no databases; make one with: pgmosaic databases create NAME" : table.text
            }
        }
    }
}
