package import CatalogStore
internal import Foundation
package import NIOPosix
package import ShardModel
internal import SwiftProtobuf
internal import Synchronization

/// A catalog in an etcd cluster, for a cluster whose managers and routers run on several machines.
///
/// A change is one transaction that compares the head and writes the keys it touches; one that is too large for that writes everything beside it
/// first, and then sets the head. A reader reads only what changed since the snapshot it has, as of one revision. A commit reaches watchers by an
/// etcd watch, and within `EtcdTiming.pollInterval` where that fails. Every call ends within `EtcdTiming.call`; a commit that got no answer takes up
/// to `resolution` and one `call` more, and writing a large catalog up to `whole`.
package final class EtcdCatalogStore: CatalogStore {
    /// Where it is, without the password.
    package let place: String
    let timing: EtcdTiming
    let client: EtcdClient
    let keys: EtcdKeys
    private let reader: EtcdCatalogReader
    private let cache: Mutex<EtcdCatalog>
    /// When the catalog was read or written last.
    private let lastAnswer = Mutex(ContinuousClock.now)
    let broadcaster: WatchBroadcaster
    /// Rings for each event of the watch, and when that is lost or new.
    let news: Bell
    /// The revision that is known: where a watch goes on.
    let position: WatchPosition
    let follower = Mutex<Task<Void, Never>?>(nil)
    /// The etcd leases of announcements, by member.
    let announcements = Mutex<[String: Announcement]>([:])

    /// Opens the catalog, making an empty one when `isManager`.
    ///
    /// Throws `.foreign` when there is something else below the prefix, or a catalog of a newer format; it is left as it is.
    ///         `.invalid` when it is damaged.
    ///         `.unavailable` when etcd cannot be used: it is away, refuses, has no catalog and this is no manager.
    package init(
        _ location: EtcdLocation, isManager: Bool, on group: MultiThreadedEventLoopGroup, timing: EtcdTiming = EtcdTiming()
    ) async throws(CatalogError) {
        place = "\(location)"
        self.timing = timing
        client = EtcdClient(location, on: group, timing)
        keys = EtcdKeys(prefix: location.prefix)
        reader = EtcdCatalogReader(client: client, keys: keys)
        news = Bell()
        position = WatchPosition()
        let first: EtcdCatalog
        do {
            // Whether etcd is there shows within the time of a call.
            if try await !Self.isThere(client, keys, until: .now + timing.call) {
                guard isManager else { throw CatalogError.unavailable("\(location): there is no catalog; a manager makes it") }
                try await Self.make(client, keys, until: .now + timing.call)
            }
            guard let catalog = try await reader.read(known: nil, until: .now + timing.whole) else { throw Self.gone }
            first = catalog
        } catch {
            client.close()
            throw EtcdFailure.catalogError(error, place, isWrite: false)
        }
        cache = Mutex(first)
        broadcaster = WatchBroadcaster(newest: first.snapshot)
        position.advance(to: first.revision)
    }

    deinit {
        follower.withLock { $0?.cancel() }
        broadcaster.finish()
        client.close()
    }

    /// Ends the watches and the connection. Later calls throw `.unavailable`.
    package func close() async {
        follower.withLock { $0?.cancel() }
        broadcaster.finish()
        client.close()
        news.ring()
    }

    package func load() async throws(CatalogError) -> CatalogSnapshot { try await stored(until: .now + timing.call).snapshot }

    package func history(limit: Int) async throws(CatalogError) -> [CatalogHistoryEntry] {
        guard limit > 0 else { return [] }
        let catalog = try await stored(until: .now + timing.call)
        do {
            let most = min(limit, CatalogHistoryEntry.keptMin)
            return try await history(catalog.snapshot.epoch, catalog.head.history, most, until: .now + timing.whole)
        } catch {
            throw EtcdFailure.catalogError(error, place, isWrite: false)
        }
    }

    /// From the newest down, some epochs at a time: etcd gives keys in ascending order, and would have to sort all of them otherwise.
    private func history(
        _ newest: Epoch, _ generation: String, _ limit: Int, until deadline: ContinuousClock.Instant
    ) async throws -> [CatalogHistoryEntry] {
        var entries: [CatalogHistoryEntry] = []
        var last = newest.number
        let oldest = newest.number - min(newest.number, UInt64(CatalogHistoryEntry.keptMin - 1))
        while entries.count < limit, last >= oldest {
            let first = max(oldest, last - min(last, 99))
            let keys = try await client.all(
                keys.passages(generation, from: Epoch(first), through: Epoch(last)), bytesMax: SnapshotFile.sizeMax, until: deadline)
            for key in keys.reversed() where entries.count < limit {
                guard let passage = try? Pgmosaic_Catalog_Passage(serializedBytes: key.value),
                    var entry = try? JSONDecoder().decode(CatalogHistoryEntry.self, from: Data(passage.entry.utf8))
                else { throw CatalogError.invalid("\(place): the stored catalog is damaged: an entry of its history cannot be read") }
                entry.time = passage.time
                entries.append(entry)
            }
            guard first > 0 else { break }
            last = first - 1
        }
        return entries
    }

    // MARK: making

    private static func isThere(_ client: EtcdClient, _ keys: EtcdKeys, until deadline: ContinuousClock.Instant) async throws -> Bool {
        var look = EtcdTransaction()
        look.get(EtcdRange(start: keys.head))
        for range in keys.lasting { look.get(range, limit: 1) }
        let answer = try await client.transact(look, until: deadline, isRepeatable: true)
        if let head = answer.keys(0).first {
            _ = try Pgmosaic_Catalog_Head(read: head)
            return true
        }
        guard keys.lasting.indices.allSatisfy({ answer.keys($0 + 1).isEmpty }) else {
            throw CatalogError.foreign("\(client.location): there is something below \"\(keys.prefix)\" that is not a catalog")
        }
        return false
    }

    /// Any number may do so at once: one of them does.
    private static func make(_ client: EtcdClient, _ keys: EtcdKeys, until deadline: ContinuousClock.Instant) async throws {
        var head = Pgmosaic_Catalog_Head()
        head.format = Pgmosaic_Catalog_Head.format
        head.clusterID = UUID().uuidString.lowercased()
        head.commitID = UUID().uuidString.lowercased()
        head.records = EtcdKeys.generation(.zero, head.commitID)
        head.history = head.records
        var making = EtcdTransaction()
        making.require(keys.head, createRevision: 0)
        making.put(keys.head, try head.renewed().bytes)
        _ = try await client.transact(making, until: deadline, isRepeatable: true)
    }

    static let gone = CatalogError.foreign("the catalog is gone")

    // MARK: for the other files

    /// The catalog as it is stored now.
    func stored(until deadline: ContinuousClock.Instant) async throws(CatalogError) -> EtcdCatalog {
        let known = cache.withLock(\.self)
        do {
            guard let now = try await reader.read(known: known, until: deadline) else { throw Self.gone }
            remember(now)
            return now
        } catch {
            throw EtcdFailure.catalogError(error, place, isWrite: false)
        }
    }

    /// What was read or written a moment ago, when it is of that epoch. A server that has been silent for longer is asked first: of a commit that it does
    /// not answer the outcome would be unknown.
    func known(at epoch: Epoch) -> EtcdCatalog? {
        guard lastAnswer.withLock({ $0 > .now - .seconds(1) }) else { return nil }
        return cache.withLock { $0.snapshot.epoch == epoch ? $0 : nil }
    }

    func remember(_ catalog: EtcdCatalog) {
        lastAnswer.withLock { $0 = .now }
        cache.withLock { if catalog.snapshot.epoch > $0.snapshot.epoch { $0 = catalog } }
        position.advance(to: catalog.revision)
        broadcaster.publish(catalog.snapshot)
    }

    /// One request, or a few, as a call of the protocol.
    func perform<Value>(isWrite: Bool, _ body: (ContinuousClock.Instant) async throws -> Value) async throws(CatalogError) -> Value {
        do {
            return try await body(.now + timing.call)
        } catch {
            throw EtcdFailure.catalogError(error, place, isWrite: isWrite)
        }
    }
}

/// The newest revision that is known of.
final class WatchPosition: Sendable {
    private let revision = Atomic<Int64>(0)

    var known: Int64 { revision.load(ordering: .relaxed) }
    func advance(to new: Int64) { revision.max(new, ordering: .relaxed) }
}
