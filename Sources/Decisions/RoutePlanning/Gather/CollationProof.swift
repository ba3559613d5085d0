internal import CPGQuery
internal import SQLSyntax
internal import ShardModel

/// Whether every text that a SELECT gives is compared as the database compares texts.
///
/// Partial rows have lost their columns' collations: what combines them compares texts by the database's. An expression's collation comes of what it is made of
/// (PostgreSQL's manual, "Collation Support"), so it is enough that nothing in the statement has another one: no column, no COLLATE, no type that brings one.
struct CollationProof {
    private let analyzer: QueryAnalyzer
    private let select: SelectNode

    init(_ analyzer: QueryAnalyzer, _ select: SelectNode) {
        self.analyzer = analyzer
        self.select = select
    }

    var isDatabases: Bool { holds(\.hasDatabaseCollation) }

    /// Likewise, of columns that are compared byte by byte. It is said of columns alone: an expression may have the database's collation.
    var isBytes: Bool { holds(\.ordersBytes) }

    private func holds(_ isSo: (Column) -> Bool) -> Bool {
        // Otherwise a plain name of a type may be a user's.
        guard !analyzer.context.searchPath.contains("pg_catalog"), analyzer.parameterTypes.allSatisfy({ $0 != Self.name && $0 < 16384 }) else { return false }
        let tables = analyzer.findings.tables.allSatisfy { name in analyzer.context.schema.relations[name]?.columns.allSatisfy(isSo) ?? false }
        return tables && clauses.allSatisfy(hasNone)
    }

    /// All of the statement but for COLLATE of an ORDER BY item, which is the order's own.
    private var clauses: [SQLNode] {
        let query = select.pointee
        let lists = [
            NodeList(query.n_target_list, query.target_list), NodeList(query.n_from_clause, query.from_clause), NodeList(query.n_group_clause, query.group_clause),
            NodeList(query.n_distinct_clause, query.distinct_clause), sorted,
        ]
        let ctes = query.with_clause.map { NodeList($0.pointee.n_ctes, $0.pointee.ctes) }.map(Array.init) ?? []
        return lists.flatMap(Array.init) + ctes + [query.where_clause, query.having_clause].compactMap(\.self)
    }

    private var sorted: NodeList { NodeList(select.pointee.n_sort_clause, select.pointee.sort_clause) }

    private func hasNone(_ clause: SQLNode) -> Bool {
        var node = clause
        if node.kind == PG_QUERY__NODE__NODE_SORT_BY, let item = node.pointee.sort_by.pointee.node {
            node = item.kind == PG_QUERY__NODE__NODE_COLLATE_CLAUSE ? item.pointee.collate_clause.pointee.arg ?? item : item
        }
        var isKnown = !brings(node)
        node.forEachNode { node in
            if brings(node) { isKnown = false }
            return isKnown
        }
        return isKnown
    }

    /// Whether the node may bring a collation that is not of what it is made of.
    private func brings(_ node: SQLNode) -> Bool {
        switch node.kind {
        case PG_QUERY__NODE__NODE_COLLATE_CLAUSE, PG_QUERY__NODE__NODE_COLUMN_DEF: return true
        case PG_QUERY__NODE__NODE_TYPE_CAST:
            guard let type = node.pointee.type_cast.pointee.type_name, let names = NodeList(type.pointee.n_names, type.pointee.names).strings,
                names.count == 1 || names[0] == "pg_catalog", let name = names.last
            else { return true }
            return !Self.types.contains(name)
        case PG_QUERY__NODE__NODE_FUNC_CALL:
            let call = node.pointee.func_call!
            guard let names = NodeList(call.pointee.n_funcname, call.pointee.funcname).strings, names.count == 1 || names[0] == "pg_catalog" else { return true }
            return names.last == "name" || names.last == "nameconcatoid"
        // A field of a row has its type's.
        case PG_QUERY__NODE__NODE_A_INDIRECTION:
            return NodeList(node.pointee.a_indirection.pointee.n_indirection, node.pointee.a_indirection.pointee.indirection).contains { $0.stringValue != nil }
        default: return false
        }
    }

    private static let name: UInt32 = 19
    /// None of them is of type name, or a domain.
    private static let types: Set<String> = [
        "text", "varchar", "bpchar", "int2", "int4", "int8", "float4", "float8", "numeric", "bool", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "bytea",
        "json", "jsonb",
    ]
}
