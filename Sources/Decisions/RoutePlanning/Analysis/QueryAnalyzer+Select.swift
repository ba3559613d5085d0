internal import CPGQuery
internal import PGTypes
internal import SQLSyntax

extension QueryAnalyzer {
    func analyze(select: SelectNode, parent: Scope?) throws(Refusal) -> QueryOutput {
        try enterQuery()
        if select.pointee.into_clause != nil, select != storing { throw Refusal(.createTableAs) }
        let scope = Scope(parent: parent)
        if parent == nil { topScope = scope }
        if select == sourceSelect { sourceScope = scope }
        let commons = try register(select.pointee.with_clause, scope: scope)
        var output: QueryOutput
        if select.pointee.op != PG_QUERY__SET_OPERATION__SETOP_NONE {
            output = try analyze(setOperation: select, scope: scope)
        } else if select.pointee.n_values_lists > 0 {
            output = try analyze(values: select, scope: scope)
        } else {
            output = try analyze(plain: select, scope: scope)
        }
        for clause in [
            NodeList(select.pointee.n_sort_clause, select.pointee.sort_clause),
            NodeList(select.pointee.n_locking_clause, select.pointee.locking_clause),
        ] {
            for item in clause where item.kind != PG_QUERY__NODE__NODE_LOCKING_CLAUSE { try analyze(expression: item, scope: scope) }
        }
        try analyze(limitOf: select, scope: scope, &output)
        noteLocks(select, scope: scope)
        try finish(commons)
        return output
    }

    private func analyze(plain select: SelectNode, scope: Scope) throws(Refusal) -> QueryOutput {
        let start = bindings.end
        try analyze(from: NodeList(select.pointee.n_from_clause, select.pointee.from_clause), scope: scope)
        let own = start..<bindings.end
        if let condition = select.pointee.where_clause {
            try analyze(expression: condition, scope: scope)
            restrict(by: condition, scope: scope, own: own)
        }
        var output = QueryOutput(columns: [])
        for target in NodeList(select.pointee.n_target_list, select.pointee.target_list) {
            try add(target: target, to: &output, scope: scope)
        }
        for clause in [
            NodeList(select.pointee.n_group_clause, select.pointee.group_clause),
            NodeList(select.pointee.n_distinct_clause, select.pointee.distinct_clause),
            NodeList(select.pointee.n_window_clause, select.pointee.window_clause),
        ] {
            // Plain DISTINCT is a list of one empty node.
            for item in clause where item.kind != PG_QUERY__NODE__NODE__NOT_SET { try analyze(expression: item, scope: scope) }
        }
        if let having = select.pointee.having_clause { try analyze(expression: having, scope: scope) }
        let isDistinctOn = NodeList(select.pointee.n_distinct_clause, select.pointee.distinct_clause).contains {
            $0.kind != PG_QUERY__NODE__NODE__NOT_SET
        }
        let groups = NodeList(select.pointee.n_group_clause, select.pointee.group_clause)
        if groups.contains(where: { $0.kind == PG_QUERY__NODE__NODE_GROUPING_SET }) {
            // The rows of the larger groups have NULL where a column, or a constant, is grouped by.
            for index in output.columns.indices { output.columns[index].slot = nil }
            output.expressions = []
        }
        if isDistinctOn {
            output.isTransparent = false
            findings.noteOrder("DISTINCT ON")
        }
        if containsWindow(select) {
            output.isTransparent = false
            findings.noteOrder("window function")
        }
        return output
    }

    /// Window functions look at rows that a condition outside would have removed.
    private func containsWindow(_ select: SelectNode) -> Bool {
        for list in [
            NodeList(select.pointee.n_target_list, select.pointee.target_list),
            NodeList(select.pointee.n_sort_clause, select.pointee.sort_clause),
            NodeList(select.pointee.n_distinct_clause, select.pointee.distinct_clause),
        ] where list.contains(where: callsWindowFunction) { return true }
        return false
    }

