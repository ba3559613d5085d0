import CatalogStore
import ClusterTestKit
import Foundation
import PostgresProcess
import ShardModel
import Testing

/// A cutover as its manager writes it into the catalog, step by step, without the rows: what routers make of it is what is tested.
extension TestCluster {
    static let job = "j1"

    private func commit(_ operations: (CatalogSnapshot) throws -> [CatalogChange.Operation]) async throws {
        while true {
            let catalog = try await store.load()
            do {
                _ = try await store.commit(CatalogChange(try operations(catalog), author: "test"), expecting: catalog.epoch)
                return
            } catch CatalogError.conflict { continue }
        }
    }

    func beginJob(of shards: [Int] = [0, 1]) async throws {
        try await commit { _ in [.putJob(ReshardJobRecord(id: Self.job, database: Self.database, shards: shards.map(Self.id), body: "{}"))] }
    }

    func endJob() async throws {
        try await commit { catalog in catalog.jobs[Self.job].map { [.deleteJob(id: Self.job, version: $0.version)] } ?? [] }
    }

    /// Holds all tokens of the shard, and waits until the router knows.
    func hold(_ index: Int, attempt: UInt64, transactionLimit: Int? = nil) async throws {
        try await commit { catalog in
            let ranges = catalog.shards[Self.id(of: index)]?.vnodes.map(\.range).sorted { $0.start < $1.start } ?? []
            return [
                .putHold(
                    HoldRecord(
                        job: Self.job, database: Self.database, ranges: ranges, owners: [Self.id(of: index)], attempt: attempt,
                        epoch: catalog.epoch.next, transactionLimit: transactionLimit,
                        version: catalog.holds[Self.job]?.version ?? 0))
            ]
        }
        try await eventually("the router knows of the hold") { try await isEpochServed() }
    }

    /// The attempt is given up.
    func lift() async throws { try await commit { catalog in catalog.holds[Self.job].map { [.deleteHold(job: Self.job, version: $0.version)] } ?? [] } }

    /// Gives all vnodes of one shard to another, and takes the hold away.
    func give(_ index: Int, to target: Int) async throws {
        try await commit { catalog in
            var (from, to) = (try #require(catalog.shards[Self.id(of: index)]), try #require(catalog.shards[Self.id(of: target)]))
            to.vnodes = (to.vnodes + from.vnodes).sorted { $0.range.start < $1.range.start }
            from.vnodes = []
            let release = catalog.holds[Self.job].map { [CatalogChange.Operation.deleteHold(job: Self.job, version: $0.version)] } ?? []
            return [.putShard(from), .putShard(to)] + release
        }
    }

    /// As a job does when it begins: no token has another owner by it.
    func cutAVNode(of index: Int) async throws {
        try await commit { catalog in
            var shard = try #require(catalog.shards[Self.id(of: index)])
            let last = catalog.shards.values.flatMap(\.vnodes).map(\.id).max() ?? 0
            let range = shard.vnodes.removeFirst().range
            let border = range.start + (range.end - range.start) / 2
            shard.vnodes = [VNode(id: last + 1, range: TokenRange(range.start...border)), VNode(id: last + 2, range: TokenRange((border + 1)...range.end))] + shard.vnodes
            return [.putShard(shard)]
        }
        try await eventually("the router serves the cut") { try await isEpochServed() }
    }

    /// Runs a test inside a job, and brings the ring back to what it was.
    func withJob(_ body: () async throws -> Void) async throws {
        let before = try await store.load().shards
        try await beginJob()
        try await eventually("the router knows of the job") { try await isEpochServed() }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        try await lift()
        try await endJob()
        try await commit { catalog in
            catalog.shards.values.compactMap { shard in
                guard let old = before[shard.id], old.vnodes != shard.vnodes else { return nil }
                var restored = shard
                restored.vnodes = old.vnodes
                return .putShard(restored)
            }
        }
        try await eventually("the router serves the old ring") { try await isEpochServed() }
        try result.get()
    }

    /// What the router has said of the attempt.
    func acknowledgement(_ attempt: UInt64) async throws -> HoldAcknowledgement? {
        try await store.members().compactMap(\.acknowledgements).joined().first { $0.job == Self.job && $0.attempt == attempt }
    }

    func waitsForAcknowledgement(_ attempt: UInt64, _ location: SourceLocation = #_sourceLocation) async throws -> HoldAcknowledgement {
        try await eventually("the router acknowledges", location) { try await acknowledgement(attempt) != nil }
        return try #require(try await acknowledgement(attempt), sourceLocation: location)
    }

    func isEpochServed() async throws -> Bool {
        let epoch = try await store.load().epoch
        return try await metric("pgmosaic_catalog_epoch") == Double(epoch.number)
    }

    func held() async throws -> Double { try await metric("pgmosaic_held_statements_total") }

    /// Server processes of the router's sessions on a shard.
    func sessions(on index: Int) async throws -> Set<Int32> {
        Set(
            try await onShard(index, "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgmosaic'").split(separator: "\n")
                .compactMap { Int32($0) })
    }
}
