/// A job that moves vnodes, as the API shows it.
package struct JobResource: Codable, Hashable, Sendable {
    package struct Table: Codable, Hashable, Sendable {
        package var name: String
        package var rowsCopied: Int64
        /// An estimate.
        package var totalRows: Int64
        package var bytesCopied: Int64

        package enum CodingKeys: String, CodingKey, CaseIterable {
            case name
            case rowsCopied = "rows_copied"
            case totalRows = "total_rows"
            case bytesCopied = "bytes_copied"
        }

        package init(name: String, rowsCopied: Int64, totalRows: Int64, bytesCopied: Int64) {
            self.name = name
            self.rowsCopied = rowsCopied
            self.totalRows = totalRows
            self.bytesCopied = bytesCopied
        }
    }

    package struct Stream: Codable, Hashable, Sendable {
        package var sourceShard: String
        package var state: String
        package var lagBytes: Int64
        package var changes: Int64
        package var reason: String?

        package enum CodingKeys: String, CodingKey, CaseIterable {
            case state, changes, reason
            case sourceShard = "source_shard"
            case lagBytes = "lag_bytes"
        }

        package init(sourceShard: String, state: String, lagBytes: Int64, changes: Int64, reason: String?) {
            self.sourceShard = sourceShard
            self.state = state
            self.lagBytes = lagBytes
            self.changes = changes
            self.reason = reason
        }
    }

    /// What the copy has to do with the load of a source.
    package struct Load: Codable, Hashable, Sendable {
        package var sourceShard: String
        /// What the copy may read at the moment; nil: as fast as it goes.
        package var bytesPerSecondMax: Int64?
        /// How long commits on the source take, and took before the copy; nil: not known yet.
        package var commitMilliseconds: Double?
        package var commitMillisecondsBefore: Double?

        package enum CodingKeys: String, CodingKey, CaseIterable {
            case sourceShard = "source_shard"
            case bytesPerSecondMax = "bytes_per_second_max"
            case commitMilliseconds = "commit_ms"
            case commitMillisecondsBefore = "commit_ms_before"
        }

        package init(sourceShard: String, bytesPerSecondMax: Int64?, commitMilliseconds: Double?, commitMillisecondsBefore: Double?) {
            self.sourceShard = sourceShard
            self.bytesPerSecondMax = bytesPerSecondMax
            self.commitMilliseconds = commitMilliseconds
            self.commitMillisecondsBefore = commitMillisecondsBefore
        }
    }

    package var id: String
    /// "split", "merge", "move"
    package var type: String
    package var database: String
    package var sourceShards: [String]
    package var targetShards: [String]
    package var status: String
    /// The step within the status.
    package var step: String
    /// "forward", or "back" while the cutover is undone.
    package var direction: String
    /// Whether the cutover can still be undone without loss.
    package var hasWayBack: Bool
    package var vnodes: Int
    /// 0.0 to 1.0
    package var progress: Double
    package var keysMigrated: Int64
    /// An estimate.
    package var totalKeys: Int64
    /// Read from the sources by the copy, whether or not the rows move.
    package var bytesCopied: Int64
    package var totalBytes: Int64
    package var lagBytes: Int64
    /// Of the last cutover: from the hold to the switch.
    package var pauseMilliseconds: Double?
    package var attemptsAbandoned: Int
    package var retries: Int
    package var errorMessage: String?
    package var startedAt: Timestamp
    package var updatedAt: Timestamp
    /// When the targets got the vnodes.
    package var switchedAt: Timestamp?
    /// When nothing more was left to do.
    package var completedAt: Timestamp?
    /// Whether open transactions are ended at the drain limit; nil: as the manager's settings say.
    package var endTransactions: Bool?
    package var version: UInt64
    package var tables: [Table] = []
    package var streams: [Stream] = []
    /// While rows are copied.
    package var loads: [Load] = []

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case id, type, database, status, step, direction, vnodes, progress, retries, version, tables, streams, loads
        case sourceShards = "source_shards"
        case targetShards = "target_shards"
        case hasWayBack = "has_way_back"
        case keysMigrated = "keys_migrated"
        case totalKeys = "total_keys"
        case bytesCopied = "bytes_copied"
        case totalBytes = "total_bytes"
        case lagBytes = "lag_bytes"
        case pauseMilliseconds = "pause_ms"
        case attemptsAbandoned = "attempts_abandoned"
        case errorMessage = "error_message"
        case startedAt = "started_at"
        case updatedAt = "updated_at"
        case switchedAt = "switched_at"
        case completedAt = "completed_at"
        case endTransactions = "end_transactions"
    }

    package init(
        id: String, type: String, database: String, sourceShards: [String], targetShards: [String], status: String, step: String, direction: String = "forward",
        hasWayBack: Bool = false, vnodes: Int, progress: Double = 0, keysMigrated: Int64 = 0, totalKeys: Int64 = 0, bytesCopied: Int64 = 0, totalBytes: Int64 = 0,
        lagBytes: Int64 = 0, pauseMilliseconds: Double? = nil, attemptsAbandoned: Int = 0, retries: Int = 0, errorMessage: String? = nil, startedAt: Timestamp,
        updatedAt: Timestamp, switchedAt: Timestamp? = nil, completedAt: Timestamp? = nil, version: UInt64 = 1
    ) {
        self.id = id
        self.type = type
        self.database = database
        self.sourceShards = sourceShards
        self.targetShards = targetShards
        self.status = status
        self.step = step
        self.direction = direction
        self.hasWayBack = hasWayBack
        self.vnodes = vnodes
        self.progress = progress
        self.keysMigrated = keysMigrated
        self.totalKeys = totalKeys
        self.bytesCopied = bytesCopied
        self.totalBytes = totalBytes
        self.lagBytes = lagBytes
        self.pauseMilliseconds = pauseMilliseconds
        self.attemptsAbandoned = attemptsAbandoned
        self.retries = retries
        self.errorMessage = errorMessage
        self.startedAt = startedAt
        self.updatedAt = updatedAt
        self.switchedAt = switchedAt
        self.completedAt = completedAt
        self.version = version
    }
}
