import ArgumentParser
import ControlAPI

/// `pgmosaic shards remove`
struct ShardsRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Take a shard that owns nothing, or any one of a database without tables, out of it; the server and its data stay.")

    @Argument(help: "The shard.") var id: String
    @Option(name: .customLong("if-version"), help: "Only if its version is still this one.") var version: UInt64?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "shards remove") { client in
            let answer = try await client.send(.delete, ShardsCommand.path(of: id), query: [("version", version.map(String.init))])
            options.show(JSONText(answer)) { "removed shard \(id)" }
        }
    }
}
