internal import CPGQuery
internal import PGTypes
internal import SQLSyntax
internal import ShardModel

/// Whether an INSERT … SELECT can be done in two steps: the query answered as any other, and its rows inserted where they belong (`SentRows`).
///
/// Both are planned as statements of their own, so that what is refused of either is refused here.
struct SentRowsPlanner {
    private let insert: UnsafeMutablePointer<PgQuery__InsertStmt>
    private let statement: SQLNode
    private let request: PlanningRequest
    private let text: [UInt8]
    private let refused: RefusalCode

    /// - refused: why the shards cannot do it by themselves.
    static func plan(_ statement: SQLNode, _ request: PlanningRequest, refused: Refusal) -> StatementPlan? {
        guard request.context.shardCount > 1, isForSeveralOnly(refused.code), statement.kind == PG_QUERY__NODE__NODE_INSERT_STMT else { return nil }
        let range = request.statement.range, bytes = Array(request.statement.owner.bytes)
        guard range.upperBound <= bytes.count else { return nil }
        return SentRowsPlanner(insert: statement.pointee.insert_stmt, statement: statement, request: request, text: Array(bytes[range]), refused: refused.code).plan()
    }

    /// Refusals that tell of what the query reads and where its rows go.
    private static func isForSeveralOnly(_ code: RefusalCode) -> Bool {
        switch code {
        case .noKey, .manyShards, .keyExpression, .keyIsNull, .mixedPlacements, .catalogJoin, .referenceWriteSource, .unorderedReferenceWrite, .volatileReferenceWrite: true
        default: false
        }
    }

    private func plan() -> StatementPlan? {
        guard let source = insert.pointee.select_stmt, source.kind == PG_QUERY__NODE__NODE_SELECT_STMT, let values = Self.values(source.pointee.select_stmt),
            insert.pointee.with_clause == nil, source.pointee.select_stmt.pointee.n_values_lists == 0 || refused == .keyExpression
        else { return nil }
        let conflict = insert.pointee.on_conflict_clause
        guard let cut = InsertParts(text, hasConflict: conflict != nil, hasReturning: insert.pointee.n_returning_list > 0), let all = castingParameters(cut),
            let query = self.query(all), query.plan.kind == .select, !query.plan.writes, query.plan.traces == .none, isReadable(query.plan.route),
            let width = self.width(query.width), let untyped = self.untyped(source.pointee.select_stmt, values)
        else { return nil }
        guard let (target, plan) = self.target(all, width: width) else { return nil }
        let columns = self.columns().map { $0?.typeOID ?? 0 }
        guard !namesMoment(values, columns) else { return nil }
        let isUpdate = conflict.map { $0.pointee.action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE } ?? false
        let sent = SentRows(
            parts: all, target: target, width: width, untyped: untyped, columnTypes: (0..<width).map { columns.indices.contains($0) ? columns[$0] : 0 }, isWhole: isUpdate,
            returnsRows: insert.pointee.n_returning_list > 0, readsTables: !isOfNoTable(query.plan.route))
        var result = StatementPlan(
            kind: .insert, route: .everyKey(EveryKey(rule: .rowsSent, sent: sent)), writes: true, reuse: .text, tables: plan.tables + query.plan.tables.filter { !plan.tables.contains($0) },
            reason: "the query's rows are sent to the shards that own them (\(WriteRule.rowsSent.rawValue))")
        result.readsMoment = query.readsMoment || plan.readsMoment
        result.traces.drawsSequences = plan.traces.drawsSequences
        return result
    }

    // MARK: The query

