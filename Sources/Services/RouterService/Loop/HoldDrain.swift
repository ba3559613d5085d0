internal import PoolCore
internal import ShardModel

/// A hold of the catalog as one event loop carries it out: which of its sessions may still write for the held tokens, because they had begun to before the
/// loop knew of the hold.
///
/// What counts is what a session has under way on an owner: a transaction, or a statement that may write. Reads outside of transactions go on, and
/// so does everything that touches other shards only.
final class HoldDrain {
    private struct Entry {
        let session: ClientSession
        /// `ClientSession.workNumber` at the time: another one means that what was under way is over.
        let work: UInt32
    }

    let record: HoldRecord
    private let since: PoolInstant
    /// Every session has let go: nothing more will be written for the held tokens until the hold has gone. It never becomes false again.
    private(set) var isOver = false
    private var isOverfull = false
    private var entries: [Entry]
    /// Connections whose client has gone in the middle of something.
    private var orphans: [Backend]

    init(_ record: HoldRecord, sessions: some Sequence<ClientSession>, owners: [BackendPool], now: PoolInstant) {
        self.record = record
        since = now
        entries = sessions.filter { $0.mayStillWrite(on: record.owners) }.map { Entry(session: $0, work: $0.workNumber) }
        orphans = owners.flatMap(\.orphans)
    }

    /// Looks again, and ends what has taken too long, where it is to. Returns whether it is over.
    func look(at now: PoolInstant) -> Bool {
        guard !isOver else { return true }
        forget()
        if let limit = record.transactionLimit, now.elapsed(since: since) >= PoolNanoseconds(.milliseconds(limit)) {
            for entry in entries { entry.session.endTransaction(on: record.owners) }
            forget()
        }
        orphans.removeAll { !$0.isOrphan }
        isOver = entries.isEmpty && orphans.isEmpty
        return isOver
    }

    /// Those that have let go.
    private func forget() { entries.removeAll { $0.session.workNumber != $0.work || !$0.session.mayStillWrite(on: record.owners) } }

    /// True for the first time that it is.
    func becomesOverfull() -> Bool {
        defer { isOverfull = true }
        return !isOverfull
    }

    /// It stands for longer than a pause lasts: the router is cut off from the catalog, perhaps, and the owners are others by now. Its connections to
    /// the old one were spared, so that no fence would tell.
    func isOld(at now: PoolInstant, _ limits: RouterLimits) -> Bool { now.elapsed(since: since) > limits.heldReadTime }

    /// What the session has under way was begun before the hold, and goes on.
    func isSpared(_ session: ClientSession) -> Bool {
        entries.contains { $0.session === session && $0.work == session.workNumber } && session.takesPart(on: record.owners)
    }
}

/// A statement that waits until a hold has gone.
final class HeldStatement {
    let session: ClientSession
    let suspension: UInt32
    let since: PoolInstant
    /// Of its text, or of its values.
    let bytes: Int
    let again: () -> Void

    init(_ session: ClientSession, suspension: UInt32, since: PoolInstant, bytes: Int, _ again: @escaping () -> Void) {
        self.bytes = bytes
        self.session = session
        self.suspension = suspension
        self.since = since
        self.again = again
    }
}
