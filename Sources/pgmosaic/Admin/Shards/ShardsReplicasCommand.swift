import ArgumentParser
import ControlAPI

/// `pgmosaic shards replicas`
struct ShardsReplicasCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replicas", abstract: "Show the replicas of a shard, or add and remove some.",
        discussion: """
            Each one is checked: it must answer, be in recovery, and stem from the shard's primary. Reads that ask for it, or whose database
            says so, then go there while it is near enough.

              pgmosaic shards replicas east
              pgmosaic shards replicas east --add postgres://app@10.0.0.9:5432/shop --password-file east.pw
              pgmosaic shards replicas east --remove 10.0.0.9:5432
            """)

    @Argument(help: "The shard.") var id: String
    @Option(help: "An endpoint to add. May be given several times.") var add: [String] = []
    @Option(help: "Host and port of one to remove. May be given several times.") var remove: [String] = []
    @OptionGroup var password: EndpointPassword
    @OptionGroup var options: ManagerOptions

    func validate() throws {
        if add.isEmpty, password.isGiven { throw ValidationError("a password is for the endpoints of --add") }
    }

    func run() async throws {
        try await options.reportingErrors(of: "shards replicas") { client in
            let added = try password.put(into: add, for: client)
            var shard = try await client.send(.get, ShardsCommand.path(of: id))
            if !add.isEmpty || !remove.isEmpty {
                let kept = (shard["replicas"]?.arrayValue ?? []).compactMap(\.stringValue).filter { endpoint in
                    !remove.contains { endpoint.contains("@\($0)/") }
                }
                let body: JSONValue = ["replicas": .array((kept + added).map { .string($0) }), "version": shard["version"] ?? .null]
                shard = try await client.send(.put, ShardsCommand.path(of: id) + "/replicas", body: body)
            }
            let answer = shard
            options.show(JSONText(answer)) {
                let replicas = (answer["replicas"]?.arrayValue ?? []).compactMap(\.stringValue)
                return replicas.isEmpty ? "shard \(id) has no replicas" : replicas.joined(separator: "\n")
            }
        }
    }
}
