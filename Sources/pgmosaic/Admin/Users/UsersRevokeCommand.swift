import ArgumentParser
import ControlAPI

/// `pgmosaic users revoke`
struct UsersRevokeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Make all tokens void that a user has until now.",
        discussion: """
              pgmosaic users revoke ada
            """)

    @Argument(help: "The user; of the catalog, or of an identity provider.") var name: String
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "users revoke") { client in
            let answer = try await client.send(.post, "/api/v1/auth/revoke", body: ["username": .string(name)])
            options.show(JSONText(answer)) { "the tokens of \(name) are void" }
        }
    }
}
