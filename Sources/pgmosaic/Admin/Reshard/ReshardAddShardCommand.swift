import ArgumentParser
import ControlAPI

/// `pgmosaic reshard add-shard`
struct ReshardAddShardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add-shard", abstract: "Fill a shard with its fair share, from those that have the most.",
        discussion: """
              pgmosaic shards add west --database shop --endpoint 'postgres://app@10.0.0.2/shop?password=env:WEST'
              pgmosaic reshard plan add-shard west
              pgmosaic reshard add-shard west --watch
            """)

    @Argument(help: "The shard: one that joins, or that has less than the others.") var shard: String
    @Flag(help: "Follow the job.") var watch = false
    @OptionGroup var job: JobOptions
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "reshard add-shard") { client in
            let body = [JSONValue.Member("shard_id", .string(shard))]
            try await ReshardCommand.begin("add-shard", .object(body + job.members), client, options, watches: watch)
        }
    }
}
