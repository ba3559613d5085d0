internal import NIOCore
internal import PoolCore
internal import ShardModel

/// Tells the control plane which server processes are this loop's on the shards that jobs are about: anew with each epoch of the catalog.
///
/// The manager of a job ends all others that a target has let in before its fence was raised. A connection that is being opened may have passed the fence before, and is
/// not in the pool yet: so what is under way when the epoch comes is waited for. What is opened later says this epoch, which the fence takes.
final class SessionCensus {
    private var epoch = Epoch.zero
    private var shards: Set<ShardID> = []
    private var awaited: [(pool: BackendPool, connects: Set<BackendID>)] = []
    private var watcher: Scheduled<Void>?

    private static var lookInterval: TimeAmount { .milliseconds(5) }

    /// The loop serves the catalog.
    func take(_ catalog: CatalogSnapshot, in loop: RouterLoop) {
        stop()
        let jobs = catalog.jobs.values.filter { !$0.isOver }
        guard !jobs.isEmpty, !loop.isClosed else { return }
        (epoch, shards) = (catalog.epoch, Set(jobs.flatMap(\.shards)))
        awaited = loop.primaries(of: shards).map { ($0, $0.connecting) }
        look(in: loop)
    }

    func stop() {
        watcher?.cancel()
        watcher = nil
        awaited = []
    }

    private func look(in loop: RouterLoop) {
        awaited = awaited.compactMap { pool, connects in
            let left = connects.intersection(pool.connecting)
            return left.isEmpty ? nil : (pool, left)
        }
        guard awaited.isEmpty else {
            watcher = loop.eventLoop.assumeIsolated().scheduleTask(in: Self.lookInterval) { self.look(in: loop) }
            return
        }
        let sessions = loop.primaries(of: shards).map { ($0.shardID, $0.processIDs) }
        loop.shared.requests.counted(SessionReport(epoch: epoch, sessions: Dictionary(sessions, uniquingKeysWith: +)), loop: loop.number)
    }
}
