internal import CPGQuery
internal import PGTypes
internal import ShardModel
internal import SQLSyntax

extension QueryAnalyzer {
    func analyze(insert: UnsafeMutablePointer<PgQuery__InsertStmt>, parent: Scope?) throws(Refusal) -> QueryOutput {
        try enterQuery()
        let isTop = queries == 1
        let scope = Scope(parent: parent)
        let commons = try register(insert.pointee.with_clause, scope: scope)
        let resolved = try TableResolver(context: context).resolve(insert.pointee.relation)
        let target = try entry(for: insert.pointee.relation, use: .insert)
        let keyed = findings.sharded.last { $0.isInsertTarget && $0.name == resolved.name }
        let columns = try insertedColumns(insert, resolved)
        let key = keyPosition(columns, resolved)
        if case .sharded(let name) = resolved.placement, key == nil {
            throw Refusal(.keyMissing, "\(resolved.name).\(name)", at: Int(insert.pointee.relation.pointee.location))
        }
        let given = Set(columns.compactMap(\.?.name))
        for column in resolved.relation?.columns ?? [] where !given.contains(column.name) { noteDefault(column, of: resolved) }

        for node in NodeList(insert.pointee.n_cols, insert.pointee.cols) where node.kind == PG_QUERY__NODE__NODE_RES_TARGET {
            try analyze(subscriptsOf: node, scope: scope)
        }
        // OVERRIDING USER VALUE: what is given for an identity column is not what is stored.
        if insert.pointee.override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE {
            for column in columns where column?.isIdentity ?? false {
                if case .sharded(column?.name) = resolved.placement { throw Refusal(.keyMissing, "\(resolved.name).\(column?.name ?? "")") }
                noteDefault(column, of: resolved)
            }
        }
        if let source = insert.pointee.select_stmt {
            guard source.kind == PG_QUERY__NODE__NODE_SELECT_STMT else { throw Refusal(.unsupported, source.kindName) }
            let select = source.pointee.select_stmt!
            if Self.isPlainValues(select) {
                let keys = try self.insert(values: select, columns: columns, key: key, keyed, resolved, scope: scope)
                if isTop { findings.insertedKeys = keys }
            } else {
                if isTop { sourceSelect = select }
                let mayBeNull = key.flatMap { columns[$0]?.notNull } == false
                try self.insert(from: select, insert, key: key, keyed, columns, isNullable: mayBeNull, isTop: isTop, scope: scope)
            }
        }
        if key != nil { noteLength(of: resolved) }
        add(FromItem(target), to: scope)
        try analyze(onConflict: insert, target: target, scope: scope)
        let output = try returning(NodeList(insert.pointee.n_returning_list, insert.pointee.returning_list), scope: scope)
        try finish(commons)
        return output
    }

    private func insertedColumns(
        _ insert: UnsafeMutablePointer<PgQuery__InsertStmt>, _ table: ResolvedTable
    ) throws(Refusal) -> [Column?] {
        let all = table.relation?.columns ?? []
        let list = NodeList(insert.pointee.n_cols, insert.pointee.cols)
        // DEFAULT VALUES gives none.
        if insert.pointee.select_stmt == nil { return [] }
        guard list.isEmpty else {
            return list.map { node in
                guard node.kind == PG_QUERY__NODE__NODE_RES_TARGET else { return nil }
                let name = string(node.pointee.res_target.pointee.name)
                return all.first { $0.name == name }
            }
        }
        // Without a list the first columns are meant, as many as there are values.
        let select = insert.pointee.select_stmt!
        guard select.kind == PG_QUERY__NODE__NODE_SELECT_STMT, Self.isPlainValues(select.pointee.select_stmt) else { return all }
        let rows = NodeList(select.pointee.select_stmt.pointee.n_values_lists, select.pointee.select_stmt.pointee.values_lists)
        let width = rows.first.map { $0.listItems.count } ?? 0
        return Array(all.prefix(width))
    }

    private func keyPosition(_ columns: [Column?], _ table: ResolvedTable) -> Int? {
        guard case .sharded(let name) = table.placement else { return nil }
        return columns.firstIndex { $0?.name == name }
    }

    static func isPlainValues(_ select: SelectNode) -> Bool {
        select.pointee.n_values_lists > 0 && select.pointee.n_sort_clause == 0 && select.pointee.limit_count == nil
            && select.pointee.limit_offset == nil && select.pointee.with_clause == nil
            && select.pointee.n_locking_clause == 0
    }

    // MARK: VALUES