    /// Not in a subquery below: its window functions are its own. Looking there would also cost time in the square of the depth.
    private func callsWindowFunction(_ node: SQLNode) -> Bool {
        var found = false
        node.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_SUB_LINK {
                if let test = node.pointee.sub_link.pointee.testexpr { found = found || callsWindowFunction(test) }
                return false
            }
            if node.kind == PG_QUERY__NODE__NODE_FUNC_CALL, node.pointee.func_call.pointee.over != nil { found = true }
            return !found
        }
        return found
    }

    /// UNION, INTERSECT, EXCEPT: every arm must be bound for the column to be, and a condition outside holds in every arm.
    private func analyze(setOperation select: SelectNode, scope: Scope) throws(Refusal) -> QueryOutput {
        let start = bindings.end
        let left = try analyze(select: select.pointee.larg, parent: scope)
        let middle = bindings.end
        if let recursive = scope.recursiveTable { recursive.output = recursive.output ?? selfReference(left, recursive) }
        let right = try analyze(select: select.pointee.rarg, parent: scope)
        var output = QueryOutput(
            columns: left.columns, isComplete: left.isComplete, isPositional: left.isPositional && right.isPositional)
        for index in output.columns.indices {
            output.columns[index].slot = nil
            // Otherwise it is of a third type.
            let isOfOne = output.isPositional && index < right.columns.count && right.columns[index].typeOID == left.columns[index].typeOID
            if !isOfOne { output.columns[index].typeOID = 0 }
            guard index < right.columns.count, output.isPositional, let a = left.columns[index].slot,
                let b = right.columns[index].slot, bindings.type(of: a) == bindings.type(of: b)
            else { continue }
            let union = bindings.makeSlot(bindings.type(of: a))
            bindings.derive(union, from: [a, b])
            // Not a column of a level around: it is there with its other values, too, for the rows of the other arm.
            if left.isTransparent, (start..<middle).contains(a) { bindings.derive(a, from: [union]) }
            if right.isTransparent, middle <= b { bindings.derive(b, from: [union]) }
            output.columns[index].slot = union
            output.columns[index].isNullable = left.columns[index].isNullable || right.columns[index].isNullable
        }
        return output
    }

    private func analyze(values select: SelectNode, scope: Scope) throws(Refusal) -> QueryOutput {
        var width = 0
        for row in NodeList(select.pointee.n_values_lists, select.pointee.values_lists) {
            let items = row.listItems
            width = max(width, items.count)
            for item in items { try analyze(expression: item, scope: scope) }
        }
        return QueryOutput(columns: (0..<width).map { OutputColumn(name: "column\($0 + 1)", slot: nil) })
    }

    private func analyze(limitOf select: SelectNode, scope: Scope, _ output: inout QueryOutput) throws(Refusal) {
        for limit in [select.pointee.limit_count, select.pointee.limit_offset] {
            guard let limit else { continue }
            output.isTransparent = false
            findings.noteOrder("LIMIT", isOnTop: scope === topScope)
            if limit.kind == PG_QUERY__NODE__NODE_PARAM_REF { settledParameters[limit] = .integer }
            try analyze(expression: limit, scope: scope)
        }
    }

    private func noteLocks(_ select: SelectNode, scope: Scope) {
        for clause in NodeList(select.pointee.n_locking_clause, select.pointee.locking_clause)
        where clause.kind == PG_QUERY__NODE__NODE_LOCKING_CLAUSE {
            findings.locksRows = true
            let locking = clause.pointee.locking_clause!
            let names = NodeList(locking.pointee.n_locked_rels, locking.pointee.locked_rels).map { node in
                node.kind == PG_QUERY__NODE__NODE_RANGE_VAR ? string(node.pointee.range_var.pointee.relname) : ""
            }
            // Without OF, subqueries in FROM are locked too; their tables are then counted as well.
            let touched = scope.entries.contains { $0.isReference && (names.isEmpty || names.contains($0.name)) }
            let nested = scope.entries.contains { $0.isDerived && (names.isEmpty || names.contains($0.name)) }
            if touched || (nested && !findings.references.isEmpty) { findings.lockedReference = findings.lockedReference ?? 0 }
        }
    }

    // MARK: the target list

    func add(target: SQLNode, to output: inout QueryOutput, scope: Scope) throws(Refusal) {
        guard target.kind == PG_QUERY__NODE__NODE_RES_TARGET, let value = target.pointee.res_target.pointee.val else {
            throw Refusal(.unsupported, target.kindName)
        }
        try analyze(expression: value, scope: scope)
        if let star = starColumns(value, scope: scope) {
            output.columns += star.columns
            output.expressions += [SQLNode?](repeating: nil, count: star.columns.count)
            output.isComplete = output.isComplete && star.isComplete
            output.isPositional = output.isPositional && star.isComplete
            return
        }
        let reference = column(value, scope)
        let explicit = string(target.pointee.res_target.pointee.name)
        var name = explicit
        if name.isEmpty { name = columnName(value) ?? "" }
        if name.isEmpty { output.isComplete = false }
        output.columns.append(
            OutputColumn(
                name: name, slot: reference?.slot, typeOID: reference?.typeOID ?? 0, isNullable: reference?.isNullable ?? true))
        output.expressions.append(value)
    }

    /// The name PostgreSQL gives a column without AS, where it is plain.
    private func columnName(_ node: SQLNode) -> String? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_COLUMN_REF:
            let reference = node.pointee.column_ref!
            return NodeList(reference.pointee.n_fields, reference.pointee.fields).strings?.last
        case PG_QUERY__NODE__NODE_FUNC_CALL:
            let call = node.pointee.func_call!
            return NodeList(call.pointee.n_funcname, call.pointee.funcname).strings?.last
        case PG_QUERY__NODE__NODE_A_CONST, PG_QUERY__NODE__NODE_PARAM_REF, PG_QUERY__NODE__NODE_A_EXPR:
            return "?column?"
        default:
            return nil
        }
    }

    /// `*` and `t.*`.
    private func starColumns(_ node: SQLNode, scope: Scope) -> (columns: [OutputColumn], isComplete: Bool)? {
        guard node.kind == PG_QUERY__NODE__NODE_COLUMN_REF else { return nil }
        let reference = node.pointee.column_ref!
        let fields = NodeList(reference.pointee.n_fields, reference.pointee.fields)
        guard let last = fields.last, last.kind == PG_QUERY__NODE__NODE_A_STAR else { return nil }
        if fields.count == 1 {
            return (scope.star, scope.entries.allSatisfy(\.isComplete))
        }
        let name = fields[fields.count - 2].stringValue
        guard let entry = scope.entries.first(where: { $0.name == name }) else { return ([], false) }
        return (entry.columns, entry.isComplete)
    }
}
