internal import CatalogStore
internal import Foundation
internal import ShardModel
internal import Synchronization

/// Keeps the newest catalog, and tells who waits of each newer one.
///
/// What was read stays in use whatever becomes of managers and store: only a shard's fence says that it is too old.
final class CatalogFollower: Sendable {
    private struct State {
        var catalog: RoutingCatalog?
        var problem: MosaicError?
    }
    private let source: any CatalogReading
    private let snapshotFile: String?
    private let state = Mutex(State())
    private let bell = Bell()
    private let task = Mutex<Task<Void, Never>?>(nil)
    /// Told of each new catalog, on the follower's task.
    private let changed: @Sendable (RoutingCatalog) -> Void

    private static let pauseMin = Duration.milliseconds(100)
    private static let pauseMax = Duration.seconds(2)

    init(_ source: any CatalogReading, snapshotFile: String?, changed: @escaping @Sendable (RoutingCatalog) -> Void) {
        self.source = source
        self.snapshotFile = snapshotFile
        self.changed = changed
    }

    var current: RoutingCatalog? { state.withLock { $0.catalog } }

    /// Why the last reading failed; nil: it did not.
    var problem: MosaicError? { state.withLock { $0.problem } }

    /// The first catalog: from the source, or from the saved copy where that does not answer. Follows from then on.
    func start(until deadline: ContinuousClock.Instant) async throws(MosaicError) {
        let following = Task { await follow() }
        task.withLock { $0 = following }
        while current == nil {
            let rings = bell.rings
            if current != nil { break }
            if problem != nil, install(saved: snapshotFile) { break }
            guard ContinuousClock.now < deadline, !Task.isCancelled else {
                throw problem ?? MosaicError(.catalogUnavailable, "no catalog came in time")
            }
            await bell.wait(after: rings, until: deadline)
        }
    }

    func stop() async {
        let running = task.withLock { $0 }
        running?.cancel()
        await running?.value
        await source.close()
    }

    /// Returns true once the catalog is above `epoch`, false at the deadline or when the task is cancelled.
    func wait(above epoch: Epoch, until deadline: ContinuousClock.Instant) async -> Bool {
        while true {
            let rings = bell.rings
            if let current, current.epoch > epoch { return true }
            guard ContinuousClock.now < deadline, !Task.isCancelled else { return false }
            await bell.wait(after: rings, until: deadline)
        }
    }

    // MARK: Following

    private func follow() async {
        var pause = Self.pauseMin
        while !Task.isCancelled {
            do throws(MosaicError) {
                if let snapshot = try await source.next(after: isConfirmed ? current?.epoch : nil) { try install(snapshot) }
                isConfirmed = true
                state.withLock { $0.problem = nil }
                pause = Self.pauseMin
            } catch {
                guard !Task.isCancelled else { return }
                state.withLock { $0.problem = error }
                bell.ring()
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, Self.pauseMax)
            }
        }
    }

    /// The source has said what the newest catalog is: before that a saved copy may be of another cluster.
    private var isConfirmed: Bool {
        get { confirmed.load(ordering: .relaxed) }
        set { confirmed.store(newValue, ordering: .relaxed) }
    }
    private let confirmed = Atomic(false)

    private func install(_ snapshot: CatalogSnapshot) throws(MosaicError) {
        let catalog = RoutingCatalog(snapshot)
        let known = state.withLock { state -> RoutingCatalog? in
            let known = state.catalog
            if known == nil || known?.snapshot.clusterID == snapshot.clusterID && snapshot.epoch > known?.epoch ?? .zero { state.catalog = catalog }
            return known
        }
        if let known, known.snapshot.clusterID != snapshot.clusterID {
            throw MosaicError(.catalogUnavailable, "the catalog is another cluster's")
        }
        guard known.map({ snapshot.epoch > $0.epoch }) ?? true else { return }
        changed(catalog)
        bell.ring()
        // A copy that cannot be written is missed at the next start only.
        if let snapshotFile { try? SnapshotFile.save(catalog.snapshot, to: snapshotFile) }
    }

    private func install(saved path: String?) -> Bool {
        guard let path, let snapshot = try? SnapshotFile.load(from: path) else { return false }
        let catalog = RoutingCatalog(snapshot)
        let isFirst = state.withLock { state in
            guard state.catalog == nil else { return false }
            state.catalog = catalog
            return true
        }
        if isFirst { changed(catalog) }
        return true
    }
}
