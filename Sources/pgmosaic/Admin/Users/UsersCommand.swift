import ArgumentParser

/// `pgmosaic users`
struct UsersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users", abstract: "List, make and remove the users that clients connect as.",
        discussion: """
            There are no default users. The first one is an administrator:
              pgmosaic users setup ada --password-file ada.txt
              pgmosaic users add app --role viewer --database shop < app.txt
            """,
        subcommands: [UsersListCommand.self, UsersSetupCommand.self, UsersAddCommand.self, UsersRemoveCommand.self],
        defaultSubcommand: UsersListCommand.self)

    static let path = "/api/v1/users"
}
