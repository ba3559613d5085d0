import ArgumentParser
import ControlAPI

/// `pgmosaic users setup`
struct UsersSetupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup", abstract: "Make the first administrator; only while no user exists.")

    @Argument(help: "The name to log in with.") var name: String
    @OptionGroup var password: PasswordSource
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "users setup") { client in
            try SavedToken.checkMayGo(to: client.baseURL)
            let answer = try await client.send(
                .post, "/api/v1/auth/setup", body: ["username": .string(name), "password": .string(try password.read())], showsToken: false)
            options.show(JSONText(answer)) { "made \(name), an administrator" }
        }
    }
}
