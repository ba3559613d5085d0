internal import CPGQuery
internal import PGTypes
internal import ShardModel
internal import SQLSyntax

/// The keys that a statement without a plan names all the same.
///
/// A hint says where such a statement runs, and must not contradict them: `SELECT own_function(v) FROM orders WHERE customer_id = 7` is about the shard of 7. This
/// looks for comparisons of key columns with constants and parameters wherever they stand. What it finds may be more than what
/// restricts the rows (under OR or NOT): then a hint is refused that could have been followed, and never one followed that must not be.
extension StatementPlanner {
    /// Empty, too, for a text that the parser does not know.
    package static func namedKeys(bytes: [UInt8], parameterTypes: [UInt32], context: PlanningContext) -> [KeySource] {
        guard let parsed = try? ParsedSQL.parse(bytes: bytes) else { return [] }
        var search = NamedKeySearch(parsed, parameterTypes, context)
        for statement in parsed.statements { search.visit(statement.node) }
        return search.sources
    }
}

private struct NamedKeySearch {
    private let analyzer: QueryAnalyzer
    private let context: PlanningContext
    /// The key columns of what the statement reads, by their names, and by what a column may be qualified with.
    private var keys: [String: Set<KeyType>] = [:]
    private var qualified: [String: [String: Set<KeyType>]] = [:]
    private(set) var sources: [KeySource] = []

    init(_ parsed: ParsedSQL, _ parameterTypes: [UInt32], _ context: PlanningContext) {
        self.context = context
        analyzer = QueryAnalyzer(context: context, literals: LiteralMap(ranges: nil, text: parsed.bytes), parameterTypes: parameterTypes)
        for statement in parsed.statements {
            statement.node.forEachStruct { type, address in
                guard type == "RangeVar" else { return }
                note(address.assumingMemoryBound(to: PgQuery__RangeVar.self))
            }
            statement.node.forEachNode { node in
                if node.kind == PG_QUERY__NODE__NODE_RANGE_VAR { note(node.pointee.range_var) }
                return true
            }
        }
    }

    /// Whatever the schema, a table of that name is taken for the one meant.
    private mutating func note(_ range: UnsafeMutablePointer<PgQuery__RangeVar>) {
        let name = string(range.pointee.relname)
        let alias = range.pointee.alias.map { string($0.pointee.aliasname) } ?? name
        if qualified[alias] == nil { qualified[alias] = [:] }
        for relation in context.schema.relations.values where relation.name.name == name {
            for table in [relation.name] + relation.viewSources {
                guard case .sharded(let key)? = context.placements[table],
                    let column = context.schema.relations[table]?.columns.first(where: { $0.name == key }), let type = KeyType(typeOID: column.typeOID)
                else { continue }
                keys[key, default: []].insert(type)
                qualified[alias]?[key, default: []].insert(type)
            }
        }
    }

    mutating func visit(_ node: SQLNode) {
        guard !keys.isEmpty else { return }
        node.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_A_EXPR { compare(node.pointee.a_expr) }
            return true
        }
    }

    private mutating func compare(_ expression: UnsafeMutablePointer<PgQuery__AExpr>) {
        guard NodeList(expression.pointee.n_name, expression.pointee.name).strings?.last == "=",
            let left = expression.pointee.lexpr, let right = expression.pointee.rexpr
        else { return }
        switch expression.pointee.kind {
        case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
            for (a, b) in zip(items(left), items(right)) {
                for type in types(a) { add(analyzer.keyOperand(b, type: type)) }
                for type in types(b) { add(analyzer.keyOperand(a, type: type)) }
            }
        case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
            for item in right.listItems {
                for (a, b) in zip(items(left), items(item)) {
                    for type in types(a) { add(analyzer.keyOperand(b, type: type)) }
                }
            }
        case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
            for type in types(left) { add(analyzer.keyArray(right, type: type)) }
        default: break
        }
    }

    private mutating func add(_ operand: KeyOperand) {
        if case .sources(let some) = operand { sources += some }
    }

    /// Of a row: its fields.
    private func items(_ node: SQLNode) -> [SQLNode] {
        guard node.kind == PG_QUERY__NODE__NODE_ROW_EXPR else { return [node] }
        return Array(NodeList(node.pointee.row_expr.pointee.n_args, node.pointee.row_expr.pointee.args))
    }

    /// The types of the keys that a column may be; empty for what is none.
    private func types(_ node: SQLNode) -> Set<KeyType> {
        guard node.kind == PG_QUERY__NODE__NODE_COLUMN_REF, let reference = node.pointee.column_ref,
            let fields = NodeList(reference.pointee.n_fields, reference.pointee.fields).strings, let name = fields.last
        else { return [] }
        // Qualified with a name that is no table's, it may be a subquery's.
        if fields.count > 1, let table = qualified[fields[fields.count - 2]] { return table[name] ?? [] }
        return keys[name] ?? []
    }
}
