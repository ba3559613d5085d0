internal import CPGQuery
internal import PGTypes
internal import SQLSyntax
internal import ShardModel

/// Whether the keys of an INSERT … VALUES can be worked out before the rest of it (`KeysFirst`).
///
/// Both steps are planned as statements of their own, so that what is refused of either is refused here.
struct KeysFirstPlanner {
    private let insert: UnsafeMutablePointer<PgQuery__InsertStmt>
    private let request: PlanningRequest
    private let text: [UInt8]
    private let table: ResolvedTable
    private let key: Column
    private let type: KeyType
    /// What the column list names; without one the first columns, as many as there are values.
    private let columns: [Column]

    /// - refused: why it has no plan of its own.
    static func plan(_ statement: SQLNode, _ request: PlanningRequest, refused: Refusal) -> StatementPlan? {
        guard request.context.shardCount > 1, refused.code == .keyMissing || refused.code == .keyExpression, statement.kind == PG_QUERY__NODE__NODE_INSERT_STMT
        else { return nil }
        return KeysFirstPlanner(statement.pointee.insert_stmt, request)?.plan()
    }

    private init?(_ insert: UnsafeMutablePointer<PgQuery__InsertStmt>, _ request: PlanningRequest) {
        (self.insert, self.request, text) = (insert, request, Array(request.statement.owner.bytes))
        guard insert.pointee.with_clause == nil, insert.pointee.override != PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE,
            let table = try? TableResolver(context: request.context).resolve(insert.pointee.relation), let all = table.relation?.columns,
            case .sharded(let name) = table.placement, let key = all.first(where: { $0.name == name }), !key.isGenerated, let type = KeyType(typeOID: key.typeOID)
        else { return nil }
        (self.table, self.key, self.type) = (table, key, type)
        let named = NodeList(insert.pointee.n_cols, insert.pointee.cols)
        let columns =
            named.isEmpty
            ? Array(all.prefix(Self.rows(insert)?.first?.listItems.count ?? 0))
            : named.compactMap { node in
                guard node.kind == PG_QUERY__NODE__NODE_RES_TARGET, node.pointee.res_target.pointee.n_indirection == 0 else { return nil }
                let name = string(node.pointee.res_target.pointee.name)
                return all.first { $0.name == name }
            }
        guard named.isEmpty || columns.count == named.count else { return nil }
        self.columns = columns
    }

    /// None of DEFAULT VALUES; nil: of another query.
    private static func rows(_ insert: UnsafeMutablePointer<PgQuery__InsertStmt>) -> NodeList? {
        guard let source = insert.pointee.select_stmt else { return NodeList(0, nil) }
        guard source.kind == PG_QUERY__NODE__NODE_SELECT_STMT, let select = source.pointee.select_stmt, QueryAnalyzer.isPlainValues(select) else { return nil }
        return NodeList(select.pointee.n_values_lists, select.pointee.values_lists)
    }

    private func plan() -> StatementPlan? {
        guard let rows = Self.rows(insert), rows.allSatisfy({ $0.listItems.count == columns.count }), let keys = keys(rows),
            let cells = InsertCells(text, rows: rows.count, hasColumns: insert.pointee.n_cols > 0)
        else { return nil }
        let place = columns.firstIndex { $0.name == key.name }
        let types = (0..<max(cells.parameterMax, request.parameterTypes.count)).map { request.parameterTypes.indices.contains($0) ? request.parameterTypes[$0] : 0 }
        // What type such a one has another place could say: in the keys' query, and in the part of the rows that a shard gets.
        let isUntyped = { (number: Int) in [0, 705].contains(types[number - 1]) }
        if rows.count > 1, cells.repeatsAParameter(among: isUntyped) { return nil }
        let numbers = keys.filter { $0.standard == nil }.flatMap { cells.parameters(row: $0.row, place: place ?? 0) }
        guard types.count + keys.count <= 65535, !numbers.contains(where: isUntyped), let overrides = overridesIdentity(keys, of: max(rows.count, 1)) else { return nil }
        let first = KeysFirst(
            rowCount: rows.count, hasColumns: insert.pointee.n_cols > 0, place: place,
            names: place == nil ? (insert.pointee.n_cols > 0 ? [] : columns.map(\.name)) + [key.name] : nil, overridesIdentity: overrides, keys: keys, type: type,
            typeOID: key.typeOID, parameterTypes: types)
        guard isAnswered(first), let made = made(first) else { return nil }
        var plan = StatementPlan(
            kind: .insert, route: .keysFirst(first), writes: true, reuse: request.literals.isEmpty || holdsLiterals(rows, first) ? .text : .shape, tables: made.tables,
            reason: "\(table.name).\(key.name) is worked out by one shard first")
        plan.keyLengthMax = made.keyLengthMax
        return plan
    }

