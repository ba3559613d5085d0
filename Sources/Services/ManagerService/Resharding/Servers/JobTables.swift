internal import ChangeCore
internal import PGChannel
internal import ShardModel
internal import ShardTransfer

/// The tables of a database that a job has to do with, as a shard has them. A table may be declared before there is one: it is left out.
enum JobTables {
    static func existing(_ names: [QualifiedName], _ client: PGClient) async throws -> Set<QualifiedName> {
        let query = """
            SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                JOIN unnest($1::text[], $2::text[]) AS asked(schema, name) ON asked.schema = n.nspname AND asked.name = c.relname
            WHERE c.relkind IN ('r', 'p', 'f')
            """
        let rows = try await client.query(query, [.text(array(names.map(\.schema))), .text(array(names.map(\.name)))]).rows
        return Set(rows.compactMap { row in row.text(0).flatMap { schema in row.text(1).map { QualifiedName(schema: schema, name: $0) } } })
    }

    /// What the stream of a leg brings.
    static func moved(_ leg: JobLeg, of plan: JobPlan, _ client: PGClient) async throws -> [MovedTable] {
        let existing = try await existing(plan.sharded.map(\.name) + plan.reference, client)
        var tables: [MovedTable] = []
        for table in plan.sharded where existing.contains(table.name) { tables += try await MovedTable.read(table.name, key: table.key, from: client) }
        guard !leg.copiesTo.isEmpty else { return tables }
        for name in plan.reference where existing.contains(name) { tables += try await MovedTable.read(reference: name, to: leg.copiesTo, from: client) }
        return tables
    }

    struct Shapes: Sendable {
        /// By table.
        var sharded: [(name: QualifiedName, shapes: [TableShape])] = []
        var reference: [(name: QualifiedName, shapes: [TableShape])] = []
    }

    /// What is copied and compared.
    static func shapes(_ plan: JobPlan, _ client: PGClient) async throws -> Shapes {
        let existing = try await existing(plan.sharded.map(\.name) + plan.reference, client)
        var shapes = Shapes()
        for table in plan.sharded where existing.contains(table.name) {
            shapes.sharded.append((table.name, try await TableShape.read(table.name, key: table.key, from: client)))
        }
        for name in plan.reference where existing.contains(name) {
            shapes.reference.append((name, try await TableShape.read(reference: name, from: client)))
        }
        return shapes
    }

    /// As a literal of text[].
    static func array(_ texts: [String]) -> String { "{\(texts.map(element).joined(separator: ","))}" }

    /// By scalars: a quote and a combining mark behind it are one `Character`, which is no quote.
    private static func element(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted.unicodeScalars.append("\\") }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\""
    }

    static func quoted(_ name: QualifiedName) -> String { "\(ShardQueries.quote(name.schema)).\(ShardQueries.quote(name.name))" }
}
