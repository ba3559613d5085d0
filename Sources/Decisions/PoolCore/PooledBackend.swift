/// What a pool knows of one backend; an entry of the pool's table, reused for its slot's next tenant.
struct PooledBackend {
    enum State { case free, connecting, idle, busy, closing }

    var state = State.free
    var generation: UInt32 = 0
    /// Neighbours in the idle list, most recently used first; `next` also chains the free entries.
    var previous: Int32 = -1
    var next: Int32 = -1
    /// The shard's endpoint has changed since: not to be used again.
    var isRetired = false
    /// Its closing was promised to the budget.
    var isPromised = false
    var connectedAt = PoolInstant(nanoseconds: 0)
    var idleSince = PoolInstant(nanoseconds: 0)
    var expiresAt = PoolInstant(nanoseconds: .max)
    /// Since when the request had waited that has the backend now, in case its health check fails.
    var waitingSince = PoolInstant(nanoseconds: 0)
    /// 0 ... 1023: the share of a tenth of `lifetimeMax` by which this backend's life is shorter.
    var jitter: UInt64 = 0
}

/// `PoolLimits` in nanoseconds.
struct PoolTimes {
    let idle, lifetime, wait, healthCheck, backoffMin, backoffMax, handover, share: PoolNanoseconds

    init(_ limits: PoolLimits) {
        idle = PoolNanoseconds(limits.idleTimeout)
        lifetime = PoolNanoseconds(limits.lifetimeMax)
        wait = PoolNanoseconds(limits.waitTimeout)
        healthCheck = PoolNanoseconds(limits.healthCheckAfterIdle)
        backoffMin = PoolNanoseconds(limits.backoffMin)
        backoffMax = PoolNanoseconds(limits.backoffMax)
        handover = PoolNanoseconds(limits.handoverAfter)
        share = PoolNanoseconds(limits.shareWait)
    }
}
