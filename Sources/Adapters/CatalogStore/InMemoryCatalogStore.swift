internal import Foundation
package import ShardModel
internal import Synchronization

/// A catalog that lives as long as the process: for tests, and the model that the other stores are compared with.
package final class InMemoryCatalogStore: CatalogStore {
    private let state: Mutex<State>
    private let broadcaster: WatchBroadcaster
    private let clock: any LeaseClock

    private struct State {
        var snapshot: CatalogSnapshot
        var history: [CatalogHistoryEntry] = []
        var leases: [String: LeaseState] = [:]
        var answers: [String: (answer: KeptAnswer, epoch: Epoch)] = [:]
        var members: [String: (record: MemberRecord, end: LeaseInstant)] = [:]
    }

    /// Precondition: `snapshot` keeps the invariants (`checkInvariants()`).
    package init(_ snapshot: CatalogSnapshot = CatalogSnapshot(clusterID: UUID().uuidString.lowercased()), clock: any LeaseClock = SystemLeaseClock()) {
        state = Mutex(State(snapshot: snapshot))
        broadcaster = WatchBroadcaster(newest: snapshot)
        self.clock = clock
    }

    deinit { broadcaster.finish() }

    package func load() async throws(CatalogError) -> CatalogSnapshot { state.withLock(\.snapshot) }

    package func commit(
        _ change: CatalogChange, expecting epoch: Epoch, fence: Lease?, keeping answer: KeptAnswer?
    ) async throws(CatalogError) -> CatalogSnapshot {
        let time = Date().timeIntervalSince1970
        let next = try state.withLock { (state) throws(CatalogError) in
            if let fence, state.leases[fence.name]?.isStill(fence) != true { throw .fenced(fence) }
            let next = try state.snapshot.applying(change, expecting: epoch)
            state.history.append(CatalogHistoryEntry(epoch: next.epoch, time: time, change: change, over: state.snapshot, fence: fence))
            state.snapshot = next
            if let answer {
                state.answers = state.answers.filter { $0.value.epoch.number + UInt64(KeptAnswer.keptMax) > next.epoch.number }
                state.answers[answer.key] = (answer, next.epoch)
            }
            if state.history.count >= 2 * CatalogHistoryEntry.keptMin { state.history.removeFirst(CatalogHistoryEntry.keptMin) }
            return next
        }
        broadcaster.publish(next)
        return next
    }

    package func replace(
        with snapshot: CatalogSnapshot, history: [CatalogHistoryEntry], author: String, expecting epoch: Epoch
    ) async throws(CatalogError) {
        let time = Date().timeIntervalSince1970
        try state.withLock { (state) throws(CatalogError) in
            try snapshot.checkReplacement(of: state.snapshot, expecting: epoch)
            state.snapshot = snapshot
            state.answers = [:]
            state.history = CatalogHistoryEntry.kept(history, below: snapshot.epoch).reversed()
            state.history.append(CatalogHistoryEntry(epoch: snapshot.epoch, time: time, change: CatalogChange([], author: author), over: nil))
        }
        broadcaster.publish(snapshot)
    }

    package func keptAnswer(_ key: String) async throws(CatalogError) -> KeptAnswer? {
        state.withLock { state in
            guard let kept = state.answers[key], kept.epoch.number + UInt64(KeptAnswer.keptMax) > state.snapshot.epoch.number else { return nil }
            return kept.answer
        }
    }

    package func watch(after epoch: Epoch) -> AsyncStream<CatalogSnapshot> { broadcaster.watch(after: epoch) }

    package func history(limit: Int) async throws(CatalogError) -> [CatalogHistoryEntry] {
        state.withLock { Array($0.history.suffix(max(0, limit)).reversed()) }
    }

    package func acquireLease(_ name: String, holder: String, ttl: Duration) async throws(CatalogError) -> Lease? {
        let now = clock.now
        return state.withLock { state in
            var lease = state.leases[name] ?? LeaseState(holder: nil, fencingToken: 0, end: now)
            guard lease.acquire(holder: holder, ttl: ttl, now: now) else { return nil }
            state.leases[name] = lease
            return Lease(name: name, holder: holder, fencingToken: lease.fencingToken)
        }
    }

    package func lease(_ name: String) async throws(CatalogError) -> Lease? {
        let now = clock.now
        return state.withLock { $0.leases[name]?.current(name, now: now) }
    }

    package func releaseLease(_ lease: Lease) async throws(CatalogError) {
        state.withLock { state in _ = state.leases[lease.name]?.release(lease) }
    }

    package func announce(_ member: MemberRecord, ttl: Duration) async throws(CatalogError) {
        let now = clock.now
        state.withLock { state in
            state.members = state.members.filter { !$0.value.end.hasPassed(at: now) }
            state.members[member.id] = (member, now.adding(ttl))
        }
    }

    package func withdraw(memberID: String) async throws(CatalogError) {
        state.withLock { state in state.members[memberID] = nil }
    }

    package func members() async throws(CatalogError) -> [MemberRecord] {
        let now = clock.now
        return state.withLock { state in
            state.members.values.filter { !$0.end.hasPassed(at: now) }.map(\.record).sorted { $0.id < $1.id }
        }
    }
}