    /// Returns the keys of a sharded table's rows.
    private func insert(
        values select: SelectNode, columns: [Column?], key: Int?, _ keyed: Findings.ShardedTable?,
        _ table: ResolvedTable, scope: Scope
    ) throws(Refusal) -> [KeySource] {
        var sources: [KeySource] = []
        let rows = NodeList(select.pointee.n_values_lists, select.pointee.values_lists)
        // PostgreSQL takes no rows of several lengths. Told apart by their keys each might be taken: so the first row's shard is given all of them.
        let areAlike = Set(rows.map(\.listItems.count)).count <= 1
        for row in rows {
            let items = row.listItems
            for (index, item) in items.enumerated() {
                let column = index < columns.count ? columns[index] : nil
                settleAssignment(of: item, to: column)
                if item.kind == PG_QUERY__NODE__NODE_SET_TO_DEFAULT { noteDefault(column, of: table) }
                try analyze(expression: item, scope: scope)
            }
            guard let key, let keyed, areAlike || sources.isEmpty else { continue }
            guard key < items.count else { throw Refusal(.keyMissing, table.name.description) }
            sources += try insertedKey(items[key], keyed)
        }
        if let keyed { bindings.bind(keyed.slot, to: sources) }
        return sources
    }

    private func insertedKey(_ node: SQLNode, _ target: Findings.ShardedTable) throws(Refusal) -> [KeySource] {
        let subject = "\(target.name).\(target.key)"
        if node.kind == PG_QUERY__NODE__NODE_SET_TO_DEFAULT { throw Refusal(.keyMissing, subject, at: target.location) }
        switch keyOperand(node, type: bindings.type(of: target.slot)) {
        case .sources(let sources): return sources
        case .null: throw Refusal(.keyIsNull, subject, at: target.location)
        case .wrongType: throw Refusal(.keyType, subject, at: target.location)
        case .notConstant: throw Refusal(.keyExpression, subject, at: target.location)
        }
    }

    // MARK: SELECT

    private func insert(
        from select: SelectNode, _ insert: UnsafeMutablePointer<PgQuery__InsertStmt>, key: Int?,
        _ target: Findings.ShardedTable?, _ columns: [Column?], isNullable: Bool, isTop: Bool, scope: Scope
    ) throws(Refusal) {
        let output = try analyze(select: select, parent: scope)
        if insert.pointee.on_conflict_clause != nil { findings.noteOrder("INSERT … SELECT … ON CONFLICT", isOnTop: isTop) }
        for (expression, column) in zip(output.expressions, columns) {
            // A literal is read as the column's type.
            if let expression, expression.kind == PG_QUERY__NODE__NODE_A_CONST { settleAssignment(of: expression, to: column) }
        }
        guard let key, let target else { return }
        let subject = "\(target.name).\(target.key)"
        guard output.isPositional, key < output.columns.count else {
            throw Refusal(.keyExpression, subject, at: target.location)
        }
        if let slot = output.columns[key].slot {
            guard bindings.type(of: slot) == bindings.type(of: target.slot) else {
                throw Refusal(.keyType, subject, at: target.location)
            }
            // Nothing but NOT NULL would keep a key that an outer join left out from being stored.
            guard !(isNullable && output.columns[key].isNullable) else { throw Refusal(.keyIsNull, subject, at: target.location) }
            bindings.derive(target.slot, from: [slot])
        } else if key < output.expressions.count, let expression = output.expressions[key] {
            bindings.bind(target.slot, to: try insertedKey(expression, target))
        } else {
            throw Refusal(.keyExpression, subject, at: target.location)
        }
    }

    /// A longer value is cut if only blanks are lost: the stored key would not be the one given.
    private func noteLength(of table: ResolvedTable) {
        guard case .sharded(let key) = table.placement, let column = table.relation?.columns.first(where: { $0.name == key }),
            let length = KeyLength.maximum(of: column)
        else { return }
        findings.keyLengthMax = min(length, findings.keyLengthMax ?? .max)
    }

    // MARK: ON CONFLICT

    private func analyze(
        onConflict insert: UnsafeMutablePointer<PgQuery__InsertStmt>, target: RangeEntry, scope: Scope
    ) throws(Refusal) {
        guard let clause = insert.pointee.on_conflict_clause else { return }
        if let infer = clause.pointee.infer {
            for element in NodeList(infer.pointee.n_index_elems, infer.pointee.index_elems) {
                try analyze(expression: element, scope: scope)
            }
            if let condition = infer.pointee.where_clause { try analyze(expression: condition, scope: scope) }
        }
        let inner = Scope(parent: scope)
        inner.entries = scope.entries
        var excluded = target
        excluded.name = "excluded"
        excluded.table = nil
        // Neither its columns nor the target's choose a shard here.
        for index in excluded.columns.indices { excluded.columns[index].slot = nil }
        inner.entries.append(excluded)
        try analyze(
            assignments: NodeList(clause.pointee.n_target_list, clause.pointee.target_list), target: target, scope: inner,
            table: insert.pointee.relation)
        if let condition = clause.pointee.where_clause { try analyze(expression: condition, scope: inner) }
    }
}

/// The n of varchar(n).
package enum KeyLength {
    package static func maximum(of column: Column) -> Int? {
        guard column.typeOID == 1043, let open = column.typeName.firstIndex(of: "("), column.typeName.hasSuffix(")") else {
            return nil
        }
        return Int(column.typeName[column.typeName.index(after: open)...].dropLast())
    }
}
