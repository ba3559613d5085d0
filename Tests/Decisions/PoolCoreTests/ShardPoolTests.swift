import PoolCore
import Testing

@Suite struct ShardPoolTests {
    private static func limits(_ change: (inout PoolLimits) -> Void = { _ in }) -> PoolLimits {
        var limits = PoolLimits()
        limits.sizeMax = 2
        change(&limits)
        return limits
    }

    @Test func theLimitHoldsOverAllLoops() {
        let simulation = PoolSimulation(loops: 2, limits: Self.limits())
        for loop in [0, 0, 1, 1] { simulation.apply(.acquire, on: loop) }
        #expect(simulation.open(on: 0) + simulation.open(on: 1) == 2)
        simulation.settle()
        #expect(simulation.grants == 4)
        #expect(simulation.complaints == [])
    }

    @Test func theMinimumIsOpenedAndKept() {
        let simulation = PoolSimulation(loops: 2, limits: Self.limits { $0.sizeMax = 4; $0.sizeMin = 3 })
        simulation.tickAll()
        #expect(simulation.open(on: 0) == 2)
        #expect(simulation.open(on: 1) == 1)
        simulation.settle()
        simulation.advance(.seconds(900))
        simulation.tickAll()
        #expect(simulation.statistics(of: 0).idle == 2)
        #expect(simulation.complaints == [])
    }

    @Test func anIdleBackendBeyondTheMinimumIsClosedInTime() {
        let simulation = PoolSimulation(loops: 1, limits: Self.limits())
        simulation.apply(.acquire, on: 0)
        simulation.settle()
        simulation.advance(.seconds(599))
        simulation.tickAll()
        #expect(simulation.statistics(of: 0).idle == 1)
        simulation.advance(.seconds(1))
        simulation.tickAll()
        #expect(simulation.statistics(of: 0).closing == 1)
    }

    @Test func anAgedBackendIsNotUsedAgain() {
        let simulation = PoolSimulation(loops: 1, limits: Self.limits())
        simulation.apply(.acquire, on: 0)
        simulation.apply(.connect, on: 0)
        simulation.advance(.seconds(3600))
        simulation.apply(.release, on: 0)
        #expect(simulation.statistics(of: 0).closing == 1)
        #expect(simulation.statistics(of: 0).idle == 0)
    }

    @Test func theQueueIsBoundedAndWaitsEnd() {
        let simulation = PoolSimulation(loops: 1, limits: Self.limits { $0.waitersMax = 2 })
        for _ in 0..<3 { simulation.apply(.acquire, on: 0) }
        #expect(simulation.refusals == [.queueFull])
        simulation.apply(.connect, on: 0)
        simulation.advance(.seconds(10))
        simulation.tickAll()
        #expect(simulation.refusals == [.queueFull, .timedOut])
        #expect(simulation.complaints == [])
    }

    @Test func aBackendThatIdledLongIsAskedFirst() {
        let budget = SlotBudget(slotsMax: 1, loops: 1)
        var pool = ShardPool(loop: LoopIndex(0), limits: Self.limits(), budget: budget, seed: 1)
        var actions: [PoolAction] = []
        func at(_ seconds: UInt64) -> PoolInstant { PoolInstant(nanoseconds: 1_000_000_000 * (1000 + seconds)) }
        #expect(pool.acquire(WaiterID(1), now: at(0), actions: &actions) == .queued)
        let backend = BackendID(slot: 0, generation: 0)
        #expect(actions == [.connect(backend)])
        pool.connected(backend, now: at(0), actions: &actions)
        pool.released(backend, reusable: true, now: at(0), actions: &actions)
        #expect(pool.acquire(WaiterID(2), now: at(30), actions: &actions) == .granted(backend, needsHealthCheck: false))
        pool.released(backend, reusable: true, now: at(30), actions: &actions)
        #expect(pool.acquire(WaiterID(3), now: at(61), actions: &actions) == .granted(backend, needsHealthCheck: true))
        actions = []
        pool.healthCheckFailed(backend, waiter: WaiterID(3), now: at(61), actions: &actions)
        #expect(actions.first == .close(backend, .failedHealthCheck))
        pool.closed(backend, now: at(61), actions: &actions)
        let next = BackendID(slot: 0, generation: 1)
        #expect(actions.last == .connect(next))
        pool.connected(next, now: at(61), actions: &actions)
        #expect(actions.last == .grant(WaiterID(3), next, needsHealthCheck: false))
    }

