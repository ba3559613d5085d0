internal import CPGQuery
internal import PGTypes
internal import SQLSyntax
internal import ShardModel

/// Whether an UPDATE that changes the shard key can be done by taking the rows from their old shard and inserting them on the new one: both keys are named, and
/// nothing beside the rows could tell the difference (docs/decisions/0082-rows-that-are-sent.md).
struct MovedRowsPlanner {
    private let update: UnsafeMutablePointer<PgQuery__UpdateStmt>
    private let request: PlanningRequest
    private let text: [UInt8]

    /// - refused: what the analysis says, which does not know of rows that move.
    static func plan(_ statement: SQLNode, _ request: PlanningRequest, refused: Refusal) -> StatementPlan? {
        guard request.context.shardCount > 1, refused.code == .keyUpdate, statement.kind == PG_QUERY__NODE__NODE_UPDATE_STMT else { return nil }
        let range = request.statement.range, bytes = Array(request.statement.owner.bytes)
        guard range.upperBound <= bytes.count else { return nil }
        return MovedRowsPlanner(update: statement.pointee.update_stmt, request: request, text: Array(bytes[range])).plan()
    }

    private func plan() -> StatementPlan? {
        guard update.pointee.with_clause == nil, update.pointee.n_from_clause == 0, update.pointee.relation.pointee.inh != 0,
            let table = try? TableResolver(context: request.context).resolve(update.pointee.relation), case .sharded(let key) = table.placement, let relation = table.relation,
            isMovable(relation)
        else { return nil }
        let returns = update.pointee.n_returning_list > 0
        guard !NodeList(update.pointee.n_returning_list, update.pointee.returning_list).contains(where: hasParameter),
            let parts = UpdateParts(text, count: Int(update.pointee.n_target_list), hasReturning: returns), let values = self.values(parts, relation)
        else { return nil }
        let columns = relation.columns.filter { !$0.isGenerated }
        guard let place = columns.firstIndex(where: { $0.name == key }), let type = KeyType(typeOID: columns[place].typeOID), let new = values[key]?.source(type) else { return nil }
        let shown = columns.enumerated().map { "\(values[$1.name]?.text ?? quoteIdentifier($1.name)) AS pgmosaic_\($0 + 1)" }.joined(separator: ", ")
        let query = Array("DELETE FROM ".utf8) + parts.target + Array(" ".utf8) + parts.condition + Array(" RETURNING \(shown)".utf8)
        guard let (old, readsMoment) = oldKey(query) else { return nil }
        let alias = update.pointee.relation.pointee.alias.map { " AS \(quoteIdentifier(string($0.pointee.aliasname)))" } ?? ""
        let names = columns.map { quoteIdentifier($0.name) }.joined(separator: ", ")
        let head = "INSERT INTO \(quoteIdentifier(table.name.schema)).\(quoteIdentifier(table.name.name))\(alias) (\(names)) OVERRIDING SYSTEM VALUE "
        let insert = InsertParts(head: Array(head.utf8), query: query, tail: parts.returning)
        guard let inserted = try? StatementPlanner.plan(bytes: insert.statement(rows: 1, width: columns.count), literals: nil, context: request.context),
            case .keyed(let sources) = inserted.route, sources == [.parameter(number: place + 1, type: type)]
        else { return nil }
        let sent = SentRows(
            parts: insert, target: .owners(key: place, type: type, lengthMax: inserted.keyLengthMax), width: columns.count,
            untyped: columns.indices.filter { values[columns[$0].name]?.isUntyped ?? false }, columnTypes: columns.map(\.typeOID), isWhole: false, returnsRows: returns,
            move: SentRows.Move(old: old, new: new))
        var result = StatementPlan(
            kind: .update, route: .everyKey(EveryKey(rule: .rowsMoved, sent: sent)), writes: true, reuse: .text, tables: [table.name],
            keyLengthMax: inserted.keyLengthMax, reason: "\(table.name).\(key): the rows go to the shard of their new key (\(WriteRule.rowsMoved.rawValue))")
        result.readsMoment = readsMoment || inserted.readsMoment
        return result
    }

