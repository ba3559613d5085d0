import ArgumentParser
import ControlAPI
import ShardModel

/// `pgmosaic users`
struct UsersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users", abstract: "List, make, change and remove the users that clients connect as.",
        discussion: """
            There are no default users. The first one is an administrator:
              pgmosaic users setup ada --password-file ada.txt
              pgmosaic users add app --grant shop:write < app.txt
            """,
        subcommands: [
            UsersListCommand.self, UsersShowCommand.self, UsersSetupCommand.self, UsersAddCommand.self, UsersChangeCommand.self, UsersRevokeCommand.self,
            UsersRemoveCommand.self,
        ],
        defaultSubcommand: UsersListCommand.self)

    static let path = "/api/v1/users"

    /// "shop:read, stock:write"; what is everything is "all".
    static func rights(of user: JSONValue) -> String {
        guard let grants = user["grants"]?.arrayValue else { return user["databases"]?.shown ?? "all" }
        return grants.map { grant in
            let mayWrite = grant["rights"]?.arrayValue?.contains { $0.stringValue == QueryRight.write.rawValue } == true
            return grant.cell("database") + (mayWrite ? ":write" : ":read")
        }.joined(separator: ", ")
    }
}