    @Test func failuresSlowTheAttemptsDownUpToALimit() {
        let budget = SlotBudget(slotsMax: 5, loops: 1)
        var pool = ShardPool(
            loop: LoopIndex(0), limits: Self.limits { $0.waitTimeout = .seconds(1000); $0.failFastAfter = 100 }, budget: budget, seed: 1)
        var (now, actions) = (PoolInstant(nanoseconds: 1_000_000_000_000), [PoolAction]())
        _ = pool.acquire(WaiterID(1), now: now, actions: &actions)
        var pauses: [UInt64] = []
        for _ in 0..<12 {
            guard case .connect(let backend) = actions.last else { break }
            actions = []
            pool.connectFailed(backend, ConnectFailure(.unreachable), now: now, actions: &actions)
            guard let deadline = pool.nextDeadline else { break }
            pauses.append(deadline.elapsed(since: now).count / 1_000_000)
            now = deadline
            pool.tick(now: now, actions: &actions)
        }
        #expect(pauses.count == 12)
        for (index, pause) in pauses.enumerated() {
            let full = min(UInt64(100) << UInt64(index), 5000)
            #expect(pause >= full / 2 && pause <= full, "attempt \(index) waits \(pause) ms")
        }
    }

    @Test func aShardThatIsGoneRefusesAtOnceUntilTheNextAttempt() {
        let simulation = PoolSimulation(loops: 1, limits: Self.limits())
        for _ in 0..<3 {
            simulation.advance(.seconds(1))
            simulation.tickAll()
            if simulation.waitingCount == 0 { simulation.apply(.acquire, on: 0) }
            simulation.apply(.failConnect, on: 0)
        }
        #expect(simulation.refusals == [.unavailable(ConnectFailure(.unreachable))])
        let before = simulation.refusals.count
        simulation.apply(.acquire, on: 0)
        #expect(simulation.refusals.count == before + 1)
        #expect(simulation.refusals.last == .unavailable(ConnectFailure(.unreachable)))
        simulation.advance(.seconds(5))
        simulation.apply(.acquire, on: 0)
        simulation.apply(.connect, on: 0)
        #expect(simulation.grants == 1)
        #expect(simulation.complaints == [])
    }

