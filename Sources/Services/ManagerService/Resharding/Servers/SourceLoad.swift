internal import PGChannel
internal import ShardModel
internal import ShardTransfer
internal import Synchronization
internal import TransferCore

/// Looks how long small commits take on a source, in a session of its own, and has what reads it much, a copy or a comparison, read less when they become slow: `LoadControl` decides.
///
/// What a commit waits for, statements of clients wait for as well: a processor, the flush of the log, and a synchronous standby where there is one.
final class SourceLoad: Sendable {
    /// Between two commits, and before the copy.
    private static let interval = Duration.milliseconds(50)
    private static let intervalBefore = Duration.milliseconds(10)
    /// When it could not be asked.
    private static let againAfter = Duration.seconds(1)
    /// How long others are counted: their sessions tell of their transactions once a second.
    private static let counting = Duration.seconds(3)
    /// Transactions a second that routers, probes and the job itself have on a source without clients.
    private static let ownAndProbes = 10.0

    private struct State {
        var control: LoadControl
        var client: PGClient?
        var steering: Task<Void, Never>?
    }
    private let state: Mutex<State>
    private let shard: ShardRecord
    private let names: JobNames
    private let sessions: ServerSessions

    init(_ shard: ShardRecord, _ names: JobNames, _ settings: LoadControl.Settings, _ sessions: ServerSessions) {
        self.shard = shard
        self.names = names
        self.sessions = sessions
        state = Mutex(State(control: LoadControl(settings)))
    }

    var shown: JobProgress.Load {
        let control = state.withLock(\.control)
        var load = JobProgress.Load(from: shard.id)
        (load.bytesPerSecondMax, load.commit, load.commitBefore) = (control.bytesPerSecond, control.recent, control.usual)
        return load
    }

    private var counts: Bool { state.withLock { $0.control.settings.slowdownPercentMax != nil } }

    /// What is usual. A source that cannot be asked has no limit by load.
    func learn() async {
        guard counts else { return }
        for _ in 0..<LoadControl.window {
            guard let commit = try? await commit() else { return }
            state.withLock { $0.control.learn(commit) }
            try? await Task.sleep(for: Self.intervalBefore)
        }
    }

    /// Until it is closed.
    func begin(_ throttle: TransferThrottle) {
        guard counts else { return }
        throttle.limit(bytesPerSecond: state.withLock(\.control.bytesPerSecond))
        state.withLock { $0.steering = Task { await steer(throttle) } }
    }

    private func steer(_ throttle: TransferThrottle) async {
        var (start, bytes) = (ContinuousClock.now, throttle.bytesRead)
        var rate = 0
        var others = OtherTransactions()
        while !Task.isCancelled {
            let asked = ContinuousClock.now
            do {
                let commit = try await commit()
                if Task.isCancelled { return }
                let passed = ContinuousClock.now - start
                if passed > .milliseconds(250) {
                    let now = throttle.bytesRead
                    rate = Int(Double(now - bytes) / (passed / .seconds(1)))
                    (start, bytes) = (.now, now)
                }
                // A copy of which nobody notices anything is slow for itself only.
                observe(commit, rate, isAlone: try await isAlone(&others), throttle)
                try? await Task.sleep(for: Self.interval)
            } catch {
                if Task.isCancelled { return }
                // One that does not come at all is a slow one.
                let waited = ContinuousClock.now - asked
                if waited >= Self.againAfter { observe(waited, times: LoadControl.window, rate, isAlone: false, throttle) }
                try? await Task.sleep(for: Self.againAfter)
            }
        }
    }

    private func observe(_ commit: Duration, times: Int = 1, _ rate: Int, isAlone: Bool, _ throttle: TransferThrottle) {
        let limit = state.withLock { state in
            for _ in 0..<times { state.control.observe(commit, rate: rate, isAlone: isAlone) }
            return state.control.bytesPerSecond
        }
        throttle.limit(bytesPerSecond: limit)
    }

    func close() async {
        let steering = state.withLock(\.steering)
        steering?.cancel()
        // It may be opening a session.
        await steering?.value
        let client = state.withLock { state in
            defer { state.client = nil }
            return state.client
        }
        await client?.close()
    }

    private struct OtherTransactions {
        var since: ContinuousClock.Instant?
        var count = 0
        /// Of this session since then.
        var own = 0
        var areFew = false
    }

    /// Whether next to nobody else had a transaction on the source of late; not before that has been looked at for a while.
    private func isAlone(_ others: inout OtherTransactions) async throws -> Bool {
        others.own += 1
        let now = ContinuousClock.now
        if let since = others.since, now - since < Self.counting { return others.areFew }
        let query = "SELECT pg_catalog.sum(xact_commit OPERATOR(pg_catalog.+) xact_rollback)::bigint FROM pg_catalog.pg_stat_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"
        guard let count = try await client().query(query).rows.first?.integer(0) else { return false }
        if let since = others.since {
            let perSecond = Double(count - others.count - others.own) / ((now - since) / .seconds(1))
            others.areFew = perSecond < Self.ownAndProbes
        }
        (others.since, others.count, others.own) = (now, count, 0)
        return others.areFew
    }

    private func commit() async throws -> Duration {
        let client = try await client()
        let start = ContinuousClock.now
        _ = try await client.query(JobLog.mark)
        return .now - start
    }

    private func client() async throws -> PGClient {
        if let client = state.withLock(\.client), client.isOpen { return client }
        // Its commits wait for their flush: one that does not says nothing of the disk.
        let client = try await sessions.open(shard, as: names.session)
        state.withLock { $0.client = client }
        return client
    }
}
