import ArgumentParser

/// `pgmosaic databases`
struct DatabasesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "databases", abstract: "List, make and remove databases.",
        discussion: """
            A database is what clients name when they connect; it has its own shards and tables.

            Tables with a column tenant_id or customer_id are sharded by it, everything else lives on the home shard:
              pgmosaic databases create shop --key-column tenant_id --key-column customer_id --default-placement local
            """,
        subcommands: [DatabasesListCommand.self, DatabasesShowCommand.self, DatabasesCreateCommand.self, DatabasesDeleteCommand.self],
        defaultSubcommand: DatabasesListCommand.self)

    static let path = "/api/v1/databases"
}
