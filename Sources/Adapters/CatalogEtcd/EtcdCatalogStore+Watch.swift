internal import CatalogStore
package import ShardModel
internal import Synchronization

extension EtcdCatalogStore {
    package func watch(after epoch: Epoch) -> AsyncStream<CatalogSnapshot> {
        let stream = broadcaster.watch(after: epoch)
        follower.withLock { follower in
            guard follower == nil else { return }
            let (reference, listener) = (WeakReference(self), Listener(client: client, keys: keys, news: news, position: position, timing: timing))
            follower = Task {
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await listener.listen() }
                    await Self.follow(reference, listener.news, listener.timing)
                    group.cancelAll()
                }
            }
        }
        return stream
    }

    /// Looks at each event, and once an interval whether or not there was one: a watch of etcd keeps silent where its endpoint is stopped, or cut off.
    /// Holds the store for one look only, so that it does not keep one alive that nobody uses.
    private static func follow(_ reference: WeakReference, _ news: Bell, _ timing: EtcdTiming) async {
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
    private static func look(_ store: EtcdCatalogStore?, within limit: Duration) async -> Bool? {
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
        weak let store: EtcdCatalogStore?
        init(_ store: EtcdCatalogStore) { self.store = store }
    }
}

/// Keeps an etcd watch on the head, and rings the bell for what it hears. What the bell wakes reads the catalog itself, so nothing depends on how much
/// of it arrives.
private struct Listener: Sendable {
    let client: EtcdClient
    let keys: EtcdKeys
    let news: Bell
    let position: WatchPosition
    let timing: EtcdTiming

    func listen() async {
        var pause = timing.pauseMin
        while !Task.isCancelled {
            let begun = ContinuousClock.now
            do {
                try await client.watch(keys.head, from: position.known + 1) { response in
                    // What was asked for may have been compacted. The look that follows knows a newer revision.
                    position.advance(to: response.canceled ? response.compactRevision : Self.revision(response))
                    if !response.events.isEmpty || response.canceled { news.ring() }
                }
            } catch {
                news.ring()
            }
            // A watch that held starts over with short pauses.
            pause = .now - begun > timing.call ? timing.pauseMin : min(pause * 2, timing.pauseMax)
            try? await Task.sleep(for: pause)
        }
    }

    /// How far the watch has come: with events to the last of them, else (a report of progress) to all there is.
    private static func revision(_ response: Etcdserverpb_WatchResponse) -> Int64 {
        if response.created { return 0 }
        return response.events.last?.kv.modRevision ?? response.header.revision
    }
}
