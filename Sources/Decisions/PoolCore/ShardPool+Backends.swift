extension ShardPool {
    /// The attempt of `.connect` succeeded: the backend is authenticated and ready for queries.
    package mutating func connected(_ backend: BackendID, now: PoolInstant, actions: inout [PoolAction]) {
        guard let slot = index(of: backend) else { return ignore() }
        switch backends[slot].state {
        case .connecting: break
        case .closing: return  // It crossed the `.close`, which ends it.
        case .free, .idle, .busy: return ignore()
        }
        forgetFailures()
        counters.connecting &-= 1
        backends[slot].connectedAt = now
        backends[slot].jitter = UInt64.random(in: 0..<1024, using: &random)
        backends[slot].expiresAt = now + lifetime(jitter: backends[slot].jitter)
        makeAvailable(slot, mayHandOver: false, now: now, actions: &actions)
    }

    /// The attempt of `.connect` failed; the connection, if there was one, is gone.
    ///
    /// `retryAfter` lengthens the back-off when the caller knows better.
    package mutating func connectFailed(
        _ backend: BackendID, _ failure: ConnectFailure, retryAfter: Duration? = nil, now: PoolInstant,
        actions: inout [PoolAction]
    ) {
        guard let slot = index(of: backend) else { return ignore() }
        switch backends[slot].state {
        case .connecting: break
        case .closing: return closed(backend, now: now, actions: &actions)
        case .free, .idle, .busy: return ignore()
        }
        counters.connecting &-= 1
        counters.connectFailures &+= 1
        backOff(failure, retryAfter: retryAfter, now: now)
        // Of several attempts at once another may still be answered.
        if failsFast, !failure.isSilence || counters.connecting == 0 { refuseAll(.unavailable(failure), &actions) }
        pursue(now: now, actions: &actions)
        vacate(slot, now: now, actions: &actions)
    }

    /// A backend's connection is gone, because of `.close` or by itself. If a request was using it, telling the client is the shell's task.
    package mutating func closed(_ backend: BackendID, now: PoolInstant, actions: inout [PoolAction]) {
        guard let slot = index(of: backend) else { return ignore() }
        switch backends[slot].state {
        case .free:
            return ignore()
        case .connecting:
            return connectFailed(backend, ConnectFailure(.lost), now: now, actions: &actions)
        case .idle:
            unlinkIdle(slot)
            counters.idle &-= 1
            suspectOthers(now: now)
        case .busy:
            counters.busy &-= 1
            suspectOthers(now: now)
        case .closing:
            counters.closing &-= 1
        }
        vacate(slot, now: now, actions: &actions)
        pursue(now: now, actions: &actions)
    }

    /// A backend granted with `needsHealthCheck` did not answer. `waiter`: its request, if the client is still there; it is
    /// served before all others and keeps its time of arrival.
    package mutating func healthCheckFailed(
        _ backend: BackendID, waiter: WaiterID?, now: PoolInstant, actions: inout [PoolAction]
    ) {
        guard let slot = index(of: backend), backends[slot].state == .busy else { return ignore() }
        counters.healthCheckFailures &+= 1
        suspectOthers(now: now)
        let since = backends[slot].waitingSince
        counters.busy &-= 1
        close(slot, .failedHealthCheck, &actions)
        guard let waiter else { return }
        if phase != .open {
            counters.refusals &+= 1
            actions.append(.refuse(waiter, .draining))
        } else if idleHead >= 0 {
            let next = Int(idleHead)
            let needsHealthCheck = needsHealthCheck(next, now: now)
            actions.append(.grant(waiter, take(idle: next, waitingSince: since), needsHealthCheck: needsHealthCheck))
        } else {
            waiters.putBack(.init(waiter: waiter, since: since))
            pursue(now: now, actions: &actions)
        }
    }

    // MARK: Steps

    /// Decides what becomes of a backend that a request has released.
    mutating func settle(_ slot: Int, reusable: Bool, now: PoolInstant, actions: inout [PoolAction]) {
        counters.busy &-= 1
        let reason: CloseReason? =
            phase != .open ? .draining
            : backends[slot].isRetired ? .retired
            : !reusable ? .broken
            : now >= backends[slot].expiresAt ? .aged : nil
        if let reason { return close(slot, reason, &actions) }
        let servedItsTurn = now.elapsed(since: backends[slot].connectedAt) >= times.handover
        makeAvailable(slot, mayHandOver: servedItsTurn, now: now, actions: &actions)
    }

    /// Gives a backend that no one uses to another loop, to the first request in the queue, or to the idle list.
    ///
    /// `mayHandOver`: to another loop even though requests wait here. Never for a backend that has served nobody yet:
    /// three loops that share one slot would then pass it round without ever using it.
    private mutating func makeAvailable(
        _ slot: Int, mayHandOver: Bool, now: PoolInstant, actions: inout [PoolAction]
    ) {
        if budget.isWanted, waiters.isEmpty || mayHandOver, promise(now: now) {
            yield(slot, &actions)
        } else if let entry = waiters.popFirst() {
            backends[slot].state = .busy
            backends[slot].waitingSince = entry.since
            counters.busy &+= 1
            counters.grants &+= 1
            actions.append(.grant(entry.waiter, id(slot), needsHealthCheck: false))
        } else {
            pushIdle(slot, now: now)
        }
        pursue(now: now, actions: &actions)
    }

    func promise(now: PoolInstant) -> Bool {
        let handover = times.handover.count
        let limit = PoolInstant(nanoseconds: now.nanoseconds > handover ? now.nanoseconds - handover : 0)
        return budget.promise(by: loop, hasWaiters: !waiters.isEmpty, waitingSince: limit)
    }

    mutating func yield(_ slot: Int, _ actions: inout [PoolAction]) {
        backends[slot].isPromised = true
        counters.yields &+= 1
        close(slot, .yielded, &actions)
    }

    mutating func closeIdle(_ slot: Int, _ reason: CloseReason, _ actions: inout [PoolAction]) {
        unlinkIdle(slot)
        counters.idle &-= 1
        close(slot, reason, &actions)
    }

    /// The caller has taken the backend out of its state's list and count. Its slot returns with `closed`, not before:
    /// until then the server may still count the connection.
    mutating func close(_ slot: Int, _ reason: CloseReason, _ actions: inout [PoolAction]) {
        backends[slot].state = .closing
        counters.closing &+= 1
        actions.append(.close(id(slot), reason))
    }

    mutating func connect(_ actions: inout [PoolAction]) {
        let slot: Int
        if freeHead >= 0 {
            slot = Int(freeHead)
            freeHead = backends[slot].next
        } else {
            slot = backends.count
            backends.append(PooledBackend())
        }
        backends[slot].state = .connecting
        counters.connecting &+= 1
        counters.connects &+= 1
        actions.append(.connect(id(slot)))
    }

    /// Frees the table's entry and returns the budget's slot.
    private mutating func vacate(_ slot: Int, now: PoolInstant, actions: inout [PoolAction]) {
        let wasPromised = backends[slot].isPromised
        let generation = backends[slot].generation &+ 1
        backends[slot] = PooledBackend()
        backends[slot].generation = generation
        backends[slot].next = freeHead
        freeHead = Int32(truncatingIfNeeded: slot)
        returnSlot(promised: wasPromised, now: now, actions: &actions)
        if phase == .draining, counters.live == 0 {
            phase = .drained
            actions.append(.drained)
        }
    }

    mutating func returnSlot(promised: Bool, now: PoolInstant, actions: inout [PoolAction]) {
        guard let next = budget.giveBack(by: loop, promised: promised) else { return }
        if next == loop {
            slotGranted(now: now, actions: &actions)
        } else {
            actions.append(.passSlot(to: next))
        }
    }

    private mutating func suspectOthers(now: PoolInstant) {
        suspectUntil = now + PoolNanoseconds(1)
    }

    func lifetime(jitter: UInt64) -> PoolNanoseconds {
        PoolNanoseconds(times.lifetime.count - times.lifetime.count / 10240 * jitter)
    }
}
