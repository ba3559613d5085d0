internal import CPGQuery
internal import PGTypes
internal import SQLSyntax
internal import ShardModel

extension QueryAnalyzer {
    /// MERGE: each row of the source changes the target's rows that match it, or becomes one. The target is the side of a join that may be missing.
    func analyze(merge: UnsafeMutablePointer<PgQuery__MergeStmt>) throws(Refusal) -> QueryOutput {
        try enterQuery()
        let scope = Scope(parent: nil)
        let commons = try register(merge.pointee.with_clause, scope: scope)
        guard let relation = merge.pointee.relation, let source = merge.pointee.source_relation, let condition = merge.pointee.join_condition else { throw Refusal(.merge) }
        let resolved = try TableResolver(context: context).resolve(relation)
        let item = try fromItem(source, scope: scope)
        mergeSource = item.entries
        add(item, to: scope)
        let start = bindings.end
        let target = try entry(for: relation, use: .update)
        add(FromItem(target), to: scope)
        try analyze(expression: condition, scope: scope)
        restrict(by: condition, scope: scope, own: start..<bindings.end, isOuterJoin: true)
        for node in NodeList(merge.pointee.n_merge_when_clauses, merge.pointee.merge_when_clauses) {
            guard node.kind == PG_QUERY__NODE__NODE_MERGE_WHEN_CLAUSE, let clause = node.pointee.merge_when_clause else { throw Refusal(.merge) }
            if let condition = clause.pointee.condition { try analyze(expression: condition, scope: scope) }
            switch clause.pointee.command_type {
            case PG_QUERY__CMD_TYPE__CMD_DELETE, PG_QUERY__CMD_TYPE__CMD_NOTHING: break
            case PG_QUERY__CMD_TYPE__CMD_UPDATE:
                try analyze(assignments: NodeList(clause.pointee.n_target_list, clause.pointee.target_list), target: target, scope: scope, table: relation)
            case PG_QUERY__CMD_TYPE__CMD_INSERT: try analyze(insertOf: clause, resolved, scope: scope)
            default: throw Refusal(.merge)
            }
        }
        try finish(commons)
        return QueryOutput(columns: [])
    }

    /// WHEN NOT MATCHED THEN INSERT: one more mention of the target, whose key is the value's.
    private func analyze(insertOf clause: UnsafeMutablePointer<PgQuery__MergeWhenClause>, _ table: ResolvedTable, scope: Scope) throws(Refusal) {
        guard clause.pointee.override != PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE else { throw Refusal(.merge, "OVERRIDING USER VALUE") }
        let all = table.relation?.columns ?? []
        let named = NodeList(clause.pointee.n_target_list, clause.pointee.target_list), values = NodeList(clause.pointee.n_values, clause.pointee.values)
        var columns: [Column?] = Array(all.prefix(values.count))
        if !named.isEmpty {
            columns = []
            for node in named {
                guard node.kind == PG_QUERY__NODE__NODE_RES_TARGET else { throw Refusal(.unsupported, node.kindName) }
                try analyze(subscriptsOf: node, scope: scope)
                let name = string(node.pointee.res_target.pointee.name)
                columns.append(all.first { $0.name == name })
            }
        }
        let given = Set(columns.compactMap(\.?.name))
        for column in all where !given.contains(column.name) { noteDefault(column, of: table) }
        for (value, column) in zip(values, columns) {
            settleAssignment(of: value, to: column)
            if value.kind == PG_QUERY__NODE__NODE_SET_TO_DEFAULT { noteDefault(column, of: table) }
            try analyze(expression: value, scope: scope)
        }
        guard case .sharded(let key) = table.placement else { return }
        let subject = "\(table.name).\(key)"
        guard let place = columns.firstIndex(where: { $0?.name == key }), place < values.count, let column = columns[place], let type = KeyType(typeOID: column.typeOID) else {
            throw Refusal(.keyMissing, subject)
        }
        let slot = bindings.makeSlot(type)
        if let found = self.column(values[place], scope)?.slot {
            guard bindings.type(of: found) == type else { throw Refusal(.keyType, subject) }
            bindings.derive(slot, from: [found])
        } else {
            switch keyOperand(values[place], type: type) {
            case .sources(let sources): bindings.bind(slot, to: sources)
            case .null: throw Refusal(.keyIsNull, subject)
            case .wrongType: throw Refusal(.keyType, subject)
            case .notConstant: throw Refusal(.keyExpression, subject)
            }
        }
        if let length = KeyLength.maximum(of: column) { findings.keyLengthMax = min(length, findings.keyLengthMax ?? .max) }
        findings.sharded.append(.init(name: table.name, key: key, slot: slot, location: nil))
    }
}
