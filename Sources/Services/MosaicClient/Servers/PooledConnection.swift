internal import PGChannel
internal import ShardModel

/// A connection that is lent to one call at a time.
final class PooledConnection: Sendable {
    let client: PGClient
    /// The epoch that the shard was told when it began; zero for a router.
    let epoch: Epoch
    let opened = ContinuousClock.now

    init(_ client: PGClient, epoch: Epoch) { (self.client, self.epoch) = (client, epoch) }

    /// Between two statements, outside of a transaction.
    var isIdle: Bool { client.isOpen && client.transactionStatus == .idle }
}
