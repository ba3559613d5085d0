internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// CREATE INDEX.
struct IndexPlanner {
    let context: PlanningContext

    func plan(_ node: UnsafeMutablePointer<PgQuery__IndexStmt>) throws(Refusal) -> StatementPlan {
        guard let target = node.pointee.relation else { throw Refusal(.definition, "CREATE INDEX") }
        if node.pointee.concurrent != 0 { throw Refusal(.concurrently, string(node.pointee.idxname)) }
        let table = try TableResolver(context: context).resolve(target)
        try DefinitionNames(context: context).check(schema: table.name.schema, at: Int(target.pointee.location))
        if node.pointee.unique != 0, case .sharded(let key) = table.placement {
            let reader = DefinitionReader(context: context, placement: table.placement)
            let columns = NodeList(node.pointee.n_index_params, node.pointee.index_params).compactMap(reader.plainColumn)
            guard columns.contains(key) else {
                let name = string(node.pointee.idxname)
                throw Refusal(.uniqueWithoutKey, name.isEmpty ? "\(table.name)" : "\(name) of \(table.name)")
            }
        }
        return DDLPlanner.everywhere([table.name], "\(table.name) is \(table.placement.words)")
    }
}
