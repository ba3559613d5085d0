internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// Cursors: DECLARE, FETCH, CLOSE.
enum CursorPlanner {
    /// CURSOR_OPT_BINARY, CURSOR_OPT_SCROLL and CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h.
    private static let binaryOption: Int32 = 0x01, scrollOption: Int32 = 0x02, holdOption: Int32 = 0x20

    static func plan(
        declare: UnsafeMutablePointer<PgQuery__DeclareCursorStmt>, _ request: PlanningRequest
    ) throws(Refusal) -> StatementPlan {
        guard let query = declare.pointee.query, query.kind == PG_QUERY__NODE__NODE_SELECT_STMT else {
            throw Refusal(.unsupported, "DECLARE CURSOR")
        }
        // Rows of several shards are read forward, as text, and in their transaction.
        var plan = try StatementPlanner.planQuery(query, .utility, request, mayGather: declare.pointee.options & (holdOption | scrollOption | binaryOption) == 0)
        switch plan.route {
        case .gatherRows:
            guard let start = PreparedText.declaredStart(of: request.statement) else { throw Refusal(.noKey, plan.tables.first?.description ?? "") }
            plan.declaredQuery = Array(request.statement.owner.bytes[start..<request.statement.range.upperBound])
        case .everyKey: throw Refusal(.noKey, plan.tables.first?.description ?? "")
        default: break
        }
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
            let fetch = node.pointee.fetch_stmt!
            plan.cursor = .use(string(fetch.pointee.portalname))
            plan.fetch = FetchStep(fetch)
        } else {
            let name = string(node.pointee.close_portal_stmt.pointee.portalname)
            plan.cursor = name.isEmpty ? .closeAll : .close(name)
        }
        return plan
    }
}

extension FetchStep {
    /// nil: another direction than forward.
    fileprivate init?(_ fetch: UnsafeMutablePointer<PgQuery__FetchStmt>) {
        guard fetch.pointee.direction == PG_QUERY__FETCH_DIRECTION__FETCH_FORWARD, fetch.pointee.how_many > 0 else { return nil }
        // ALL is the largest number there is.
        self.init(rowsMax: fetch.pointee.how_many < Int32.max ? Int(fetch.pointee.how_many) : nil, isMove: fetch.pointee.ismove != 0)
    }
}
