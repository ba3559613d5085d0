import CatalogStore
import ShardModel
import Synchronization

/// What a store does not do, for as long as a test says so.
final class Faults: Sendable {
    private let state = Mutex<(load: CatalogError?, commit: CatalogError?)>((nil, nil))
    var load: CatalogError? {
        get { state.withLock { $0.load } }
        set { state.withLock { $0.load = newValue } }
    }
    var commit: CatalogError? {
        get { state.withLock { $0.commit } }
        set { state.withLock { $0.commit = newValue } }
    }
}

struct FaultyStore: CatalogStore {
    let store: InMemoryCatalogStore
    let faults: Faults

    func load() async throws(CatalogError) -> CatalogSnapshot {
        if let error = faults.load { throw error }
        return try await store.load()
    }
    func commit(
        _ change: CatalogChange, expecting epoch: Epoch, fence: Lease?, keeping answer: KeptAnswer?
    ) async throws(CatalogError) -> CatalogSnapshot {
        if let error = faults.commit { throw error }
        return try await store.commit(change, expecting: epoch, fence: fence, keeping: answer)
    }
    func keptAnswer(_ key: String) async throws(CatalogError) -> KeptAnswer? {
        if let error = faults.load { throw error }
        return try await store.keptAnswer(key)
    }
    func lease(_ name: String) async throws(CatalogError) -> Lease? { try await store.lease(name) }
    func watch(after epoch: Epoch) -> AsyncStream<CatalogSnapshot> { store.watch(after: epoch) }
    func history(limit: Int) async throws(CatalogError) -> [CatalogHistoryEntry] { try await store.history(limit: limit) }
    func acquireLease(_ name: String, holder: String, ttl: Duration) async throws(CatalogError) -> Lease? {
        try await store.acquireLease(name, holder: holder, ttl: ttl)
    }
    func releaseLease(_ lease: Lease) async throws(CatalogError) { try await store.releaseLease(lease) }
    func announce(_ member: MemberRecord, ttl: Duration) async throws(CatalogError) { try await store.announce(member, ttl: ttl) }
    func withdraw(memberID: String) async throws(CatalogError) { try await store.withdraw(memberID: memberID) }
    func members() async throws(CatalogError) -> [MemberRecord] {
        if let error = faults.load { throw error }
        return try await store.members()
    }
}
