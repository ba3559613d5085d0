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
                var table = TextTable(["SHARD", "SERVER", "PART", "STATE", "SINCE", "LATENCY", "LAG", "CONNECTIONS", "IN DOUBT", "NOW WRONG"])
                for answer in answers {
                    for server in answer["servers"]?.arrayValue ?? [] { table.add(Self.row(server, of: answer)) }
                    // What is against the primary as a shard, beside its health.
                    if let problem = answer["problem"]?.stringValue { table.add([answer.cell("shard_id")] + Array(repeating: "", count: 8) + [problem]) }
                }
                return table.text
            }
            guard answers.allSatisfy({ $0["healthy"]?.boolValue == true }) else { throw ExitStatus.failed }
        }
    }

    private static func row(_ server: JSONValue, of answer: JSONValue) -> [String] {
        func milliseconds(_ name: String) -> String { server.cell(name).isEmpty ? "" : server.cell(name) + " ms" }
        let connections = server.cell("connections").isEmpty ? "" : "\(server.cell("connections"))/\(server.cell("connections_max"))"
        let found = server["found"]?.arrayValue?.compactMap(\.stringValue).joined(separator: " ") ?? ""
        return [answer.cell("shard_id")] + ["server", "part", "state", "since"].map(server.cell)
            + [milliseconds("latency_ms"), milliseconds("lag_ms"), connections, server.cell("in_doubt"), found]
    }
}
