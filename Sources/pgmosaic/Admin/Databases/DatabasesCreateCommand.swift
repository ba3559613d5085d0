import ArgumentParser
import ControlAPI
import ShardModel

extension DefaultPlacement: ExpressibleByArgument {}
extension Consistency: ExpressibleByArgument {}

/// `pgmosaic databases create`
struct DatabasesCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a database.",
        discussion: """
            It has no shards yet: add them with `pgmosaic shards add`. All shards go in before the first table.

              pgmosaic databases create shop
              pgmosaic databases create saas --key-column tenant_id --default-placement local
            """)

    @Argument(help: "The name that clients connect to.") var name: String
    @Option(name: .customLong("key-column"), help: "A table with a column of this name is sharded by it. May be given several times; the first that matches counts.")
    var keyColumns: [String] = []
    @Option(help: "What happens to a table that nothing places: refuse, or local (on the home shard). (refuse)")
    var defaultPlacement: DefaultPlacement?
    @Option(help: "Where reads go when they do not say: strong or eventual. (strong)") var defaultConsistency: Consistency?
    @Option(help: "Parts of the ring that each shard gets. (256)") var vnodeCount: Int?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "databases create") { client in
            var members: [JSONValue.Member] = [.init("name", .string(name))]
            if !keyColumns.isEmpty { members.append(.init("key_column_rules", .array(keyColumns.map { .string($0) }))) }
            if let defaultPlacement { members.append(.init("default_placement", .string(defaultPlacement.rawValue))) }
            if let defaultConsistency { members.append(.init("default_consistency", .string(defaultConsistency.rawValue))) }
            if let vnodeCount { members.append(.init("vnode_count", .integer(Int64(vnodeCount)))) }
            let answer = try await client.send(.post, DatabasesCommand.path, body: .object(members))
            options.show(JSONText(answer)) { "made database \(name); add its shards with: pgmosaic shards add ID --database \(name) --endpoint URL" }
        }
    }
}
