package import PoolCore

/// What one probe of a replica saw.
package struct ReplicaSight: Hashable, Sendable {
    /// `system_identifier` of `pg_control_system()`: the same on a primary and all that was copied from it.
    package var system: String
    /// `pg_is_in_recovery()`: false once it was promoted.
    package var isInRecovery: Bool
    /// `pg_last_wal_replay_lsn()`; nil where nothing was replayed yet.
    package var replayed: LogPosition?

    package init(system: String, isInRecovery: Bool, replayed: LogPosition?) {
        self.system = system
        self.isInRecovery = isInRecovery
        self.replayed = replayed
    }
}

/// What one probe of a primary saw.
package struct PrimarySight: Hashable, Sendable {
    package var system: String
    package var isInRecovery: Bool
    /// nil while it is in recovery.
    package var log: PrimaryLog?

    package init(system: String, isInRecovery: Bool, log: PrimaryLog?) {
        self.system = system
        self.isInRecovery = isInRecovery
        self.log = log
    }
}

/// Why a replica may be read from, or not.
package enum ReplicaStanding: String, Hashable, Sendable, CaseIterable {
    /// It and its primary have not both been seen yet.
    case unknown
    case following
    /// The last probe of it failed.
    case unreachable
    /// It has left recovery: somebody may write to it.
    case promoted
    /// It was copied from another server.
    case foreign
    /// It is ahead of its primary, so it follows another one.
    case diverged
}

/// A shard's primary and its replicas, and how far each replica is known to be: all that probes saw becomes one moment a replica.
///
/// That moment, `currentTo`, is the last one at which the primary's log was seen to end at or before what the replica has replayed: whatever was
/// committed before it, the replica shows. Lag is the time since. So a replica of an idle primary does not lag, one that is cut off lags from the
/// first record it misses, and one whose primary is not seen lags because nobody can say. A session that wrote may read there once
/// the moment is later than its write.
package struct ReplicaGroup: Sendable {
    /// Samples of the primary's log that are kept: enough to date a replica that is minutes behind.
    static let samplesMax = 256

    private struct Sample {
        /// When the question was sent: the answer holds what was there then.
        var asked: PoolInstant
        var end: LogPosition
    }

    private struct Replica {
        var standing = ReplicaStanding.unknown
        var replayed: LogPosition?
        /// When `replayed` was heard.
        var heard = PoolInstant(nanoseconds: 0)
        var currentTo: PoolInstant?
    }

    /// In the order of their moments and of their positions.
    private var samples: [Sample] = []
    private var system: String?
    private var replicas: [Replica]

    package init(replicas count: Int) { replicas = Array(repeating: Replica(), count: count) }

    package func standing(of replica: Int) -> ReplicaStanding { replicas[replica].standing }

    /// nil while it must not be read from. Never goes back while the replica stays.
    package func currentTo(_ replica: Int) -> PoolInstant? {
        replicas[replica].standing == .following ? replicas[replica].currentTo : nil
    }

    // MARK: Events

    /// The primary answered a question that was sent at `asked`.
    package mutating func primarySeen(_ sight: PrimarySight, asked: PoolInstant) {
        // Not (or not yet again) a primary: it tells nothing.
        guard !sight.isInRecovery, let log = sight.log else { return }
        if let system, system != sight.system { forgetAll() }
        system = sight.system
        let end = log.end
        if let last = samples.last {
            guard asked > last.asked else { return }
            // Back after a crash without its last records, or restored: what was known of it is about another log.
            if end < last.end { forgetAll() }
        }
        samples.append(Sample(asked: asked, end: end))
        thinOut()
        for index in replicas.indices { judge(index) }
    }

    /// The replica answered; the answer arrived at `heard`.
    package mutating func replicaSeen(_ index: Int, _ sight: ReplicaSight, heard: PoolInstant) {
        guard sight.isInRecovery else { return exclude(index, .promoted) }
        if let system, system != sight.system { return exclude(index, .foreign) }
        if replicas[index].standing == .diverged { return }
        if let old = replicas[index].replayed, let new = sight.replayed, new < old {
            // Made anew: what it had shown before counts for nothing.
            replicas[index].currentTo = nil
        }
        replicas[index].replayed = sight.replayed
        replicas[index].heard = heard
        // The primary says whether it is one of its own.
        replicas[index].standing = system == nil ? .unknown : .following
        judge(index)
    }

    /// The replica did not answer in time, or not at all.
    package mutating func replicaLost(_ index: Int) { exclude(index, .unreachable) }

    // MARK: Judging

    private mutating func judge(_ index: Int) {
        guard replicas[index].standing == .following, let replayed = replicas[index].replayed else { return }
        if let last = samples.last, last.asked > replicas[index].heard, last.end < replayed { return exclude(index, .diverged) }
        guard let newest = samples.last(where: { $0.end <= replayed }) else { return }
        if replicas[index].currentTo.map({ $0 < newest.asked }) ?? true { replicas[index].currentTo = newest.asked }
    }

    private mutating func exclude(_ index: Int, _ standing: ReplicaStanding) {
        replicas[index] = Replica(standing: standing)
    }

    /// Replicas must be seen again before they count.
    private mutating func forgetAll() {
        samples.removeAll()
        for index in replicas.indices where replicas[index].standing == .following { exclude(index, .unknown) }
    }

    /// Drops every other sample of the older half: a replica that is that far behind is dated a little earlier than it could be.
    private mutating func thinOut() {
        guard samples.count > Self.samplesMax else { return }
        let half = samples.count / 2
        samples = samples[..<half].enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element) + samples[half...]
    }
}
