internal import CPGQuery
internal import SQLSyntax

extension QueryAnalyzer {
    /// Makes the queries of a WITH clause known to `scope`. Data-modifying ones are analysed at once: they run whether or not they are read.
    func register(
        _ clause: UnsafeMutablePointer<PgQuery__WithClause>?, scope: Scope
    ) throws(Refusal) -> [CommonTable] {
        guard let clause else { return [] }
        let isRecursive = clause.pointee.recursive != 0
        var result: [CommonTable] = []
        // Each WITH query sees those before it, with RECURSIVE all of them.
        var visible = scope
        for node in NodeList(clause.pointee.n_ctes, clause.pointee.ctes) {
            guard node.kind == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR else { throw Refusal(.unsupported, node.kindName) }
            let common = node.pointee.common_table_expr!
            guard common.pointee.search_clause == nil, common.pointee.cycle_clause == nil else {
                throw Refusal(.unsupported, "SEARCH and CYCLE")
            }
            if !isRecursive {
                let earlier = Scope(parent: scope.parent)
                earlier.ctes = scope.ctes
                visible = earlier
            }
            let table = CommonTable(
                name: string(common.pointee.ctename), query: common.pointee.ctequery,
                columnNames: NodeList(common.pointee.n_aliascolnames, common.pointee.aliascolnames).strings ?? [],
                scope: visible, isRecursive: isRecursive)
            scope.ctes[table.name] = table
            result.append(table)
            if table.query.kind != PG_QUERY__NODE__NODE_SELECT_STMT {
                let start = findings.sharded.count
                var output = try analyze(statement: table.query, parent: Scope(parent: visible))
                output.isTransparent = false
                table.output = output
                for index in start..<findings.sharded.count { findings.sharded[index].isInWritingWith = true }
            }
        }
        return result
    }

    /// Analyses the WITH queries that nothing read: what they name counts all the same.
    func finish(_ tables: [CommonTable]) throws(Refusal) {
        for table in tables where table.references == 0 && table.output == nil { _ = try body(of: table) }
    }

    func entry(for common: CommonTable, _ table: RangeVarNode) throws(Refusal) -> RangeEntry {
        try enterLevel()
        common.references += 1
        var output: QueryOutput
        if let known = common.output { output = known } else { output = try body(of: common) }
        nameColumns(&output, common)
        var entry = derivedEntry(output, alias: table.pointee.alias)
        if common.query.kind != PG_QUERY__NODE__NODE_SELECT_STMT { noteWritten(output, entry) }
        if table.pointee.alias == nil { entry.name = common.name }
        return entry
    }

    /// What a WITH query that writes gives is read like a sharded table: by the key of what it wrote, which is another one for each reference.
    private func noteWritten(_ output: QueryOutput, _ entry: RangeEntry) {
        for (inner, outer) in zip(output.columns, entry.columns) {
            guard let slot = outer.slot, let written = findings.sharded.first(where: { $0.isInWritingWith && $0.slot == inner.slot }) else { continue }
            return findings.sharded.append(.init(name: written.name, key: written.key, slot: slot))
        }
        findings.readsKeylessWrites = true
    }

    /// `WITH c(x, y)` names the columns before an alias does.
    private func nameColumns(_ output: inout QueryOutput, _ common: CommonTable) {
        guard !common.columnNames.isEmpty else { return }
        var entry = RangeEntry(name: "", columns: output.columns, isComplete: output.isComplete)
        entry.rename(common.columnNames)
        output.columns = entry.columns
    }

    private func body(of common: CommonTable) throws(Refusal) -> QueryOutput {
        // A reference to itself before its first arm is known: PostgreSQL refuses such a query.
        guard !common.isInProgress else { throw Refusal(.unsupported, "recursive query") }
        guard common.isRecursive else { return try analyze(statement: common.query, parent: Scope(parent: common.scope)) }
        common.isInProgress = true
        defer {
            common.isInProgress = false
            common.output = nil
        }
        let inner = Scope(parent: common.scope)
        inner.recursiveCandidate = common
        var output = try analyze(statement: common.query, parent: inner)
        // What comes out of the recursion is no plain copy of a column, if it refers to itself.
        if common.output != nil { output.isTransparent = false }
        return output
    }

    /// The rows a recursive query sees of itself: names only.
    func selfReference(_ first: QueryOutput, _ common: CommonTable) -> QueryOutput {
        var output = QueryOutput(
            columns: first.columns, isComplete: first.isComplete, isPositional: first.isPositional, isTransparent: false)
        for index in output.columns.indices { output.columns[index].slot = nil }
        nameColumns(&output, common)
        return output
    }
}

extension Scope {
    /// The recursive query whose set operation is analysed directly in this scope.
    var recursiveTable: CommonTable? { parent?.recursiveCandidate }
}
