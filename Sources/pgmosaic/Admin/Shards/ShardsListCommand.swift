import ArgumentParser
import ControlAPI

/// `pgmosaic shards list`
struct ShardsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The shards.")

    @Option(help: "Only those of one database.") var database: String?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "shards list") { client in
            let items = try await client.list(ShardsCommand.path, query: [("database", database)])
            options.show(JSONText(["items": .array(items)])) {
                var table = TextTable(["ID", "DATABASE", "STATUS", "HOME", "OF THE RING", "VNODES", "REPLICAS", "PRIMARY"], right: [4, 5, 6])
                for item in items {
                    table.add([
                        item.cell("id"), item.cell("database"), item.cell("status"), item["is_home"]?.boolValue == true ? "home" : "",
                        ShardsShowCommand.share(of: item), String(item["vnodes"]?.arrayValue?.count ?? 0),
                        String(item["replicas"]?.arrayValue?.count ?? 0), item.cell("primary_endpoint"),
                    ])
                }
                return items.isEmpty ? "no shards; add one with: pgmosaic shards add ID --database NAME --endpoint URL" : table.text
            }
        }
    }
}
