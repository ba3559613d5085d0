/// A job of moving vnodes, as the catalog keeps it: what routers and stores must know of it. What only its manager needs is in `body`.
package struct ReshardJobRecord: Hashable, Sendable, Codable {
    /// Never used again.
    package var id: String
    package var database: String
    /// Sources and targets, sorted. None of them can be removed while the job is not over.
    package var shards: [ShardID]
    package var isOver: Bool
    /// JSON, written and read by whoever carries the job out.
    package var body: String
    /// Seconds since 1970, UTC.
    package var createdAt: Double
    package var updatedAt: Double
    package var version: UInt64

    package init(
        id: String, database: String, shards: [ShardID], isOver: Bool = false, body: String, createdAt: Double = 0, updatedAt: Double = 0,
        version: UInt64 = 0
    ) {
        self.id = id
        self.database = database
        self.shards = shards
        self.isOver = isOver
        self.body = body
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.version = version
    }
}

/// Statements for these tokens wait at the routers, for their owner is about to change. A job has one hold at most.
package struct HoldRecord: Hashable, Sendable, Codable {
    package var job: String
    package var database: String
    /// Sorted, without overlap; of the owners.
    package var ranges: [TokenRange]
    /// The shards that own the ranges, sorted. No owner changes but in the change that takes the hold away.
    package var owners: [ShardID]
    /// The number of the attempt at a cutover: what a manager that was stopped says later is told from what the present one says by it.
    package var attempt: UInt64
    /// The epoch from which on statements are held: the one that this record came with. The owners' fence is raised to it.
    package var epoch: Epoch
    /// So many milliseconds after a router has learned of the hold, it ends transactions that are still open on the owners. nil: it waits for their ends.
    package var transactionLimit: Int?
    package var version: UInt64

    package init(
        job: String, database: String, ranges: [TokenRange], owners: [ShardID], attempt: UInt64, epoch: Epoch, transactionLimit: Int? = nil,
        version: UInt64 = 0
    ) {
        self.job = job
        self.database = database
        self.ranges = ranges
        self.owners = owners
        self.attempt = attempt
        self.epoch = epoch
        self.transactionLimit = transactionLimit
        self.version = version
    }

    package func contains(_ token: Token) -> Bool { TokenRanges(ranges).contains(token) }
}

/// One attempt at a cutover.
package struct HoldAttempt: Hashable, Sendable, Codable {
    package var job: String
    package var attempt: UInt64

    package init(job: String, attempt: UInt64) {
        self.job = job
        self.attempt = attempt
    }
}

/// Which server processes (as `pg_backend_pid()` tells) are a router's on the primaries of shards that jobs are about, when it has served the epoch on all
/// event loops: all that it began to open before, and that are open still.
package struct SessionReport: Hashable, Sendable, Codable {
    package var epoch: Epoch
    package var sessions: [ShardID: [Int32]]

    package init(epoch: Epoch, sessions: [ShardID: [Int32]]) {
        self.epoch = epoch
        self.sessions = sessions
    }
}

/// A router's word: nothing that it began for the held tokens is under way, and nothing will begin while the hold stands.
package struct HoldAcknowledgement: Hashable, Sendable, Codable {
    package var job: String
    package var attempt: UInt64
    /// For each owner, the server processes (as `pg_backend_pid()` tells) of the router's sessions, which go on for other tokens. The fence ends every other.
    package var sessions: [ShardID: [Int32]]

    package init(job: String, attempt: UInt64, sessions: [ShardID: [Int32]]) {
        self.job = job
        self.attempt = attempt
        self.sessions = sessions
    }
}
