import ArgumentParser
import ControlAPI

extension UserRole: ExpressibleByArgument {}

/// `pgmosaic users add`
struct UsersAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a user.",
        discussion: """
            A role says what the user may do with the cluster, a grant what it may do with a database's rows. An administrator may do everything.

              pgmosaic users add app --grant shop:write --password-file app.txt
              pgmosaic users add report --role viewer --grant '*:read' < report.txt
            """)

    @Argument(help: "The name to log in with.") var name: String
    @Option(name: .customLong("role"), help: "admin, operator or viewer. May be given several times.") var roles: [UserRole] = []
    @Option(name: .customLong("grant"), help: GrantArgument.help) var grants: [GrantArgument] = []
    @Option(name: .customLong("database"), help: "A database it may read and write: short for --grant NAME:write. May be given several times.")
    var databases: [String] = []
    @OptionGroup var password: PasswordSource
    @OptionGroup var options: ManagerOptions

    func validate() throws {
        if roles.isEmpty, grants.isEmpty, databases.isEmpty { throw ValidationError("give at least one --role or --grant") }
        if !grants.isEmpty, !databases.isEmpty { throw ValidationError("give --grant or --database, not both") }
    }

    func run() async throws {
        try await options.reportingErrors(of: "users add") { client in
            var members: [JSONValue.Member] = [
                .init("name", .string(name)), .init("password", .string(try password.read())),
                .init("roles", .array(roles.map { .string($0.rawValue) })),
            ]
            if !databases.isEmpty { members.append(.init("databases", .array(databases.map { .string($0) }))) }
            if !grants.isEmpty { members.append(.init("grants", GrantArgument.json(grants))) }
            let answer = try await client.send(.post, UsersCommand.path, body: .object(members))
            options.show(JSONText(answer)) { "made user \(name)" }
        }
    }
}
