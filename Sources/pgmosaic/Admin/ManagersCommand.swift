import ArgumentParser
import ControlAPI

/// `pgmosaic managers`
struct ManagersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "managers", abstract: "The live managers, and which of them leads.")

    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "managers") { client in
            let items = try await client.list("/api/v1/managers")
            options.show(JSONText(["items": .array(items)])) {
                var table = TextTable(["ID", "REST", "ROLE", "SINCE", "EPOCH", "VERSION", "STARTED"], right: [4])
                for item in items {
                    table.add(["id", "url", "role", "since", "epoch", "version", "started_at"].map(item.cell))
                }
                return items.isEmpty ? "no manager is alive" : table.text
            }
        }
    }
}
