import ArgumentParser
import ControlAPI

/// `pgmosaic shards show`
struct ShardsShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "One shard; with --json also each of its ranges.")

    @Argument(help: "The shard.") var id: String
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "shards show") { client in
            let answer = try await client.send(.get, ShardsCommand.path(of: id))
            options.show(JSONText(answer)) { Self.text(answer) }
        }
    }

    static func text(_ shard: JSONValue) -> String {
        TextFields.text([
            ("id", shard.cell("id")), ("name", shard.cell("name")), ("database", shard.cell("database")), ("status", shard.cell("status")),
            ("home shard", shard.cell("is_home")), ("primary", shard.cell("primary_endpoint")), ("replicas", shard.cell("replicas")),
            ("of the ring", "\(share(of: shard)) in \(shard["vnodes"]?.arrayValue?.count ?? 0) vnodes"),
            ("tokens", shard["hash_range_start"] == nil ? "" : "\(shard.cell("hash_range_start")) to \(shard.cell("hash_range_end"))"),
            ("version", shard.cell("version")), ("made", shard.cell("created_at")), ("changed", shard.cell("updated_at")),
        ])
    }

    /// How much of the token space the shard owns: "25.0 %".
    static func share(of shard: JSONValue) -> String {
        let widths = (shard["vnodes"]?.arrayValue ?? []).map { vnode -> Double in
            guard let start = vnode["start"]?.stringValue.flatMap(UInt64.init), let end = vnode["end"]?.stringValue.flatMap(UInt64.init),
                start <= end
            else { return 0 }
            return Double(end - start) + 1
        }
        let permille = Int((widths.reduce(0, +) / 18_446_744_073_709_551_616 * 1000).rounded())
        return "\(permille / 10).\(permille % 10) %"
    }
}
