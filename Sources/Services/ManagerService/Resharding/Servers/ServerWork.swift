package import LogicalReplication
package import ReshardCore
package import ShardModel

/// What a job of moving vnodes does on PostgreSQL servers. Each can be done again, after any part of it was done, by another manager.
package protocol ServerWork: Sendable {
    /// The job's record was persisted as this: begins, goes on with or ends the streams that its step wants (`JobStep.isStreaming`). Returns soon.
    func follow(_ record: JobRecord, in catalog: CatalogSnapshot) async
    /// `check`, `prepare`, `shield`, `copy`, `catchUp`, `verify`, `arm`, `measure`, `reach`, `mirror` and `clean`; never `hold`, `fence`, `switchOwners` or `lift`.
    /// Ends soon when its task is cancelled.
    func run(_ effect: JobEffect, _ id: EffectID, of record: JobRecord, in catalog: CatalogSnapshot) async -> JobOutcome
    /// Of the sessions that `shield` has noted on the targets, ends those that are not named, but for our own. Done when they are gone, and again at once then.
    ///
    /// - spared: ids of server processes, by shard.
    func endStrangers(_ record: JobRecord, sparing spared: [ShardID: Set<Int32>], in catalog: CatalogSnapshot) async -> JobOutcome
    /// Raises the fence of the record's old owners to the epoch (never lowers it), then ends every client session there but those named, our own, and
    /// those for replication. Done when the ended sessions are gone.
    ///
    /// - spared: ids of server processes, by shard.
    func fence(_ record: JobRecord, at epoch: Epoch, sparing spared: [ShardID: Set<Int32>], in catalog: CatalogSnapshot) async -> JobOutcome
    /// Takes the fence of that epoch back where it still is exactly that one.
    func unfence(_ record: JobRecord, at epoch: Epoch, in catalog: CatalogSnapshot) async -> JobOutcome
    /// For the API; nil: nothing runs here for the job.
    func progress(of job: JobID) async -> JobProgress?
    /// This manager leads no more, or ends: everything stops, nothing is undone.
    func stopAll() async
}

/// How far a job is, as this manager knows.
package struct JobProgress: Hashable, Sendable {
    package struct Table: Hashable, Sendable {
        package var name: QualifiedName
        /// An estimate of the source's rows that move.
        package var rowsEstimated: Int
        package var rowsCopied = 0
        package var bytesCopied = 0

        package init(name: QualifiedName, rowsEstimated: Int) {
            self.name = name
            self.rowsEstimated = rowsEstimated
        }
    }

    package enum StreamState: String, Hashable, Sendable {
        case connecting, streaming
        /// Broke, and is begun again after a moment.
        case waiting
        /// Cannot go on.
        case failed
    }

    package struct Stream: Hashable, Sendable {
        package var from: ShardID
        package var state = StreamState.connecting
        package var sourceEnd = LSN.none
        /// Of the log of `from`, that some target lacks.
        package var lagBytes: UInt64 = 0
        package var changes = 0
        /// Why it waits or has failed.
        package var reason: String?

        package init(from: ShardID) { self.from = from }
    }

    /// What the copy has to do with the load of its source.
    package struct Load: Hashable, Sendable {
        package var from: ShardID
        /// What it may read at the moment; nil: as fast as it goes.
        package var bytesPerSecondMax: Int?
        /// How long commits on the source take, and took before the copy; nil: not known yet.
        package var commit: Duration?
        package var commitBefore: Duration?

        package init(from: ShardID) { self.from = from }
    }

    /// By name; empty before the copy has begun here.
    package var tables: [Table] = []
    /// Of the copy, read from the sources, whether or not the rows move.
    package var bytesRead = 0
    /// An estimate of what there is to read: the length of the tables' files.
    package var bytesAll = 0
    package var rowsCopied = 0
    package var rowsEstimated = 0
    /// In the order in which shards are copied.
    package var loads: [Load] = []
    /// By shard.
    package var streams: [Stream] = []
    /// From raising the fence to where the new owners had everything, at the last cutover that came so far.
    package var lastPause: Duration?

    package init() {}

    package var lagBytes: UInt64 { streams.map(\.lagBytes).max() ?? 0 }
}
