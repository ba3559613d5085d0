internal import CPGQuery
internal import SQLSyntax

/// ORDER BY, LIMIT and OFFSET of rows that every shard has a part of.
extension GatherPlanner {
    /// The same combination with the statement's order and limits. nil: they cannot be given to PostgreSQL a second time.
    func ordered(_ combination: GatherCombination) -> GatherCombination? {
        guard select.pointee.limit_option != PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES else { return nil }
        var combination = combination
        for item in NodeList(select.pointee.n_sort_clause, select.pointee.sort_clause) {
            guard let order = order(item, among: combination.columns.count) else { return nil }
            // A column that is made of others anew has no bytes to compare yet.
            if order.isByteOrder, combination.columns[order.place] != .key, combination.columns[order.place] != .value { return nil }
            combination.order.append(order)
        }
        return limited(combination)
    }

    // MARK: ORDER BY

    private func order(_ item: SQLNode, among width: Int) -> GatherCombination.Order? {
        guard item.kind == PG_QUERY__NODE__NODE_SORT_BY, let sort = item.pointee.sort_by, let node = sort.pointee.node else { return nil }
        guard let found = found(node), (0..<width).contains(found.place) else { return nil }
        let isDescending: Bool
        switch sort.pointee.sortby_dir {
        case PG_QUERY__SORT_BY_DIR__SORTBY_DEFAULT, PG_QUERY__SORT_BY_DIR__SORTBY_ASC: isDescending = false
        case PG_QUERY__SORT_BY_DIR__SORTBY_DESC: isDescending = true
        default: return nil
        }
        let nullsFirst: Bool? =
            switch sort.pointee.sortby_nulls {
            case PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST: true
            case PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST: false
            default: nil
            }
        return GatherCombination.Order(place: found.place, name: found.name, isDescending: isDescending, nullsFirst: nullsFirst, isByteOrder: found.isByteOrder)
    }

    private struct Found {
        var place: Int
        var name: String?
        var isByteOrder = false
    }

    private func found(_ node: SQLNode) -> Found? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_A_CONST where node.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_IVAL:
            return Found(place: Int(node.pointee.a_const.pointee.ival.pointee.ival) - 1)
        case PG_QUERY__NODE__NODE_COLUMN_REF:
            guard let fields = fields(node) else { return nil }
            return fields.count == 1 ? place(ofName: fields[0]) : place(ofColumn: node).map { Found(place: $0) }
        case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
            let clause = node.pointee.collate_clause!
            let collation = NodeList(clause.pointee.n_collname, clause.pointee.collname).strings
            // In an expression a name is a column of FROM.
            guard collation == ["C"] || collation == ["pg_catalog", "C"], let argument = clause.pointee.arg else { return nil }
            return place(ofColumn: argument).map { Found(place: $0, isByteOrder: true) }
        default: return nil
        }
    }

    /// A bare name in ORDER BY is a column's of the answer, before it is one of FROM. What the columns are called is compared once more with what the shards say.
    private func place(ofName name: String) -> Found? {
        guard let output = analyzer.topOutput, output.isPositional else { return nil }
        let places = output.columns.indices.filter { output.columns[$0].name == name }
        return places.count == 1 ? Found(place: places[0], name: name) : nil
    }

    /// The column of the select list that is this very column reference.
    private func place(ofColumn node: SQLNode) -> Int? {
        let targets = NodeList(select.pointee.n_target_list, select.pointee.target_list)
        guard node.kind == PG_QUERY__NODE__NODE_COLUMN_REF, let fields = fields(node), !targets.contains(where: isStar) else { return nil }
        return targets.firstIndex { target in
            guard let value = value(of: target), value.kind == PG_QUERY__NODE__NODE_COLUMN_REF else { return false }
            return self.fields(value) == fields
        }
    }

    // MARK: LIMIT and OFFSET

    private func limited(_ combination: GatherCombination) -> GatherCombination? {
        var combination = combination
        var text = PartText(analyzer.literals.text)
        guard let limit = bound(select.pointee.limit_count, text), let offset = bound(select.pointee.limit_offset, text) else { return nil }
        (combination.limit, combination.offset) = (limit.found?.bound, offset.found?.bound)
        if let offset = offset.found { text.replace(offset.place, by: PartText.none(offset.bound)) }
        if let limit = limit.found {
            // A part of a group is no group, and a limit would leave some out.
            if !hasWholeRows(combination) {
                text.replace(limit.place, by: PartText.unlimited(limit.bound))
            } else if let offset = offset.found {
                text.replace(limit.place, by: PartText.sum(limit.bound, offset.bound))
            }
        }
        combination.partText = text.edited
        return combination
    }

    private func hasWholeRows(_ combination: GatherCombination) -> Bool {
        combination.columns.allSatisfy { $0 == .value } || select.pointee.n_distinct_clause > 0
    }

    private struct Limit {
        /// nil: there is none, which NULL and ALL say, too.
        var found: (bound: GatherCombination.Bound, place: Range<Int>)?
    }

    /// nil: it is neither a plain number nor a parameter that stands nowhere else.
    private func bound(_ node: SQLNode?, _ text: PartText) -> Limit? {
        guard let node, isBounded(node) else { return Limit() }
        guard let found = text.bound(node) else { return nil }
        // At the other place it could be of another type.
        if case .parameter(let number) = found.bound {
            guard analyzer.findings.parameters.filter({ $0.pointee.param_ref.pointee.number == number }).count == 1 else { return nil }
        }
        return Limit(found: found)
    }
}
