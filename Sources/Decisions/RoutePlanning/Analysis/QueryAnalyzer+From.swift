internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// What one item of a FROM list adds.
struct FromItem {
    var entries: [RangeEntry] = []
    /// In the order of `*`.
    var columns: [OutputColumn] = []
    var isComplete = true
    var merged: [String: OutputColumn] = [:]

    init(_ entry: RangeEntry) {
        entries = [entry]
        columns = entry.columns
        isComplete = entry.isComplete
    }
    init() {}

    mutating func becomeNullable() {
        for entry in entries.indices {
            for column in entries[entry].columns.indices { entries[entry].columns[column].isNullable = true }
        }
        for index in columns.indices { columns[index].isNullable = true }
        for name in merged.keys { merged[name]?.isNullable = true }
    }
}

extension QueryAnalyzer {
    /// Analyses a FROM list from left to right: an item with LATERAL sees those before it.
    func analyze(from items: NodeList, scope: Scope) throws(Refusal) {
        for item in items { add(try fromItem(item, scope: scope), to: scope) }
    }

    func add(_ item: FromItem, to scope: Scope) {
        scope.entries += item.entries
        scope.star += item.columns
        scope.merged.merge(item.merged) { old, _ in old }
    }

    func fromItem(_ node: SQLNode, scope: Scope) throws(Refusal) -> FromItem {
        switch node.kind {
        case PG_QUERY__NODE__NODE_RANGE_VAR:
            return FromItem(try rangeEntry(node.pointee.range_var, scope: scope))
        case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
            return FromItem(try subselect(node.pointee.range_subselect, scope: scope))
        case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
            return FromItem(try function(node.pointee.range_function, scope: scope))
        case PG_QUERY__NODE__NODE_JOIN_EXPR:
            return try join(node.pointee.join_expr, scope: scope)
        case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
            return try sample(node.pointee.range_table_sample, scope: scope)
        default:
            throw Refusal(.unsupported, node.kindName)
        }
    }

    /// A name in FROM: a WITH query, or a table.
    private func rangeEntry(_ table: RangeVarNode, scope: Scope) throws(Refusal) -> RangeEntry {
        let name = string(table.pointee.relname)
        if string(table.pointee.schemaname).isEmpty, let common = scope.commonTable(name) {
            return try entry(for: common, table)
        }
        return try entry(for: table, use: .read)
    }

    private func subselect(
        _ item: UnsafeMutablePointer<PgQuery__RangeSubselect>, scope: Scope
    ) throws(Refusal) -> RangeEntry {
        let inner = Scope(parent: scope, skipsParentEntries: item.pointee.lateral == 0)
        let output = try analyze(statement: item.pointee.subquery, parent: inner)
        return derivedEntry(output, alias: item.pointee.alias)
    }

    func derivedEntry(_ output: QueryOutput, alias: UnsafeMutablePointer<PgQuery__Alias>?) -> RangeEntry {
        var entry = RangeEntry(
            name: alias.map { string($0.pointee.aliasname) } ?? "", columns: exported(output), isComplete: output.isComplete,
            isDerived: true)
        entry.rename(columnNames(alias))
        return entry
    }

    func columnNames(_ alias: UnsafeMutablePointer<PgQuery__Alias>?) -> [String] {
        guard let alias else { return [] }
        return NodeList(alias.pointee.n_colnames, alias.pointee.colnames).strings ?? []
    }

    /// The columns of an inner level as the outer one may use them. Where a condition outside is not as good as one inside (LIMIT), the
    /// column is a new slot that only learns from the inner one.
    private func exported(_ output: QueryOutput) -> [OutputColumn] {
        guard !output.isTransparent else { return output.columns }
        return output.columns.map { column in
            var column = column
            if let inner = column.slot {
                let outer = bindings.makeSlot(bindings.type(of: inner))
                bindings.derive(outer, from: [inner])
                column.slot = outer
            }
            return column
        }
    }

    private func function(
        _ item: UnsafeMutablePointer<PgQuery__RangeFunction>, scope: Scope
    ) throws(Refusal) -> RangeEntry {
        // Functions in FROM see the items before them with or without LATERAL.
        for function in NodeList(item.pointee.n_functions, item.pointee.functions) {
            // A list of the call and its column definitions.
            for part in function.listItems where part.kind != PG_QUERY__NODE__NODE__NOT_SET {
                if part.kind == PG_QUERY__NODE__NODE_LIST { continue }
                let moments = findings.moments.count
                try analyze(expression: part, scope: scope)
                if findings.moments.count > moments { findings.hiddenMoment = ("now() in FROM", findings.moments[moments].location) }
            }
        }
        let alias = item.pointee.alias
        let name = alias.map { string($0.pointee.aliasname) } ?? firstFunctionName(item) ?? ""
        var entry = RangeEntry(name: name, columns: [], isComplete: false)
        entry.rename(columnNames(alias))
        return entry
    }

    private func firstFunctionName(_ item: UnsafeMutablePointer<PgQuery__RangeFunction>) -> String? {
        let call = NodeList(item.pointee.n_functions, item.pointee.functions).first?.listItems.first
        guard let call, call.kind == PG_QUERY__NODE__NODE_FUNC_CALL else { return nil }
        return NodeList(call.pointee.func_call.pointee.n_funcname, call.pointee.func_call.pointee.funcname).strings?.last
    }

    private func sample(
        _ item: UnsafeMutablePointer<PgQuery__RangeTableSample>, scope: Scope
    ) throws(Refusal) -> FromItem {
        let known = (findings.sharded.count, findings.references.count)
        let result = try fromItem(item.pointee.relation, scope: scope)
        guard known == (findings.sharded.count, findings.references.count) else {
            throw Refusal(.sampling, at: Int(item.pointee.location))
        }
        for argument in NodeList(item.pointee.n_args, item.pointee.args) { try analyze(expression: argument, scope: scope) }
        if let seed = item.pointee.repeatable { try analyze(expression: seed, scope: scope) }
        findings.noteNondeterminism(.volatileReferenceWrite, "TABLESAMPLE", at: Int(item.pointee.location))
        return result
    }
}
