internal import CPGQuery
internal import SQLSyntax

/// Cursors: DECLARE, FETCH, CLOSE.
enum CursorPlanner {
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
