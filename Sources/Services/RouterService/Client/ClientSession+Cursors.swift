internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// What a statement does with a cursor over several shards.
enum CursorStep {
    case declare(String, query: [UInt8])
    /// nil: in another direction than forward.
    case fetch(PartlyFetched, FetchStep?)
    case close(String)

    func writeDescription(into buffer: inout ByteBuffer) {
        if case .fetch(let parts, let step?) = self, !step.isMove { buffer.writeRowDescription(parts.columns) } else { buffer.writeNoData() }
    }
}

/// DECLARE, FETCH, MOVE and CLOSE of cursors over several shards: portals of the session's whose rows are taken a number at a time, as in PostgreSQL, where a cursor is a
/// portal.
extension ClientSession {
    /// nil: the statement is about a cursor on one shard.
    func cursorStep(_ plan: CachedPlan) -> CursorStep? {
        switch plan.value.cursor {
        case .declare(let name, _): return plan.value.declaredQuery.map { .declare(name, query: $0) }
        case .use(let name): return cursor(name).map { .fetch($0, plan.value.fetch) }
        case .close(let name): return cursor(name).map { _ in .close(name) }
        case .closeAll:
            // The shards close their own.
            for name in portals.keys where cursor(name) != nil { portals[name] = nil }
            return nil
        case nil: return nil
        }
    }

    private func cursor(_ name: String) -> PartlyFetched? { if case .parts(let parts)? = portals[name]?.target { parts } else { nil } }

    func bind(_ step: CursorStep, _ message: BindMessage, _ statement: Statement) {
        let formats = message.resultFormats
        let isBinary = (0..<formats.count).contains { formats[$0] == .binary }
        guard message.parameterCount == 0, !isBinary else { return failBatch(.refusal(Refusal(.rowLimit, "a cursor with parameters, or with binary rows"))) }
        bindBehindHeld(message, statement, .cursor(step))
    }

    func run(_ step: CursorStep) {
        switch step {
        case .declare(let name, let query): declare(name, query)
        case .fetch(_, nil): failUnit(.refusal(Refusal(.rowLimit, "another direction than forward")))
        case .fetch(let parts, let step?):
            parts.purpose = .fetch(isMove: step.isMove)
            (parts.left, parts.given) = (step.rowsMax, 0)
            if !batch.isOpen, !step.isMove { answer { $0.writeRowDescription(parts.columns) } }
            give(parts)
        case .close(let name):
            portals[name] = nil
            endCursorStep("CLOSE CURSOR")
        }
    }

    private func declare(_ name: String, _ query: [UInt8]) {
        guard !transaction.isIdle else { return failUnit(.noTransaction("DECLARE CURSOR")) }
        guard portals[name] == nil, cursors[name] == nil, heldCursors[name] == nil else { return failUnit(.duplicatePortal(name)) }
        guard portals.count < limits.portalsMax else { return failUnit(.tooManyPortals) }
        guard let scope, let (statement, bind) = scope.execution(of: query), case .gatherRows(let gather)? = statement.planned.plan?.route else { return failUnit(.planChanged) }
        // A hint names one shard's rows.
        guard isGathered(statement.planned) else { return failUnit(.refusal(Refusal(.noKey))) }
        if isOnReplica { return leaveReplica { [self] in declare(name, query) } }
        let parts = PartlyFetched(gather, statement, bind, number: loop.nextScopeID())
        parts.purpose = .declare
        var portal = Portal(statement: statement, target: .parts(parts))
        portal.madeAfter = transaction.historyCount
        portals[name] = portal
        beginGather(gather, parts.origin, keeping: parts)
    }

    func endCursorStep(_ tag: String) {
        if batch.isOpen { answer { $0.writeCommandComplete(tag: tag) } } else { completeUnit { $0.writeCommandComplete(tag: tag) } }
    }
}
