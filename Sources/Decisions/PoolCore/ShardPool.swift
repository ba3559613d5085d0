/// The backends of one event loop to one shard: who uses which, who waits, what to open and close.
///
/// Pure: events in, actions out; the shell owns the channels and maps `BackendID.slot` to them. Idle backends are used again last in,
/// first out, so that the surplus idles long enough to be closed. Requests are served first come, first served. All pools of a shard share a
/// `SlotBudget`, which bounds them together. An event that makes no sense is counted (`PoolStatistics.ignoredEvents`) and ignored.
///
/// Between events: no request waits while a backend idles, and no backend idles while another loop waits and has
/// been heard (`slotWanted`). Actions are appended to the caller's array, which it empties and uses again.
package struct ShardPool: ~Copyable, Sendable {
    package let loop: LoopIndex
    package internal(set) var limits: PoolLimits
    let budget: SlotBudget
    var random: SplitMix64
    var times: PoolTimes
    var minimum: Int

    enum Phase { case open, draining, drained }
    var phase = Phase.open
    /// No backend is opened; those that are open end as they become free.
    package internal(set) var isPaused = false

    var backends: [PooledBackend] = []
    var freeHead: Int32 = -1
    /// The most recently used idle backend, and the one that has idled longest.
    var idleHead: Int32 = -1
    var idleTail: Int32 = -1
    /// A backend last used before this moment is asked before it is used: others died about then.
    var suspectUntil = PoolInstant(nanoseconds: 0)

    var waiters = WaiterQueue()
    /// The budget has this loop in line (it may have passed a slot since, which is then on its way).
    var isInLine = false

    var failuresInRow = 0
    var lastFailure: ConnectFailure?
    var retryAt = PoolInstant(nanoseconds: 0)

    var counters = PoolStatistics()

    /// A pool without backends. `seed` is for jitter: different for each pool.
    package init(loop: LoopIndex, limits: PoolLimits, budget: SlotBudget, seed: UInt64) {
        self.loop = loop
        self.limits = limits
        self.budget = budget
        random = SplitMix64(seed: seed)
        times = PoolTimes(limits)
        minimum = limits.minimum(of: loop, loops: budget.loops)
    }

    package var statistics: PoolStatistics {
        var statistics = counters
        statistics.waiting = waiters.count
        return statistics
    }

    /// Requests that have a backend, or wait for one.
    package var outstanding: Int { counters.busy + waiters.count }

    /// A request needs a backend. It has exactly one outcome, here or in a later event's actions, unless it is cancelled.
    ///
    /// Cost: a few nanoseconds, and no allocation, while a backend idles.
    package mutating func acquire(
        _ waiter: WaiterID, now: PoolInstant, actions: inout [PoolAction]
    ) -> AcquireResult {
        guard idleHead >= 0 else { return wait(waiter, now: now, actions: &actions) }
        let slot = Int(idleHead)
        let needsHealthCheck = needsHealthCheck(slot, now: now)
        return .granted(take(idle: slot, waitingSince: now), needsHealthCheck: needsHealthCheck)
    }

    /// A request is done with its backend. `reusable`: it is outside a transaction, in sync, and carries no session state.
    package mutating func released(
        _ backend: BackendID, reusable: Bool, now: PoolInstant, actions: inout [PoolAction]
    ) {
        if releasedQuietly(backend, reusable: reusable, now: now) { return }
        guard let slot = index(of: backend), backends[slot].state == .busy else { return ignore() }
        settle(slot, reusable: reusable, now: now, actions: &actions)
    }

    // MARK: The table

    func index(of backend: BackendID) -> Int? {
        let slot = Int(backend.slot)
        guard slot >= 0, slot < backends.count, backends[slot].generation == backend.generation else { return nil }
        return slot
    }

    func id(_ slot: Int) -> BackendID {
        BackendID(slot: Int32(truncatingIfNeeded: slot), generation: backends[slot].generation)
    }

    mutating func ignore() { counters.ignoredEvents &+= 1 }

    func needsHealthCheck(_ slot: Int, now: PoolInstant) -> Bool {
        let since = backends[slot].idleSince
        return since < suspectUntil || now.elapsed(since: since) > times.healthCheck
    }

    mutating func take(idle slot: Int, waitingSince: PoolInstant) -> BackendID {
        unlinkIdle(slot)
        backends[slot].state = .busy
        backends[slot].waitingSince = waitingSince
        counters.idle &-= 1
        counters.busy &+= 1
        counters.grants &+= 1
        return id(slot)
    }

    mutating func pushIdle(_ slot: Int, now: PoolInstant) {
        let head = idleHead
        backends[slot].state = .idle
        backends[slot].idleSince = now
        backends[slot].previous = -1
        backends[slot].next = head
        let position = Int32(truncatingIfNeeded: slot)
        if head >= 0 { backends[Int(head)].previous = position } else { idleTail = position }
        idleHead = position
        counters.idle &+= 1
    }

    mutating func unlinkIdle(_ slot: Int) {
        let (previous, next) = (backends[slot].previous, backends[slot].next)
        if previous >= 0 { backends[Int(previous)].next = next } else { idleHead = next }
        if next >= 0 { backends[Int(next)].previous = previous } else { idleTail = previous }
    }
}
