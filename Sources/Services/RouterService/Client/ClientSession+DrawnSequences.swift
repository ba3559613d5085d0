internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// What is known of a session's draws from sequences, besides which backend is pinned for them.
struct DrawnSequences {
    /// Something was drawn that the kept server session, if there is one, does not know of.
    var isIncomplete = false
    /// A cursor was declared whose query draws, or asks what was drawn, as it is fetched from.
    var areInCursors = false
}

/// currval() and lastval(), for sessions with `pgmosaic.keep_sequence_state` (docs/decisions/0045-currval.md).
///
/// The session keeps the backend of the statement that may have drawn last, with all that an earlier client drew there forgotten, and asks that one. When another
/// shard draws, the session moves over to it: what was drawn before is unknown from then on, and answered with an error. So the one server session that may answer
/// has seen every draw since it was chosen, and no draw of anybody else's.
extension ClientSession {
    private var drawer: Int? { pins.firstIndex { $0.kept.contains(.sequences) } }

    /// The shard to ask, where a statement's own tables do not say where it runs.
    func poolOfDrawn(_ plan: CachedPlan) -> BackendPool? {
        guard plan.value.traces.readsSequences else { return nil }
        return drawer.map { pins[$0].backend.pool } ?? database.home
    }

    /// The speaker is about to run a statement, or to bind it. Returns why it may not.
    func noteSequences(_ plan: CachedPlan) -> ServerError? {
        let traces = plan.value.traces
        var (reads, draws) = (traces.readsSequences, traces.drawsSequences)
        switch plan.value.cursor {
        case .declare(_, let holds) where reads || draws:
            // The commit would draw.
            if holds, database.topology.shards.count > 1 { return .refusal(Refusal(.sequenceState, "a cursor WITH HOLD")) }
            sequences.areInCursors = true
        case .use where sequences.areInCursors: (reads, draws) = (true, true)
        default: break
        }
        if reads, let error = drawnProblem(on: backend) { return error }
        return reads || draws ? keepDrawer(backend) : nil
    }

    private func drawnProblem(on backend: Backend) -> ServerError? {
        let isKnown = drawer.map { pins[$0].backend === backend } ?? !sequences.isIncomplete
        return isKnown ? nil : .refusal(Refusal(.sequenceState, "currval() or lastval()"))
    }

    private func keepDrawer(_ backend: Backend) -> ServerError? {
        if let drawer {
            if pins[drawer].backend === backend { return nil }
            loseDrawn()
        }
        if let index = pins.firstIndex(where: { $0.backend === backend }) {
            pins[index].kept.insert(.sequences)
            pins[index].hasStaleSequences = true
        } else {
            guard let permit = loop.shared.pins.admit() else { return .tooManyPinned }
            pins.append(Pin(backend: backend, kept: [.sequences], hasStaleSequences: true, isDoubtful: false, permit: permit))
        }
        return nil
    }

    /// Something draws, or has drawn, where nobody will ask.
    func loseDrawn() {
        stopKeepingDrawn()
        sequences.isIncomplete = true
    }

    /// DISCARD SEQUENCES.
    func forgetDrawn() {
        stopKeepingDrawn()
        sequences.isIncomplete = false
    }

    private func stopKeepingDrawn() {
        guard let drawer else { return }
        let backend = pins[drawer].backend
        pins[drawer].kept.remove(.sequences)
        pins[drawer].hasStaleSequences = false
        guard pins[drawer].kept.isEmpty else { return }
        pins.remove(at: drawer)
        // Else it goes with the transaction.
        if !participants.contains(where: { $0.backend === backend }) { letGo(of: backend) }
    }

    /// Whether nothing of the client's is in a kept backend but what it has drawn, which the next to be told of its own draws forgets first.
    func holdsDrawnOnly(_ pin: Pin) -> Bool {
        pin.kept == [.sequences] && !pin.backend.hasExchange && pin.backend.status == TransactionState.Phase.idle.rawValue
            && !participants.contains { $0.backend === pin.backend }
    }

    // MARK: Several shards at once

    /// Whether the statement may draw, and runs on several shards: then nobody knows what was drawn last.
    func drawsOnSeveral(_ plan: CachedPlan, _ inputs: KeyInputs) -> Bool {
        guard plan.value.traces.drawsSequences else { return false }
        switch plan.route {
        case .everyShard, .splitCopy, .broadcastCopy, .gatherCopy, .gatherRows, .everyKey, .explain, .statements: break
        case .keyed(let sources) where plan.value.spread != nil:
            guard isOnSeveral(sources, plan, inputs) else { return false }
        default: return false
        }
        drawEverywhere()
        return true
    }

    private func isOnSeveral(_ sources: [KeySource], _ plan: CachedPlan, _ inputs: KeyInputs) -> Bool {
        do throws(KeyProblem) { _ = try pool(for: sources, plan, inputs) } catch { return if case .several = error { true } else { false } }
        return false
    }

    private func drawEverywhere() {
        // The one shard there is, in the server session that is kept.
        if database.topology.shards.count == 1, drawer != nil { return }
        loseDrawn()
    }

    // MARK: Portals

    /// An Execute: much may have been drawn since its Bind. nil: the portal is none of the session's, but perhaps a cursor. Returns why it may not run.
    func noteExecution(of portal: Portal?) -> ServerError? {
        guard let portal else { return sequences.areInCursors ? .refusal(Refusal(.sequenceState, "a cursor")) : nil }
        guard !transaction.isFailed, let plan = portal.executed ?? portal.statement.planned.plan else { return nil }
        // Planned when nobody asked whether it draws, perhaps.
        if plan.writes, portal.statement.scopeID != (privateSchema?.scope ?? scopeCache)?.id { loseDrawn() }
        let traces = plan.value.traces
        guard traces.readsSequences || traces.drawsSequences else { return nil }
        switch portal.target {
        case .everyShard, .spread, .copy, .explained:
            if traces.drawsSequences { drawEverywhere() }
        case .backend(let owner), .effect(let owner, _): return noteExecution(traces, on: owner)
        case .router, .gather, .parts, .cursor, .hinted, .explanation, .failing: break
        }
        return nil
    }

    private func noteExecution(_ traces: SessionTraces, on owner: Backend) -> ServerError? {
        if traces.readsSequences, let error = drawnProblem(on: owner) { return error }
        if drawer.map({ pins[$0].backend !== owner }) ?? true { loseDrawn() }
        return nil
    }

    // MARK: The setting

    func keepSequences(_ keeps: Bool) {
        guard keeps != variables.keepsSequences else { return }
        variables.keepsSequences = keeps
        if keeps {
            // What was drawn up to now nobody has kept; and the transaction's cursors were not looked at.
            sequences = DrawnSequences(isIncomplete: true, areInCursors: !cursors.isEmpty)
        } else {
            forgetDrawn()
        }
        forgetScope()
        privateSchema?.rebase(on: self)
    }

    /// PostgreSQL's error for what it has not seen drawn, which may be untrue here.
    func explainingDrawn(_ error: ServerError) -> ServerError {
        guard error.sqlState == .objectNotInPrerequisiteState, error.message.hasSuffix("is not yet defined in this session") else { return error }
        var error = error
        error[.hint] = "This session has drawn on another shard since, on several at once, or before it set pgmosaic.keep_sequence_state: that is not kept. Use RETURNING."
        return error
    }
}
