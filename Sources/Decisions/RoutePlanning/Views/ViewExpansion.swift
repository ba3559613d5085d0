internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// A query's text with the views in it replaced by what they stand for: `FROM v` becomes `FROM (SELECT …) AS "v"`.
///
/// A view's text is PostgreSQL's own, made for one search_path: under that one every name in it means what it means in the view. What is not sure to mean the same is
/// not expanded.
struct ViewExpansion {
    /// Views of views, one within the other.
    private static let depthMax = 16

    private let context: PlanningContext
    private(set) var text: [UInt8]

    /// nil: there is no view in it, or one that cannot be put in.
    static func expanded(_ text: some Sequence<UInt8>, _ context: PlanningContext) -> [UInt8]? {
        // Who has changed the role may mean other objects.
        guard !context.changesRoles, context.searchPath == context.schema.definitionPath else { return nil }
        var expansion = ViewExpansion(context: context, text: Array(text))
        for depth in 0...depthMax {
            guard let more = expansion.expandOnce() else { return nil }
            if !more { return depth == 0 ? nil : expansion.text }
        }
        return nil
    }

    /// Puts in the views that the text names. False: there was none. nil: it cannot be done.
    private mutating func expandOnce() -> Bool? {
        guard let statements = try? ParsedSQL.parse(bytes: text).statements, statements.count == 1, let query = Self.query(of: statements[0].node) else { return nil }
        var mentions = FinishMentions()
        mentions.collect(query)
        let commons = Self.commonTables(query)
        var found: [Int: Relation] = [:]
        for (location, node) in mentions.tables {
            let schema = string(node.pointee.schemaname), name = string(node.pointee.relname)
            if schema.isEmpty, commons.contains(name) { continue }
            guard let view = view(schema: schema, name: name) else { continue }
            guard canStand(view, for: node, mentions, commons) else { return nil }
            found[location] = view
        }
        guard !found.isEmpty else { return false }
        return replace(found, mentions)
    }

    private mutating func replace(_ found: [Int: Relation], _ mentions: FinishMentions) -> Bool? {
        guard let places = TableNamePlaces(text, starts: Set(found.keys)) else { return nil }
        for (location, view) in found.sorted(by: { $0.key > $1.key }) {
            guard let place = places.places[location], !place.isTableCommand, let definition = view.definition, let node = mentions.tables[location] else { return nil }
            let alias = node.pointee.alias == nil ? " AS \(quoteIdentifier(view.name.name))" : ""
            text.replaceSubrange(place.range, with: Array("(\(definition))\(alias)".utf8))
        }
        return true
    }

    /// A SELECT, or that of a COPY, an EXPLAIN or a DECLARE.
    private static func query(of node: SQLNode) -> SQLNode? {
        let query: SQLNode? =
            switch node.kind {
            case PG_QUERY__NODE__NODE_EXPLAIN_STMT: node.pointee.explain_stmt.pointee.query
            case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT: node.pointee.declare_cursor_stmt.pointee.query
            case PG_QUERY__NODE__NODE_COPY_STMT: node.pointee.copy_stmt.pointee.query
            default: node
            }
        return query.flatMap { $0.kind == PG_QUERY__NODE__NODE_SELECT_STMT ? $0 : nil }
    }

    private static func commonTables(_ query: SQLNode) -> Set<String> {
        var names: Set<String> = []
        query.forEachStruct { kind, address in
            guard kind == "CommonTableExpr" else { return }
            names.insert(string(address.assumingMemoryBound(to: PgQuery__CommonTableExpr.self).pointee.ctename))
        }
        return names
    }

    // MARK: One view

    /// The view of this name; nil: the name means something else.
    private func view(schema: String, name: String) -> Relation? {
        let schemas = schema.isEmpty ? ["pg_catalog"] + context.searchPath : [schema]
        if schema.isEmpty, context.temporary[name] != nil { return nil }
        let relation = schemas.lazy.compactMap { context.schema.relations[QualifiedName(schema: $0, name: name)] }.first
        return relation.flatMap { $0.kind == .view && $0.definition != nil ? $0 : nil }
    }

    /// Its query in parentheses is what its name is, here.
    private func canStand(_ view: Relation, for node: RangeVarNode, _ mentions: FinishMentions, _ commons: Set<String>) -> Bool {
        let name = node.pointee.alias.map { string($0.pointee.aliasname) } ?? view.name.name
        // Its tables would be taken for WITH queries; its row has the view's type; a subquery has no schema.
        guard node.pointee.inh != 0, !view.viewSources.contains(where: { commons.contains($0.name) }), !mentions.isDoubtful else { return false }
        guard view.viewSources.allSatisfy({ context.temporary[$0.name] == nil }) else { return false }
        return !mentions.loneNames.contains(name) || view.columns.contains { $0.name == name }
    }
}
