internal import CPGQuery
internal import SQLSyntax

extension QueryAnalyzer {
    /// How the ON condition of a join carries bindings.
    private enum Side { case both, left, right, none }

    /// Inner joins: a condition holds for both sides. Outer joins: it only selects rows of the side that is filled up with NULLs, so that side can
    /// learn its key from the other one, and a constant in it chooses no shard.
    func join(_ join: UnsafeMutablePointer<PgQuery__JoinExpr>, scope: Scope) throws(Refusal) -> FromItem {
        let nullable: Side
        switch join.pointee.jointype {
        case PG_QUERY__JOIN_TYPE__JOIN_INNER: nullable = .none
        case PG_QUERY__JOIN_TYPE__JOIN_LEFT: nullable = .right
        case PG_QUERY__JOIN_TYPE__JOIN_RIGHT: nullable = .left
        case PG_QUERY__JOIN_TYPE__JOIN_FULL: nullable = .both
        default: throw Refusal(.unsupported, "join type")
        }
        // LATERAL items on the right see the left side; neither sees the other join's names otherwise.
        let local = Scope(parent: scope, isJoin: true)
        let start = bindings.end
        var left = try fromItem(join.pointee.larg, scope: local)
        add(left, to: local)
        let middle = bindings.end
        var right = try fromItem(join.pointee.rarg, scope: local)
        let end = bindings.end
        if nullable == .left || nullable == .both { left.becomeNullable() }
        if nullable == .right || nullable == .both { right.becomeNullable() }

        var result = FromItem()
        result.entries = left.entries + right.entries
        result.isComplete = left.isComplete && right.isComplete
        result.merged = left.merged.merging(right.merged) { old, _ in old }
        try merge(join, left, right, into: &result) { (a, b) in
            switch nullable {
            case .none: bindings.equate(a, b)
            case .right: bindings.derive(b, from: [a])
            case .left: bindings.derive(a, from: [b])
            case .both: break
            }
        }
        if let condition = join.pointee.quals {
            let both = Scope(parent: scope, skipsParentEntries: true)
            add(left, to: both)
            add(right, to: both)
            try analyze(expression: condition, scope: both)
            switch nullable {
            case .none: restrict(by: condition, scope: both, own: start..<end)
            case .right: restrict(by: condition, scope: both, own: middle..<end, isOuterJoin: true)
            case .left: restrict(by: condition, scope: both, own: start..<middle, isOuterJoin: true)
            case .both: break
            }
        }
        return aliased(result, join.pointee.alias)
    }

    /// USING and NATURAL: the columns they equate, and the order of `*`.
    private func merge(
        _ join: UnsafeMutablePointer<PgQuery__JoinExpr>, _ left: FromItem, _ right: FromItem,
        into result: inout FromItem, equate: (Slot, Slot) -> Void
    ) throws(Refusal) {
        var names = NodeList(join.pointee.n_using_clause, join.pointee.using_clause).strings ?? []
        if join.pointee.is_natural != 0 {
            // A column that we do not see could be common to both sides.
            guard left.isComplete, right.isComplete else { throw Refusal(.unsupported, "NATURAL JOIN") }
            names = left.columns.map(\.name).filter { name in right.columns.contains { $0.name == name } }
        }
        var mergedColumns: [OutputColumn] = []
        for name in names {
            let a = left.merged[name] ?? left.columns.first { $0.name == name }
            let b = right.merged[name] ?? right.columns.first { $0.name == name }
            if let a = a?.slot, let b = b?.slot, hasBuiltInEquality { equate(a, b) }
            let kept =
                switch join.pointee.jointype {
                case PG_QUERY__JOIN_TYPE__JOIN_RIGHT: b
                // COALESCE of both: bound by neither.
                case PG_QUERY__JOIN_TYPE__JOIN_FULL: OutputColumn?.none
                default: a
                }
            var column = OutputColumn(name: name, slot: kept?.slot, typeOID: kept?.typeOID ?? 0, isNullable: kept?.isNullable ?? true)
            if bindingsDiffer(a?.slot, b?.slot) { column.slot = nil }
            mergedColumns.append(column)
            result.merged[name] = column
        }
        // `JOIN … USING (k) AS j`: j names the merged columns only, and hides nothing.
        if let alias = join.pointee.join_using_alias {
            result.entries.append(RangeEntry(name: string(alias.pointee.aliasname), columns: mergedColumns, isMergedOnly: true))
        }
        let isKept = { (column: OutputColumn) in !names.contains(column.name) }
        result.columns = mergedColumns + left.columns.filter(isKept) + right.columns.filter(isKept)
    }

    /// Columns of two families (an integer and a numeric one) are merged into a third type.
    private func bindingsDiffer(_ a: Slot?, _ b: Slot?) -> Bool {
        guard let a, let b else { return true }
        return bindings.type(of: a) != bindings.type(of: b)
    }

    /// `(a JOIN b …) AS j` hides the names inside.
    private func aliased(_ item: FromItem, _ alias: UnsafeMutablePointer<PgQuery__Alias>?) -> FromItem {
        guard let alias else { return item }
        var entry = RangeEntry(
            name: string(alias.pointee.aliasname), columns: item.columns, isComplete: item.isComplete,
            isReference: item.entries.contains(where: \.isReference))
        entry.rename(columnNames(alias))
        return FromItem(entry)
    }
}
