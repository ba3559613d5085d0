internal import LogicalReplication
internal import PGChannel
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer
internal import Synchronization
internal import TransferCore

/// What of one job runs in this process: its streams, and the sessions that are kept for the cutover.
final class JobWork: Sendable {
    let sessions: ServerSessions
    private let claim: JobClaim

    struct State {
        /// As this manager has written it last.
        var record: JobRecord?
        var direction: JobDirection?
        var followers: [LegFollower] = []
        /// Ends of followers that are not needed any more.
        var stopping: [Task<Void, Never>] = []
        /// Why the streams could not even be begun.
        var failure: EffectFailure?
        var copies: [CopyProgress] = []
        /// What an earlier manager had open on the job's shards is ended.
        var hasTakenOver = false
        var control: [ShardID: PGClient] = [:]
        var fencedAt: ContinuousClock.Instant?
        var lastPause: Duration?
    }
    let state = Mutex(State())

    init(_ sessions: ServerSessions, _ claim: JobClaim) {
        self.sessions = sessions
        self.claim = claim
    }

    /// Throws where the catalog has another record than this manager wrote last. Between its own write and `follow` it may say so, too: who asks for a stream
    /// asks again.
    func affirm() async throws(EffectFailure) {
        guard let record = state.withLock(\.record) else { throw .unavailable("the job has not begun here") }
        try await claim.affirm(record)
    }

    // MARK: streams

    func follow(_ record: JobRecord, in catalog: CatalogSnapshot) {
        state.withLock { $0.record = record }
        guard record.step.isStreaming, record.step != .guarding || record.hasWayBack else { return endStreams() }
        let direction: JobDirection = record.step == .guarding ? .back : record.direction
        let isKept = state.withLock { $0.direction == direction && $0.failure == nil }
        if isKept {
            // The attempt for which they stopped is given up.
            if record.step == .streaming || record.step == .guarding { for follower in followers { follower.release() } }
            return
        }
        endStreams()
        // Whether the owners are switched is not known: behind the switch, a stream would do again what routers do on both sides.
        if record.step == .abandoning { return }
        do throws(EffectFailure) {
            let plan = try JobPlan(record, direction, in: catalog)
            let affirm = { @Sendable [weak self] () async throws(EffectFailure) in
                guard let self else { throw .unavailable("the job is not carried out here any more") }
                try await self.affirm()
            }
            let followers = plan.legs.map { LegFollower($0, of: plan, sessions, affirm: affirm) }
            state.withLock { state in
                state.direction = direction
                state.followers = followers
                state.failure = nil
            }
            for follower in followers { follower.start() }
        } catch {
            state.withLock { $0.failure = error }
        }
    }

    var followers: [LegFollower] { state.withLock(\.followers) }

    private func endStreams() {
        state.withLock { state in
            let followers = state.followers
            (state.direction, state.followers, state.failure) = (nil, [], nil)
            if !followers.isEmpty { state.stopping.append(Task { for follower in followers { await follower.stop() } }) }
        }
    }

    /// Returns when no stream runs any more.
    func stopStreams() async {
        endStreams()
        let stopping = state.withLock { state in
            defer { state.stopping = [] }
            return state.stopping
        }
        for task in stopping { await task.value }
    }

    func stopAll() async {
        await stopStreams()
        let control = state.withLock { state in
            defer { state.control = [:] }
            return state.control
        }
        for client in control.values { await client.close() }
    }

    /// The running streams. Throws where one cannot go on, or has been broken for longer than `limit`.
    func healthyFollowers(within limit: Duration) throws(EffectFailure) -> [LegFollower] {
        let (failure, followers) = state.withLock { ($0.failure, $0.followers) }
        if let failure { throw failure }
        if followers.isEmpty { throw .unavailable("no stream of changes runs here") }
        for follower in followers {
            if let failure = follower.failure { throw failure }
            if let broken = follower.brokenFor(), broken > limit {
                throw .unavailable(follower.shown.reason ?? "the stream of changes of shard \(follower.leg.from) has not begun")
            }
        }
        return followers
    }

    // MARK: sessions

    /// A session that is kept open: in the cutover there is no time to connect.
    func control(_ shard: ShardRecord, of job: JobNames) async throws -> PGClient {
        if let client = state.withLock({ $0.control[shard.id] }), client.isOpen { return client }
        let client = try await sessions.open(shard, as: job.session)
        let old = state.withLock { state in
            defer { state.control[shard.id] = client }
            return state.control[shard.id]
        }
        await old?.close()
        return client
    }

    // MARK: progress

    var progress: JobProgress {
        let (copies, followers, pause) = state.withLock { ($0.copies, $0.followers, $0.lastPause) }
        var progress = JobProgress()
        for copy in copies { copy.add(to: &progress) }
        progress.tables.sort { $0.name < $1.name }
        progress.streams = followers.map(\.shown)
        progress.lastPause = pause
        return progress
    }
}

/// The copy of one leg.
final class CopyProgress: Sendable {
    private let copy: SnapshotCopy
    private let tables: [(name: QualifiedName, relations: Set<String>, rowsEstimated: Int)]
    private let bytesAll: Int
    private let load: SourceLoad

    init(_ copy: SnapshotCopy, tables: [(name: QualifiedName, relations: Set<String>, rowsEstimated: Int)], bytesAll: Int, _ load: SourceLoad) {
        self.load = load
        self.copy = copy
        self.tables = tables
        self.bytesAll = bytesAll
    }

    /// - progress: may have the tables of another leg, which has the same.
    func add(to progress: inout JobProgress) {
        let copied = copy.progress
        progress.bytesRead += copied.bytesRead
        progress.bytesAll += bytesAll
        progress.loads.append(load.shown)
        progress.rowsCopied += copied.counts.moved
        for table in tables {
            var entry = JobProgress.Table(name: table.name, rowsEstimated: 0)
            let place = progress.tables.firstIndex { $0.name == table.name }
            if let place { entry = progress.tables[place] }
            entry.rowsEstimated += table.rowsEstimated
            progress.rowsEstimated += table.rowsEstimated
            for relation in table.relations {
                entry.rowsCopied += copied.relations[relation]?.moved ?? 0
                entry.bytesCopied += copied.relations[relation]?.movedBytes ?? 0
            }
            if let place { progress.tables[place] = entry } else { progress.tables.append(entry) }
        }
    }
}
