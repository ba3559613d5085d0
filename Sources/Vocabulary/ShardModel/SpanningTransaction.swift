/// A transaction with parts on several shards, of which a statement has been under way for a while: it may wait for a lock.
package struct SpanningTransaction: Hashable, Sendable, Codable {
    /// Never the same twice: it names the run of the router, and each piece of work of a session has a number of its own.
    package struct ID: Hashable, Sendable, Codable {
        package var router: String
        package var start: UInt64
        package var session: Int32
        package var work: UInt32

        package init(router: String, start: UInt64, session: Int32, work: UInt32) {
            self.router = router
            self.start = start
            self.session = session
            self.work = work
        }
    }

    package var id: ID
    /// When it came to a second shard, in seconds since 1970 by its router's clock.
    package var since: Double
    /// Its server process on each shard, as `pg_backend_pid()` tells.
    package var processes: [ShardID: Int32]
    /// Its router can end it: no connection holds more of the session than the transaction.
    package var canBeEnded: Bool

    package init(id: ID, since: Double, processes: [ShardID: Int32], canBeEnded: Bool) {
        self.id = id
        self.since = since
        self.processes = processes
        self.canBeEnded = canBeEnded
    }
}

extension SpanningTransaction.ID: Comparable {
    package static func < (a: Self, b: Self) -> Bool { (a.router, a.start, a.session, a.work) < (b.router, b.start, b.session, b.work) }
}
