internal import CPGQuery
internal import SQLSyntax
internal import ShardModel

/// Whether a SELECT without a key for one of its sharded tables can be answered by every shard for itself: see `GatherRule`.
struct GatherPlanner {
    let analyzer: QueryAnalyzer
    let select: SelectNode
    let scope: Scope

    /// nil: no rule accepts the statement.
    static func plan(_ statement: SQLNode, _ analyzer: QueryAnalyzer) -> GatherRows? {
        guard statement.kind == PG_QUERY__NODE__NODE_SELECT_STMT, let select = statement.pointee.select_stmt, let scope = analyzer.topScope else { return nil }
        return GatherPlanner(analyzer: analyzer, select: select, scope: scope).plan()
    }

    private func plan() -> GatherRows? {
        guard isSameEverywhere, isPlain else { return nil }
        // Of tables joined on their keys the statement may group by either's.
        let anchors = anchors.filter(holdsForEachKey)
        if let rules = anchors.lazy.compactMap(rules).first {
            guard isOrdered else { return GatherRows(rules: rules, clockParameters: clockParameters) }
            guard let output = analyzer.topOutput, output.isPositional, !output.columns.isEmpty else { return nil }
            return combined(GatherCombination(columns: output.columns.map { _ in .value }), partText, rules)
        }
        var text = partText
        guard !anchors.isEmpty, let (combination, rule) = groupCombination(&text) else { return nil }
        return combined(combination, text, [rule])
    }

    private var partText: PartText {
        let first = NodeList(select.pointee.n_target_list, select.pointee.target_list).first
        let list = first.flatMap { $0.kind == PG_QUERY__NODE__NODE_RES_TARGET ? Int($0.pointee.res_target.pointee.location) : nil }
        return PartText(analyzer.literals.text, list: list.flatMap { $0 >= 0 ? $0 : nil })
    }

    private func combined(_ combination: GatherCombination, _ text: PartText, _ rules: [GatherRule]) -> GatherRows? {
        var (combination, text) = (combination, text)
        combination.hasDatabaseCollation = CollationProof(analyzer, select).isDatabases
        if isOrdered { guard order(&combination, &text) else { return nil } }
        let unshifted = text
        guard shiftPlaces(&text) else { return nil }
        combination.partText = text.edited
        guard isOrdered else { return GatherRows(rules: rules, clockParameters: clockParameters, combination: combination) }
        combination.merge = merge(combination, unshifted)
        return GatherRows(rules: rules + [combination.merge == nil ? .ordered : .mergeOrdered], clockParameters: clockParameters, combination: combination)
    }

    // MARK: What the shards must have in common

    /// Nothing in it has an effect, or gives another value on each shard.
    private var isSameEverywhere: Bool { !analyzer.findings.hasEffect && readsTheSameEverywhere }

    var readsTheSameEverywhere: Bool {
        let findings = analyzer.findings
        guard !findings.needsPrimary, findings.nondeterminism == nil, findings.traces == .none, findings.defaultOfDrawn == nil,
            findings.catalogs.isEmpty, findings.locals.isEmpty
        else { return false }
        // Of rows without an order two shards may pick different ones, unless all of it is about one key's.
        guard !findings.usesRowsInOrderBelow || analyzer.queries == 1 else { return false }
        guard findings.temporalLiterals.allSatisfy(findings.timelessNodes.contains) else { return false }
        return findings.tables.allSatisfy { name in
            // What is in a view's body is not seen here.
            guard let kind = analyzer.context.schema.relations[name]?.kind else { return false }
            return kind == .table || kind == .partitioned
        }
    }

    var clockParameters: [Int] { Self.clockParameters(analyzer.findings) }

    static func clockParameters(_ findings: Findings) -> [Int] {
        let nodes = findings.parameters.filter { !findings.timelessNodes.contains($0) }
        return Set(nodes.map { Int($0.pointee.param_ref.pointee.number) }).sorted()
    }

    /// A SELECT of FROM, WHERE, GROUP BY, HAVING, ORDER BY and LIMIT, and nothing else.
    private var isPlain: Bool { select.pointee.n_locking_clause == 0 && isPlainButForLocks }

    var isPlainButForLocks: Bool {
        let query = select.pointee
        guard query.op == PG_QUERY__SET_OPERATION__SETOP_NONE, query.n_values_lists == 0, query.into_clause == nil,
            query.n_window_clause == 0
        else { return false }
        return query.with_clause == nil || query.with_clause.pointee.recursive == 0
    }

    var isOrdered: Bool { select.pointee.n_sort_clause > 0 || isBounded(select.pointee.limit_count) || isBounded(select.pointee.limit_offset) }

    /// LIMIT ALL, LIMIT NULL and OFFSET NULL are none.
    func isBounded(_ bound: SQLNode?) -> Bool {
        guard let bound else { return false }
        return bound.kind != PG_QUERY__NODE__NODE_A_CONST || bound.pointee.a_const.pointee.isnull == 0
    }

    // MARK: The anchor

    /// Keys of sharded tables that the FROM list shows in each of its rows.
    var anchors: [Slot] {
        analyzer.findings.sharded.map(\.slot).filter { slot in
            scope.entries.contains { entry in entry.columns.contains { $0.slot == slot && !$0.isNullable } }
        }
    }

