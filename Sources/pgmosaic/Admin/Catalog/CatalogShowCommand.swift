import ArgumentParser
import ControlAPI
import NIOCore

/// `pgmosaic catalog show`, or `pgmosaic catalog` alone
struct CatalogShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "The routing snapshot: epoch, databases, shards, tables.",
        discussion: """
              pgmosaic catalog                              (a summary)
              pgmosaic catalog --json                       (everything a client needs to route by itself, every range included)
              pgmosaic catalog --json --after-epoch 41      (waits for an epoch above 41)
            """)

    @Option(help: "Only one database.") var database: String?
    @Option(help: "Wait for an epoch above this one, half a minute at most.") var afterEpoch: UInt64?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "catalog") { client in
            let query: [(name: String, value: String?)] = [("database", database), ("after_epoch", afterEpoch.map(String.init))]
            let answer = try await client.send(.get, "/api/v1/catalog", query: query, timeLimit: .seconds(90))
            guard !answer.isNull else {
                throw ClientError(.otherServer("no epoch above \(afterEpoch ?? 0) came in time; ask again"))
            }
            options.show(JSONText(answer)) { Self.text(answer) }
        }
    }

    private static func text(_ catalog: JSONValue) -> String {
        var parts = [TextFields.text([("cluster", catalog.cell("cluster_id")), ("epoch", catalog.cell("epoch"))])]
        for entry in catalog["databases"]?.arrayValue ?? [] {
            var shards = TextTable(["  SHARD", "STATUS", "OF THE RING", "PRIMARY"], right: [2])
            for shard in entry["shards"]?.arrayValue ?? [] {
                shards.add(["  " + shard.cell("id"), shard.cell("status"), ShardsShowCommand.share(of: shard), shard.cell("primary_endpoint")])
            }
            var tables = TextTable(["  TABLE", "KIND", "SHARD KEY"])
            for table in entry["tables"]?.arrayValue ?? [] {
                tables.add(["  " + table.cell("name"), table.cell("kind"), table.cell("shard_key")])
            }
            var part = "database \(TextTable.printable(entry["database"]?.cell("name") ?? ""))"
            for table in [shards, tables] where !table.rows.isEmpty { part += "\n" + table.text }
            parts.append(part)
        }
        return parts.joined(separator: "\n\n")
    }
}
