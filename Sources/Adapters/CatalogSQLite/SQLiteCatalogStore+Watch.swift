internal import CatalogStore
internal import Dispatch
internal import Foundation
package import ShardModel
internal import Synchronization

extension SQLiteCatalogStore {
    package func watch(after epoch: Epoch) -> AsyncStream<CatalogSnapshot> {
        let stream = broadcaster.watch(after: epoch)
        poller.withLock { poller in
            if poller == nil { poller = CommitPoller(self) }
        }
        return stream
    }

    /// While rows move, statements may wait for the next commit.
    fileprivate static func interval(at catalog: CatalogSnapshot) -> Duration {
        catalog.jobs.values.allSatisfy(\.isOver) ? pollInterval : pollIntervalInJobs
    }

    /// Decided under the lock under which a new watcher looks for the poller, after it has been added: none is left without one.
    fileprivate func endPollingWhenUnwatched() -> Bool {
        poller.withLock { poller in
            if broadcaster.isWatched { return false }
            poller = nil
            return true
        }
    }
}

/// Looks for commits of other processes while somebody watches and the store is there.
///
/// On a thread of its own, because a task that sleeps wakes three threads for each look, and nearly every look finds nothing: at 40 a second
/// that is most of what a router costs at rest.
final class CommitPoller: Sendable {
    /// How long it rests at most while the file cannot be read.
    private static let restMax = 1.0
    private let isStopped = Atomic(false)

    init(_ store: SQLiteCatalogStore) {
        let (path, reference) = (store.path, WeakReference(store))
        let thread = Thread { [self] in run(path, reference) }
        thread.name = "catalog"
        thread.start()
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    private func run(_ path: String, _ reference: WeakReference) {
        var rest = SQLiteCatalogStore.pollInterval / .seconds(1)
        var traces = CommitTraces(path)
        while !isStopped.load(ordering: .relaxed) {
            if traces.mayHaveChanged() {
                guard let sight = Self.look(reference) else { return }
                rest = sight.interval.map { $0 / .seconds(1) } ?? min(rest * 2, Self.restMax)
                if sight.interval == nil { traces = CommitTraces(path) }
            }
            Thread.sleep(forTimeInterval: rest)
        }
    }

    private struct Sight: Sendable {
        /// Until the next look; nil: the file could not be read.
        var interval: Duration?
    }

    /// nil when nobody is there to look for. The store is held for one look only, so that polling does not keep one alive that nobody uses.
    private static func look(_ reference: WeakReference) -> Sight? {
        guard let store = reference.store else { return nil }
        let sight = Mutex(Sight())
        let done = DispatchSemaphore(value: 0)
        Task {
            let interval = (try? await store.load()).map(SQLiteCatalogStore.interval)
            sight.withLock { $0.interval = interval }
            done.signal()
        }
        done.wait()
        return store.endPollingWhenUnwatched() ? nil : sight.withLock(\.self)
    }

    private struct WeakReference: Sendable {
        weak let store: SQLiteCatalogStore?
        init(_ store: SQLiteCatalogStore) { self.store = store }
    }
}