    /// The query as a statement of its own, with some moment in the place of now().
    private func query(_ parts: InsertParts) -> (plan: StatementPlan, width: Int?, readsMoment: Bool)? {
        var bytes = parts.query
        guard let parsed = try? ParsedSQL.parse(bytes: bytes), parsed.statements.count == 1, parsed.statements[0].node.kind == PG_QUERY__NODE__NODE_SELECT_STMT else { return nil }
        let analyzer = QueryAnalyzer(context: request.context, literals: LiteralMap(ranges: nil, text: parsed.bytes), parameterTypes: request.parameterTypes)
        guard let output = try? analyzer.analyze(statement: parsed.statements[0].node, parent: nil) else { return nil }
        // INSERT takes them in VALUES of one row; a query does not.
        if analyzer.findings.callsSetFunction, parsed.statements[0].node.pointee.select_stmt.pointee.n_values_lists > 0 { return nil }
        let readsMoment = !analyzer.findings.moments.isEmpty
        if readsMoment {
            guard let use = try? MomentReader(parsed.statements[0].node, analyzer).use() else { return nil }
            let moment = "2000-01-01 00:00:00"
            bytes = use.text(bytes, transaction: moment, statement: moment)
        }
        guard let plan = try? StatementPlanner.plan(bytes: bytes, literals: nil, parameterTypes: request.parameterTypes, context: request.context) else { return nil }
        return (plan, output.isPositional ? output.columns.count : nil, readsMoment)
    }

    /// What the query's columns are: of a SELECT, or of VALUES of one row. nil: of more rows, whose values PostgreSQL reads as those of their columns, each by itself.
    private static func values(_ select: SelectNode) -> [SQLNode?]? {
        let rows = NodeList(select.pointee.n_values_lists, select.pointee.values_lists)
        guard let row = rows.first else { return targets(select) }
        let items = row.listItems
        return rows.count == 1 && !items.contains { $0.kind == PG_QUERY__NODE__NODE_SET_TO_DEFAULT } ? items.map { $0 } : nil
    }

    private static func targets(_ select: SelectNode) -> [SQLNode?] {
        NodeList(select.pointee.n_target_list, select.pointee.target_list).map { $0.kind == PG_QUERY__NODE__NODE_RES_TARGET ? $0.pointee.res_target.pointee.val : nil }
    }

    private func isOfNoTable(_ route: Route) -> Bool { if case .currentShard = route { true } else { false } }

    private func isReadable(_ route: Route) -> Bool {
        switch route {
        case .keyed, .anyShard, .homeShard, .currentShard, .gatherRows: true
        default: false
        }
    }

    /// nil: behind the star of a function nobody knows how many columns there are.
    private func width(_ found: Int?) -> Int? {
        let named = insert.pointee.n_cols
        guard let width = found ?? (named > 0 ? named : nil), width > 0, named == 0 || named == width, width <= 1000 else { return nil }
        return width
    }

    /// A parameter without a type that is a column of the query by itself has that of the target's column, and the client knows it by that.
    private func castingParameters(_ parts: InsertParts) -> InsertParts? {
        guard let parsed = try? ParsedSQL.parse(bytes: parts.query), let select = parsed.statements.first?.node, select.kind == PG_QUERY__NODE__NODE_SELECT_STMT,
            let values = Self.values(select.pointee.select_stmt)
        else { return nil }
        let types = columns()
        var query = parts.query
        for (place, value) in values.enumerated().reversed() {
            guard let value, isUntypedParameter(value) else { continue }
            // Columns behind a star are counted from what it stands for.
            guard !values[..<place].contains(where: isStar), types.indices.contains(place), let name = types[place]?.castName else { return nil }
            let start = Int(value.pointee.param_ref.pointee.location)
            guard query.indices.contains(start), query[start] == 0x24 else { return nil }
            let end = query[(start + 1)...].firstIndex { !(0x30...0x39).contains($0) } ?? query.endIndex
            query.insert(contentsOf: Array("::\(name)".utf8), at: end)
        }
        return parts.replacing(query: query, tail: parts.tail)
    }

    private func isUntypedParameter(_ value: SQLNode) -> Bool {
        guard value.kind == PG_QUERY__NODE__NODE_PARAM_REF else { return false }
        let number = Int(value.pointee.param_ref.pointee.number)
        return number > request.parameterTypes.count || [0, 705].contains(request.parameterTypes[number - 1])
    }

