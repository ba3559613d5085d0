import ArgumentParser
import ControlAPI

/// `pgmosaic databases show`
struct DatabasesShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "One database.")

    @Argument(help: "The database.") var name: String
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "databases show") { client in
            let answer = try await client.send(.get, "\(DatabasesCommand.path)/\(APIClient.escape(name))")
            options.show(JSONText(answer)) { Self.text(answer) }
        }
    }

    static func text(_ database: JSONValue) -> String {
        TextFields.text([
            ("name", database.cell("name")), ("shards", database.cell("shard_count")), ("home shard", database.cell("home_shard")),
            ("tables", database.cell("table_count")), ("key columns", database.cell("key_column_rules")),
            ("unplaced tables", database.cell("default_placement")), ("consistency", database.cell("default_consistency")),
            ("vnodes a shard", database.cell("vnode_count")), ("version", database.cell("version")),
        ])
    }
}
