import ArgumentParser
import ControlAPI

/// `pgmosaic shards`
struct ShardsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shards", abstract: "List, add, look at and remove shards.",
        discussion: """
            A shard is one PostgreSQL server's database that holds a part of the keys.

              pgmosaic shards
              pgmosaic shards health east
              pgmosaic shards add west --database shop \\
                --endpoint 'postgres://app@10.0.0.2/shop?password=env:WEST_PASSWORD'
            """,
        subcommands: [
            ShardsListCommand.self, ShardsShowCommand.self, ShardsAddCommand.self, ShardsRemoveCommand.self, ShardsStatusCommand.self,
            ShardsReplicasCommand.self,
            ShardsHealthCommand.self, ShardsStatsCommand.self,
        ],
        defaultSubcommand: ShardsListCommand.self)

    static let path = "/api/v1/shards"
    static func path(of id: String) -> String { "\(path)/\(APIClient.escape(id))" }
}
