package import ShardModel

/// One committed change, as `catalog history` shows it.
package struct CatalogHistoryEntry: Hashable, Sendable, Codable {
    /// How many changes a store keeps at least.
    package static let keptMin = 1000
    /// The most vnodes that a change is remembered with: a ring of a thousand shards, cut anew, would be megabytes an entry.
    package static let vnodesMax = 1024

    package var epoch: Epoch
    /// When it was committed: seconds since 1970, UTC, by the clock of the store's server, where it has one, else of the writer's machine.
    package var time: Double
    /// The change as it was asked for. A shard whose vnodes it leaves as they were is without them, and when `isShortened` every shard is.
    package var change: CatalogChange
    package var isShortened: Bool
    /// The fencing token under which it was committed; nil: none was needed. It never goes back from one epoch to a later one.
    package var fencingToken: UInt64?

    /// - base: the catalog that was changed; nil: all of the vnodes are new.
    package init(epoch: Epoch, time: Double, change: CatalogChange, over base: CatalogSnapshot?, fence: Lease? = nil) {
        self.epoch = epoch
        self.time = time
        fencingToken = fence?.fencingToken
        self.change = change
        if let base { self.change.dropVNodes { base.shards[$0.id]?.vnodes == $0.vnodes } }
        isShortened = self.change.vnodeCount > Self.vnodesMax
        if isShortened { self.change.dropVNodes { _ in true } }
    }
}

extension CatalogHistoryEntry {
    /// What a store keeps of another's history: the newest entries below `epoch`, newest first.
    package static func kept(_ history: [CatalogHistoryEntry], below epoch: Epoch) -> [CatalogHistoryEntry] {
        Array(history.filter { $0.epoch < epoch && $0.epoch.number + UInt64(keptMin) > epoch.number }.prefix(keptMin))
    }
}

extension CatalogChange {
    fileprivate var vnodeCount: Int {
        operations.reduce(0) { sum, operation in
            if case .putShard(let record) = operation { sum + record.vnodes.count } else { sum }
        }
    }

    fileprivate mutating func dropVNodes(where isKnown: (ShardRecord) -> Bool) {
        for index in operations.indices {
            guard case .putShard(var record) = operations[index], isKnown(record) else { continue }
            record.vnodes = []
            operations[index] = .putShard(record)
        }
    }
}
