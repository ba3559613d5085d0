import CatalogStore
import ShardModel
import Synchronization

/// A catalog store that could not be opened at the start and is opened once it can be: a router serves from its saved copy meanwhile.
///
/// Until then every call fails with `.unavailable`, and a watch waits.
final class LateCatalogStore: CatalogStore {
    /// The least time between two tries to open.
    static let retryPause = Duration.seconds(1)

    private let open: @Sendable () async throws(CatalogError) -> any CatalogStore
    private let state = Mutex(State())

    private struct State {
        var store: (any CatalogStore)?
        var isOpening = false
        var lastTry: ContinuousClock.Instant?
        var failure = CatalogError.unavailable("the catalog store is not open yet")
    }

    /// - failure: of the try that was just made: the next one is due after the pause, so that a store which hangs does not hold up the start twice.
    init(after failure: CatalogError, _ open: @escaping @Sendable () async throws(CatalogError) -> any CatalogStore) {
        self.open = open
        state.withLock { state in
            state.failure = failure
            state.lastTry = .now
        }
    }

    /// The store, opened now when nobody else is at it.
    private func store() async throws(CatalogError) -> any CatalogStore {
        let (known, mayTry, failure) = state.withLock { state in
            let isDue = state.lastTry.map { ContinuousClock.now - $0 >= Self.retryPause } ?? true
            let mayTry = state.store == nil && !state.isOpening && isDue
            if mayTry { state.isOpening = true }
            return (state.store, mayTry, state.failure)
        }
        if let known { return known }
        guard mayTry else { throw failure }
        do {
            let opened = try await open()
            state.withLock { state in
                state.store = opened
                state.isOpening = false
            }
            return opened
        } catch {
            state.withLock { state in
                state.isOpening = false
                state.lastTry = .now
                state.failure = error
            }
            throw error
        }
    }

    func load() async throws(CatalogError) -> CatalogSnapshot { try await store().load() }

    func commit(
        _ change: CatalogChange, expecting epoch: Epoch, fence: Lease?, keeping answer: KeptAnswer?
    ) async throws(CatalogError) -> CatalogSnapshot {
        try await store().commit(change, expecting: epoch, fence: fence, keeping: answer)
    }

    func keptAnswer(_ key: String) async throws(CatalogError) -> KeptAnswer? { try await store().keptAnswer(key) }

    func lease(_ name: String) async throws(CatalogError) -> Lease? { try await store().lease(name) }

    func replace(
        with snapshot: CatalogSnapshot, history: [CatalogHistoryEntry], author: String, expecting epoch: Epoch
    ) async throws(CatalogError) {
        try await store().replace(with: snapshot, history: history, author: author, expecting: epoch)
    }

    func watch(after epoch: Epoch) -> AsyncStream<CatalogSnapshot> {
        // As in every store, only the newest waits for a slow reader.
        AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            let task = Task {
                while !Task.isCancelled {
                    if let store = try? await store() {
                        for await snapshot in store.watch(after: epoch) { continuation.yield(snapshot) }
                        break
                    }
                    try? await Task.sleep(for: Self.retryPause)
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    func history(limit: Int) async throws(CatalogError) -> [CatalogHistoryEntry] { try await store().history(limit: limit) }

    func acquireLease(_ name: String, holder: String, ttl: Duration) async throws(CatalogError) -> Lease? {
        try await store().acquireLease(name, holder: holder, ttl: ttl)
    }

    func releaseLease(_ lease: Lease) async throws(CatalogError) { try await store().releaseLease(lease) }

    func announce(_ member: MemberRecord, ttl: Duration) async throws(CatalogError) { try await store().announce(member, ttl: ttl) }

    func withdraw(memberID: String) async throws(CatalogError) { try await store().withdraw(memberID: memberID) }

    func members() async throws(CatalogError) -> [MemberRecord] { try await store().members() }
}
