import ArgumentParser
import ControlAPI

extension UserRole: ExpressibleByArgument {}

/// `pgmosaic users add`
struct UsersAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a user.",
        discussion: """
              pgmosaic users add app --role viewer --database shop --password-file app.txt
            """)

    @Argument(help: "The name to log in with.") var name: String
    @Option(name: .customLong("role"), help: "admin, operator or viewer. May be given several times.") var roles: [UserRole]
    @Option(name: .customLong("database"), help: "A database it may use; all when left out. May be given several times.") var databases: [String] = []
    @OptionGroup var password: PasswordSource
    @OptionGroup var options: ManagerOptions

    func validate() throws {
        if roles.isEmpty { throw ValidationError("give at least one --role") }
    }

    func run() async throws {
        try await options.reportingErrors(of: "users add") { client in
            var members: [JSONValue.Member] = [
                .init("name", .string(name)), .init("password", .string(try password.read())),
                .init("roles", .array(roles.map { .string($0.rawValue) })),
            ]
            if !databases.isEmpty { members.append(.init("databases", .array(databases.map { .string($0) }))) }
            let answer = try await client.send(.post, UsersCommand.path, body: .object(members))
            options.show(JSONText(answer)) { "made user \(name)" }
        }
    }
}
