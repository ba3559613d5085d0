import ArgumentParser
import ControlAPI

/// `pgmosaic tables declare`
struct TablesDeclareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "declare", abstract: "Say where a table's rows live, before it is created or while it is empty.",
        discussion: """
              pgmosaic tables declare orders --database shop --sharded-by customer_id    (rows go where their customer_id hashes)
              pgmosaic tables declare countries --database shop --reference              (the same full copy on every shard)
              pgmosaic tables declare app.settings --database shop --local               (on the home shard)
            """)

    @Argument(help: "schema.table, as PostgreSQL stores the names; without a schema: public.") var name: String
    @Option(help: "The database; may be left out when there is only one.") var database: String?
    @Option(help: ArgumentHelp("Sharded by this column.", valueName: "column")) var shardedBy: String?
    @Flag(help: "A full copy on every shard.") var reference = false
    @Flag(help: "Only on the home shard.") var local = false
    @OptionGroup var options: ManagerOptions

    func validate() throws {
        guard [shardedBy != nil, reference, local].count(where: { $0 }) == 1 else {
            throw ValidationError("give one of --sharded-by COLUMN, --reference and --local")
        }
    }

    func run() async throws {
        try await options.reportingErrors(of: "tables declare") { client in
            let database = try await TablesCommand.database(database, client)
            let kind: TableKind = shardedBy != nil ? .sharded : reference ? .reference : .local
            var members: [JSONValue.Member] = [.init("name", .string(name)), .init("kind", .string(kind.rawValue))]
            if let shardedBy { members.append(.init("shard_key", .string(shardedBy))) }
            let answer = try await client.send(.post, TablesCommand.path(of: database), body: .object(members))
            options.show(JSONText(answer)) {
                switch kind {
                case .sharded: "\(answer.cell("name")) in \(database) is sharded by \(answer.cell("shard_key"))"
                case .reference: "\(answer.cell("name")) in \(database) is a reference table: every shard has all of it"
                case .local: "\(answer.cell("name")) in \(database) is a local table on \(answer.cell("home_shard"))"
                }
            }
        }
    }
}
