import PoolCore

/// The pools of one shard on several loops, the shells around them, and a server; every promise of the pool is checked after each event.
final class PoolSimulation {
    enum Event: Hashable, CaseIterable {
        case acquire, release, releaseBroken, connect, failConnect, loseBackend, confirmClose, cancel, deliver, wait, waitLong
        case retire, failHealthCheck, drain, pause, resume, silentConnect
    }

    private final class Loop {
        var pool: ShardPool
        var connecting: [BackendID] = []
        var closing: [BackendID] = []
        var idle: [BackendID] = []
        var busy: [(backend: BackendID, waiter: WaiterID)] = []
        var waiting: [WaiterID] = []
        var isDraining = false
        var isDrained = false
        init(_ pool: consuming ShardPool) { self.pool = pool }
        var open: Int { connecting.count + closing.count + idle.count + busy.count }
    }

    private enum Message { case wanted(to: Int), granted(to: Int) }

    let limits: PoolLimits
    let budget: SlotBudget
    private var loops: [Loop] = []
    private var messages: [Message] = []
    private var waiters: UInt64 = 0
    private(set) var now = PoolInstant(nanoseconds: 1_000_000_000_000)
    private(set) var grants = 0
    private(set) var refusals: [PoolRefusal] = []
    private(set) var complaints: [String] = []

    init(loops count: Int, limits: PoolLimits, seed: UInt64 = 1) {
        self.limits = limits
        budget = SlotBudget(slotsMax: limits.sizeMax, loops: count)
        for index in 0..<count {
            loops.append(Loop(ShardPool(loop: LoopIndex(index), limits: limits, budget: budget, seed: seed &+ UInt64(index))))
        }
    }

    func open(on loop: Int) -> Int { loops[loop].open }
    func statistics(of loop: Int) -> PoolStatistics { loops[loop].pool.statistics }
    var waitingCount: Int { loops.reduce(0) { $0 + $1.waiting.count } }

    // MARK: Events

    /// False when the event cannot happen now.
    @discardableResult
    func apply(_ event: Event, on index: Int) -> Bool {
        let loop = loops[index]
        var actions: [PoolAction] = []
        switch event {
        case .acquire:
            waiters += 1
            let waiter = WaiterID(waiters)
            loop.waiting.append(waiter)
            switch loop.pool.acquire(waiter, now: now, actions: &actions) {
            case .granted(let backend, _): grant(waiter, backend, loop)
            case .refused(let refusal): refuse(waiter, refusal, loop)
            case .queued: break
            }
        case .release, .releaseBroken:
            guard !loop.busy.isEmpty else { return false }
            let backend = loop.busy.removeFirst().backend
            // Before the actions say otherwise it idles.
            loop.idle.append(backend)
            loop.pool.released(backend, reusable: event == .release, now: now, actions: &actions)
        case .connect:
            guard !loop.connecting.isEmpty else { return false }
            let backend = loop.connecting.removeFirst()
            loop.idle.append(backend)
            loop.pool.connected(backend, now: now, actions: &actions)
        case .failConnect:
            guard !loop.connecting.isEmpty else { return false }
            loop.pool.connectFailed(loop.connecting.removeFirst(), ConnectFailure(.unreachable), now: now, actions: &actions)
        case .silentConnect:
            guard !loop.connecting.isEmpty else { return false }
            loop.pool.connectFailed(loop.connecting.removeFirst(), ConnectFailure(.timedOut), now: now, actions: &actions)
        case .loseBackend:
            guard !loop.idle.isEmpty || !loop.busy.isEmpty else { return false }
            let backend = loop.busy.isEmpty ? loop.idle.removeFirst() : loop.busy.removeFirst().backend
            loop.pool.closed(backend, now: now, actions: &actions)
        case .confirmClose:
            guard !loop.closing.isEmpty else { return false }
            loop.pool.closed(loop.closing.removeFirst(), now: now, actions: &actions)
        case .cancel:
            guard let waiter = loop.waiting.first else { return false }
            loop.waiting.removeFirst()
            if !loop.pool.waiterCancelled(waiter, now: now, actions: &actions) { complain("\(waiter) is not known") }
        case .deliver:
            guard !messages.isEmpty else { return false }
            switch messages.removeFirst() {
            case .wanted(let target):
                loops[target].pool.slotWanted(now: now, actions: &actions)
                perform(actions, target)
            case .granted(let target):
                loops[target].pool.slotGranted(now: now, actions: &actions)
                perform(actions, target)
            }
            check()
            return true
        case .wait, .waitLong:
            advance(event == .wait ? .milliseconds(60) : .seconds(8))
            loop.pool.tick(now: now, actions: &actions)
        case .retire:
            loop.pool.retire(now: now, actions: &actions)
        case .failHealthCheck:
            guard !loop.busy.isEmpty else { return false }
            let (backend, waiter) = loop.busy.removeFirst()
            loop.waiting.append(waiter)
            loop.idle.append(backend)
            loop.pool.healthCheckFailed(backend, waiter: waiter, now: now, actions: &actions)
        case .pause:
            guard !loop.pool.isPaused else { return false }
            loop.pool.pause(now: now, actions: &actions)
        case .resume:
            guard loop.pool.isPaused else { return false }
            loop.pool.resume(now: now, actions: &actions)
        case .drain:
            guard !loop.isDraining else { return false }
            loop.isDraining = true
            loop.pool.drain(now: now, actions: &actions)
        }
        perform(actions, index)
        check()
        return true
    }

