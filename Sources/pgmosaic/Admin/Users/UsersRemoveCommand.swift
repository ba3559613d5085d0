import ArgumentParser
import ControlAPI

/// `pgmosaic users remove`
struct UsersRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "remove", abstract: "Remove a user.")

    @Argument(help: "The user.") var name: String
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "users remove") { client in
            let answer = try await client.send(.delete, "\(UsersCommand.path)/\(APIClient.escape(name))")
            options.show(JSONText(answer)) { "removed user \(name)" }
        }
    }
}
