internal import CatalogStore
internal import ReshardCore
internal import ServerConfig
internal import ShardModel

/// What a job does in the catalog: hold, switch, lift. Each is one compare-and-set, on what this job's record and hold are at that moment.
struct CatalogEffects: Sendable {
    let commits: JobCommits
    let settings: ReshardSettings
    /// Seconds since 1970.
    let now: @Sendable () -> Double

    /// How soon after the hold it is looked first whether the routers have acknowledged. Then, each time, when an eighth of the time so far has passed again: a
    /// look costs the store something, and this adds an eighth to the wait at most.
    static let lookFirst = Duration.milliseconds(2)
    static let lookLast = Duration.milliseconds(50)
    /// How often it is looked, later on, whether a router has more waiting than it is to keep.
    static let overflowInterval = Duration.milliseconds(20)

    // MARK: the hold

    /// Writes the hold. The attempt where it stands; else why not.
    func hold(_ record: JobRecord, _ id: EffectID) async -> Result<CutoverAttempt, Failure> {
        let began = ContinuousClock.now
        let ranges = Self.merged(record.moves.map(\.vnode.range))
        let limit = endsTransactions(record) ? Int(settings.drainLimit / .milliseconds(1)) : nil
        let outcome = await commits.commit { catalog in
            if let refusal = Self.refusal(record, id, in: catalog) { return refusal }
            if let there = catalog.holds[record.id.text] {
                return there.attempt == id.version ? .stands : .refused("the hold of attempt \(there.attempt) is still there")
            }
            let hold = HoldRecord(
                job: record.id.text, database: record.database, ranges: ranges, owners: record.oldOwners, attempt: id.version, epoch: catalog.epoch.next,
                transactionLimit: limit)
            return .change([.putHold(hold)])
        }
        switch outcome {
        case .stands(let catalog):
            guard let hold = catalog.holds[record.id.text] else { return .failure(Failure(outcome: .busy("the hold is gone"))) }
            return .success(CutoverAttempt(number: id.version, began: began, epoch: hold.epoch))
        default: return .failure(Failure(outcome: Self.failed(outcome)))
        }
    }

    struct Failure: Error {
        var outcome: JobOutcome
    }

    private func endsTransactions(_ record: JobRecord) -> Bool { record.endsTransactions ?? settings.endsTransactions }

    /// How long routers may take. Where they end transactions at the drain limit, they have half of what is left of the budget for that.
    func drainLimit(_ record: JobRecord) -> Duration {
        let limit = min(settings.drainLimit, settings.pauseBudget)
        return endsTransactions(record) ? limit + (settings.pauseBudget - limit) / 2 : limit
    }

    enum Drain: Sendable {
        /// Each live router has acknowledged.
        case done
        /// These have not, by their ids: a router that ended without a word is one until its announcement has run out.
        case silent([String])
        /// This one has more waiting than it is to keep.
        case overfull(String)
    }

    /// Returns when each live router has acknowledged, when one can wait no more, or when the drain limit is over.
    func awaitAcknowledgements(of attempt: CutoverAttempt, _ record: JobRecord) async -> Drain {
        let deadline = attempt.began + drainLimit(record)
        var silent: [String] = []
        repeat {
            if let members = try? await commits.store.members() {
                silent = members.filter { $0.kind == "router" && Self.acknowledgement(of: record.id, attempt, by: $0) == nil }.map(\.id)
                if silent.isEmpty { return .done }
                if let router = Self.overfull(attempt, record.id, among: members) { return .overfull(router) }
            }
            let passed = ContinuousClock.now - attempt.began
            try? await Task.sleep(until: min(deadline, .now + min(Self.lookLast, max(Self.lookFirst, passed / 8))), clock: .continuous)
        } while deadline > .now && !Task.isCancelled
        return .silent(silent)
    }

    /// A router that has more waiting for the attempt than it is to keep, as soon as there is one; nil: cancelled.
    func awaitOverflow(of attempt: CutoverAttempt, _ job: JobID) async -> String? {
        while !Task.isCancelled {
            if let members = try? await commits.store.members(), let router = Self.overfull(attempt, job, among: members) { return router }
            try? await Task.sleep(for: Self.overflowInterval)
        }
        return nil
    }

    private static func overfull(_ attempt: CutoverAttempt, _ job: JobID, among members: [MemberRecord]) -> String? {
        let wanted = HoldAttempt(job: job.text, attempt: attempt.number)
        return members.first { $0.overfull?.contains(wanted) == true }?.id
    }

    /// The sessions that routers vouch for, by shard.
    func spared(_ attempt: CutoverAttempt, _ job: JobID) async -> [ShardID: Set<Int32>]? {
        guard let members = try? await commits.store.members() else { return nil }
        var spared: [ShardID: Set<Int32>] = [:]
        for member in members where member.kind == "router" {
            for (shard, sessions) in Self.acknowledgement(of: job, attempt, by: member)?.sessions ?? [:] { spared[shard, default: []].formUnion(sessions) }
        }
        return spared
    }

    private static func acknowledgement(of job: JobID, _ attempt: CutoverAttempt, by member: MemberRecord) -> HoldAcknowledgement? {
        member.acknowledgements?.first { $0.job == job.text && $0.attempt == attempt.number }
    }

    // MARK: before the copy

