internal import PGChannel
internal import PoolCore
internal import ServerConfig

extension ConnectFailure {
    init(_ error: BackendConnectError) {
        switch error {
        case .unreachable: self.init(.unreachable)
        case .timedOut: self.init(.timedOut)
        case .closed, .protocolViolation: self.init(.lost)
        case .refused(let server): self.init(error.isTransient ? .busy : .rejected, sqlState: server.sqlState.code)
        case .authentication, .tls, .endpoint, .addressRefused: self.init(.rejected)
        }
    }
}

extension PoolLimits {
    init(_ settings: RouterSettings) {
        self.init()
        sizeMax = settings.poolSizeMax
        shareWait = settings.poolShareWait
        sizeMin = settings.poolSizeMin
        idleTimeout = settings.poolIdleTimeout
        lifetimeMax = settings.poolLifetimeMax
        waitersMax = settings.poolWaitersMax
        waitTimeout = settings.poolWaitTimeout
        healthCheckAfterIdle = settings.poolHealthCheckAfter
        connectTimeout = settings.poolConnectTimeout
    }
}

/// The budgets of all shards, one a shard, shared by the loops.
final class SlotBudgets: Sendable {
    private let budgets = Mutex<[ShardID: SlotBudget]>([:])

    func budget(of shard: ShardID, slotsMax: Int, loops: Int) -> SlotBudget {
        budgets.withLock { budgets in
            if let known = budgets[shard] { return known }
            let new = SlotBudget(slotsMax: slotsMax, loops: loops)
            budgets[shard] = new
            return new
        }
    }

    /// The pools that have to be told `slotGranted`, once for each mention, after all pools were reconfigured.
    func resize(to slotsMax: Int) -> [(ShardID, LoopIndex)] {
        budgets.withLock { budgets in
            budgets.flatMap { shard, budget in budget.resize(to: slotsMax).map { (shard, $0) } }
        }
    }
}
