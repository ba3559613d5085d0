import ArgumentParser
import ControlAPI

/// `pgmosaic users show`
struct UsersShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "One user.")

    @Argument(help: "The user.") var name: String
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "users show") { client in
            let user = try await client.send(.get, "\(UsersCommand.path)/\(APIClient.escape(name))")
            options.show(JSONText(user)) {
                var table = TextTable(["NAME", "ROLES", "DATABASES", "VERSION"], right: [3])
                table.add([user.cell("name"), user.cell("roles"), UsersCommand.rights(of: user), user.cell("version")])
                return table.text
            }
        }
    }
}
