internal import CPGQuery
internal import SQLSyntax

/// Answers that are made of partial rows of every shard.
extension GatherPlanner {
    private static let aggregates: [String: GatherCombination.Column] = [
        "count": .count, "sum": .sum, "min": .min, "max": .max, "bool_and": .and, "every": .and, "bool_or": .or, "avg": .average(count: 0),
    ]

    /// Aggregates of all rows, of groups that may be on several shards, or distinct rows. nil: none of them, or not as plain as they must be.
    func groupCombination(_ text: inout PartText) -> (GatherCombination, GatherRule)? {
        guard select.pointee.having_clause == nil, select.pointee.group_distinct == 0 else { return nil }
        let targets = NodeList(select.pointee.n_target_list, select.pointee.target_list)
        let groups = NodeList(select.pointee.n_group_clause, select.pointee.group_clause)
        let distinct = NodeList(select.pointee.n_distinct_clause, select.pointee.distinct_clause)
        if groups.isEmpty, distinct.isEmpty, targets.allSatisfy({ value(of: $0).flatMap(aggregate) == nil }) { return nil }
        var combination = GatherCombination(columns: targets.map { _ in .key })
        guard !targets.isEmpty else { return nil }
        for (place, target) in targets.enumerated() {
            guard let value = value(of: target) else { return nil }
            if let aggregate = aggregate(value) {
                combination.columns[place] = aggregate
                if case .average = aggregate { guard average(value, of: target, at: place, &combination, &text) else { return nil } }
            } else if !(groups.isEmpty ? !distinct.isEmpty && !callsAggregate(value) && !callsWindow(value) : groups.contains { names($0, value, at: place) }) {
                return nil
            }
        }
        guard addKeys(groups, targets, &combination, &text) else { return nil }
        let hasKeys = combination.columns.contains(.key)
        // Texts of different bytes can be equal under a collation that the partial rows do not have any more.
        if hasKeys, !analyzer.context.schema.nondeterministicCollations.isEmpty, !CollationProof(analyzer, select).isDatabases { return nil }
        guard distinct.isEmpty else {
            guard groups.isEmpty, combination.columns.allSatisfy({ $0 == .key }), distinct.allSatisfy({ $0.kind == PG_QUERY__NODE__NODE__NOT_SET }) else { return nil }
            return (combination, .distinctCombined)
        }
        guard groups.isEmpty else { return (combination, .groupsCombined) }
        return hasKeys ? nil : (combination, .aggregatesCombined)
    }

    /// A group whose key is not among the columns could not be told from others: those that are columns of FROM are asked for besides.
    private func addKeys(_ groups: NodeList, _ targets: NodeList, _ combination: inout GatherCombination, _ text: inout PartText) -> Bool {
        for group in groups where !targets.enumerated().contains(where: { place, target in value(of: target).map { names(group, $0, at: place) } ?? false }) {
            guard group.kind == PG_QUERY__NODE__NODE_COLUMN_REF, let name = fields(group), name.count > 1 || isCertain(name[0]),
                select.pointee.n_distinct_clause == 0, text.add(column: Self.quoted(name)) != nil
            else { return false }
            combination.columns.append(.key)
            combination.hidden += 1
        }
        return true
    }

    /// The shards are asked for the sum in the average's place, under its name, and for the count besides.
    private func average(
        _ value: SQLNode, of target: SQLNode, at place: Int, _ combination: inout GatherCombination, _ text: inout PartText
    ) -> Bool {
        guard !asksForATypeFirst(value), let call = CallText(in: text.text, at: Int(value.pointee.func_call.pointee.location)), let count = text.call(call, named: "pg_catalog.count"),
            text.add(column: count) != nil
        else { return false }
        text.replace(call.name, by: "pg_catalog.sum")
        if string(target.pointee.res_target.pointee.name).isEmpty { text.replace(call.whole.upperBound..<call.whole.upperBound, by: " AS avg") }
        combination.columns[place] = .average(count: combination.columns.count)
        combination.columns.append(.count)
        combination.hidden += 1
        return true
    }

    func value(of target: SQLNode) -> SQLNode? {
        guard target.kind == PG_QUERY__NODE__NODE_RES_TARGET, let value = target.pointee.res_target.pointee.val else { return nil }
        return isStar(target) && value.kind == PG_QUERY__NODE__NODE_COLUMN_REF ? nil : value
    }

    /// One of PostgreSQL's own, of plain arguments and perhaps a FILTER.
    func aggregate(_ value: SQLNode) -> GatherCombination.Column? {
        guard value.kind == PG_QUERY__NODE__NODE_FUNC_CALL, let call = value.pointee.func_call,
            let names = NodeList(call.pointee.n_funcname, call.pointee.funcname).strings, let name = names.last, let column = Self.aggregates[name],
            names.count == 1 || names[0] == "pg_catalog"
        else { return nil }
        guard call.pointee.over == nil, call.pointee.agg_distinct == 0, call.pointee.n_agg_order == 0, call.pointee.agg_within_group == 0,
            call.pointee.func_variadic == 0, isAggregate(call)
        else { return nil }
        return column
    }

    /// Whether an item of GROUP BY is the expression at a place of the select list: by its place, by its name where no column of FROM has that, or the same column by
    /// the same name.
    private func names(_ group: SQLNode, _ value: SQLNode, at place: Int) -> Bool {
        switch group.kind {
        case PG_QUERY__NODE__NODE_A_CONST:
            return group.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_IVAL && Int(group.pointee.a_const.pointee.ival.pointee.ival) == place + 1
                && !callsAggregate(value)
        case PG_QUERY__NODE__NODE_COLUMN_REF:
            guard let name = fields(group) else { return false }
            if name.count == 1, isAbsent(name[0]) { return placeOfAlias(name[0]) == place && !callsAggregate(value) }
            return value.kind == PG_QUERY__NODE__NODE_COLUMN_REF && fields(value) == name
        default: return false
        }
    }

    /// No column of FROM has this name.
    private func isAbsent(_ name: String) -> Bool {
        scope.merged[name] == nil && scope.entries.allSatisfy { entry in entry.isComplete && !entry.columns.contains { $0.name == name } }
    }

    /// A column of FROM has this name, so that GROUP BY means it.
    private func isCertain(_ name: String) -> Bool {
        scope.merged[name] != nil || scope.entries.contains { entry in entry.columns.contains { $0.name == name } }
    }

    static func quoted(_ name: [String]) -> String {
        name.map(quoteIdentifier).joined(separator: ".")
    }

    /// The one column of the answer that AS calls so, where none without AS might be called so, too.
    private func placeOfAlias(_ name: String) -> Int? {
        let targets = NodeList(select.pointee.n_target_list, select.pointee.target_list)
        let names = targets.map { target -> String? in
            guard let value = value(of: target) else { return nil }
            let alias = string(target.pointee.res_target.pointee.name)
            if !alias.isEmpty { return alias }
            switch value.kind {
            case PG_QUERY__NODE__NODE_COLUMN_REF: return fields(value)?.last
            case PG_QUERY__NODE__NODE_FUNC_CALL: return NodeList(value.pointee.func_call.pointee.n_funcname, value.pointee.func_call.pointee.funcname).strings?.last
            default: return nil
            }
        }
        guard !names.contains(nil), names.filter({ $0 == name }).count == 1 else { return nil }
        return names.firstIndex(of: name)
    }

    func fields(_ node: SQLNode) -> [String]? {
        NodeList(node.pointee.column_ref.pointee.n_fields, node.pointee.column_ref.pointee.fields).strings
    }
}
