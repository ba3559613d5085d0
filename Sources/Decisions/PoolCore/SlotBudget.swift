import Synchronization

/// The backends that all loops of the router together may have to one shard.
///
/// One instance a shard, shared by that shard's pools. The lock is taken when a backend is opened or closed, or when requests
/// have to wait; handing out an idle backend reads at most `isWanted`, one relaxed load.
package final class SlotBudget: Sendable {
    private let ledger: Mutex<SlotLedger>
    private let wanted = Atomic<Bool>(false)
    package let loops: Int

    package init(slotsMax: Int, loops: Int) {
        ledger = Mutex(SlotLedger(slotsMax: slotsMax, loops: loops))
        self.loops = max(1, loops)
    }

    /// Whether some backend should be given up. May be a moment old: a loop that lines up also sends `askOtherLoops`, so the
    /// pool that read the old value hears of it.
    package var isWanted: Bool { wanted.load(ordering: .relaxed) }

    /// A copy of the state, for metrics and tests.
    package var snapshot: SlotLedger { ledger.withLock { $0 } }

    /// Changes the limit for all loops: call it once, then `reconfigure` on each pool. Returns the loops whose pools
    /// have to be told `slotGranted`, once for each mention.
    package func resize(to slotsMax: Int) -> [LoopIndex] {
        change { $0.resize(to: slotsMax) }
    }

    enum Taken { case taken, linedUp, inLine, refused }

    func take(for loop: LoopIndex, lineUp: Bool, now: PoolInstant) -> Taken {
        change { ledger in
            let stood = ledger.isInLine(loop)
            if ledger.take(for: loop, lineUp: lineUp, now: now) { return .taken }
            return !lineUp ? .refused : stood ? .inLine : .linedUp
        }
    }

    func isInLine(_ loop: LoopIndex) -> Bool { ledger.withLock { $0.isInLine(loop) } }

    func withdraw(_ loop: LoopIndex) { change { $0.withdraw(loop) } }

    func giveBack(by loop: LoopIndex, promised: Bool) -> LoopIndex? {
        change { $0.giveBack(by: loop, promised: promised) }
    }

    func promise(by loop: LoopIndex, hasWaiters: Bool, waitingSince: PoolInstant) -> Bool {
        change { $0.promise(by: loop, hasWaiters: hasWaiters, waitingSince: waitingSince) }
    }

    private func change<Result: Sendable>(_ body: (inout SlotLedger) -> Result) -> Result {
        ledger.withLock { ledger in
            let result = body(&ledger)
            wanted.store(ledger.pressure > 0, ordering: .relaxed)
            return result
        }
    }
}
