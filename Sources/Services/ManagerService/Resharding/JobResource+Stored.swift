internal import ControlAPI
internal import ReshardCore
internal import ShardModel

extension JobResource {
    /// - progress: nil: nothing of it runs on this manager.
    init(_ job: StoredJob, _ progress: JobProgress?) {
        let record = job.record
        self.init(
            id: record.id.text, type: record.kind.rawValue, database: record.database, sourceShards: record.sources.map(\.name),
            targetShards: record.targets.map(\.name), status: record.step.state.rawValue, step: record.step.name, direction: record.direction.rawValue,
            hasWayBack: record.hasWayBack, vnodes: record.moves.count, pauseMilliseconds: job.facts.pauseMilliseconds, attemptsAbandoned: record.abandoned,
            retries: record.retries, errorMessage: record.reason, startedAt: Timestamp(seconds: job.createdAt), updatedAt: Timestamp(seconds: job.updatedAt),
            switchedAt: job.facts.switchedAt.map { Timestamp(seconds: $0) }, completedAt: record.isOver ? Timestamp(seconds: job.updatedAt) : nil,
            version: record.version)
        endTransactions = record.endsTransactions
        self.progress = Self.part(record.step, progress)
        if let copied = job.facts.copied {
            (keysMigrated, totalKeys) = (Int64(copied.rows), Int64(copied.rowsEstimated))
            (bytesCopied, totalBytes) = (Int64(copied.bytes), Int64(copied.bytesAll))
        }
        guard let progress else { return }
        // A manager that went on with the job behind the copy has not copied anything itself.
        if progress.bytesRead > 0 || job.facts.copied == nil {
            (keysMigrated, totalKeys) = (Int64(progress.rowsCopied), Int64(progress.rowsEstimated))
            (bytesCopied, totalBytes) = (Int64(progress.bytesRead), Int64(progress.bytesAll))
        }
        lagBytes = Int64(clamping: progress.lagBytes)
        if job.record.step == .copying {
            loads = progress.loads.map {
                Load(
                    sourceShard: $0.from.name, bytesPerSecondMax: $0.bytesPerSecondMax.map { Int64($0) }, commitMilliseconds: $0.commit.map(Self.milliseconds),
                    commitMillisecondsBefore: $0.commitBefore.map(Self.milliseconds))
            }
        }
        tables = progress.tables.map {
            Table(name: $0.name.description, rowsCopied: Int64($0.rowsCopied), totalRows: Int64($0.rowsEstimated), bytesCopied: Int64($0.bytesCopied))
        }
        streams = progress.streams.map {
            Stream(sourceShard: $0.from.name, state: $0.state.rawValue, lagBytes: Int64(clamping: $0.lagBytes), changes: Int64($0.changes), reason: $0.reason)
        }
    }

    private static func milliseconds(_ time: Duration) -> Double { (time / .microseconds(10)).rounded() / 100 }

    /// How far it is to the switch. The copy is nine tenths of the way, for it takes the time.
    private static func part(_ step: JobStep, _ progress: JobProgress?) -> Double {
        switch step {
        case .checking, .preparing, .shielding: return 0
        case .copying:
            guard let progress, progress.bytesAll > 0 else { return 0 }
            return (min(1, Double(progress.bytesRead) / Double(progress.bytesAll)) * 900).rounded() / 1000
        case .streaming: return 0.9
        case .verifying: return 0.93
        case .arming: return 0.96
        case .holding, .fencing, .measuring, .catchingUp, .switching, .abandoning: return 0.98
        case .guarding, .cleaning(.completed), .over(.completed): return 1
        case .cleaning, .over: return 0
        }
    }
}
