import ArgumentParser
import ControlAPI

/// `pgmosaic users change`
struct UsersChangeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "change", abstract: "Change a user's roles, grants or password.",
        discussion: """
            What is not given stays as it is; roles and grants that are given replace all that there were.

              pgmosaic users change app --grant shop:read
              pgmosaic users change ada --password-file new.txt
            """)

    @Argument(help: "The user.") var name: String
    @Option(name: .customLong("role"), help: "admin, operator or viewer. May be given several times.") var roles: [UserRole] = []
    @Flag(help: "Take all roles away.") var noRoles = false
    @Option(name: .customLong("grant"), help: GrantArgument.help) var grants: [GrantArgument] = []
    @Flag(help: "Take all grants away.") var noGrants = false
    @Flag(help: "Read a new password from standard input.") var password = false
    @Option(help: ArgumentHelp("File whose first line is the new password.", valueName: "file")) var passwordFile: String?
    @Option(name: .customLong("if-version"), help: "Only if its version is still this one. (whatever it is now)") var version: UInt64?
    @OptionGroup var options: ManagerOptions

    func validate() throws {
        if noRoles, !roles.isEmpty { throw ValidationError("give --role or --no-roles, not both") }
        if noGrants, !grants.isEmpty { throw ValidationError("give --grant or --no-grants, not both") }
        if roles.isEmpty, !noRoles, grants.isEmpty, !noGrants, !password, passwordFile == nil { throw ValidationError("say what to change") }
    }

    func run() async throws {
        try await options.reportingErrors(of: "users change") { client in
            let path = "\(UsersCommand.path)/\(APIClient.escape(name))"
            // Without --if-version the record is read first; a change in between is then a conflict, which is what it should be.
            let current: JSONValue
            if let version { current = .number(String(version)) } else { current = try await client.send(.get, path)["version"] ?? .null }
            var members: [JSONValue.Member] = [.init("version", current)]
            if !roles.isEmpty || noRoles { members.append(.init("roles", .array(roles.map { .string($0.rawValue) }))) }
            if !grants.isEmpty || noGrants { members.append(.init("grants", GrantArgument.json(grants))) }
            if password || passwordFile != nil { members.append(.init("password", .string(try PasswordSource.read(file: passwordFile)))) }
            let answer = try await client.send(.put, path, body: .object(members))
            options.show(JSONText(answer)) { "changed user \(name)" }
        }
    }
}
