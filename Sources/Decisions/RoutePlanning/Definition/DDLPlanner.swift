internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// Statements that change the schema: run on every shard, all or nothing, or refused with the reason.
///
/// Tables, and with them all objects that belong to tables, exist on every shard, those of local tables too: their rows alone are kept on the home
/// shard. So a definition never depends on where rows live, but what it may say does.
enum DDLPlanner {
    static func plan(_ statement: ParsedStatement, context: PlanningContext) throws(Refusal) -> StatementPlan {
        let node = statement.node
        switch node.kind {
        case PG_QUERY__NODE__NODE_CREATE_STMT:
            return try TableDefinitionPlanner(context: context).plan(node.pointee.create_stmt)
        case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
            return try AlterTablePlanner(context: context).plan(node.pointee.alter_table_stmt)
        case PG_QUERY__NODE__NODE_INDEX_STMT:
            return try IndexPlanner(context: context).plan(node.pointee.index_stmt)
        case PG_QUERY__NODE__NODE_DROP_STMT:
            return try DropPlanner(context: context).plan(node.pointee.drop_stmt)
        case PG_QUERY__NODE__NODE_RENAME_STMT:
            return try RenamePlanner(context: context).plan(node.pointee.rename_stmt)
        case PG_QUERY__NODE__NODE_ALTER_OBJECT_SCHEMA_STMT:
            return try RenamePlanner(context: context).plan(schemaOf: node.pointee.alter_object_schema_stmt)
        case PG_QUERY__NODE__NODE_VIEW_STMT:
            return try ViewPlanner(context: context).plan(node.pointee.view_stmt)
        default:
            return try ObjectPlanner(context: context).plan(node)
        }
    }

    /// The plan of every definition that is not refused. Never reused: the schema it was planned for is the one it changes.
    static func everywhere(
        _ tables: [QualifiedName], _ reason: String, _ changes: [PlacementChange] = [], sequences: EveryShard.Sequences = .untouched
    ) -> StatementPlan {
        var everyShard = EveryShard(reason: .ddl, changesSchema: true, placementChanges: changes)
        everyShard.sequences = sequences
        return StatementPlan(kind: .ddl, route: .everyShard(everyShard), writes: true, reuse: .never, tables: tables, reason: reason)
    }

    /// What a statement that makes or changes the table may mean for its sequences.
    static func sequences(of relation: Relation, _ placement: Placement) -> EveryShard.Sequences {
        guard relation.columns.contains(where: \.usesSequence) else { return .untouched }
        if case .sharded = placement { return .needed }
        return .possible
    }
}
