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

    /// Ends the session when its open transaction has waited for the client longer than `limit`.
    func endIfIdleInTransaction(for limit: PoolNanoseconds, now: PoolInstant) {
        guard work == .ready, !transaction.isIdle, now.elapsed(since: idleInTransactionSince) > limit else { return }
        fatal(.idleInTransaction)
    }

    /// Time is over: a transaction that waits for its client is rolled back, and what runs is cancelled. It still gets its answer, so
    /// that the client knows how it ended.
    func cutOff(_ reason: ServerError) {
        guard work != .closed, cutOff == nil else { return }
        cutOff = (reason, loop.now)
        if work == .ready { sayGoodbye(reason) } else { cancel() }
    }

    /// As the last resort, whatever is under way.
    func abort() { sayGoodbye(mayTakeEffect ? .shutdownUnknown : cutOff?.reason ?? .shuttingDown) }

    func closeIfDrained() {
        guard work == .ready else { return }
        if let cutOff { return sayGoodbye(cutOff.reason) }
        if isDraining, transaction.isIdle, !hasUnreadBytes { sayGoodbye(.shuttingDown) }
    }

    /// Ends the session when its transaction, or its statement outside of one, has lasted longer than `limit`. Transactions are told apart here, and
    /// not where they begin, so that they cost nothing: one may last longer by the time between two looks.
    func endIfInTransaction(for limit: PoolNanoseconds, now: PoolInstant) {
        if let cutOff {
            if now.elapsed(since: cutOff.since) > PoolNanoseconds(RouterLimits.cutOffTime) { abort() }
            return
        }
        if transaction.isIdle {
            if work != .ready, work != .closed, unit.isRunning, now.elapsed(since: unit.started) > limit { cutOff(.transactionTimeout) }
        } else if seenTransaction.number != transactionNumber {
            seenTransaction = (transactionNumber, now)
        } else if now.elapsed(since: seenTransaction.since) > limit {
            cutOff(.transactionTimeout)
        }
    }

    /// Whether what was begun could be committed, or become so, without the client's hearing of it. Unknown counts as yes.
    var mayTakeEffect: Bool {
        if unit.hasCommitted { return true }
        let isCommitting = pendingEffects.contains { if case .commit = $0 { true } else { false } }
        switch work {
        case .ready, .closed: return false
        // A batch commits at its Sync, a COPY at its end, unless a COMMIT is among the messages that were sent.
        case .batch, .copyIn: return isCommitting
        case .awaitingReady, .suspended:
            if isRollingBack { return false }
            if isCommitting || unit.kind == .transaction { return true }
            // A commit of several shards has taken the participants with it.
            if work == .suspended { return participants.isEmpty || isCoordinated || participants.contains(where: \.wrote) }
            return transaction.isIdle && (isCoordinated || participants.contains(where: \.wrote))
        }
    }
}