    func advance(_ time: Duration) { now = now + PoolNanoseconds(time) }

    func tickAll() {
        for index in loops.indices {
            var actions: [PoolAction] = []
            loops[index].pool.tick(now: now, actions: &actions)
            perform(actions, index)
        }
        check()
    }

    private func perform(_ actions: [PoolAction], _ index: Int) {
        let loop = loops[index]
        for action in actions {
            switch action {
            case .connect(let backend):
                if isKnown(backend, loop) { complain("\(backend) is opened twice") }
                loop.connecting.append(backend)
            case .close(let backend, _):
                guard remove(backend, &loop.idle) || remove(backend, &loop.connecting) else {
                    complain("\(backend) is closed in use, or twice")
                    continue
                }
                loop.closing.append(backend)
            case .grant(let waiter, let backend, _): grant(waiter, backend, loop)
            case .refuse(let waiter, let refusal): refuse(waiter, refusal, loop)
            case .askOtherLoops:
                for other in loops.indices where other != index { messages.append(.wanted(to: other)) }
            case .passSlot(let target): messages.append(.granted(to: target.value))
            case .drained:
                if loop.open > 0 || loop.isDrained { complain("drained too early, or twice") }
                loop.isDrained = true
            }
        }
    }

    private func grant(_ waiter: WaiterID, _ backend: BackendID, _ loop: Loop) {
        grants += 1
        if !answer(waiter, loop) { complain("\(waiter) is answered twice") }
        if !remove(backend, &loop.idle) { complain("\(backend) is given away but not idle") }
        loop.busy.append((backend, waiter))
    }

    private func refuse(_ waiter: WaiterID, _ refusal: PoolRefusal, _ loop: Loop) {
        refusals.append(refusal)
        if !answer(waiter, loop) { complain("\(waiter) is answered twice") }
    }

    private func answer(_ waiter: WaiterID, _ loop: Loop) -> Bool {
        guard let index = loop.waiting.firstIndex(of: waiter) else { return false }
        loop.waiting.remove(at: index)
        return true
    }

    private func remove(_ backend: BackendID, _ list: inout [BackendID]) -> Bool {
        guard let index = list.firstIndex(of: backend) else { return false }
        list.remove(at: index)
        return true
    }

    private func isKnown(_ backend: BackendID, _ loop: Loop) -> Bool {
        loop.connecting.contains(backend) || loop.closing.contains(backend) || loop.idle.contains(backend)
            || loop.busy.contains { $0.backend == backend }
    }

    // MARK: Promises

    private func complain(_ text: String) { complaints.append(text) }

    private func check() {
        var open = 0
        for loop in loops {
            let statistics = loop.pool.statistics
            open += loop.open
            if statistics.idle != loop.idle.count || statistics.busy != loop.busy.count || statistics.closing != loop.closing.count
                || statistics.connecting != loop.connecting.count || statistics.waiting != loop.waiting.count
            {
                complain("the pool counts otherwise: \(statistics)")
            }
            if statistics.ignoredEvents > 0 { complain("an event is ignored") }
            if !loop.idle.isEmpty, !loop.waiting.isEmpty { complain("a request waits while a backend idles") }
            if loop.pool.isPaused, !loop.idle.isEmpty || !loop.connecting.isEmpty { complain("a paused pool has something to hand out") }
            if loop.waiting.count > limits.waitersMax + 1 { complain("too many wait") }
            if loop.isDraining, !loop.waiting.isEmpty { complain("a request waits for a draining pool") }
            if let deadline = loop.pool.nextDeadline, deadline.nanoseconds == 0 { complain("a deadline at the beginning of time") }
        }
        if open > limits.sizeMax { complain("\(open) backends, the limit is \(limits.sizeMax)") }
        if budget.snapshot.taken > limits.sizeMax { complain("the budget is exceeded") }
        if budget.snapshot.taken < open { complain("\(open) backends hold \(budget.snapshot.taken) slots") }
    }

    /// Everything that is under way succeeds and every request is soon done: nobody may be left waiting, and no slot be lost.
    func settle() {
        var budgetOfSteps = 400
        for index in loops.indices { apply(.resume, on: index) }
        var isBusy = true
        while isBusy, budgetOfSteps > 0 {
            isBusy = false
            while apply(.deliver, on: 0) {}
            for index in loops.indices {
                for event in [Event.connect, .confirmClose, .release] where apply(event, on: index) { isBusy = true }
            }
            if !isBusy, waitingCount > 0 || !messages.isEmpty {
                advance(.milliseconds(60))
                tickAll()
                isBusy = true
            }
            budgetOfSteps -= 1
        }
        if waitingCount > 0 { complain("\(waitingCount) requests are left waiting") }
        let open = loops.reduce(0) { $0 + $1.open }
        if budget.snapshot.taken != open { complain("\(open) backends hold \(budget.snapshot.taken) slots in the end") }
        if !budget.snapshot.isLineEmpty { complain("a loop stands in line for nothing") }
        if budget.snapshot.pressure != 0 { complain("pressure without need") }
    }
}