    // MARK: The keys

    /// nil: they are not all known to be worked out, or one is none.
    private func keys(_ rows: NodeList) -> [KeysFirst.Key]? {
        let standard = { [self] (row: Int) in self.standard.map { KeysFirst.Key(row: row, standard: $0) } }
        if rows.isEmpty { return standard(0).map { [$0] } }
        guard let place = columns.firstIndex(where: { $0.name == key.name }) else {
            guard let first = standard(0) else { return nil }
            return rows.indices.map { KeysFirst.Key(row: $0, standard: first.standard) }
        }
        let analyzer = QueryAnalyzer(context: request.context, literals: request.literals, parameterTypes: request.parameterTypes)
        var keys: [KeysFirst.Key] = []
        for (row, node) in rows.enumerated() {
            let cell = node.listItems[place]
            if cell.kind == PG_QUERY__NODE__NODE_SET_TO_DEFAULT {
                guard let key = standard(row) else { return nil }
                keys.append(key)
                continue
            }
            switch analyzer.keyOperand(cell, type: type) {
            case .sources: continue
            case .notConstant: keys.append(KeysFirst.Key(row: row))
            case .null, .wrongType: return nil
            }
        }
        return keys.isEmpty ? nil : keys
    }

    /// The column's default as an expression that means the same under the session's search_path; nil: there is none of the kind.
    private var standard: [UInt8]? { ColumnDefault(key, of: table.name, request.context).expression.map { Array($0.utf8) } }

    /// Whether OVERRIDING SYSTEM VALUE must be added, as a column that is GENERATED ALWAYS needs it. nil: it would permit what is an error without it.
    private func overridesIdentity(_ keys: [KeysFirst.Key], of count: Int) -> Bool? {
        guard key.isIdentity, keys.contains(where: { $0.standard != nil }), insert.pointee.override != PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE else { return false }
        return keys.count(where: { $0.standard != nil }) == count && !columns.contains { $0.isIdentity && $0.name != key.name } ? true : nil
    }

    // MARK: The two statements

    /// Some shard by itself gives the keys, whichever: from no table, and nothing else comes of it.
    private func isAnswered(_ first: KeysFirst) -> Bool {
        // What draws from the sequence is the router's own text.
        var asked = first
        if key.usesSequence { asked.keys.removeAll { $0.standard != nil } }
        if asked.keys.isEmpty { return true }
        guard let (question, numbers) = asked.question(text), let parsed = try? ParsedSQL.parse(bytes: question), parsed.statements.count == 1 else { return false }
        return withExtendedLifetime(parsed) { isAnswered(parsed, question, asked, numbers.map { first.parameterTypes[$0 - 1] }) }
    }