    /// The places of what has no type but that of its column. Under DISTINCT and in the arms of a UNION PostgreSQL takes it for a text. nil: they are not known.
    private func untyped(_ select: SelectNode, _ values: [SQLNode?]) -> [Int]? {
        guard select.pointee.op == PG_QUERY__SET_OPERATION__SETOP_NONE, select.pointee.n_distinct_clause == 0 else { return [] }
        let places = values.indices.filter { values[$0].map(isUntyped) ?? false }
        guard let last = places.last else { return [] }
        // Columns behind a star are counted from what it stands for.
        return values[..<last].contains(where: isStar) ? nil : Array(places)
    }

    private func isUntyped(_ value: SQLNode) -> Bool {
        guard value.kind == PG_QUERY__NODE__NODE_A_CONST else { return false }
        return value.pointee.a_const.pointee.isnull != 0 || value.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_SVAL
    }

    private func isStar(_ value: SQLNode?) -> Bool {
        var found = false
        value?.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_A_STAR { found = true }
            return !found && node.kind != PG_QUERY__NODE__NODE_SUB_LINK
        }
        return found
    }

    /// A literal such as 'now' for a column that reads it as a moment: each shard would come to another.
    private func namesMoment(_ values: [SQLNode?], _ columns: [UInt32]) -> Bool {
        for (place, value) in values.enumerated() {
            guard let value, value.kind == PG_QUERY__NODE__NODE_A_CONST, value.pointee.a_const.pointee.isnull == 0,
                value.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_SVAL, ClockText.mayNameNow(string(value.pointee.a_const.pointee.sval.pointee.sval))
            else { continue }
            if !columns.indices.contains(place) || TypeFamily.mayReadClock(columns[place]) { return true }
        }
        return false
    }

    // MARK: The target

    /// Where rows of values go, as the plan of an INSERT of parameters says, and that plan.
    private func target(_ parts: InsertParts, width: Int) -> (SentRows.Target, StatementPlan)? {
        // Their numbers are the rows' there.
        guard !hasParameters(NodeList(insert.pointee.n_returning_list, insert.pointee.returning_list)) else { return nil }
        if let conflict = insert.pointee.on_conflict_clause {
            if hasParameters(NodeList(conflict.pointee.n_target_list, conflict.pointee.target_list)) || conflict.pointee.where_clause.map(hasParameter) ?? false { return nil }
        }
        guard let plan = try? StatementPlanner.plan(bytes: parts.statement(rows: 1, width: width), literals: nil, context: request.context) else { return nil }
        switch plan.route {
        case .keyed(let sources):
            guard sources.count == 1, case .parameter(let number, let type) = sources[0] else { return nil }
            return (.owners(key: number - 1, type: type, lengthMax: plan.keyLengthMax), plan)
        case .everyShard(let everyShard) where everyShard.reason == .referenceWrite && everyShard.readTables.isEmpty: return (.everyShard, plan)
        case .homeShard:
            // Not into temporary tables, which are the session's.
            var traces = plan.traces
            traces.drawsSequences = false
            return traces == .none ? (.home, plan) : nil
        default: return nil
        }
    }

    private func hasParameters(_ list: NodeList) -> Bool { list.contains(where: hasParameter) }

    private func hasParameter(_ node: SQLNode) -> Bool {
        var found = false
        node.forEachNode { node in
            found = found || node.kind == PG_QUERY__NODE__NODE_PARAM_REF
            return !found
        }
        return found
    }

    /// Those that the values go to; nil for a part of one.
    private func columns() -> [Column?] {
        guard let table = try? TableResolver(context: request.context).resolve(insert.pointee.relation), let all = table.relation?.columns else { return [] }
        let named = NodeList(insert.pointee.n_cols, insert.pointee.cols)
        guard !named.isEmpty else { return all }
        return named.map { node in
            guard node.kind == PG_QUERY__NODE__NODE_RES_TARGET, node.pointee.res_target.pointee.n_indirection == 0 else { return nil }
            let name = string(node.pointee.res_target.pointee.name)
            return all.first { $0.name == name }
        }
    }
}
