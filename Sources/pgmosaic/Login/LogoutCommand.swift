import ArgumentParser
import ControlAPI

/// `pgmosaic logout`
struct LogoutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout", abstract: "Make the token of the last login void.",
        discussion: """
              pgmosaic logout
            """)

    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "logout") { client in
            let answer = try await client.send(.post, "/api/v1/auth/logout")
            SavedToken.remove()
            options.show(JSONText(answer)) { "logged out" }
        }
    }
}
