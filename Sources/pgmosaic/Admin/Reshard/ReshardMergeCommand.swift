import ArgumentParser
import ControlAPI

/// `pgmosaic reshard merge`
struct ReshardMergeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "merge", abstract: "Move all that some shards own to one.")

    @Argument(help: "The shards that give everything away.") var sources: [String]
    @Option(name: .customLong("to"), help: "The target.") var target: String
    @Flag(help: "Follow the job.") var watch = false
    @OptionGroup var job: JobOptions
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "reshard merge") { client in
            let body: [JSONValue.Member] = [.init("source_shard_ids", .array(sources.map { .string($0) })), .init("target_shard", .string(target))]
            try await ReshardCommand.begin("merge", .object(body + job.members), client, options, watches: watch)
        }
    }
}
