import ArgumentParser
import ControlAPI

/// `pgmosaic reshard list`
struct ReshardListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The jobs, the oldest first.")

    @Option(help: "Only those of one database.") var database: String?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "reshard list") { client in
            let items = try await client.list("\(ReshardCommand.path)/jobs", query: [("database", database)])
            options.show(JSONText(["items": .array(items)])) {
                items.isEmpty ? "no jobs; begin one with: pgmosaic reshard split SHARD --to SHARD" : JobText.table(items)
            }
        }
    }
}