    private func isAnswered(_ parsed: ParsedSQL, _ question: [UInt8], _ asked: KeysFirst, _ types: [UInt32]) -> Bool {
        let node = parsed.statements[0].node
        guard node.kind == PG_QUERY__NODE__NODE_SELECT_STMT, node.pointee.select_stmt.pointee.n_values_lists == asked.keys.count,
            NodeList(node.pointee.select_stmt.pointee.n_values_lists, node.pointee.select_stmt.pointee.values_lists).allSatisfy({ $0.listItems.count == 1 })
        else { return false }
        let analyzer = QueryAnalyzer(context: request.context, literals: LiteralMap(ranges: nil, text: parsed.bytes), parameterTypes: types)
        guard (try? analyzer.analyze(statement: node, parent: nil)) != nil, analyzer.queries == 1, !tellsOfQuery(node) else { return false }
        let findings = analyzer.findings
        guard findings.moments.isEmpty, findings.hiddenMoment == nil, findings.temporalLiterals.isEmpty, !findings.callsSetFunction, findings.defaultOfDrawn == nil,
            let plan = try? StatementPlanner.plan(bytes: question, literals: nil, parameterTypes: types, context: request.context), case .currentShard = plan.route
        else { return false }
        return plan.kind == .select && !plan.writes && plan.traces == .none
    }

    /// current_query(): another one than the client's.
    private func tellsOfQuery(_ node: SQLNode) -> Bool {
        var found = false
        node.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_FUNC_CALL {
                let call = node.pointee.func_call!
                found = found || NodeList(call.pointee.n_funcname, call.pointee.funcname).strings?.last == "current_query"
            }
            return !found
        }
        return found
    }

    /// The plan of the statement that has the keys as parameters.
    private func made(_ first: KeysFirst) -> StatementPlan? {
        guard let bytes = first.statement(withParameters: text), let parsed = try? ParsedSQL.parse(bytes: bytes), parsed.statements.count == 1,
            withExtendedLifetime(parsed, { isTheSame(parsed.statements[0].node, first) }),
            let plan = try? StatementPlanner.plan(bytes: bytes, literals: nil, parameterTypes: first.typesWithKeys, context: request.context), case .keyed = plan.route
        else { return nil }
        guard first.rowCount > 1 else { return plan }
        // Chance would say whether it runs.
        return plan.spread != nil && (try? StatementPlanner.moment(bytes: bytes, parameterTypes: first.typesWithKeys, context: request.context)) != nil ? plan : nil
    }

    /// The pieces of the text were found where they are.
    private func isTheSame(_ node: SQLNode, _ first: KeysFirst) -> Bool {
        guard node.kind == PG_QUERY__NODE__NODE_INSERT_STMT, let made = node.pointee.insert_stmt else { return false }
        let names = NodeList(made.pointee.n_cols, made.pointee.cols).map { $0.kind == PG_QUERY__NODE__NODE_RES_TARGET ? string($0.pointee.res_target.pointee.name) : "" }
        let wanted = first.names == nil && !first.hasColumns ? [] : first.place == nil ? columns.map(\.name) + [key.name] : columns.map(\.name)
        guard names == wanted, let rows = Self.rows(made), rows.count == max(first.rowCount, 1), string(made.pointee.relation.pointee.relname) == string(insert.pointee.relation.pointee.relname),
            string(made.pointee.relation.pointee.schemaname) == string(insert.pointee.relation.pointee.schemaname),
            made.pointee.n_returning_list == insert.pointee.n_returning_list, (made.pointee.on_conflict_clause == nil) == (insert.pointee.on_conflict_clause == nil)
        else { return false }
        let place = first.place ?? columns.count
        return first.keys.indices.allSatisfy { index in
            let items = rows[first.keys[index].row].listItems
            guard items.count == max(columns.count, place + 1), items[place].kind == PG_QUERY__NODE__NODE_PARAM_REF else { return false }
            return Int(items[place].pointee.param_ref.pointee.number) == first.parameterTypes.count + index + 1
        }
    }

    /// Of another text of the shape they would be others.
    private func holdsLiterals(_ rows: NodeList, _ first: KeysFirst) -> Bool {
        first.keys.contains { key in
            guard key.standard == nil else { return false }
            var found = false
            rows[key.row].listItems[first.place ?? 0].forEachNode { node in
                found = found || node.kind == PG_QUERY__NODE__NODE_A_CONST
                return !found
            }
            return found
        }
    }
}