    /// A server that hangs: one request learns it, the others need not.
    @Test func aShardThatSaysNothingIsWaitedForOnceAndRefusesAtOnceThen() {
        final class Holder {
            var pool: ShardPool
            init(_ pool: consuming ShardPool) { self.pool = pool }
        }
        let holder = Holder(ShardPool(loop: LoopIndex(0), limits: Self.limits(), budget: SlotBudget(slotsMax: 2, loops: 1), seed: 1))
        var (now, actions, number) = (PoolInstant(nanoseconds: 1_000_000_000_000), [PoolAction](), UInt64(0))
        func pass(_ time: Duration) { now = now + PoolNanoseconds(time) }
        func acquire() -> AcquireResult {
            number += 1
            return holder.pool.acquire(WaiterID(number), now: now, actions: &actions)
        }
        /// The attempt that is under way.
        func attempt() -> BackendID? {
            defer { actions = [] }
            for case .connect(let backend) in actions { return backend }
            return nil
        }
        let silence = ConnectFailure(.timedOut)
        #expect(acquire() == .queued && acquire() == .queued)
        let both = actions.compactMap { action -> BackendID? in if case .connect(let backend) = action { backend } else { nil } }
        #expect(both.count == 2)
        actions = []
        pass(.seconds(5))
        // The other one may still be answered.
        holder.pool.connectFailed(both[0], silence, now: now, actions: &actions)
        #expect(actions == [])
        holder.pool.connectFailed(both[1], silence, now: now, actions: &actions)
        #expect(actions == [.refuse(WaiterID(1), .unavailable(silence)), .refuse(WaiterID(2), .unavailable(silence))])
        actions = []
        // From then on at once, with one attempt after the other beside those that are refused.
        for _ in 0..<5 {
            pass(.seconds(5))
            for _ in 0..<3 { #expect(acquire() == .refused(.unavailable(silence))) }
            let backend = attempt()
            #expect(backend != nil && holder.pool.statistics.connecting == 1)
            pass(.seconds(5))
            #expect(acquire() == .refused(.unavailable(silence)))
            if let backend { holder.pool.connectFailed(backend, silence, now: now, actions: &actions) }
            #expect(actions == [])
        }
        // When it is back, whoever comes next is served.
        pass(.seconds(5))
        #expect(acquire() == .refused(.unavailable(silence)))
        if let backend = attempt() { holder.pool.connected(backend, now: now, actions: &actions) }
        guard case .granted = acquire() else { return #expect(Bool(false), "it is back, and nobody is served") }
    }

    /// What was found out long ago keeps nobody from a server that may be well by now.
    @Test func afterAQuietTimeASilentShardIsWaitedForAgain() {
        let simulation = PoolSimulation(loops: 1, limits: Self.limits())
        simulation.apply(.acquire, on: 0)
        simulation.apply(.silentConnect, on: 0)
        #expect(simulation.refusals == [.unavailable(ConnectFailure(.timedOut))])
        simulation.advance(.seconds(11))
        simulation.apply(.acquire, on: 0)
        simulation.apply(.connect, on: 0)
        #expect(simulation.grants == 1 && simulation.refusals.count == 1 && simulation.complaints == [])
    }

    @Test func aLoopInNeedIsGivenAnothersIdleBackendAtOnce() {
        let simulation = PoolSimulation(loops: 2, limits: Self.limits { $0.sizeMax = 1 })
        simulation.apply(.acquire, on: 0)
        simulation.apply(.connect, on: 0)
        simulation.apply(.release, on: 0)
        simulation.apply(.acquire, on: 1)
        while simulation.apply(.deliver, on: 0) {}
        #expect(simulation.statistics(of: 0).closing == 1)
        simulation.apply(.confirmClose, on: 0)
        while simulation.apply(.deliver, on: 0) {}
        simulation.apply(.connect, on: 1)
        #expect(simulation.grants == 2)
        #expect(simulation.complaints == [])
    }

    @Test func aBusyLoopGivesAShareToOneThatHasNothing() {
        let simulation = PoolSimulation(loops: 2, limits: Self.limits { $0.waitTimeout = .seconds(1000) })
        for _ in 0..<2 { simulation.apply(.acquire, on: 0) }
        for _ in 0..<2 { simulation.apply(.connect, on: 0) }
        simulation.apply(.acquire, on: 1)
        while simulation.apply(.deliver, on: 0) {}
        // Loop 0 is never without requests.
        for _ in 0..<4 { simulation.apply(.acquire, on: 0) }
        for _ in 0..<20 where simulation.open(on: 1) == 0 {
            simulation.advance(.milliseconds(60))
            simulation.apply(.release, on: 0)
            simulation.apply(.acquire, on: 0)
            simulation.apply(.confirmClose, on: 0)
            while simulation.apply(.deliver, on: 0) {}
        }
        #expect(simulation.open(on: 0) == 1)
        #expect(simulation.open(on: 1) == 1)
        #expect(simulation.complaints == [])
    }

    @Test func anEventThatMakesNoSenseIsCountedAndIgnored() {
        let budget = SlotBudget(slotsMax: 1, loops: 1)
        var pool = ShardPool(loop: LoopIndex(0), limits: Self.limits(), budget: budget, seed: 1)
        let now = PoolInstant(nanoseconds: 1)
        var actions: [PoolAction] = []
        var count: UInt64 = 0
        for backend in [BackendID(slot: 0, generation: 0), BackendID(slot: -1, generation: 0), BackendID(slot: 7, generation: 3)] {
            pool.connected(backend, now: now, actions: &actions)
            pool.connectFailed(backend, ConnectFailure(.lost), now: now, actions: &actions)
            pool.closed(backend, now: now, actions: &actions)
            pool.released(backend, reusable: true, now: now, actions: &actions)
            pool.healthCheckFailed(backend, waiter: nil, now: now, actions: &actions)
            count += 5
        }
        #expect(actions == [])
        #expect(pool.statistics.ignoredEvents == count)
        #expect(!pool.waiterCancelled(WaiterID(1), now: now, actions: &actions))
    }

    @Test func aRetiredBackendFinishesItsRequestAndIsReplaced() {
        let simulation = PoolSimulation(loops: 1, limits: Self.limits())
        simulation.apply(.acquire, on: 0)
        simulation.apply(.connect, on: 0)
        simulation.apply(.retire, on: 0)
        #expect(simulation.statistics(of: 0).busy == 1)
        simulation.apply(.release, on: 0)
        #expect(simulation.statistics(of: 0).closing == 1)
        #expect(simulation.complaints == [])
    }

    @Test func aPausedPoolLetsRequestsFinishAndOthersWaitUntilItIsResumed() {
        let simulation = PoolSimulation(loops: 1, limits: Self.limits { $0.sizeMax = 2 })
        for event in [PoolSimulation.Event.acquire, .connect, .acquire, .connect, .release, .pause, .confirmClose] { simulation.apply(event, on: 0) }
        #expect(simulation.statistics(of: 0).busy == 1 && simulation.statistics(of: 0).live == 1)
        simulation.apply(.acquire, on: 0)
        simulation.apply(.release, on: 0)
        simulation.apply(.confirmClose, on: 0)
        #expect(simulation.open(on: 0) == 0 && simulation.statistics(of: 0).waiting == 1 && simulation.grants == 2)
        simulation.apply(.resume, on: 0)
        simulation.apply(.connect, on: 0)
        #expect(simulation.grants == 3 && simulation.complaints == [])
    }

    @Test func whoWaitsForAPausedPoolWaitsNoLongerThanElse() {
        let simulation = PoolSimulation(loops: 1, limits: Self.limits { $0.waitTimeout = .seconds(5) })
        simulation.apply(.pause, on: 0)
        simulation.apply(.acquire, on: 0)
        simulation.apply(.waitLong, on: 0)
        #expect(simulation.refusals == [.timedOut] && simulation.complaints == [])
    }

    @Test func aDrainedPoolRefusesAndEnds() {
        let simulation = PoolSimulation(loops: 1, limits: Self.limits { $0.sizeMax = 1 })
        simulation.apply(.acquire, on: 0)
        simulation.apply(.connect, on: 0)
        simulation.apply(.acquire, on: 0)
        simulation.apply(.drain, on: 0)
        simulation.apply(.acquire, on: 0)
        #expect(simulation.refusals == [.draining, .draining])
        simulation.settle()
        #expect(simulation.open(on: 0) == 0)
        #expect(simulation.complaints == [])
    }

    @Test func aSmallerLimitClosesWhatIsTooMuch() {
        let budget = SlotBudget(slotsMax: 2, loops: 1)
        var pool = ShardPool(loop: LoopIndex(0), limits: Self.limits(), budget: budget, seed: 1)
        let now = PoolInstant(nanoseconds: 1_000_000_000)
        var actions: [PoolAction] = []
        for number in 0..<2 { _ = pool.acquire(WaiterID(UInt64(number)), now: now, actions: &actions) }
        let backends = (0..<2).map { BackendID(slot: Int32($0), generation: 0) }
        for backend in backends { pool.connected(backend, now: now, actions: &actions) }
        for backend in backends { pool.released(backend, reusable: true, now: now, actions: &actions) }
        actions = []
        #expect(budget.resize(to: 1) == [])
        pool.reconfigure(Self.limits { $0.sizeMax = 1 }, now: now, actions: &actions)
        #expect(actions == [.close(backends[0], .yielded)])
        pool.closed(backends[0], now: now, actions: &actions)
        #expect(budget.snapshot.taken == 1)
        #expect(budget.snapshot.pressure == 0)
    }
}
