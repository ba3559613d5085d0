internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// Keeps NULL out of shard keys where nothing else does: a statement that is not analyzed may store one in a key column that is not NOT NULL, and its
/// row would belong to no shard once there are several.
struct NullableKeys {
    let context: PlanningContext

    func check(_ statement: SQLNode) throws(Refusal) {
        try statement.forEachNode { (node) throws(Refusal) in
            switch node.kind {
            case PG_QUERY__NODE__NODE_INSERT_STMT: try check(insert: node.pointee.insert_stmt)
            case PG_QUERY__NODE__NODE_UPDATE_STMT:
                let update = node.pointee.update_stmt!
                try check(assignments: NodeList(update.pointee.n_target_list, update.pointee.target_list), to: update.pointee.relation)
            case PG_QUERY__NODE__NODE_MERGE_STMT: try check(merge: node.pointee.merge_stmt)
            case PG_QUERY__NODE__NODE_COPY_STMT:
                guard node.pointee.copy_stmt.pointee.is_from != 0, let table = node.pointee.copy_stmt.pointee.relation else { break }
                try refuse(keys(of: table))
            default: break
            }
            return true
        }
    }

    private func check(insert: UnsafeMutablePointer<PgQuery__InsertStmt>) throws(Refusal) {
        let keys = keys(of: insert.pointee.relation)
        guard !keys.isEmpty else { return }
        if let clause = insert.pointee.on_conflict_clause {
            try check(assignments: NodeList(clause.pointee.n_target_list, clause.pointee.target_list), to: insert.pointee.relation)
        }
        let columns = NodeList(insert.pointee.n_cols, insert.pointee.cols).map { string($0.pointee.res_target.pointee.name) }
        guard keys.count == 1, let place = columns.firstIndex(of: keys[0].column), let source = insert.pointee.select_stmt,
            source.kind == PG_QUERY__NODE__NODE_SELECT_STMT, let select = source.pointee.select_stmt, select.pointee.n_values_lists > 0
        else { return try refuse(keys) }
        for row in NodeList(select.pointee.n_values_lists, select.pointee.values_lists) {
            let items = row.listItems
            guard place < items.count, isConstant(items[place]) else { return try refuse(keys) }
        }
    }

    private func check(merge: UnsafeMutablePointer<PgQuery__MergeStmt>) throws(Refusal) {
        for node in NodeList(merge.pointee.n_merge_when_clauses, merge.pointee.merge_when_clauses) {
            guard node.kind == PG_QUERY__NODE__NODE_MERGE_WHEN_CLAUSE, let clause = node.pointee.merge_when_clause else { continue }
            switch clause.pointee.command_type {
            case PG_QUERY__CMD_TYPE__CMD_INSERT: try refuse(keys(of: merge.pointee.relation))
            case PG_QUERY__CMD_TYPE__CMD_UPDATE:
                try check(assignments: NodeList(clause.pointee.n_target_list, clause.pointee.target_list), to: merge.pointee.relation)
            default: break
            }
        }
    }

    private func check(assignments: NodeList, to table: RangeVarNode?) throws(Refusal) {
        guard let table else { return }
        let keys = keys(of: table)
        guard !keys.isEmpty else { return }
        for node in assignments where node.kind == PG_QUERY__NODE__NODE_RES_TARGET {
            let name = string(node.pointee.res_target.pointee.name)
            // A view's column may be the key under another name.
            guard keys.contains(where: { $0.isBehindView || $0.column == name }) else { continue }
            guard let value = node.pointee.res_target.pointee.val, isConstant(value) else { try refuse(keys); return }
        }
    }

    private func isConstant(_ node: SQLNode) -> Bool {
        switch node.kind {
        case PG_QUERY__NODE__NODE_TYPE_CAST: node.pointee.type_cast.pointee.arg.map(isConstant) ?? false
        case PG_QUERY__NODE__NODE_A_CONST: node.pointee.a_const.pointee.isnull == 0
        default: false
        }
    }

    // MARK: Keys that may be NULL

    private struct Key {
        var table: QualifiedName
        var column: String
        var isBehindView = false
    }

    private func refuse(_ keys: [Key]) throws(Refusal) {
        if let key = keys.first { throw Refusal(.keyNullable, "\(key.table).\(key.column)") }
    }

    /// Of a table, or of the tables behind a view.
    private func keys(of node: RangeVarNode) -> [Key] {
        guard let found = try? DefinitionNames(context: context).relation(node) else { return [] }
        switch found.kind {
        case .view:
            return found.viewSources.compactMap { context.schema.relations[$0] }.compactMap(key).map { key in
                var key = key
                key.isBehindView = true
                return key
            }
        default: return key(found).map { [$0] } ?? []
        }
    }

    private func key(_ relation: Relation) -> Key? {
        guard case .sharded(let column) = DefinitionNames(context: context).placement(of: relation),
            relation.columns.first(where: { $0.name == column })?.notNull == false
        else { return nil }
        return Key(table: relation.name, column: column)
    }
}
