import ArgumentParser
import ControlAPI

/// `pgmosaic reshard split`
struct ReshardSplitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split", abstract: "Move half of a shard to another one, or share all of it out to several.",
        discussion: """
              pgmosaic reshard split east --to west
              pgmosaic reshard split east --to west,north
            """)

    @Argument(help: "The shard.") var source: String
    @Option(name: .customLong("to"), help: "The target, or several with commas between them; the shard keeps nothing then.") var targets: String
    @Option(help: "With one target: the token from which on it gets everything. (half of the shard)") var at: String?
    @Flag(help: "Follow the job.") var watch = false
    @OptionGroup var job: JobOptions
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "reshard split") { client in
            var body: [JSONValue.Member] = [
                .init("source_shard_id", .string(source)), .init("target_shards", .array(targets.split(separator: ",").map { .string(String($0)) })),
            ]
            if let at { body.append(.init("split_point", .string(at))) }
            try await ReshardCommand.begin("split", .object(body + job.members), client, options, watches: watch)
        }
    }
}
