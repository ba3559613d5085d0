package import ReshardCore
package import ShardModel

/// Who has the vnodes of a job, in its direction.
package enum Ownership: Hashable, Sendable {
    case old, new
    /// Some of both, or somebody else: nothing that a job makes.
    case mixed

    package init(of record: JobRecord, in catalog: CatalogSnapshot) {
        var owners: [UInt32: ShardID] = [:]
        for id in Set(record.sources + record.targets) {
            for vnode in catalog.shards[id]?.vnodes ?? [] { owners[vnode.id] = id }
        }
        if record.moves.allSatisfy({ owners[$0.vnode.id] == $0.newOwner(record.direction) }) {
            self = .new
        } else if record.moves.allSatisfy({ owners[$0.vnode.id] == $0.oldOwner(record.direction) }) {
            self = .old
        } else {
            self = .mixed
        }
    }

    /// The shards as they are when the owners are switched; nil where the old owners have not exactly these vnodes.
    ///
    /// A target that was joining becomes active. On the way back, one that has nothing any more and came with this job is joining again: its definitions
    /// and its copies of reference tables go, so that no statement may reach it.
    static func switched(_ record: JobRecord, in catalog: CatalogSnapshot, now: Double) -> [ShardRecord]? {
        var shards: [ShardID: ShardRecord] = [:]
        for id in Set(record.sources + record.targets) {
            guard let shard = catalog.shards[id] else { return nil }
            shards[id] = shard
        }
        for (owner, moves) in Dictionary(grouping: record.moves, by: { $0.oldOwner(record.direction) }) {
            let moved = Set(moves.map(\.vnode))
            let kept = shards[owner]?.vnodes.filter { !moved.contains($0) } ?? []
            guard kept.count == (shards[owner]?.vnodes.count ?? 0) - moved.count else { return nil }
            shards[owner]?.vnodes = kept
        }
        for move in record.moves { shards[move.newOwner(record.direction)]?.vnodes.append(move.vnode) }
        let came = Set(record.ledger.compactMap { entry in if case .schema(let shard, _) = entry { shard } else { nil } })
        for id in record.targets {
            if record.direction == .forward, shards[id]?.status == .migrating { shards[id]?.status = .active }
            if record.direction == .back, came.contains(id), shards[id]?.vnodes.isEmpty == true { shards[id]?.status = .migrating }
        }
        return shards.values.sorted { $0.id < $1.id }.map { shard in
            var shard = shard
            shard.updatedAt = now
            return shard
        }
    }
}

extension VNodeMove {
    func oldOwner(_ direction: JobDirection) -> ShardID { direction == .forward ? source : target }
    func newOwner(_ direction: JobDirection) -> ShardID { direction == .forward ? target : source }
}
