import ArgumentParser
import ControlAPI

/// `pgmosaic reshard move`
struct ReshardMoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move", abstract: "Move some vnodes of a shard to another one. Their ids: pgmosaic shards show SHARD --json")

    @Argument(help: "The shard that has them.") var source: String
    @Option(name: .customLong("to"), help: "The target.") var target: String
    @Option(help: "Ids of vnodes with commas between them.") var vnodes: String
    @Flag(help: "Follow the job.") var watch = false
    @OptionGroup var job: JobOptions
    @OptionGroup var options: ManagerOptions

    func validate() throws {
        guard !vnodes.isEmpty, vnodes.split(separator: ",", omittingEmptySubsequences: false).allSatisfy({ UInt32($0) != nil }) else {
            throw ValidationError("--vnodes must be whole numbers with commas between them")
        }
    }

    func run() async throws {
        try await options.reportingErrors(of: "reshard move") { client in
            let ids = vnodes.split(separator: ",").compactMap { UInt32($0) }.map { JSONValue.integer(Int64($0)) }
            let body: [JSONValue.Member] = [.init("vnodes", .array(ids)), .init("source", .string(source)), .init("target", .string(target))]
            try await ReshardCommand.begin("move", .object(body + job.members), client, options, watches: watch)
        }
    }
}
