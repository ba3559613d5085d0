import ArgumentParser
import ControlAPI

/// `pgmosaic login`
struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Get a token for the other commands.",
        discussion: """
            The token is kept in a file that only you can read (PGMOSAIC_TOKEN_FILE, or pgmosaic/token in ~/.config), and sent by
            the other commands until it expires. PGMOSAIC_TOKEN takes its place.

              pgmosaic login ada --password-file ada.txt
            """)

    @Argument(help: "The user.") var name: String
    @OptionGroup var password: PasswordSource
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "login") { client in
            try SavedToken.checkMayGo(to: client.baseURL)
            let answer = try await client.send(
                .post, "/api/v1/auth/login", body: ["username": .string(name), "password": .string(try password.read())], showsToken: false)
            guard let token = answer["token"]?.stringValue else { throw ClientError(.otherServer("\(client.baseURL) gave no token")) }
            let path = try SavedToken.save(token)
            // Without the token: what is printed ends up in logs.
            let shown = JSONValue.object((answer.members ?? []).filter { $0.name != "token" } + [.init("token_file", .string(path))])
            options.show(JSONText(shown)) { "logged in as \(name) for \(answer.cell("expires_in")) seconds; the token is in \(path)" }
        }
    }
}
