internal import NIOCore
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import SessionCore

/// How a session ends with its router.
extension ClientSession {
    /// Lets the session end once its transaction has. A statement that has arrived, read or not, is still run: what the client
    /// sends after the goodbye certainly did not.
    ///
    /// A client that has just come in gets a moment for its first statement.
    func drain() {
        let age = loop.now.elapsed(since: openedAt)
        guard age < PoolNanoseconds(RouterLimits.shutdownCourtesy) else {
            isDraining = true
            return closeIfDrained()
        }
        isDraining = true
        loop.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(RouterLimits.shutdownCourtesy)) { [weak self] in self?.closeIfDrained() }
    }

    /// The time of grace is over: a transaction that waits for its client is rolled back, and what runs is cancelled. It still gets its answer, so
    /// that the client knows how it ended.
    func cutOff() {
        guard work != .closed else { return }
        isDraining = true
        isCutOff = true
        if work == .ready { sayGoodbye(.shuttingDown) } else { cancel() }
    }

    /// As the last resort, whatever is under way.
    func abort() { sayGoodbye(mayTakeEffect ? .shutdownUnknown : .shuttingDown) }

    func closeIfDrained() {
        guard isDraining, work == .ready, transaction.isIdle || isCutOff, isCutOff || !hasUnreadBytes else { return }
        sayGoodbye(.shuttingDown)
    }

    /// Whether what was begun could be committed, or become so, without the client's hearing of it. Unknown counts as yes.
    private var mayTakeEffect: Bool {
        if unit.hasCommitted { return true }
        let isCommitting = pendingEffects.contains { if case .commit = $0 { true } else { false } }
        switch work {
        case .ready, .closed: return false
        // A batch commits at its Sync, a COPY at its end, unless a COMMIT is among the messages that were sent.
        case .batch, .copyIn: return isCommitting
        case .awaitingReady, .suspended:
            if isRollingBack { return false }
            if isCommitting || unit.kind == .transaction { return true }
            guard transaction.isIdle else { return false }
            return isCoordinated || work == .suspended || participants.contains(where: \.wrote)
        }
    }
}
