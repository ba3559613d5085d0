internal import CatalogStore
package import ShardModel
internal import Synchronization

extension PostgresCatalogStore {
    package func watch(after epoch: Epoch) -> AsyncStream<CatalogSnapshot> {
        let stream = broadcaster.watch(after: epoch)
        follower.withLock { follower in
            guard follower == nil else { return }
            let (reference, news, timing) = (WeakReference(self), news, timing)
            follower = Task { await Self.follow(reference, news, timing) }
        }
        return stream
    }

    /// Looks at each notification, and once an interval whether or not there was one. Holds the store for one look only, so that it does not keep one
    /// alive that nobody uses.
    private static func follow(_ reference: WeakReference, _ news: Bell, _ timing: CatalogTiming) async {
        var limit = timing.call
        while !Task.isCancelled {
            let rings = news.rings
            guard let wasRead = await look(reference.store, within: limit) else { return }
            // A catalog that has to be read whole may need more than the time of a call; a line that is dead is noticed in that.
            limit = wasRead ? timing.call : min(limit * 2, timing.whole)
            await news.wait(after: rings, until: .now + timing.pollInterval)
        }
    }

    /// Whether the catalog could be read; nil when nobody is there to look for.
    private static func look(_ store: PostgresCatalogStore?, within limit: Duration) async -> Bool? {
        guard let store else { return nil }
        let wasRead = (try? await store.stored(until: .now + limit)) != nil
        return store.endFollowingWhenUnwatched() ? nil : wasRead
    }

    /// Decided under the lock under which a new watcher looks for the follower, after it has been added: none is left without one.
    private func endFollowingWhenUnwatched() -> Bool {
        follower.withLock { follower in
            if broadcaster.isWatched { return false }
            follower = nil
            return true
        }
    }

    private struct WeakReference: Sendable {
        weak let store: PostgresCatalogStore?
        init(_ store: PostgresCatalogStore) { self.store = store }
    }
}
