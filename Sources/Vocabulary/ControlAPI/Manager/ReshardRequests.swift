/// POST /api/v1/reshard/split
package struct SplitShardRequest: APIRequest, Encodable, Hashable {
    package var sourceShardID: String
    /// One: the source keeps half. Several: they share all of it.
    package var targetShards: [String]
    /// With one target: it gets what lies from this token on. A decimal string.
    package var splitPoint: String?
    /// As of every job: whether open transactions are ended at the drain limit. nil: as the manager's settings say.
    package var endTransactions: Bool?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case sourceShardID = "source_shard_id"
        case targetShards = "target_shards"
        case splitPoint = "split_point"
        case endTransactions = "end_transactions"
    }

    package init(sourceShardID: String, targetShards: [String], splitPoint: String? = nil, endTransactions: Bool? = nil) {
        self.sourceShardID = sourceShardID
        self.targetShards = targetShards
        self.splitPoint = splitPoint
        self.endTransactions = endTransactions
    }
}

/// POST /api/v1/reshard/merge
package struct MergeShardsRequest: APIRequest, Encodable, Hashable {
    package var sourceShardIDs: [String]
    package var targetShard: String
    package var endTransactions: Bool?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case sourceShardIDs = "source_shard_ids"
        case targetShard = "target_shard"
        case endTransactions = "end_transactions"
    }

    package init(sourceShardIDs: [String], targetShard: String, endTransactions: Bool? = nil) {
        self.sourceShardIDs = sourceShardIDs
        self.targetShard = targetShard
        self.endTransactions = endTransactions
    }
}

/// POST /api/v1/reshard/move
package struct MoveVNodesRequest: APIRequest, Encodable, Hashable {
    package var vnodes: [UInt32]
    package var source: String
    package var target: String
    package var endTransactions: Bool?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case vnodes, source, target
        case endTransactions = "end_transactions"
    }

    package init(vnodes: [UInt32], source: String, target: String, endTransactions: Bool? = nil) {
        self.vnodes = vnodes
        self.source = source
        self.target = target
        self.endTransactions = endTransactions
    }
}

/// POST /api/v1/reshard/add-shard: it gets what it lacks of a fair share from the others. POST /api/v1/reshard/drain-shard: the others get all it has.
package struct EvenShardRequest: APIRequest, Encodable, Hashable {
    package var shardID: String
    package var endTransactions: Bool?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case shardID = "shard_id"
        case endTransactions = "end_transactions"
    }

    package init(shardID: String, endTransactions: Bool? = nil) {
        self.shardID = shardID
        self.endTransactions = endTransactions
    }
}

/// GET /api/v1/reshard/plan: what would move, and about how much of it there is.
package struct ReshardPlanAnswer: Codable, Hashable, Sendable {
    package struct Move: Codable, Hashable, Sendable {
        package var sourceShard: String
        package var targetShard: String
        package var vnodes: Int
        /// Of the whole ring, 0.0 to 1.0.
        package var shareOfRing: Double
        /// Of what the source owns, 0.0 to 1.0.
        package var shareOfSource: Double
        /// By rows that were sampled on the source, or by its statistics where they could not be; nil: it did not answer.
        package var rowEstimate: Int64?
        package var byteEstimate: Int64?

        package enum CodingKeys: String, CodingKey, CaseIterable {
            case vnodes
            case sourceShard = "source_shard"
            case targetShard = "target_shard"
            case shareOfRing = "share_of_ring"
            case shareOfSource = "share_of_source"
            case rowEstimate = "row_estimate"
            case byteEstimate = "byte_estimate"
        }

        package init(
            sourceShard: String, targetShard: String, vnodes: Int, shareOfRing: Double, shareOfSource: Double, rowEstimate: Int64?, byteEstimate: Int64?
        ) {
            self.sourceShard = sourceShard
            self.targetShard = targetShard
            self.vnodes = vnodes
            self.shareOfRing = shareOfRing
            self.shareOfSource = shareOfSource
            self.rowEstimate = rowEstimate
            self.byteEstimate = byteEstimate
        }
    }

    package var type: String
    package var database: String
    /// By source and target.
    package var moves: [Move]
    /// How many vnodes are cut for it.
    package var cuts: Int
    /// Shards that own nothing afterwards.
    package var retiring: [String]
    /// The job that would be in the way.
    package var conflict: String?
    /// How many rows were sampled to share the sources out; nil: they are shared out by tokens, for a source could not be sampled.
    package var sampledRows: Int64?
    /// How long the copy would take, as fast as those of the last jobs; nil: no job has copied yet, or the sources could not be sampled.
    package var secondsEstimate: Double?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case type, database, moves, cuts, retiring, conflict
        case sampledRows = "sampled_rows"
        case secondsEstimate = "seconds_estimate"
    }

    package init(
        type: String, database: String, moves: [Move], cuts: Int, retiring: [String], conflict: String?, sampledRows: Int64? = nil, secondsEstimate: Double? = nil
    ) {
        self.sampledRows = sampledRows
        self.secondsEstimate = secondsEstimate
        self.type = type
        self.database = database
        self.moves = moves
        self.cuts = cuts
        self.retiring = retiring
        self.conflict = conflict
    }
}
