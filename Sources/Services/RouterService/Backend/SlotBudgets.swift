internal import PoolCore
internal import ShardModel
internal import Synchronization

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
