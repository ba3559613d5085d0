internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// CREATE INDEX, of all shards at once or of each by itself.
struct IndexPlanner {
    let context: PlanningContext

    func plan(_ node: UnsafeMutablePointer<PgQuery__IndexStmt>) throws(Refusal) -> StatementPlan {
        guard let target = node.pointee.relation else { throw Refusal(.definition, "CREATE INDEX") }
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
        let plan = DDLPlanner.everywhere([table.name], "\(table.name) is \(table.placement.words)")
        guard node.pointee.concurrent != 0 else { return plan }
        // Where it fails it must be found again.
        let name = string(node.pointee.idxname)
        guard !name.isEmpty else { throw Refusal(.concurrently, "CREATE INDEX without a name") }
        return plan.concurrently(ConcurrentIndex(made: QualifiedName(schema: table.name.schema, name: name)))
    }
}
