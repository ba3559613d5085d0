package import CatalogStore
internal import Foundation
package import Logging
package import ReshardCore
package import ServerConfig
internal import ServiceLifecycle
package import ShardModel
internal import Synchronization
package import Telemetry

extension JobNames {
    /// What jobs on real servers make.
    package static let ledgers: JobSupervisor.Ledgers = { record, catalog in (planned(record, in: catalog), wayBack(record)) }
}

/// Has one runner for each job that is not over, while this manager leads; none otherwise.
package final class JobSupervisor: Service {
    /// What a job makes outside of the catalog, by its record: what `preparing` and `copying` make, and what `arming` makes for the way back.
    package typealias Ledgers = @Sendable (JobRecord, CatalogSnapshot) -> (planned: [LedgerEntry], wayBack: [LedgerEntry])

    /// How often it looks for jobs that nobody has told it of.
    static let lookInterval = Duration.seconds(5)
    /// A runner that lost its job while this manager leads begins again after this.
    static let againAfter = Duration.seconds(1)
    /// How long an operator's request waits for a runner that is being started.
    static let startLimit = Duration.seconds(5)

    private struct Running {
        var runner: JobRunner
        var task: Task<Void, Never>
        var token: UInt64?
    }

    private struct State {
        var running: [String: Running] = [:]
        var notBefore: [String: ContinuousClock.Instant] = [:]
        var counts: [JobState: Int] = [:]
        var lastPause: Double?
        /// Jobs of which it has been said that they cannot be read.
        var unreadable: Set<String> = []
        /// A runner was begun since everything was stopped: something of its job may run on servers, also when the runner has ended by itself.
        var hasWorked = false
        var hasEnded = false
    }

    private let store: any CatalogStore
    private let election: LeaderElection?
    private let work: any ServerWork
    private let ledgers: Ledgers
    private let settings: ReshardSettings
    private let metrics: SharedMetrics
    private let logger: Logger
    private let now: @Sendable () -> Double
    private let state = Mutex(State())
    private let news = Bell()

    /// - election: nil: one manager alone.
    package init(
        store: any CatalogStore, election: LeaderElection?, work: any ServerWork, ledgers: @escaping Ledgers, settings: ReshardSettings, metrics: SharedMetrics,
        logger: Logger, now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }
    ) {
        self.store = store
        self.election = election
        self.work = work
        self.ledgers = ledgers
        self.settings = settings
        self.metrics = metrics
        self.logger = logger
        self.now = now
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                if let election = self.election {
                    group.addTask {
                        var changes = election.changes
                        while !Task.isCancelled {
                            await election.change(after: changes, until: .now + .seconds(60))
                            changes = election.changes
                            self.news.ring()
                        }
                    }
                }
                while !Task.isCancelled {
                    let rings = self.news.rings
                    await self.round()
                    await self.news.wait(after: rings, until: .now + Self.lookInterval)
                }
            }
        }
        state.withLock { $0.hasEnded = true }
        await stopAll()
    }

    /// There may be a job that it does not know.
    package func poke() { news.ring() }

    // MARK: runners

    private func round() async {
        var lease: Lease?
        if let election {
            guard case .leader(let held) = election.role else { return await stopAll() }
            lease = held
        }
        await stopOthers(than: lease)
        guard let catalog = try? await store.load() else { return }
        let jobs = StoredJob.all(in: catalog)
        count(jobs, in: catalog)
        for job in jobs where !job.record.isOver { start(job, lease, in: catalog) }
    }

    private func start(_ job: StoredJob, _ lease: Lease?, in catalog: CatalogSnapshot) {
        let id = job.record.id.text
        state.withLock { state in
            guard !state.hasEnded, state.running[id] == nil, state.notBefore[id].map({ $0 <= .now }) ?? true else { return }
            let (planned, wayBack) = ledgers(job.record, catalog)
            let commits = JobCommits(store: store, metrics: metrics, lease: lease, election: election)
            let effects = JobEffects(work: work, catalogEffects: CatalogEffects(commits: commits, settings: settings, now: now), settings: settings)
            let runner = JobRunner(job, planned: planned, wayBack: wayBack, in: catalog, effects: effects, metrics: metrics, logger: logger)
            let task = Task {
                let end = await runner.run()
                self.ended(runner, id, end)
            }
            state.hasWorked = true
            state.running[id] = Running(runner: runner, task: task, token: lease?.fencingToken)
        }
    }

    private func ended(_ runner: JobRunner, _ id: String, _ end: JobEnd?) {
        state.withLock { state in
            if state.running[id]?.runner === runner { state.running[id] = nil }
            state.notBefore[id] = end == nil ? .now + Self.againAfter : nil
            state.lastPause = runner.shown.facts.pauseMilliseconds.map { $0 / 1000 } ?? state.lastPause
        }
        guard end == nil else { return news.ring() }
        Task {
            try? await Task.sleep(for: Self.againAfter)
            self.news.ring()
        }
    }

    private func stopAll() async {
        let (running, hasWorked) = state.withLock { state in
            state.counts = [:]
            defer { state.hasWorked = false }
            return (Array(state.running.values), state.hasWorked)
        }
        guard hasWorked else { return }
        await stop(running)
        await work.stopAll()
        state.withLock { $0.notBefore = [:] }
    }

    /// Runners of a leadership that is over, though this manager has a new one.
    private func stopOthers(than lease: Lease?) async {
        await stop(state.withLock { $0.running.values.filter { $0.token != lease?.fencingToken } })
    }

    private func stop(_ running: [Running]) async {
        for one in running { one.task.cancel() }
        for one in running { await one.task.value }
    }

    private func count(_ jobs: [StoredJob], in catalog: CatalogSnapshot) {
        let news = state.withLock { state in
            state.counts = Dictionary(grouping: jobs, by: \.record.step.state).mapValues(\.count)
            let unreadable = Set(catalog.jobs.keys).subtracting(jobs.map(\.record.id.text))
            defer { state.unreadable = unreadable }
            return unreadable.subtracting(state.unreadable)
        }
        for id in news.sorted() { logger.error("A job's record cannot be read; is it of a newer version?", metadata: ["job": "\(id)"]) }
    }

    // MARK: for the API

    /// Answered when the request is persisted, or cannot be fulfilled now; nil: the job is not carried out here, or not yet.
    package func ask(_ request: JobRequest, of id: String) async -> JobAnswer? { await runner(of: id)?.request(request) }

    /// Ends the job's pause between two tries. False: it is not carried out here, or not yet.
    package func hasten(_ id: String) async -> Bool {
        guard let runner = await runner(of: id) else { return false }
        runner.impatience.ring()
        return true
    }

    private func runner(of id: String) async -> JobRunner? {
        let deadline = ContinuousClock.now + Self.startLimit
        repeat {
            if let runner = state.withLock({ $0.running[id]?.runner }) { return runner }
            news.ring()
            try? await Task.sleep(for: .milliseconds(20))
        } while deadline > .now && !Task.isCancelled
        return nil
    }

    func progress(of id: JobID) async -> JobProgress? { await work.progress(of: id) }

    package func metricSnapshot() -> MetricSnapshot {
        var snapshot = MetricSnapshot()
        let (running, counts, lastPause) = state.withLock { (Array($0.running.values), $0.counts, $0.lastPause) }
        for state in JobState.allCases { snapshot.add(MetricCatalogue.reshardJobs, [state.rawValue], gauge: Double(counts[state] ?? 0)) }
        let pause = running.compactMap(\.runner.shown.facts.pauseMilliseconds).max().map { $0 / 1000 } ?? lastPause
        if let pause { snapshot.add(MetricCatalogue.reshardPauseSeconds, gauge: pause) }
        return snapshot
    }
}
