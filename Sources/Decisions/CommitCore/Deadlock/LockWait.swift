package import ShardModel

/// A server process waits for a lock.
package struct LockWait: Hashable, Sendable {
    package var shard: ShardID
    package var process: Int32
    /// Since when, as its server tells: another wait of the same process has another.
    package var since: String
    /// The processes of its shard that hold the lock, or are before it in the queue. 0, a prepared transaction, waits for nothing.
    package var blockers: Set<Int32>

    package init(shard: ShardID, process: Int32, since: String, blockers: Set<Int32>) {
        self.shard = shard
        self.process = process
        self.since = since
        self.blockers = blockers
    }
}
