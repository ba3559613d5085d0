package import ShardModel
internal import Synchronization

/// Hands each committed snapshot to everybody who watches.
///
/// A watcher that does not keep up loses the snapshots in between, never the newest: its buffer holds one. Epochs only grow for each watcher,
/// whatever order they are published in, so a store may publish the same epoch from a commit and from its polling.
package final class WatchBroadcaster: Sendable {
    private let state: Mutex<State>

    private struct State {
        var newest: CatalogSnapshot?
        var watchers: [UInt64: Watcher] = [:]
        var lastID: UInt64 = 0
        var isFinished = false
    }

    fileprivate struct Watcher {
        var last: Epoch
        let continuation: AsyncStream<CatalogSnapshot>.Continuation
    }

    /// `newest` is nil when the store has not looked yet.
    package init(newest: CatalogSnapshot? = nil) {
        state = Mutex(State(newest: newest))
    }

    package var isWatched: Bool { state.withLock { !$0.watchers.isEmpty } }

    package func watch(after epoch: Epoch) -> AsyncStream<CatalogSnapshot> {
        let (stream, continuation) = AsyncStream.makeStream(of: CatalogSnapshot.self, bufferingPolicy: .bufferingNewest(1))
        let id: UInt64? = state.withLock { state in
            if state.isFinished { return nil }
            state.lastID += 1
            var watcher = Watcher(last: epoch, continuation: continuation)
            if let newest = state.newest { watcher.deliver(newest) }
            state.watchers[state.lastID] = watcher
            return state.lastID
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        // Set after the lock is given back: it runs at once when the stream has ended already.
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.watchers[id] = nil } }
        return stream
    }

    package func publish(_ snapshot: CatalogSnapshot) {
        state.withLock { state in
            if let newest = state.newest, newest.epoch > snapshot.epoch { return }
            state.newest = snapshot
            // Delivered under the lock, or two publishers could deliver to one watcher in the wrong order.
            for id in state.watchers.keys { state.watchers[id]?.deliver(snapshot) }
        }
    }

    /// Ends every stream, now and later.
    package func finish() {
        let continuations = state.withLock { state in
            state.isFinished = true
            return state.watchers.values.map(\.continuation)
        }
        for continuation in continuations { continuation.finish() }
    }
}

extension WatchBroadcaster.Watcher {
    fileprivate mutating func deliver(_ snapshot: CatalogSnapshot) {
        guard snapshot.epoch > last else { return }
        last = snapshot.epoch
        continuation.yield(snapshot)
    }
}
