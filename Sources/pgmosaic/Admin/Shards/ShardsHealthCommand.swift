import ArgumentParser
import ControlAPI

/// `pgmosaic shards health`: exit status 1 when the shard is not healthy.
struct ShardsHealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Probe shards now. Status 1 when one is not healthy.",
        discussion: """
              pgmosaic shards health            (all of them)
              pgmosaic shards health east west
            """)

    @Argument(help: "The shards; all when left out.") var ids: [String] = []
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "shards health") { client in
            let wanted = ids.isEmpty ? try await client.list(ShardsCommand.path).compactMap { $0["id"]?.stringValue } : ids
            var answers: [JSONValue] = []
            for id in wanted { answers.append(try await client.send(.get, ShardsCommand.path(of: id) + "/health")) }
            options.show(JSONText(["items": .array(answers)])) {
                var table = TextTable(["ID", "HEALTHY", "LATENCY", "SERVER", "PROBLEM"])
                for answer in answers {
                    let latency = answer.cell("latency_ms")
                    table.add([
                        answer.cell("shard_id"), answer.cell("healthy"), latency.isEmpty ? "" : latency + " ms", answer.cell("server_version"),
                        answer.cell("problem"),
                    ])
                }
                return table.text
            }
            guard answers.allSatisfy({ $0["healthy"]?.boolValue == true }) else { throw ExitStatus.failed }
        }
    }
}
