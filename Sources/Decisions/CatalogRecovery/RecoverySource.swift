package import ShardModel

/// One place where a lost catalog may be found again: a shard with its copy, or a router's saved copy.
package struct RecoverySource: Hashable, Sendable {
    package enum Copy: Hashable, Sendable {
        case none
        /// `epoch`: as it says beside its content.
        case unreadable(epoch: Epoch, reason: String)
        /// `isWhole`: users are in it.
        case readable(CatalogSnapshot, isWhole: Bool)
    }

    /// For people: an address or a file. No password.
    package var place: String
    /// nil: a file.
    package var mark: ShardMark?
    package var copy: Copy

    package init(place: String, mark: ShardMark?, copy: Copy) {
        self.place = place
        self.mark = mark
        self.copy = copy
    }
}

/// What a PostgreSQL database says of itself: which shard of which cluster it is.
package struct ShardMark: Hashable, Sendable {
    package var clusterID: String
    package var database: String
    package var shard: ShardID
    package var fence: Epoch

    package init(clusterID: String, database: String, shard: ShardID, fence: Epoch) {
        self.clusterID = clusterID
        self.database = database
        self.shard = shard
        self.fence = fence
    }
}
