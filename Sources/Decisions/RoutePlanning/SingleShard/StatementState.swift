internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// What a statement that was not analyzed may leave behind in its server session: judged by the routines, operators, views and temporary tables that
/// it names.
///
/// The volatility of a user's function is its owner's word, as it is for replicas: a stable or immutable one changes nothing.
struct StatementState {
    let context: PlanningContext
    var traces = SessionTraces.none
    /// It names a routine that the schema does not have.
    var namesUnknown = false

    init(context: PlanningContext) { self.context = context }

    mutating func look(at statement: SQLNode) throws(Refusal) {
        try look(at: statement, kind: statement.kind)
        try statement.forEachNode { (node) throws(Refusal) in
            try look(at: node, kind: node.kind)
            return true
        }
        try statement.forEachStruct { (name, address) throws(Refusal) in
            switch name {
            case "RangeVar": try look(at: address.assumingMemoryBound(to: PgQuery__RangeVar.self))
            case "FuncCall": try look(at: address.assumingMemoryBound(to: PgQuery__FuncCall.self))
            default: break
            }
        }
    }

    private mutating func look(at node: SQLNode, kind: PgQuery__Node__NodeCase) throws(Refusal) {
        switch kind {
        case PG_QUERY__NODE__NODE_FUNC_CALL: try look(at: node.pointee.func_call)
        case PG_QUERY__NODE__NODE_RANGE_VAR: try look(at: node.pointee.range_var)
        case PG_QUERY__NODE__NODE_A_EXPR: look(atOperator: NodeList(node.pointee.a_expr.pointee.n_name, node.pointee.a_expr.pointee.name))
        case PG_QUERY__NODE__NODE_DO_STMT: look(at: node.pointee.do_stmt)
        case PG_QUERY__NODE__NODE_LOAD_STMT: keep()
        // It sets what it updates.
        case PG_QUERY__NODE__NODE_UPDATE_STMT where string(node.pointee.update_stmt.pointee.relation.pointee.relname) == "pg_settings": keep()
        // Its statement is known to the router under the client's name only.
        case PG_QUERY__NODE__NODE_EXECUTE_STMT: throw Refusal(.sqlPrepare, string(node.pointee.execute_stmt.pointee.name))
        default: break
        }
    }

    private mutating func keep(_ kept: SessionTraces.Kept = .sessionState) { traces.formUnion(SessionTraces(keeps: kept)) }

    // MARK: Routines

    private mutating func look(at call: UnsafeMutablePointer<PgQuery__FuncCall>) throws(Refusal) {
        let location = Int(call.pointee.location)
        guard let names = NodeList(call.pointee.n_funcname, call.pointee.funcname).strings, let name = names.last else { return keep() }
        let schema = names.count > 1 ? names[names.count - 2] : nil
        if schema == "pgmosaic" { throw Refusal(.mosaicCall, at: location) }
        if let schema, schema.hasPrefix("pg_temp") { return keep() }
        let path = schema.map { [$0] } ?? ["pg_catalog"] + context.searchPath
        let found = path.flatMap { context.schema.functions[QualifiedName(schema: $0, name: name)] ?? [] }
        if found.isEmpty { namesUnknown = true }
        try look(atFunction: name, found, location)
    }

    private mutating func look(atFunction name: String, _ found: [FunctionInfo], _ location: Int) throws(Refusal) {
        if found.contains(where: \.mayLeaveState) { keep() }
        guard found.isEmpty || found.contains(where: { !$0.isUserDefined }) else { return }
        switch FunctionRules.verdict(name, isVolatile: found.contains { !$0.isUserDefined && $0.volatility == .volatile }) {
        case .allowed, .allowedVolatile, .homeOnly, .size: break
        case .traced(let traces): self.traces.formUnion(traces)
        case .refused:
            // They tell of sequences as this session has used them: only a session that stays on one server session has one to tell of.
            if name == "currval" || name == "lastval" {
                if context.keepsSequences { traces.readsSequences = true } else { traces.readsSessionState = true }
            } else if name == "pg_prepared_statement" {
                throw Refusal(.sessionFunction, "\(name)()", at: location)
            } else if !FunctionRules.leavingNothing.contains(name) {
                keep()
            }
        }
    }

    private mutating func look(atOperator name: NodeList) {
        guard let parts = name.strings, let last = parts.last else { return }
        if parts[0].hasPrefix("pg_temp"), parts.count > 1 { return keep() }
        if context.schema.volatileOperators.contains(where: { $0.name == last }) { keep() }
    }

    private mutating func look(at block: UnsafeMutablePointer<PgQuery__DoStmt>) {
        var body: String?
        for option in NodeList(block.pointee.n_args, block.pointee.args) where option.kind == PG_QUERY__NODE__NODE_DEF_ELEM {
            let value = option.pointee.def_elem.pointee.arg?.stringValue
            switch string(option.pointee.def_elem.pointee.defname) {
            case "as": body = value
            case "language": if value != "plpgsql" { return keep() }
            default: return keep()
            }
        }
        if body.map({ RoutineJudgement.mayLeaveState(block: $0, in: context.schema) }) ?? true { keep() }
    }

    // MARK: Relations

    private mutating func look(at table: UnsafeMutablePointer<PgQuery__RangeVar>) throws(Refusal) {
        let (schema, name, location) = (string(table.pointee.schemaname), string(table.pointee.relname), Int(table.pointee.location))
        if string(table.pointee.relpersistence) == "t" || schema.hasPrefix("pg_temp") { return keep(.temporary) }
        if name == "pg_prepared_statements", schema.isEmpty || schema == "pg_catalog" {
            throw Refusal(.sessionFunction, "pg_catalog.\(name)", at: location)
        }
        do throws(Refusal) {
            _ = try TableResolver(context: context).resolve(schema: schema.isEmpty ? nil : schema, name: name)
        } catch {
            guard error.code == .view else { return }
            // A declaration is the declarer's word that the view leaves nothing; what others call is known.
            guard let view = try? DefinitionNames(context: context).relation(schema.isEmpty ? [name] : [schema, name]) else { return keep() }
            for called in view.viewFunctions { try look(atFunction: called.name, context.schema.functions[called] ?? [], location) }
        }
    }
}