    // MARK: The table

    /// No trigger runs for DELETE and INSERT in the place of UPDATE, nothing refers to the rows, and all their values can be sent.
    private func isMovable(_ relation: Relation) -> Bool {
        guard relation.kind == .table || relation.kind == .partitioned, !RelationRules(context: request.context).hasTriggers(relation),
            relation.columns.allSatisfy({ $0.typeOID < Column.userTypeOID })
        else { return false }
        var family: Set<QualifiedName> = [relation.name]
        for other in request.context.schema.relations.values where other.parent == relation.name {
            // An heir's row would become one of the table itself.
            guard relation.kind == .partitioned else { return false }
            family.insert(other.name)
        }
        if let parent = relation.parent { family.insert(parent) }
        return !request.context.schema.relations.values.contains { $0.foreignKeys.contains { family.contains($0.target) } }
    }

    // MARK: The values

    private struct Value {
        var node: SQLNode
        var text: String
        var isUntyped: Bool
        var analyzer: QueryAnalyzer

        /// A literal or a parameter, as the key's type reads it.
        func source(_ type: KeyType) -> KeySource? {
            guard case .sources(let sources) = analyzer.keyOperand(node, type: type), sources.count == 1 else { return nil }
            return sources[0]
        }
    }

    /// What is assigned, by the column's name; nil: something else than plain columns is assigned, or a value means something only in its place.
    private func values(_ parts: UpdateParts, _ relation: Relation) -> [String: Value]? {
        let analyzer = QueryAnalyzer(context: request.context, literals: LiteralMap(ranges: nil, text: request.literals.text), parameterTypes: request.parameterTypes)
        var values: [String: Value] = [:]
        for (target, bytes) in zip(NodeList(update.pointee.n_target_list, update.pointee.target_list), parts.values) {
            guard target.kind == PG_QUERY__NODE__NODE_RES_TARGET, target.pointee.res_target.pointee.n_indirection == 0, let node = target.pointee.res_target.pointee.val,
                let column = relation.columns.first(where: { $0.name == string(target.pointee.res_target.pointee.name) }), values[column.name] == nil,
                node.kind != PG_QUERY__NODE__NODE_SET_TO_DEFAULT, node.kind != PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF, let text = String(validating: bytes, as: UTF8.self)
            else { return nil }
            var value = Value(node: node, text: "(\(text)\n)", isUntyped: false, analyzer: analyzer)
            switch node.kind {
            case PG_QUERY__NODE__NODE_A_CONST:
                let constant = node.pointee.a_const.pointee
                value.isUntyped = constant.isnull != 0 || constant.val_case == PG_QUERY__A__CONST__VAL_SVAL
                if value.isUntyped, constant.isnull == 0, TypeFamily.mayReadClock(column.typeOID), ClockText.mayNameNow(string(constant.sval.pointee.sval)) { return nil }
            case PG_QUERY__NODE__NODE_PARAM_REF where [0, 705].contains(declaredType(Int(node.pointee.param_ref.pointee.number))):
                guard let name = column.castName else { return nil }
                value.text = "CAST(\(text) AS \(name))"
            default: break
            }
            values[column.name] = value
        }
        return values
    }

    private func declaredType(_ number: Int) -> UInt32 { number <= request.parameterTypes.count ? request.parameterTypes[number - 1] : 0 }

    // MARK: The rows

    /// The one key that the rows have had, as the plan of their DELETE says.
    private func oldKey(_ query: [UInt8]) -> (KeySource, readsMoment: Bool)? {
        guard let plan = try? StatementPlanner.plan(bytes: query, literals: nil, parameterTypes: request.parameterTypes, context: request.context), case .keyed(let sources) = plan.route,
            sources.count == 1, plan.traces == .none
        else { return nil }
        if case .parameterArray = sources[0] { return nil }
        return (sources[0], plan.readsMoment)
    }

    private func hasParameter(_ node: SQLNode) -> Bool {
        var found = false
        node.forEachNode { node in
            found = found || node.kind == PG_QUERY__NODE__NODE_PARAM_REF
            return !found
        }
        return found
    }
}
