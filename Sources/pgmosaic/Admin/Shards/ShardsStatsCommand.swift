import ArgumentParser
import ControlAPI

/// `pgmosaic shards stats`
struct ShardsStatsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stats", abstract: "Figures read from a shard now: sizes, rows, connections.")

    @Argument(help: "The shard.") var id: String
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "shards stats") { client in
            let answer = try await client.send(.get, ShardsCommand.path(of: id) + "/stats")
            options.show(JSONText(answer)) { Self.text(answer) }
        }
    }

    private static func text(_ stats: JSONValue) -> String {
        let fields = TextFields.text([
            ("shard", stats.cell("shard_id")), ("size", JSONValue.shownBytes(stats["database_bytes"]?.integerValue ?? 0)),
            ("connections", "\(stats.cell("connections")) of \(stats.cell("connections_max"))"),
            ("prepared transactions", stats.cell("prepared_transactions")), ("vnodes", stats.cell("vnode_count")),
        ])
        var table = TextTable(["TABLE", "ROWS (ESTIMATE)", "SIZE"], right: [1, 2])
        for item in stats["tables"]?.arrayValue ?? [] {
            table.add([item.cell("name"), item.cell("row_estimate"), JSONValue.shownBytes(item["bytes"]?.integerValue ?? 0)])
        }
        return table.rows.isEmpty ? fields : fields + "\n\n" + table.text
    }
}
