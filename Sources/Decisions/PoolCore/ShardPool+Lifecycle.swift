extension ShardPool {
    /// New limits. The number of slots is the budget's: `SlotBudget.resize` first, once for all loops.
    package mutating func reconfigure(_ limits: PoolLimits, now: PoolInstant, actions: inout [PoolAction]) {
        self.limits = limits
        times = PoolTimes(limits)
        minimum = limits.minimum(of: loop, loops: budget.loops)
        for slot in backends.indices where backends[slot].state == .idle || backends[slot].state == .busy {
            backends[slot].expiresAt = backends[slot].connectedAt + lifetime(jitter: backends[slot].jitter)
        }
        tick(now: now, actions: &actions)
    }

    /// The shard has moved to another endpoint: no present backend is used again. Busy ones finish their request first.
    ///
    /// What must not write to the old endpoint any more is for the fence to stop; the shell may also close busy backends itself.
    package mutating func retire(now: PoolInstant, actions: inout [PoolAction]) {
        closeUnused(.retired, &actions)
        for slot in backends.indices where backends[slot].state == .busy { backends[slot].isRetired = true }
        forgetFailures()
        pursue(now: now, actions: &actions)
    }

    /// Requests wait, as long as they may; unused backends are closed, and busy ones when they are released. Paused for good once none is left.
    ///
    /// There is no idle backend in a paused pool, so that handing one out need not ask.
    package mutating func pause(now: PoolInstant, actions: inout [PoolAction]) {
        guard !isPaused else { return }
        isPaused = true
        retire(now: now, actions: &actions)
    }

    package mutating func resume(now: PoolInstant, actions: inout [PoolAction]) {
        guard isPaused else { return }
        isPaused = false
        pursue(now: now, actions: &actions)
    }

    /// No new requests: waiting ones are refused, unused backends closed, busy ones when they are released. Ends with `.drained`.
    package mutating func drain(now: PoolInstant, actions: inout [PoolAction]) {
        guard phase == .open else { return }
        phase = .draining
        refuseAll(.draining, &actions)
        pursue(now: now, actions: &actions)
        closeUnused(.draining, &actions)
        if counters.live == 0 {
            phase = .drained
            actions.append(.drained)
        }
    }

    private mutating func closeUnused(_ reason: CloseReason, _ actions: inout [PoolAction]) {
        for slot in backends.indices {
            switch backends[slot].state {
            case .idle:
                closeIdle(slot, reason, &actions)
            case .connecting:
                counters.connecting &-= 1
                close(slot, reason, &actions)
            case .free, .busy, .closing:
                break
            }
        }
    }
}
