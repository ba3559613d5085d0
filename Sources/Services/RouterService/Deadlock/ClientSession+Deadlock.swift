internal import PGWire
internal import PoolCore
internal import ShardModel

/// A session whose transaction has several shards may be part of a deadlock that no PostgreSQL sees.
extension ClientSession {
    func isAtWork(for time: PoolNanoseconds, now: PoolInstant) -> Bool {
        work != .ready && work != .closed && unit.isRunning && now.elapsed(since: unit.started) > time
    }

    /// - since: when it came to a second shard.
    func spanningTransaction(since: Double) -> SpanningTransaction? {
        let parts = participants.map(\.backend).filter { $0.pool.replica == nil }
        guard parts.count > 1, scatter == nil, !isCommitting else { return nil }
        return SpanningTransaction(
            id: .init(router: loop.shared.routerID, start: loop.shared.start, session: processID, work: workNumber), since: since,
            processes: Dictionary(parts.map { ($0.pool.shardID, $0.processID) }, uniquingKeysWith: { first, _ in first }), canBeEnded: pins.isEmpty)
    }

    /// Rolls the transaction back on every shard: its statement fails with 40P01. False where it can't be, for it may be committed by now.
    ///
    /// - shards: where its statement waits for a lock.
    func endForDeadlock(waitingOn shards: Set<ShardID>) -> Bool {
        let isCommitting = isCommitting || pendingEffects.contains { if case .commit = $0 { true } else { false } }
        guard !isCommitting, !isRollingBack, pins.isEmpty, work != .ready, work != .closed, !participants.contains(where: \.backend.isMidFrame) else { return false }
        let backends = participants.map(\.backend).filter { $0.pool.replica == nil }
        let waiting = backends.filter { shards.contains($0.pool.shardID) }
        guard !waiting.isEmpty else { return false }
        let error = ServerError.deadlock(over: backends.map(\.pool.shardID))
        for backend in waiting {
            // A statement that waits for a lock does not notice that its connection has gone.
            backend.pool.cancel(backend)
            backend.cutOff(error)
        }
        // The others hold what somebody waits for: they are rolled back by the loss of their client, unless that is under way already.
        for backend in backends where backend.session === self && !backend.hasExchange { backend.cutOff(error) }
        return true
    }
}
