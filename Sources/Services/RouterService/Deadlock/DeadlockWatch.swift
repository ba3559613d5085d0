internal import CatalogStore
internal import CommitCore
internal import Logging
internal import NIOCore
internal import PGChannel
internal import PoolCore
internal import ShardModel

/// Looks for deadlocks between transactions of several shards, and ends one transaction of each (docs/decisions/0085-deadlocks-over-shards.md).
///
/// Every router runs it. It asks nobody while no statement of such a transaction takes long. What other routers' transactions wait for is learnt from
/// their announcements in the catalog; while that is down, deadlocks between two routers are left to `transaction.lock_timeout`.
struct DeadlockWatch: Sendable {
    /// A deadlock is ended behind the second look that shows it.
    private static let pause = Duration.milliseconds(200)
    /// A shard that does not answer must not hide for long what others wait for.
    private static let answerLimit = TimeAmount.seconds(2)
    private static let askedMax = 8
    /// What is announced, and looked at, of one router.
    static let transactionsMax = 64

    let control: ControlPlane
    let shared: RouterShared
    let logger: Logger

    /// Until the task is cancelled.
    func run() async {
        let clients = ShardClients(control: control)
        var detector = DeadlockDetector()
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.pause)
            let own = await spanning()
            let waits = await self.waits(of: own, clients)
            // Only those are anybody's business.
            let waiting = own.filter { transaction in waits.contains { transaction.processes[$0.shard] == $0.process } }
            let others = await exchange(waiting)
            guard !waiting.isEmpty else {
                detector = DeadlockDetector()
                continue
            }
            let all = others.isEmpty ? waits : await self.waits(of: own + others, clients)
            for victim in detector.look(own + others, all) where victim.id.router == shared.routerID && victim.id.start == shared.start { await end(victim, all) }
        }
        await clients.closeAll()
    }

    /// This router's own that have been at a statement for a while.
    private func spanning() async -> [SpanningTransaction] {
        var found: [SpanningTransaction] = []
        for loop in control.loops { found += await loop.ask { $0.spanningTransactions() } }
        return Array(found.prefix(Self.transactionsMax))
    }

    private func waits(of transactions: [SpanningTransaction], _ clients: ShardClients) async -> [LockWait] {
        let parts = transactions.flatMap { $0.processes.map { (shard: $0, process: $1) } }
        let processes = Dictionary(grouping: parts, by: \.shard).mapValues { $0.map(\.process) }
        guard !processes.isEmpty, let catalog = control.catalog else { return [] }
        let shards = processes.keys.compactMap { catalog.shards[$0] }
        return await withTaskGroup(of: [LockWait].self) { group in
            var found: [LockWait] = []
            for (index, shard) in shards.enumerated() {
                if index >= Self.askedMax, let waits = await group.next() { found += waits }
                group.addTask {
                    let query = DeadlockQueries.waits(of: processes[shard.id] ?? [])
                    guard let result = try? await clients.query(query, at: shard, within: Self.answerLimit) else { return [] }
                    return DeadlockQueries.waits(in: result, of: shard.id)
                }
            }
            for await waits in group { found += waits }
            return found
        }
    }

    /// Tells the other routers what waits here, and learns what waits there.
    private func exchange(_ waiting: [SpanningTransaction]) async -> [SpanningTransaction] {
        if waiting.isEmpty, control.waiting == nil { return [] }
        let routers = (try? await control.store.members())?.filter { $0.kind == "router" } ?? []
        // A lone router has nobody to tell.
        if control.noteWaiting(routers.count > 1 ? waiting : []) { control.announcementBell.ring() }
        return routers.flatMap { $0.waiting ?? [] }.filter { $0.id.router != shared.routerID || $0.id.start != shared.start }
    }

    private func end(_ victim: SpanningTransaction, _ waits: [LockWait]) async {
        let waiting = Set(waits.filter { victim.processes[$0.shard] == $0.process }.map(\.shard))
        for loop in control.loops {
            guard await loop.ask({ $0.endDeadlock(victim, waitingOn: waiting) }) else { continue }
            logger.notice("A deadlock over several shards was ended", metadata: ["shards": "\(victim.processes.keys.sorted().map(\.description).joined(separator: " "))"])
            return
        }
    }
}

extension RouterLoop {
    /// A statement that has not taken so long waits for nothing that matters.
    private static var waitMin: PoolNanoseconds { PoolNanoseconds(.milliseconds(200)) }

    func spanningTransactions() -> [SpanningTransaction] {
        let now = now
        var found: [SpanningTransaction] = []
        for (number, since) in spanning {
            guard let session = session(processID: number), session.participants.count > 1 else {
                spanning[number] = nil
                continue
            }
            if session.isAtWork(for: Self.waitMin, now: now), let transaction = session.spanningTransaction(since: since) { found.append(transaction) }
        }
        return found
    }

    /// False where it is not this loop's, or is over.
    func endDeadlock(_ victim: SpanningTransaction, waitingOn shards: Set<ShardID>) -> Bool {
        guard let session = session(processID: victim.id.session), let since = spanning[victim.id.session & 0x00FF_FFFF],
            session.spanningTransaction(since: since) == victim, session.endForDeadlock(waitingOn: shards)
        else { return false }
        metrics.deadlocks &+= 1
        return true
    }
}
