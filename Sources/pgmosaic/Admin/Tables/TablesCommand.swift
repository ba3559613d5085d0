import ArgumentParser
import ControlAPI

/// `pgmosaic tables`
struct TablesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tables", abstract: "List, declare and forget where tables live.",
        discussion: """
            A table's placement is declared before the table is created; CREATE TABLE through a router then runs on the right shards.

              pgmosaic tables --database shop
              pgmosaic tables declare orders --database shop --sharded-by customer_id
              pgmosaic tables declare countries --database shop --reference

            The same in SQL, through a router: SELECT pgmosaic.shard_table('orders', 'customer_id')
            """,
        subcommands: [TablesListCommand.self, TablesDeclareCommand.self, TablesForgetCommand.self], defaultSubcommand: TablesListCommand.self)

    static func path(of database: String) -> String { "\(DatabasesCommand.path)/\(APIClient.escape(database))/tables" }

    /// The database of a command that was given none: the only one there is.
    static func database(_ given: String?, _ client: APIClient) async throws(ClientError) -> String {
        if let given { return given }
        let names = try await client.list(DatabasesCommand.path).compactMap { $0["name"]?.stringValue }
        guard names.count == 1 else {
            throw .usage(names.isEmpty ? "there is no database yet" : "say which database with --database: \(names.joined(separator: ", "))")
        }
        return names[0]
    }
}
