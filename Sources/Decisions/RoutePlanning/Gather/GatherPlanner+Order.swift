internal import CPGQuery
internal import SQLSyntax

/// ORDER BY, LIMIT and OFFSET of rows that every shard has a part of.
extension GatherPlanner {
    /// Gives the combination the statement's order and limits. False: they cannot be given to PostgreSQL a second time.
    func order(_ combination: inout GatherCombination, _ text: inout PartText) -> Bool {
        guard select.pointee.limit_option != PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES else { return false }
        for item in NodeList(select.pointee.n_sort_clause, select.pointee.sort_clause) {
            guard let order = order(item, &combination, &text) else { return false }
            // A column that is made of others anew has no bytes to compare yet.
            if order.isByteOrder, combination.columns[order.place] != .key, combination.columns[order.place] != .value { return false }
            combination.order.append(order)
        }
        return limit(&combination, &text)
    }

    /// Places of the select list that GROUP BY and ORDER BY name by their numbers, behind the columns that were put in before it.
    func shiftPlaces(_ text: inout PartText) -> Bool {
        guard !text.columns.isEmpty else { return true }
        let groups = Array(NodeList(select.pointee.n_group_clause, select.pointee.group_clause))
        let items = NodeList(select.pointee.n_sort_clause, select.pointee.sort_clause).compactMap { $0.pointee.sort_by.pointee.node }
        // Places may be in the parentheses of `GROUP BY (1, 2)`, too.
        guard !groups.contains(where: { $0.kind == PG_QUERY__NODE__NODE_ROW_EXPR || $0.kind == PG_QUERY__NODE__NODE_GROUPING_SET }) else { return false }
        for node in groups + items where node.kind == PG_QUERY__NODE__NODE_A_CONST {
            guard case (.rows(let place), let range)? = text.bound(node) else { return false }
            text.replace(range, by: String(place + Int64(text.columns.count)))
        }
        return true
    }

    // MARK: ORDER BY

    private func order(_ item: SQLNode, _ combination: inout GatherCombination, _ text: inout PartText) -> GatherCombination.Order? {
        guard item.kind == PG_QUERY__NODE__NODE_SORT_BY, let sort = item.pointee.sort_by, let node = sort.pointee.node else { return nil }
        guard let found = found(node, among: combination.width) ?? hidden(node, &combination, &text) else { return nil }
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
        return GatherCombination.Order(
            place: found.place, name: found.name, isDescending: isDescending, nullsFirst: nullsFirst, isByteOrder: found.isByteOrder, source: found.source)
    }

    private struct Found {
        var place: Int
        var name: String?
        var isByteOrder = false
        var source: [String]?
    }

    private func found(_ node: SQLNode, among width: Int) -> Found? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_A_CONST where node.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_IVAL:
            let place = Int(node.pointee.a_const.pointee.ival.pointee.ival) - 1
            return (0..<width).contains(place) ? Found(place: place) : nil
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

    /// A column of FROM, a function's call or an aggregate that is not in the answer: the shards are asked for it besides.
    private func hidden(_ node: SQLNode, _ combination: inout GatherCombination, _ text: inout PartText) -> Found? {
        // PostgreSQL refuses it with DISTINCT.
        guard select.pointee.n_distinct_clause == 0 else { return nil }
        let isOfRows = combination.columns.allSatisfy { $0 == .value }
        switch node.kind {
        case PG_QUERY__NODE__NODE_COLUMN_REF:
            guard isOfRows, let name = fields(node), let output = analyzer.topOutput, name.count > 1 || !output.columns.contains(where: { $0.name == name[0] }),
                text.add(column: Self.quoted(name)) != nil
            else { return nil }
            combination.columns.append(.value)
            combination.hidden += 1
            return Found(place: combination.columns.count - 1, name: name.count == 1 ? name[0] : nil, source: name)
        case PG_QUERY__NODE__NODE_FUNC_CALL:
            guard let call = node.pointee.func_call, call.pointee.funcformat == PG_QUERY__COERCION_FORM__COERCE_EXPLICIT_CALL, call.pointee.over == nil,
                call.pointee.agg_within_group == 0, !asksForATypeFirst(node), let place = CallText(in: text.text, at: Int(call.pointee.location))
            else { return nil }
            let column: GatherCombination.Column? = isOfRows ? (isRowsOwn(node) ? .value : nil) : aggregate(node)
            guard var column else { return nil }
            if case .average = column {
                guard let count = text.call(place, named: "pg_catalog.count"), text.add(column: count) != nil else { return nil }
                column = .average(count: combination.columns.count)
                combination.columns.append(.count)
                combination.hidden += 1
                guard let sum = text.call(place, named: "pg_catalog.sum"), text.add(column: sum) != nil else { return nil }
            } else {
                guard let own = String(validating: text.text[place.whole], as: UTF8.self), text.add(column: own) != nil else { return nil }
            }
            combination.columns.append(column)
            combination.hidden += 1
            return Found(place: combination.columns.count - 1)
        default: return nil
        }
    }

    /// Whether something in a text that is put in before the select list has a parameter whose type its first place decides: it would be another place.
    func asksForATypeFirst(_ node: SQLNode) -> Bool {
        var found = false
        node.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_PARAM_REF, analyzer.declaredType(Int(node.pointee.param_ref.pointee.number)) == 0 { found = true }
            return !found
        }
        return found
    }

    /// An aggregate in ORDER BY alone would make one row of all.
    private func isRowsOwn(_ node: SQLNode) -> Bool {
        !callsWindow(node) && !analyzer.findings.callsSetFunction && (select.pointee.n_group_clause > 0 || !callsAggregate(node))
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

    private func limit(_ combination: inout GatherCombination, _ text: inout PartText) -> Bool {
        guard let limit = bound(select.pointee.limit_count, text), let offset = bound(select.pointee.limit_offset, text) else { return false }
        (combination.limit, combination.offset) = (limit.found?.bound, offset.found?.bound)
        if let offset = offset.found { text.replace(offset.place, by: PartText.none(offset.bound)) }
        guard let limit = limit.found else { return true }
        // A part of a group is no group, and a limit would leave some out.
        if !hasWholeRows(combination) {
            text.replace(limit.place, by: PartText.unlimited(limit.bound))
        } else if let offset = offset.found {
            text.replace(limit.place, by: PartText.sum(limit.bound, offset.bound))
        }
        return true
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
