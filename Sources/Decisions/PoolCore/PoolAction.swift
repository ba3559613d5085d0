/// What the shell has to do after an event. In order; each exactly once.
package enum PoolAction: Hashable, Sendable {
    /// Open a connection within `PoolLimits.connectTimeout`, then report `connected` or `connectFailed`.
    case connect(BackendID)
    /// End the connection, or the attempt, then report `closed` once the server's end is gone.
    case close(BackendID, CloseReason)
    /// The waiting request has its backend. With `needsHealthCheck` the shell first asks the backend something cheap and
    /// reports `healthCheckFailed` if it does not answer.
    case grant(WaiterID, BackendID, needsHealthCheck: Bool)
    case refuse(WaiterID, PoolRefusal)
    /// Call `slotWanted` on the pools of this shard on every other loop.
    case askOtherLoops
    /// Call `slotGranted` on the pool of this shard on that loop: a slot has been put aside for it.
    case passSlot(to: LoopIndex)
    /// A draining pool has closed its last backend.
    case drained
}

/// Why a backend is closed; a label of a metric.
package enum CloseReason: Hashable, Sendable {
    case idle, aged, broken, failedHealthCheck, retired, yielded, draining
}

/// The answer to a request for a backend.
package enum AcquireResult: Hashable, Sendable {
    /// See `PoolAction.grant`.
    case granted(BackendID, needsHealthCheck: Bool)
    /// The answer comes as `.grant` or `.refuse`, from this event's actions or a later one's.
    case queued
    case refused(PoolRefusal)
}
