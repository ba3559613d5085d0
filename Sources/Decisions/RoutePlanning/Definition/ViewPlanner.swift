internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// CREATE VIEW: made everywhere, and usable once it is declared.
struct ViewPlanner {
    let context: PlanningContext

    func plan(_ node: UnsafeMutablePointer<PgQuery__ViewStmt>) throws(Refusal) -> StatementPlan {
        guard let view = node.pointee.view, let query = node.pointee.query else { throw Refusal(.definition, "CREATE VIEW") }
        let name = try DefinitionNames(context: context).created(view)
        if let placement = context.placements[name] {
            // A body that its declaration does not fit would be routed wrongly from then on.
            try RelationRules(context: context).check(view: name, sources: try sources(of: query), columns: nil, placement)
        }
        return DDLPlanner.everywhere([name], "the definition is the same on every shard")
    }

    /// The tables that the query names, and those behind its views. A WITH query of the same name as a table counts as the table: at worst the
    /// view is refused and must be declared anew.
    private func sources(of query: SQLNode) throws(Refusal) -> [QualifiedName] {
        var commons: Set<String> = []
        query.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR { commons.insert(string(node.pointee.common_table_expr.pointee.ctename)) }
            return true
        }
        var found: Set<QualifiedName> = []
        var tables: [RangeVarNode] = []
        query.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_RANGE_VAR { tables.append(node.pointee.range_var) }
            return true
        }
        for table in tables {
            let schema = string(table.pointee.schemaname), name = string(table.pointee.relname)
            if schema.isEmpty, commons.contains(name) {
                guard let relation = try DefinitionNames(context: context).relation([name]) else { continue }
                found.insert(relation.name)
            } else if schema == "pg_catalog" || schema == "information_schema" {
                found.insert(QualifiedName(schema: schema, name: name))
            } else if let relation = try DefinitionNames(context: context).relation(table) {
                found.formUnion([relation.name] + relation.viewSources)
            } else {
                found.insert(try TableResolver(context: context).resolve(table).name)
            }
        }
        return found.sorted()
    }
}
