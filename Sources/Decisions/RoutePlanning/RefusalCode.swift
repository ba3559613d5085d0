/// One code a refused shape. The raw value is public: it stands in DETAIL, in REST answers and in `docs/reference/refusals.md`.
package enum RefusalCode: String, Hashable, Sendable, CaseIterable {
    case noKey = "PGM-NO-KEY"
    case manyShards = "PGM-MANY-SHARDS"
    case secondShard = "PGM-SECOND-SHARD"
    case keyIsNull = "PGM-KEY-NULL"
    case keyType = "PGM-KEY-TYPE"
    case keyMissing = "PGM-KEY-MISSING"
    case keyUpdate = "PGM-KEY-UPDATE"
    case unknownTable = "PGM-UNKNOWN-TABLE"
    case unplacedTable = "PGM-UNPLACED-TABLE"
    case unsupported = "PGM-UNSUPPORTED"
}
