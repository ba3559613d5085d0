import ArgumentParser
import ControlAPI

/// The program: every command hangs under it.
@main
struct PGMosaicCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pgmosaic",
        abstract: "Many PostgreSQL servers behind one address.",
        discussion: """
            See it work, with data in it, on this machine:
              pgmosaic demo

            Run it (every setting: pgmosaic router --help, pgmosaic manager --help):
              pgmosaic manager --config manager.yaml
              pgmosaic router --config router.yaml

            Build a cluster through the manager (--url, or PGMOSAIC_URL):
              pgmosaic databases create shop
              pgmosaic shards add east --database shop \\
                --endpoint 'postgres://app@10.0.0.1/shop?password=env:EAST'
              pgmosaic tables declare orders --database shop --sharded-by customer_id

            Ask a router (--url, or PGMOSAIC_URL):
              pgmosaic route "SELECT * FROM orders WHERE customer_id = 42"
              pgmosaic query "SELECT * FROM orders WHERE customer_id = $1" --param 42

            Exit status: 0 done; 1 refused or failed; 64 the command line is wrong; 69 a server cannot be reached; 78 a setting is wrong.
            """,
        version: BuildVersion.current,
        subcommands: [VersionCommand.self],
        groupedSubcommands: [
            .init(name: "Demo", subcommands: [DemoCommand.self]),
            .init(name: "Server", subcommands: [RouterCommand.self, ManagerCommand.self]),
            .init(name: "Statement", subcommands: [RouteCommand.self, QueryCommand.self]),
            .init(
                name: "Cluster",
                subcommands: [
                    LoginCommand.self, LogoutCommand.self, DatabasesCommand.self, ShardsCommand.self, ReshardCommand.self, TablesCommand.self, UsersCommand.self,
                    RoutersCommand.self, ManagersCommand.self, CatalogCommand.self, AuditCommand.self,
                ]),
        ])

    static func main() async {
        CommandLineSecrets.warn(of: CommandLine.arguments)
        await main(nil)
    }
}
