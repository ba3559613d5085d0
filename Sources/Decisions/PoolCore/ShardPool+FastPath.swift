/// The two events of nearly every statement, without an array of actions: nothing else changes by them.
extension ShardPool {
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
