internal import CPGQuery
internal import PGTypes
internal import ShardModel
internal import SQLSyntax

/// `SELECT pgmosaic.shard_table('orders', 'customer_id')` and its siblings: statements to the router itself.
enum MosaicPlanner {
    /// nil: the statement is not one of them. Only the plain form is: anywhere else such a call is refused.
    static func plan(_ select: SelectNode, _ request: PlanningRequest) throws(Refusal) -> StatementPlan? {
        let targets = NodeList(select.pointee.n_target_list, select.pointee.target_list)
        guard targets.count == 1, let call = mosaicCall(targets[0]) else { return nil }
        guard select.pointee.n_from_clause == 0, select.pointee.where_clause == nil, select.pointee.with_clause == nil,
            select.pointee.into_clause == nil, select.pointee.limit_count == nil, select.pointee.limit_offset == nil,
            select.pointee.n_group_clause == 0, select.pointee.having_clause == nil, select.pointee.n_sort_clause == 0,
            select.pointee.n_distinct_clause == 0, call.pointee.over == nil, call.pointee.agg_filter == nil
        else { throw Refusal(.mosaicCall) }
        let name = NodeList(call.pointee.n_funcname, call.pointee.funcname)[1].stringValue ?? ""
        let statement = try statement(name, try arguments(call), request.context)
        return StatementPlan(
            kind: .mosaic, route: .mosaic(statement), writes: true, reuse: .never, reason: "answered by the router")
    }

    private static func mosaicCall(_ target: SQLNode) -> UnsafeMutablePointer<PgQuery__FuncCall>? {
        guard target.kind == PG_QUERY__NODE__NODE_RES_TARGET, let value = target.pointee.res_target.pointee.val,
            value.kind == PG_QUERY__NODE__NODE_FUNC_CALL
        else { return nil }
        let call = value.pointee.func_call!
        let names = NodeList(call.pointee.n_funcname, call.pointee.funcname).strings ?? []
        return names.count == 2 && names[0] == "pgmosaic" ? call : nil
    }

    private static func arguments(_ call: UnsafeMutablePointer<PgQuery__FuncCall>) throws(Refusal) -> [String] {
        var result: [String] = []
        for node in NodeList(call.pointee.n_args, call.pointee.args) {
            guard node.kind == PG_QUERY__NODE__NODE_A_CONST,
                node.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_SVAL
            else { throw Refusal(.mosaicCall) }
            result.append(string(node.pointee.a_const.pointee.sval.pointee.sval))
        }
        return result
    }

    private static func statement(
        _ name: String, _ arguments: [String], _ context: PlanningContext
    ) throws(Refusal) -> MosaicStatement {
        switch (name, arguments.count) {
        case ("shard_table", 2):
            let table = try table(arguments[0], context)
            guard let parts = IdentifierText.split(arguments[1]), parts.count == 1 else { throw Refusal(.mosaicCall) }
            try check(key: parts[0], of: table, context)
            return .declare(table, .sharded(key: parts[0]))
        case ("reference_table", 1): return .declare(try table(arguments[0], context), .reference)
        case ("local_table", 1): return .declare(try table(arguments[0], context), .local)
        case ("forget_table", 1): return .forget(try table(arguments[0], context))
        default: throw Refusal(.mosaicCall, name)
        }
    }

    /// An existing table of that name, else the place where CREATE TABLE would put it.
    private static func table(_ text: String, _ context: PlanningContext) throws(Refusal) -> QualifiedName {
        guard let parts = IdentifierText.split(text), let name = parts.last, parts.count <= 2 else {
            throw Refusal(.mosaicCall, "table name")
        }
        if parts.count == 2 { return QualifiedName(schema: parts[0], name: name) }
        if context.isPathUncertain { throw Refusal(.uncertainName, name) }
        let path = context.searchPath.filter { !TableResolver.systemSchemas.contains($0) }
        for schema in path where context.schema.relations[QualifiedName(schema: schema, name: name)] != nil {
            return QualifiedName(schema: schema, name: name)
        }
        guard let first = path.first else { throw Refusal(.mosaicCall, "search_path is empty") }
        return QualifiedName(schema: first, name: name)
    }

    /// A table that exists must have the column, of a type with a rule.
    private static func check(key: String, of table: QualifiedName, _ context: PlanningContext) throws(Refusal) {
        guard let relation = context.schema.relations[table] else { return }
        guard let column = relation.columns.first(where: { $0.name == key }) else {
            throw Refusal(.keyColumn, "\(table).\(key)")
        }
        guard column.hasDeterministicCollation, KeyType(typeOID: column.typeOID) != nil else {
            throw Refusal(.keyDefinition, "\(table).\(key)")
        }
    }
}
