import ArgumentParser
import ControlAPI

/// `pgmosaic users list`
struct UsersListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The users.")

    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "users list") { client in
            let items = try await client.list(UsersCommand.path)
            options.show(JSONText(["items": .array(items)])) {
                var table = TextTable(["NAME", "ROLES", "DATABASES"])
                for item in items { table.add([item.cell("name"), item.cell("roles"), UsersCommand.rights(of: item)]) }
                return items.isEmpty ? "no users; make the first administrator with: pgmosaic users setup NAME" : table.text
            }
        }
    }
}
