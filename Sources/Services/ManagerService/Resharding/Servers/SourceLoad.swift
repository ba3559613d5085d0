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
                observe(commit, rate, throttle)
                try? await Task.sleep(for: Self.interval)
            } catch {
                if Task.isCancelled { return }
                // One that does not come at all is a slow one.
                let waited = ContinuousClock.now - asked
                if waited >= Self.againAfter { observe(waited, times: LoadControl.window, rate, throttle) }
                try? await Task.sleep(for: Self.againAfter)
            }
        }
    }

    private func observe(_ commit: Duration, times: Int = 1, _ rate: Int, _ throttle: TransferThrottle) {
        let limit = state.withLock { state in
            for _ in 0..<times { state.control.observe(commit, rate: rate) }
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
