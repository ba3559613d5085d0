extension ShardPool {
    /// The request no longer needs a backend. False: it does not wait (any more); a grant may have crossed the cancellation.
    package mutating func waiterCancelled(_ waiter: WaiterID, now: PoolInstant, actions: inout [PoolAction]) -> Bool {
        guard waiters.remove(waiter) else { return false }
        pursue(now: now, actions: &actions)
        return true
    }

    /// Another loop waits for a slot (`.askOtherLoops`).
    package mutating func slotWanted(now: PoolInstant, actions: inout [PoolAction]) {
        while idleTail >= 0, budget.isWanted, promise(now: now) {
            let slot = Int(idleTail)
            unlinkIdle(slot)
            counters.idle &-= 1
            yield(slot, &actions)
        }
    }

    /// This loop has been passed a slot (`.passSlot`, or `SlotBudget.resize`).
    package mutating func slotGranted(now: PoolInstant, actions: inout [PoolAction]) {
        isInLine = budget.isInLine(loop)
        if wantsToConnect(now: now) {
            connect(&actions)
            pursue(now: now, actions: &actions)
        } else {
            returnSlot(promised: false, now: now, actions: &actions)
        }
    }

    // MARK: Steps

    /// No backend idles: refuses the request, or queues it and sees to a backend.
    mutating func wait(_ waiter: WaiterID, now: PoolInstant, actions: inout [PoolAction]) -> AcquireResult {
        let refusal: PoolRefusal
        if phase != .open {
            refusal = .draining
        } else if let lastFailure, refusesAtOnce(now: now) {
            refusal = .unavailable(lastFailure)
            if lastFailure.isSilence { lookAgain(now: now, &actions) }
        } else if waiters.count >= limits.waitersMax {
            refusal = .queueFull
        } else {
            waiters.append(.init(waiter: waiter, since: now))
            counters.waits &+= 1
            pursue(now: now, actions: &actions)
            return .queued
        }
        counters.refusals &+= 1
        return .refused(refusal)
    }

    /// One connection attempt for each waiting request, as far as the budget and the back-off allow.
    ///
    /// After a failure one attempt at a time, so that a server that comes back is not met by all at once.
    func wantsToConnect(now: PoolInstant) -> Bool {
        phase == .open && !isPaused && waiters.count > counters.connecting && mayConnect(now: now)
    }

    func mayConnect(now: PoolInstant) -> Bool {
        failuresInRow == 0 || (counters.connecting == 0 && now >= retryAt)
    }

    /// Opens what the waiting requests need, or stands in line for it, or leaves the line.
    mutating func pursue(now: PoolInstant, actions: inout [PoolAction]) {
        while wantsToConnect(now: now) {
            if isInLine { return }
            switch budget.take(for: loop, lineUp: true, now: now) {
            case .taken:
                connect(&actions)
            case .linedUp:
                isInLine = true
                actions.append(.askOtherLoops)
            case .inLine, .refused:
                isInLine = true
            }
        }
        if isInLine {
            isInLine = false
            budget.withdraw(loop)
        }
    }

    // MARK: Failures

    /// Nothing is alive and nothing suggests that it soon will be: waiting would only delay the error.
    var failsFast: Bool {
        guard let lastFailure, counters.idle == 0, counters.busy == 0 else { return false }
        return lastFailure.isDefinitive || lastFailure.isSilence || failuresInRow >= limits.failFastAfter
    }

    /// An attempt at a server that says nothing takes all of `connectTimeout`, and no request is to wait for each: while some come, one attempt after the other is made beside them. Whoever comes when
    /// nobody has looked for a while waits for one.
    private func refusesAtOnce(now: PoolInstant) -> Bool {
        guard let lastFailure, failsFast else { return false }
        if lastFailure.isSilence { return counters.connecting > 0 || now < retryAt + times.backoffMax }
        return counters.connecting == 0 && now < retryAt
    }

    /// An attempt that nobody waits for.
    private mutating func lookAgain(now: PoolInstant, _ actions: inout [PoolAction]) {
        guard !isPaused, mayConnect(now: now), case .taken = budget.take(for: loop, lineUp: false, now: now) else { return }
        connect(&actions)
    }

    mutating func backOff(_ failure: ConnectFailure, retryAfter: Duration?, now: PoolInstant) {
        lastFailure = failure
        failuresInRow += 1
        let doublings = UInt64(min(failuresInRow - 1, 20))
        let (grown, overflow) = times.backoffMin.count.multipliedReportingOverflow(by: 1 << doublings)
        let pause = overflow ? times.backoffMax.count : min(grown, times.backoffMax.count)
        let jittered = pause - UInt64.random(in: 0...(pause / 2), using: &random)
        retryAt = now + max(PoolNanoseconds(jittered), PoolNanoseconds(retryAfter ?? .zero))
    }

    mutating func forgetFailures() {
        failuresInRow = 0
        lastFailure = nil
        retryAt = PoolInstant(nanoseconds: 0)
    }

    mutating func refuseAll(_ refusal: PoolRefusal, _ actions: inout [PoolAction]) {
        while let entry = waiters.popFirst() {
            counters.refusals &+= 1
            actions.append(.refuse(entry.waiter, refusal))
        }
    }
}