    /// With this key known, that of every sharded table is the same.
    func holdsForEachKey(_ anchor: Slot) -> Bool { KeyProof(analyzer).holds(for: anchor) }

    // MARK: The rules

    func rules(for anchor: Slot) -> [GatherRule]? {
        var rules: [GatherRule] = []
        let groups = NodeList(select.pointee.n_group_clause, select.pointee.group_clause)
        let targets = NodeList(select.pointee.n_target_list, select.pointee.target_list)
        guard !targets.contains(where: callsWindow) else { return nil }
        if groups.isEmpty {
            guard select.pointee.having_clause == nil, !targets.contains(where: { callsAggregate($0) }) else { return nil }
            rules.append(.rowsOfAnchor)
        } else {
            guard select.pointee.group_distinct == 0, groups.contains(where: { isColumn($0, anchor) || isPlace($0, of: anchor, in: targets) }),
                !groups.contains(where: { $0.kind == PG_QUERY__NODE__NODE_GROUPING_SET })
            else { return nil }
            rules.append(.groupsByKey)
        }
        let distinct = NodeList(select.pointee.n_distinct_clause, select.pointee.distinct_clause)
        if !distinct.isEmpty {
            // Not DISTINCT ON, which picks rows by their order.
            guard distinct.allSatisfy({ $0.kind == PG_QUERY__NODE__NODE__NOT_SET }), targets.contains(where: { shows($0, anchor) }) else { return nil }
            rules.append(.distinctWithKey)
        }
        return rules
    }

    private func isColumn(_ node: SQLNode, _ slot: Slot) -> Bool {
        // In GROUP BY a name is a column of FROM before it is one of the select list.
        analyzer.column(node, scope)?.slot == slot
    }

    /// `GROUP BY 2`.
    private func isPlace(_ node: SQLNode, of slot: Slot, in targets: NodeList) -> Bool {
        guard node.kind == PG_QUERY__NODE__NODE_A_CONST, node.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_IVAL else { return false }
        let place = Int(node.pointee.a_const.pointee.ival.pointee.ival) - 1
        // Columns behind a star are counted from what it stands for.
        guard targets.indices.contains(place), !targets[...place].contains(where: isStar) else { return false }
        return shows(targets[place], slot)
    }

    func isStar(_ target: SQLNode) -> Bool {
        guard target.kind == PG_QUERY__NODE__NODE_RES_TARGET, let value = target.pointee.res_target.pointee.val else { return true }
        var found = false
        value.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_A_STAR { found = true }
            return !found
        }
        return found
    }

    private func shows(_ target: SQLNode, _ slot: Slot) -> Bool {
        guard target.kind == PG_QUERY__NODE__NODE_RES_TARGET, let value = target.pointee.res_target.pointee.val else { return false }
        if isColumn(value, slot) { return true }
        guard value.kind == PG_QUERY__NODE__NODE_COLUMN_REF else { return false }
        let fields = NodeList(value.pointee.column_ref.pointee.n_fields, value.pointee.column_ref.pointee.fields)
        return fields.count == 1 && fields[0].kind == PG_QUERY__NODE__NODE_A_STAR && scope.star.contains { $0.slot == slot }
    }

    // MARK: Calls

    func callsWindow(_ node: SQLNode) -> Bool {
        var found = false
        node.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_FUNC_CALL, node.pointee.func_call.pointee.over != nil { found = true }
            return !found
        }
        return found
    }

    /// An aggregate of the statement's own level. One in a subquery may be, too: PostgreSQL takes it for that of the level where its arguments come from. Only
    /// count(*) is sure to be the subquery's.
    func callsAggregate(_ node: SQLNode, isInSubquery: Bool = false) -> Bool {
        var found = false
        node.forEachNode { node in
            switch node.kind {
            case PG_QUERY__NODE__NODE_SUB_LINK:
                let link = node.pointee.sub_link!
                if let test = link.pointee.testexpr, callsAggregate(test, isInSubquery: isInSubquery) { found = true }
                if let query = link.pointee.subselect, callsAggregate(query, isInSubquery: true) { found = true }
                return false
            case PG_QUERY__NODE__NODE_FUNC_CALL:
                let call = node.pointee.func_call!
                let isPlainCount = call.pointee.agg_star != 0 && call.pointee.agg_filter == nil
                if isAggregate(call), !(isInSubquery && isPlainCount) { found = true }
            default: break
            }
            return !found
        }
        return found
    }

    /// A window function's own call is none, but its arguments may hold one; `over` is looked at by `callsWindow`.
    func isAggregate(_ call: UnsafeMutablePointer<PgQuery__FuncCall>) -> Bool {
        guard let names = NodeList(call.pointee.n_funcname, call.pointee.funcname).strings, let name = names.last else { return true }
        let schemas = names.count > 1 ? [names[0]] : ["pg_catalog"] + analyzer.context.searchPath
        return schemas.contains { schema in
            analyzer.context.schema.functions[QualifiedName(schema: schema, name: name)]?.contains(where: \.isAggregate) ?? false
        }
    }
}
