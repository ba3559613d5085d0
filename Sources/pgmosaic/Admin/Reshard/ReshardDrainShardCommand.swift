import ArgumentParser
import ControlAPI

/// `pgmosaic reshard drain-shard`
struct ReshardDrainShardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain-shard", abstract: "Empty a shard: all it has goes to the others, most to those that have the least.",
        discussion: """
              pgmosaic reshard plan drain-shard west
              pgmosaic reshard drain-shard west --watch
              pgmosaic reshard finish j2k3m4n5p6
              pgmosaic shards remove west
            """)

    @Argument(help: "The shard.") var shard: String
    @Flag(help: "Follow the job.") var watch = false
    @OptionGroup var job: JobOptions
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "reshard drain-shard") { client in
            let body = [JSONValue.Member("shard_id", .string(shard))]
            try await ReshardCommand.begin("drain-shard", .object(body + job.members), client, options, watches: watch)
        }
    }
}
