internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// `SELECT set_config('name', 'value', is_local)`, which is SET by another name. The value may be a parameter, and beside the call there may be
/// literals and `current_setting('name')`: asyncpg asks for the old value in the same statement.
struct SetConfigCall {
    enum Value {
        case text(String)
        /// `$number`
        case parameter(number: Int)
    }

    /// In lower case.
    let name: String
    let value: Value
    let isLocal: Bool

    /// nil: the statement is none.
    init?(_ select: SelectNode) {
        let targets = NodeList(select.pointee.n_target_list, select.pointee.target_list)
        guard select.pointee.n_from_clause == 0, select.pointee.where_clause == nil, select.pointee.with_clause == nil, select.pointee.into_clause == nil,
            select.pointee.limit_count == nil, select.pointee.limit_offset == nil, select.pointee.n_group_clause == 0,
            select.pointee.having_clause == nil, select.pointee.n_sort_clause == 0, select.pointee.n_distinct_clause == 0,
            select.pointee.op == PG_QUERY__SET_OPERATION__SETOP_NONE, select.pointee.n_values_lists == 0,
            select.pointee.n_locking_clause == 0, select.pointee.n_window_clause == 0
        else { return nil }
        var found: (name: String, value: Value, isLocal: Bool)?
        for target in targets {
            guard target.kind == PG_QUERY__NODE__NODE_RES_TARGET, let value = target.pointee.res_target.pointee.val else { return nil }
            if value.kind == PG_QUERY__NODE__NODE_A_CONST { continue }
            guard let call = Self.call(value) else { return nil }
            switch call.name {
            case "current_setting":
                guard call.arguments.allSatisfy({ $0.kind == PG_QUERY__NODE__NODE_A_CONST }) else { return nil }
            case "set_config":
                guard found == nil, let change = Self.change(call.arguments) else { return nil }
                found = change
            default: return nil
            }
        }
        guard let found else { return nil }
        name = found.name.lowercasedASCII
        value = found.value
        isLocal = found.isLocal
    }

    /// A plain call of a function of pg_catalog, as it seems.
    private static func call(_ value: SQLNode) -> (name: String, arguments: [SQLNode])? {
        guard value.kind == PG_QUERY__NODE__NODE_FUNC_CALL, let call = value.pointee.func_call, call.pointee.over == nil,
            call.pointee.agg_filter == nil, call.pointee.func_variadic == 0, call.pointee.agg_star == 0, call.pointee.n_agg_order == 0,
            let names = NodeList(call.pointee.n_funcname, call.pointee.funcname).strings, let last = names.last,
            names.count == 1 || names.count == 2 && names[0] == "pg_catalog"
        else { return nil }
        return (last, NodeList(call.pointee.n_args, call.pointee.args).map { $0 })
    }

    private static func change(_ arguments: [SQLNode]) -> (name: String, value: Value, isLocal: Bool)? {
        guard arguments.count == 3, let name = literal(arguments[0]), let value = value(arguments[1]),
            arguments[2].kind == PG_QUERY__NODE__NODE_A_CONST,
            arguments[2].pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_BOOLVAL
        else { return nil }
        return (name, value, arguments[2].pointee.a_const.pointee.boolval.pointee.boolval != 0)
    }

    private static func value(_ node: SQLNode) -> Value? {
        if node.kind == PG_QUERY__NODE__NODE_PARAM_REF { return .parameter(number: Int(node.pointee.param_ref.pointee.number)) }
        return literal(node).map { .text($0) }
    }

    private static func literal(_ node: SQLNode) -> String? {
        guard node.kind == PG_QUERY__NODE__NODE_A_CONST, node.pointee.a_const.pointee.isnull == 0,
            node.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_SVAL
        else { return nil }
        return string(node.pointee.a_const.pointee.sval.pointee.sval)
    }
}

extension SessionPlanner {
    /// The plan of a `SELECT set_config(…)`; nil for any other statement.
    static func plan(setConfig select: SelectNode) throws(Refusal) -> StatementPlan? {
        guard let call = SetConfigCall(select) else { return nil }
        if call.name.hasPrefix("pgmosaic.") { throw Refusal(.setting, call.name) }
        switch call.value {
        case .parameter(let number):
            return session(.setParameter(SetParameter(name: call.name, number: number, isLocal: call.isLocal)))
        case .text(let value):
            if let code = SettingRules.refusal(configuring: call.name, value) { throw Refusal(code, call.name) }
            return session(call.isLocal ? .setLocal(name: call.name) : .set(name: call.name))
        }
    }
}

extension SettingRules {
    /// As `refusal(_:_:)`, of a value that is one text: a list of schemas for search_path.
    package static func refusal(configuring name: String, _ value: String) -> RefusalCode? {
        refusal(name, name == "search_path" ? SearchPathText.schemas(value) : [value])
    }
}
