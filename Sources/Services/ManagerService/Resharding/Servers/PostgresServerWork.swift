package import NIOCore
package import PGChannel
package import ReshardCore
package import Secrets
package import ServerConfig
package import ShardModel
internal import Synchronization
package import TransferCore

/// The work of jobs on real servers. Each effect has a file of its own; what it needs of the catalog is in `JobPlan`, what runs between effects in `JobWork`.
package final class PostgresServerWork: ServerWork {
    /// Copying, comparing and cutting over, to be set by an operator one day.
    package struct Settings: Sendable {
        /// Ranges that are copied at a time, each with a session on the source and on every target.
        package var copySessions = 2
        /// How fast a source is read.
        package var copyLoad = LoadControl.Settings()
        /// Connecting, and short statements.
        package var timeout = Duration.seconds(10)
        package var longTransaction = Duration.seconds(300)
        package var longPrepared = Duration.seconds(60)
        /// Of a replication slot, which waits for the transactions that are open when it is made.
        package var slotLimit = Duration.seconds(600)
        /// How long the targets may take for what the source has written, for a cutover to begin: they take as long in its pause.
        package var applyMax = Duration.milliseconds(100)
        /// How long behind the fence a prepared transaction may take to end.
        package var preparedLimit = Duration.milliseconds(100)
        /// Longer than any pause: its budget ends the wait before.
        package var reachLimit = Duration.seconds(60)
        /// For sessions that a fence ends.
        package var endLimit = Duration.milliseconds(500)
        package init() {}

        package init(_ settings: ReshardSettings) {
            copyLoad.slowdownPercentMax = settings.copySlowdownPercentMax
            copyLoad.bytesPerSecondMin = settings.copyRateMin
            copyLoad.bytesPerSecondMax = settings.copyRateMax
            // Half of what the drain leaves of the pause.
            applyMax = max(applyMax, (settings.pauseBudget - min(settings.drainLimit, settings.pauseBudget)) / 2)
        }
    }

    let sessions: ServerSessions
    let settings: Settings
    let claim: JobClaim
    private let jobs = Mutex<[JobID: JobWork]>([:])

    /// - isCurrent: whether the catalog has the job's record as it is here.
    package init(
        box: SecretBox?, group: any EventLoopGroup, addresses: AddressPolicy = .noMetadata, settings: Settings = Settings(),
        isCurrent: @escaping @Sendable (JobRecord) async throws -> Bool = { _ in true }
    ) {
        sessions = ServerSessions(box: box, group: group, timeout: settings.timeout, addresses: addresses)
        self.settings = settings
        claim = JobClaim(isCurrent: isCurrent)
    }

    private func work(of job: JobID) -> JobWork {
        jobs.withLock { jobs in
            if let work = jobs[job] { return work }
            let work = JobWork(sessions, claim)
            jobs[job] = work
            return work
        }
    }

    package func follow(_ record: JobRecord, in catalog: CatalogSnapshot) async {
        guard record.isOver else { return work(of: record.id).follow(record, in: catalog) }
        let work = jobs.withLock { $0.removeValue(forKey: record.id) }
        await work?.stopAll()
    }

    package func progress(of job: JobID) async -> JobProgress? { jobs.withLock { $0[job] }?.progress }

    package func stopAll() async {
        let all = jobs.withLock { jobs in
            defer { jobs = [:] }
            return jobs
        }
        for work in all.values { await work.stopAll() }
    }

    package func run(_ effect: JobEffect, _ id: EffectID, of record: JobRecord, in catalog: CatalogSnapshot) async -> JobOutcome {
        do {
            return try await carryOut(effect, of: record, in: catalog)
        } catch {
            return EffectFailure(error, doing: "job \(record.id)").outcome
        }
    }

    private func carryOut(_ effect: JobEffect, of record: JobRecord, in catalog: CatalogSnapshot) async throws -> JobOutcome {
        let work = work(of: record.id)
        try await takeOver(record, work, in: catalog)
        if case .clean(let entries) = effect {
            try await clean(entries, of: record, work, in: catalog)
            return .done
        }
        let direction: JobDirection = if case .mirror = effect { .back } else { record.direction }
        let plan = try JobPlan(record, direction, in: catalog)
        switch effect {
        case .check: try await check(plan)
        case .prepare: try await prepare(plan)
        case .shield: try await shield(plan, at: catalog.epoch)
        case .copy: try await copy(plan, work, in: catalog)
        case .catchUp(let pause): try await catchUp(plan, work, after: pause)
        case .verify: try await verify(plan, work)
        case .arm: try await arm(plan, work, in: catalog)
        case .measure: return .ended(try await measure(plan, work))
        case .reach(let ends): try await reach(ends, plan, work, in: catalog)
        case .mirror: try await mirror(plan, work, in: catalog)
        case .clean, .hold, .fence, .switchOwners, .lift: return .impossible("this is not done on servers")
        }
        return .done
    }

    package func endStrangers(_ record: JobRecord, sparing spared: [ShardID: Set<Int32>], in catalog: CatalogSnapshot) async -> JobOutcome {
        do {
            let work = work(of: record.id)
            try await takeOver(record, work, in: catalog)
            try await endStrangers(try JobPlan(record, record.direction, in: catalog), sparing: spared)
            return .done
        } catch {
            return EffectFailure(error, doing: "ending sessions on the targets").outcome
        }
    }

    package func fence(
        _ record: JobRecord, at epoch: Epoch, sparing spared: [ShardID: Set<Int32>], in catalog: CatalogSnapshot
    ) async -> JobOutcome {
        do {
            try await raiseFence(try JobPlan(record, record.direction, in: catalog), work(of: record.id), at: epoch, sparing: spared)
            return .done
        } catch {
            return EffectFailure(error, doing: "fencing").outcome
        }
    }

    package func unfence(_ record: JobRecord, at epoch: Epoch, in catalog: CatalogSnapshot) async -> JobOutcome {
        do {
            try await lowerFence(try JobPlan(record, record.direction, in: catalog), work(of: record.id), at: epoch)
            return .done
        } catch {
            return EffectFailure(error, doing: "taking back a fence").outcome
        }
    }
}
