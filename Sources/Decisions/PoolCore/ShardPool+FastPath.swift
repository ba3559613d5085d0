/// What nearly every statement asks for, without an array of actions: nothing else changes by it.
extension ShardPool {
    /// How long a quick read may be expected to wait behind others on a connection that they share, in nanoseconds; 0: none is shared.
    package var shareWait: UInt64 { times.share.count }

    /// Whether a busy backend may be given a further statement: not where that would keep it from its end, nor for long from somebody who waits.
    ///
    /// - joined: how many it has been given since it was granted.
    package func mayBeShared(_ backend: BackendID, joined: Int, now: PoolInstant) -> Bool {
        guard let slot = index(of: backend), backends[slot].state == .busy, phase == .open, !isPaused, !backends[slot].isRetired,
            now < backends[slot].expiresAt
        else { return false }
        return joined < PoolLimits.sharedWhileWaited || waiters.isEmpty && !budget.isWanted
    }

    /// The most recently used idle backend; nil when there is none that can be used without asking it first (then call `acquire`).
    package mutating func takeIdle(now: PoolInstant) -> BackendID? {
        guard idleHead >= 0 else { return nil }
        let slot = Int(idleHead)
        guard !needsHealthCheck(slot, now: now) else { return nil }
        return take(idle: slot, waitingSince: now)
    }

    /// Puts a backend back to idle; false when more has to be done (then call `released`), and nothing was changed.
    package mutating func releasedQuietly(_ backend: BackendID, reusable: Bool, now: PoolInstant) -> Bool {
        guard reusable, let slot = index(of: backend), backends[slot].state == .busy, waiters.isEmpty, phase == .open, !budget.isWanted,
            !backends[slot].isRetired, now < backends[slot].expiresAt
        else { return false }
        counters.busy &-= 1
        pushIdle(slot, now: now)
        return true
    }
}
