internal import CPGQuery
internal import SQLSyntax

/// EXPLAIN goes where its statement would.
enum ExplainPlanner {
    static func plan(_ explain: UnsafeMutablePointer<PgQuery__ExplainStmt>, _ request: PlanningRequest) throws(Refusal) -> StatementPlan {
        guard let query = explain.pointee.query else { throw Refusal(.unsupported, "EXPLAIN") }
        let elements = NodeList(explain.pointee.n_options, explain.pointee.options)
        var plan: StatementPlan
        switch query.kind {
        case PG_QUERY__NODE__NODE_SELECT_STMT, PG_QUERY__NODE__NODE_INSERT_STMT, PG_QUERY__NODE__NODE_UPDATE_STMT, PG_QUERY__NODE__NODE_DELETE_STMT:
            plan = try StatementPlanner.planQuery(query, .utility, request, mayGather: true)
        case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
            plan = try CursorPlanner.plan(declare: query.pointee.declare_cursor_stmt, request)
        case PG_QUERY__NODE__NODE_MERGE_STMT:
            // One shard takes it as it is, but for keys that may be NULL.
            guard request.context.shardCount > 1 else { throw Refusal(.merge) }
            plan = try StatementPlanner.planQuery(query, .utility, request, mayGather: true)
        case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT: throw Refusal(.createTableAs)
        case PG_QUERY__NODE__NODE_EXECUTE_STMT: return try PreparedPlanner.plan(explained: query.pointee.execute_stmt, request)
        default: throw Refusal(.unsupported, query.kindName)
        }
        plan.kind = .utility
        plan.spread = nil
        plan.cursor = nil
        let runs = elements.contains { node in
            node.kind == PG_QUERY__NODE__NODE_DEF_ELEM && string(node.pointee.def_elem.pointee.defname) == "analyze"
                && DefinitionValue(node.pointee.def_elem).boolean != false
        }
        // The options are literals: another text of the shape may be one that runs.
        if plan.reuse == .shape { plan.reuse = .text }
        if !runs { plan.writes = false }
        switch plan.route {
        case .everyShard:
            if runs { throw Refusal(.explainAnalyze) }
            plan.route = .homeShard
        case .gatherRows(let gather): plan.route = .explain(ExplainPlan(.rows(gather), try ExplainOptions(elements)))
        case .everyKey(let write): plan.route = .explain(ExplainPlan(.write(write), try ExplainOptions(elements)))
        default: break
        }
        return plan
    }
}
