internal import CPGQuery
internal import SQLSyntax
internal import ShardModel

/// The default of a shard key as an expression for a query of its own.
struct ColumnDefault {
    private let column: Column
    private let table: QualifiedName
    private let context: PlanningContext

    init(_ column: Column, of table: QualifiedName, _ context: PlanningContext) { (self.column, self.table, self.context) = (column, table, context) }

    /// Of the column's type, without its length. nil: there is none, or it may mean something else where the names in it are looked for.
    var expression: String? {
        guard let type = column.castName else { return nil }
        return value.map { "CAST(\($0) AS \(type))" }
    }

    private var value: String? {
        if column.usesSequence { return draw }
        guard let text = column.defaultExpression, Self.look(at: text, hasPlainNames) == true else { return nil }
        return "(\(text))"
    }

    /// Where nobody is told what was drawn, by a shard from its own slice.
    private var draw: String? {
        guard column.hasSlicedSequence, !context.keepsSequences else { return nil }
        if column.isIdentity {
            let name = quoteLiteral("\(quoteIdentifier(table.schema)).\(quoteIdentifier(table.name))")
            return "pg_catalog.nextval(pg_catalog.pg_get_serial_sequence(\(name), \(quoteLiteral(column.name)))::pg_catalog.regclass)"
        }
        var written = context
        written.searchPath = writtenPath
        guard let text = column.defaultExpression, let sequence = Self.look(at: text, { SequenceDefinition.sequence(ofNextval: $0, written) }) else { return nil }
        return "pg_catalog.nextval(\(quoteLiteral("\(quoteIdentifier(sequence.schema)).\(quoteIdentifier(sequence.name))"))::pg_catalog.regclass)"
    }

    /// The search_path that the schema was read under, by which PostgreSQL leaves out names' schemas.
    private var writtenPath: [String] { context.schema.resolve(searchPath: context.schema.defaultSearchPath, roles: []) }

    private static func look<Found>(at text: String, _ body: (SQLNode) -> Found?) -> Found? {
        guard let parsed = try? ParsedSQL.parse(bytes: Array("SELECT \(text)".utf8)), parsed.statements.count == 1 else { return nil }
        return withExtendedLifetime(parsed) {
            let node = parsed.statements[0].node
            guard node.kind == PG_QUERY__NODE__NODE_SELECT_STMT else { return nil }
            let targets = NodeList(node.pointee.select_stmt.pointee.n_target_list, node.pointee.select_stmt.pointee.target_list)
            guard targets.count == 1, let target = targets.first, target.kind == PG_QUERY__NODE__NODE_RES_TARGET else { return nil }
            return target.pointee.res_target.pointee.val.flatMap(body)
        }
    }

    /// Functions and operators of somebody's own are refused, whatever their schema; types are not.
    private func hasPlainNames(_ node: SQLNode) -> Bool {
        guard context.searchPath != writtenPath else { return true }
        guard !context.searchPath.dropFirst().contains("pg_catalog") else { return false }
        var isPlain = true
        node.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_TYPE_CAST {
                let names = NodeList(node.pointee.type_cast.pointee.type_name.pointee.n_names, node.pointee.type_cast.pointee.type_name.pointee.names).strings ?? []
                isPlain = isPlain && (names.count == 2 && names[0] == "pg_catalog" || names.count == 1 && Self.types.contains(names[0]))
            }
            return isPlain
        }
        return isPlain
    }

    private static let types: Set<String> = ["uuid", "text", "bytea", "date", "name", "json", "jsonb"]
}
