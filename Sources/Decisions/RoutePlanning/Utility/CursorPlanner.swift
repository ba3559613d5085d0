internal import CPGQuery
internal import SQLSyntax

/// Statements around a query: EXPLAIN, DECLARE, FETCH.
enum CursorPlanner {
    /// EXPLAIN goes where its statement would.
    static func plan(
        explain: UnsafeMutablePointer<PgQuery__ExplainStmt>, _ request: PlanningRequest
    ) throws(Refusal) -> StatementPlan {
        guard let query = explain.pointee.query else { throw Refusal(.unsupported, "EXPLAIN") }
        var plan: StatementPlan
        switch query.kind {
        case PG_QUERY__NODE__NODE_SELECT_STMT, PG_QUERY__NODE__NODE_INSERT_STMT, PG_QUERY__NODE__NODE_UPDATE_STMT,
            PG_QUERY__NODE__NODE_DELETE_STMT:
            plan = try StatementPlanner.planQuery(query, .utility, request)
        case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
            plan = try self.plan(declare: query.pointee.declare_cursor_stmt, request)
        case PG_QUERY__NODE__NODE_MERGE_STMT: throw Refusal(.merge)
        case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT: throw Refusal(.createTableAs)
        case PG_QUERY__NODE__NODE_EXECUTE_STMT: return try PreparedPlanner.plan(explained: query.pointee.execute_stmt, request)
        default: throw Refusal(.unsupported, query.kindName)
        }
        plan.kind = .utility
        plan.spread = nil
        plan.cursor = nil
        let runs = NodeList(explain.pointee.n_options, explain.pointee.options).contains { node in
            node.kind == PG_QUERY__NODE__NODE_DEF_ELEM && string(node.pointee.def_elem.pointee.defname) == "analyze"
                && DefinitionValue(node.pointee.def_elem).boolean != false
        }
        // The options are literals: another text of the shape may be one that runs.
        if plan.reuse == .shape { plan.reuse = .text }
        if !runs { plan.writes = false }
        if case .everyShard = plan.route {
            if runs { throw Refusal(.explainAnalyze) }
            plan.route = .homeShard
        }
        return plan
    }

    /// CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h.
    private static let holdOption: Int32 = 0x20

    static func plan(
        declare: UnsafeMutablePointer<PgQuery__DeclareCursorStmt>, _ request: PlanningRequest
    ) throws(Refusal) -> StatementPlan {
        guard let query = declare.pointee.query, query.kind == PG_QUERY__NODE__NODE_SELECT_STMT else {
            throw Refusal(.unsupported, "DECLARE CURSOR")
        }
        var plan = try StatementPlanner.planQuery(query, .utility, request)
        note(declare: declare, in: &plan)
        return plan
    }

    static func note(declare: UnsafeMutablePointer<PgQuery__DeclareCursorStmt>, in plan: inout StatementPlan) {
        let holds = declare.pointee.options & holdOption != 0
        plan.cursor = .declare(string(declare.pointee.portalname), holds: holds)
        if holds {
            // Its commit stores the rows, on the one shard that must not be prepared.
            plan.traces.formUnion(SessionTraces(keeps: .heldCursor, preventsPrepare: true))
            plan.writes = true
        }
    }

    /// FETCH, MOVE, CLOSE: a cursor lives on its transaction's shard.
    static func plan(use node: SQLNode) -> StatementPlan {
        var plan = StatementPlan(
            kind: .utility, route: .currentShard, writes: true, reuse: .text, reason: "a cursor of the session")
        if node.kind == PG_QUERY__NODE__NODE_FETCH_STMT {
            plan.cursor = .use(string(node.pointee.fetch_stmt.pointee.portalname))
        } else {
            let name = string(node.pointee.close_portal_stmt.pointee.portalname)
            plan.cursor = name.isEmpty ? .closeAll : .close(name)
        }
        return plan
    }
}
