extension ShardPool {
    /// Does what time brings: ends waits, closes idle and aged backends, ends a back-off, fills up to the minimum.
    ///
    /// To be called at `nextDeadline`; earlier and oftener is harmless.
    package mutating func tick(now: PoolInstant, actions: inout [PoolAction]) {
        guard phase == .open else { return }
        endWaits(now: now, &actions)
        closeSurplus(now: now, &actions)
        slotWanted(now: now, actions: &actions)
        pursue(now: now, actions: &actions)
        fillUp(now: now, &actions)
    }

    /// When `tick` has something to do next; nil: not before another event. Lies after the last tick's time.
    ///
    /// Cost: a walk over the idle backends.
    package var nextDeadline: PoolInstant? {
        guard phase == .open else { return nil }
        var deadline = PoolInstant(nanoseconds: .max)
        if let first = waiters.first { deadline = min(deadline, first.since + times.wait) }
        if idleTail >= 0, serviceable > minimum {
            deadline = min(deadline, backends[Int(idleTail)].idleSince + times.idle)
        }
        var slot = idleHead
        while slot >= 0 {
            deadline = min(deadline, backends[Int(slot)].expiresAt)
            slot = backends[Int(slot)].next
        }
        let isMissingSome = !isPaused && (waiters.count > counters.connecting || serviceable < minimum)
        if failuresInRow > 0, counters.connecting == 0, !isInLine, isMissingSome { deadline = min(deadline, retryAt) }
        return deadline.nanoseconds == .max ? nil : deadline
    }

    private var serviceable: Int { counters.idle + counters.busy + counters.connecting }

    private mutating func endWaits(now: PoolInstant, _ actions: inout [PoolAction]) {
        while let first = waiters.first, first.since + times.wait <= now {
            _ = waiters.popFirst()
            counters.refusals &+= 1
            actions.append(.refuse(first.waiter, timeoutRefusal))
        }
    }

    /// A wait that ended while the shard could not be reached says so.
    private var timeoutRefusal: PoolRefusal {
        guard let lastFailure, counters.idle == 0, counters.busy == 0 else { return .timedOut }
        return .unavailable(lastFailure)
    }

    private mutating func closeSurplus(now: PoolInstant, _ actions: inout [PoolAction]) {
        var slot = idleTail
        while slot >= 0 {
            let current = Int(slot)
            slot = backends[current].previous
            if backends[current].expiresAt <= now {
                closeIdle(current, .aged, &actions)
            } else if backends[current].idleSince + times.idle <= now, serviceable > minimum {
                closeIdle(current, .idle, &actions)
            }
        }
    }

    private mutating func fillUp(now: PoolInstant, _ actions: inout [PoolAction]) {
        while !isPaused, serviceable < minimum, mayConnect(now: now) {
            guard case .taken = budget.take(for: loop, lineUp: false, now: now) else {
                if failuresInRow > 0 { retryAt = now + times.backoffMax }  // So that `nextDeadline` moves on.
                return
            }
            connect(&actions)
        }
    }
}
