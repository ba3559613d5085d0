import ArgumentParser
import ControlAPI

/// `pgmosaic routers`
struct RoutersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "routers", abstract: "The live routers, and how far each is behind the catalog.")

    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "routers") { client in
            let items = try await client.list("/api/v1/routers")
            options.show(JSONText(["items": .array(items)])) {
                var table = TextTable(["ID", "REST", "POSTGRESQL", "EPOCH", "BEHIND", "VERSION", "STARTED"], right: [3, 4])
                for item in items {
                    table.add(["id", "url", "wire_address", "epoch", "epoch_lag", "version", "started_at"].map(item.cell))
                }
                return items.isEmpty ? "no router is alive" : table.text
            }
        }
    }
}
