internal import NIOCore
internal import PoolCore
internal import ShardModel

/// The holds of one database on one event loop: drained, reported to the control plane, and waited for.
final class DatabaseHolds {
    /// Of the catalog that the loop serves; nearly always none.
    private(set) var drains: [HoldDrain] = []
    private var waiting: [HeldStatement] = []
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
            if let database { self.look(in: database) }
        }
    }

    // MARK: Statements that wait

    func wait(_ statement: HeldStatement, in database: DatabaseState) {
        waiting.append(statement)
        look(in: database)
    }

    private func release() {
        for statement in exchange(&waiting, with: []) {
            loop.metrics.holds.add(waited: loop.now.elapsed(since: statement.since))
            statement.session.goOn(statement)
        }
    }

    /// A hold lasts for a fraction of a second, unless its manager has died and no other one has taken over yet.
    private func expire() {
        guard let first = waiting.first, loop.now.elapsed(since: first.since) > RouterLimits.heldTime else { return }
        let now = loop.now
        let old = exchange(&waiting, with: [])
        waiting = old.filter { now.elapsed(since: $0.since) <= RouterLimits.heldTime }
        for statement in old where now.elapsed(since: statement.since) > RouterLimits.heldTime {
            loop.metrics.holds.add(waited: now.elapsed(since: statement.since))
            statement.session.giveUp(statement)
        }
    }

    /// The statement's client has cancelled it, or gone.
    func forget(_ statement: HeldStatement) { waiting.removeAll { $0 === statement } }

    func retire() {
        watcher?.cancel()
        watcher = nil
        drains = []
        waiting = []
    }
}