    /// The sessions on shards of jobs that live routers announce, when each of them has done so under this epoch or a newer one. Otherwise, why that is not known.
    func awaitSessions(at epoch: Epoch) async -> Result<[ShardID: Set<Int32>], Failure> {
        var sessions: [ShardID: Set<Int32>] = [:]
        let reason = await awaitRouters("have not said which sessions are theirs since the job is about to copy") { member in
            guard let report = member.sessions, report.epoch >= epoch else { return false }
            for (shard, processes) in report.sessions { sessions[shard, default: []].formUnion(processes) }
            return true
        }
        return reason.map { .failure(Failure(outcome: .unavailable($0))) } ?? .success(sessions)
    }

    /// How long live routers may take to serve a job's epoch: longer than an announcement lasts.
    static let routersLimit = Duration.seconds(30)

    /// Returns nil when each live router serves the epoch, or a newer one: what would see rows twice is refused there from then on. Otherwise, why that is not known.
    func awaitRouters(at epoch: Epoch) async -> String? {
        await awaitRouters("do not serve the catalog with the job yet") { $0.epoch >= epoch }
    }

    private func awaitRouters(_ lack: String, isDone: (MemberRecord) -> Bool) async -> String? {
        let deadline = ContinuousClock.now + Self.routersLimit
        var reason = "the catalog store does not say which routers there are"
        repeat {
            if let members = try? await commits.store.members() {
                let late = members.filter { $0.kind == "router" && !isDone($0) }.map(\.id)
                if late.isEmpty { return nil }
                reason = "routers \(lack): \(late.prefix(10).joined(separator: ", "))"
            }
            try? await Task.sleep(for: Self.lookLast)
        } while deadline > .now && !Task.isCancelled
        return reason
    }

    // MARK: the switch

    /// Writes the new owners and takes the hold away, if it is this attempt's, the record is the effect's, and the pause is not over its budget.
    func switchOwners(_ record: JobRecord, _ id: EffectID, _ attempt: CutoverAttempt) async -> JobOutcome {
        var unknown: String?
        while true {
            let outcome = await commits.commit { catalog in
                if Ownership(of: record, in: catalog) == .new { return .stands }
                if let refusal = Self.refusal(record, id, in: catalog) { return refusal }
                guard let hold = catalog.holds[record.id.text], hold.attempt == attempt.number else {
                    return .refused("the hold is not this attempt's any more")
                }
                guard ContinuousClock.now - attempt.began < settings.pauseBudget else { return .refused(Self.overBudget(settings)) }
                guard let shards = Ownership.switched(record, in: catalog, now: now()) else { return .refused("the vnodes are not the old owners' any more") }
                return .change(shards.map { .putShard($0) } + [.deleteHold(job: record.id.text, version: hold.version)])
            }
            switch outcome {
            case .stands: return .done
            // The same again: it finds the owners switched, or switches them; the first one can still arrive, and then one of the two conflicts.
            case .unknown(let reason) where unknown == nil: unknown = reason
            default: return Self.failed(outcome)
            }
        }
    }

    static func overBudget(_ settings: ReshardSettings) -> String { "the pause is over its budget of \(settings.pauseBudget)" }

    // MARK: giving up

    /// Takes the hold away, unless the owners are switched. Answers the epoch of the hold that was there, which is the fence's.
    func lift(_ record: JobRecord, _ id: EffectID) async -> Result<Epoch?, Failure> {
        // Nobody but this job's manager writes a hold of the job.
        guard let before = try? await commits.store.load() else { return .failure(Failure(outcome: .unavailable("the catalog store cannot be reached"))) }
        let outcome = await commits.commit { catalog in
            if let refusal = Self.refusal(record, id, in: catalog) { return refusal }
            if Ownership(of: record, in: catalog) == .new { return .refused("switched") }
            guard let hold = catalog.holds[record.id.text] else { return .stands }
            return .change([.deleteHold(job: hold.job, version: hold.version)])
        }
        switch outcome {
        case .stands: return .success(before.holds[record.id.text]?.epoch)
        case .refused(_, let catalog) where Ownership(of: record, in: catalog) == .new: return .failure(Failure(outcome: .switched))
        default: return .failure(Failure(outcome: Self.failed(outcome)))
        }
    }

    // MARK: common

    /// nil: the record in the catalog is the one that the effect is of.
    private static func refusal(_ record: JobRecord, _ id: EffectID, in catalog: CatalogSnapshot) -> JobCommits.Decision? {
        catalog.jobs[record.id.text]?.version == id.version ? nil : .refused("another manager has the job")
    }

    private static func failed(_ outcome: JobCommits.Outcome) -> JobOutcome {
        switch outcome {
        case .stands: .done
        case .refused(let reason, _): .busy(reason)
        case .fenced: .busy("this manager does not lead any more")
        case .unavailable(let reason): .unavailable("the catalog store cannot be reached: \(reason)")
        case .unknown(let reason): .unavailable("the catalog store did not answer: \(reason)")
        }
    }

    /// Sorted, neighbours as one.
    static func merged(_ ranges: [TokenRange]) -> [TokenRange] {
        var merged: [TokenRange] = []
        for range in ranges.sorted(by: { $0.start < $1.start }) {
            if let last = merged.last, last.end != .max, last.end + 1 == range.start {
                merged[merged.count - 1] = TokenRange(last.start...range.end)
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}
