internal import NIOCore
internal import PoolCore
internal import ShardModel

/// The holds of one database on one event loop: drained, reported to the control plane, and waited for.
final class DatabaseHolds {
    /// Of the catalog that the loop serves; nearly always none.
    private(set) var drains: [HoldDrain] = []
    private var waiting: [HeldStatement] = []
    /// Of those.
    private var waitingBytes = 0
    private var watcher: Scheduled<Void>?
    private let loop: RouterLoop

    init(loop: RouterLoop) { self.loop = loop }

    /// Short against the pause that clients may notice, long against what a look costs.
    private static var lookInterval: TimeAmount { .milliseconds(1) }

    /// The catalog has these holds now. Statements that waited for others are planned anew.
    func install(_ records: [HoldRecord], in database: DatabaseState) {
        if records.isEmpty, drains.isEmpty { return }
        let old = drains
        drains = records.map { record in
            if let known = old.first(where: { $0.record.job == record.job && $0.record.attempt == record.attempt }) { return known }
            let owners = database.pools.filter { record.owners.contains($0.shardID) }
            // In this order: a connection that is opened now is none that the drain has seen.
            for pool in owners { pool.barConnects() }
            return HoldDrain(record, sessions: loop.sessions.values.lazy.filter { $0.database === database }, owners: owners, now: loop.now)
        }
        let held = Set(records.flatMap(\.owners))
        for pool in database.pools where !held.contains(pool.shardID) { pool.admitConnects() }
        let released = old.contains { gone in !drains.contains { $0 === gone } }
        look(in: database)
        if released { release() }
    }

    /// Nothing that was planned while `owner` had the range is on its way to it.
    func hasDrained(_ range: TokenRange, of owner: ShardID) -> Bool {
        drains.contains { drain in
            drain.isOver && drain.record.owners.contains(owner) && [range.start, range.end].allSatisfy { drain.record.contains(Token($0)) }
        }
    }

    private func look(in database: DatabaseState) {
        for drain in drains where !drain.isOver && drain.look(at: loop.now) {
            let sessions = database.pools.filter { drain.record.owners.contains($0.shardID) }.map { ($0.shardID, $0.processIDs) }
            loop.shared.requests.drained(
                HoldAcknowledgement(
                    job: drain.record.job, attempt: drain.record.attempt, sessions: Dictionary(sessions, uniquingKeysWith: +)), loop: loop.number)
        }
        expire()
        guard watcher == nil, !loop.isClosed, !waiting.isEmpty || drains.contains(where: { !$0.isOver }) else { return }
        watcher = loop.eventLoop.assumeIsolated().scheduleTask(in: Self.lookInterval) { [weak database] in
            self.watcher = nil
            guard let database else { return }
            self.look(in: database)
            self.measure(backlogs: self.waiting.reduce(0) { $0 + $1.session.backlogBytes })
        }
    }

    // MARK: Statements that wait

    /// False: so much waits already that the statement is to fail.
    func hasRoom(for bytes: Int) -> Bool {
        waiting.count < loop.limits.heldStatementsMax * RouterLimits.heldExcess
            && waitingBytes + bytes <= loop.limits.heldStatementBytesMax * RouterLimits.heldExcess
    }

    /// Precondition: there is room for it.
    func wait(_ statement: HeldStatement, in database: DatabaseState) {
        waiting.append(statement)
        waitingBytes += statement.bytes
        measure()
        look(in: database)
    }

    /// More waits than is to: rather than the clients, the attempt is given up.
    private func measure(backlogs: Int = 0) {
        guard waiting.count > loop.limits.heldStatementsMax || waitingBytes + backlogs > loop.limits.heldStatementBytesMax else { return }
        for drain in drains where drain.becomesOverfull() {
            loop.shared.requests.overfull(HoldAttempt(job: drain.record.job, attempt: drain.record.attempt))
        }
    }

    private func takeWaiting() -> [HeldStatement] {
        waitingBytes = 0
        return exchange(&waiting, with: [])
    }

    private func release() {
        for statement in takeWaiting() {
            loop.metrics.holds.add(waited: loop.now.elapsed(since: statement.since))
            statement.session.goOn(statement)
        }
    }

    /// A hold lasts for a fraction of a second, unless its manager has died and no other one has taken over yet.
    private func expire() {
        guard let first = waiting.first, loop.now.elapsed(since: first.since) > loop.limits.heldTime else { return }
        let now = loop.now
        let old = takeWaiting()
        waiting = old.filter { now.elapsed(since: $0.since) <= loop.limits.heldTime }
        waitingBytes = waiting.reduce(0) { $0 + $1.bytes }
        for statement in old where now.elapsed(since: statement.since) > loop.limits.heldTime {
            loop.metrics.holds.add(waited: now.elapsed(since: statement.since))
            statement.session.giveUp(statement)
        }
    }

    /// The statement's client has cancelled it, or gone.
    func forget(_ statement: HeldStatement) {
        guard let place = waiting.firstIndex(where: { $0 === statement }) else { return }
        waitingBytes -= waiting.remove(at: place).bytes
    }

    func retire() {
        watcher?.cancel()
        watcher = nil
        drains = []
        _ = takeWaiting()
    }
}
