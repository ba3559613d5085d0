internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// What a statement that was not analyzed may leave behind in its server session: judged by the functions, views and temporary tables that it names.
///
/// The volatility of a user's function is its owner's word, as it is for replicas: a stable or immutable one changes nothing.
struct StatementState {
    let context: PlanningContext
    var traces = SessionTraces.none

    init(context: PlanningContext) { self.context = context }

    mutating func look(at statement: SQLNode) throws(Refusal) {
        try look(at: statement, kind: statement.kind)
        try statement.forEachNode { (node) throws(Refusal) in
            try look(at: node, kind: node.kind)
            return true
        }
        try statement.forEachStruct { (name, address) throws(Refusal) in
            if name == "RangeVar" { try look(at: address.assumingMemoryBound(to: PgQuery__RangeVar.self)) }
        }
    }

    private mutating func look(at node: SQLNode, kind: PgQuery__Node__NodeCase) throws(Refusal) {
        switch kind {
        case PG_QUERY__NODE__NODE_FUNC_CALL: try look(at: node.pointee.func_call)
        case PG_QUERY__NODE__NODE_RANGE_VAR: try look(at: node.pointee.range_var)
        // Its statement is known to the router under the client's name only.
        case PG_QUERY__NODE__NODE_EXECUTE_STMT: throw Refusal(.sqlPrepare, string(node.pointee.execute_stmt.pointee.name))
        default: break
        }
    }

    private mutating func keep() { traces.formUnion(SessionTraces(keeps: .sessionState)) }

    private mutating func look(at call: UnsafeMutablePointer<PgQuery__FuncCall>) throws(Refusal) {
        guard let names = NodeList(call.pointee.n_funcname, call.pointee.funcname).strings, let name = names.last else { return keep() }
        if names.count == 2, names[0] == "pgmosaic" { throw Refusal(.mosaicCall, at: Int(call.pointee.location)) }
        let path = names.count == 2 ? [names[0]] : ["pg_catalog"] + context.searchPath
        let found = path.flatMap { context.schema.functions[QualifiedName(schema: $0, name: name)] ?? [] }
        if found.contains(where: { $0.isUserDefined && $0.volatility == .volatile }) { keep() }
        if names.count == 2, names[0].hasPrefix("pg_temp") { keep() }
        switch FunctionRules.verdict(name, isVolatile: found.contains { !$0.isUserDefined && $0.volatility == .volatile }) {
        case .allowed, .allowedVolatile, .homeOnly, .size: break
        case .traced(let traces): self.traces.formUnion(traces)
        case .refused:
            // They tell of sequences as this session has used them: only a session that stays on one server session has one to tell of.
            if name == "currval" || name == "lastval" {
                traces.readsSessionState = true
            } else if name == "pg_prepared_statement" {
                throw Refusal(.sessionFunction, "\(name)()", at: Int(call.pointee.location))
            } else {
                keep()
            }
        }
    }

    private mutating func look(at table: UnsafeMutablePointer<PgQuery__RangeVar>) throws(Refusal) {
        let (schema, name) = (string(table.pointee.schemaname), string(table.pointee.relname))
        if string(table.pointee.relpersistence) == "t" || schema.hasPrefix("pg_temp") { return keep() }
        if name == "pg_prepared_statements", schema.isEmpty || schema == "pg_catalog" {
            throw Refusal(.sessionFunction, "pg_catalog.\(name)", at: Int(table.pointee.location))
        }
        do throws(Refusal) {
            _ = try TableResolver(context: context).resolve(schema: schema.isEmpty ? nil : schema, name: name)
        } catch {
            // What functions a view calls is not known; a declaration is the declarer's word that none leaves anything.
            if error.code == .view { keep() }
        }
    }
}
