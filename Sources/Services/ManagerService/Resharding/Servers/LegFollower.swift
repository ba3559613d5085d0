internal import ChangeCore
internal import LogicalReplication
internal import PGChannel
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer
internal import Synchronization

/// Keeps the stream of one leg going: when a connection breaks, it is begun anew from what the targets have stored.
final class LegFollower: Sendable {
    private static let pauseMin = Duration.milliseconds(100)
    private static let pauseMax = Duration.seconds(5)
    /// A stream that has lasted for so long was in order.
    private static let calm = Duration.seconds(10)

    let leg: JobLeg
    private let plan: JobPlan
    private let sessions: ServerSessions
    /// Throws where the job is not this manager's any more.
    private let affirm: @Sendable () async throws(EffectFailure) -> Void

    private struct State {
        var task: Task<Void, Never>?
        var stream: ChangeStream?
        var shown: JobProgress.Stream
        /// Of this leg, whatever connection it is on: `ChangeStream.hold`.
        var limit: LSN?
        var failure: EffectFailure?
        /// When it came on last, or was begun. A stream that is begun again and again, and breaks each time, does not come on.
        var cameOn = ContinuousClock.now
        var isStreaming = false
        /// What all targets had when the connection was begun.
        var begunAt = LSN.none
    }
    private let state: Mutex<State>

    init(_ leg: JobLeg, of plan: JobPlan, _ sessions: ServerSessions, affirm: @escaping @Sendable () async throws(EffectFailure) -> Void) {
        self.leg = leg
        self.plan = plan
        self.sessions = sessions
        self.affirm = affirm
        state = Mutex(State(shown: JobProgress.Stream(from: leg.from)))
    }

    func start() {
        state.withLock { state in
            guard state.task == nil else { return }
            state.task = Task { await self.keepGoing() }
        }
    }

    /// Returns when the stream's sessions are closed.
    func stop() async {
        let task = state.withLock(\.task)
        task?.cancel()
        await task?.value
    }

    // MARK: what is known of it

    var shown: JobProgress.Stream {
        state.withLock { state in
            var shown = state.shown
            if let progress = state.stream?.progress {
                (shown.sourceEnd, shown.lagBytes, shown.changes) = (progress.sourceEnd, progress.lagBytes, progress.changes)
            }
            return shown
        }
    }

    /// Why it cannot go on.
    var failure: EffectFailure? { state.withLock(\.failure) }

    /// nil while it streams; else for how long it has not.
    func brokenFor(at now: ContinuousClock.Instant = .now) -> Duration? { state.withLock { $0.isStreaming ? nil : now - $0.cameOn } }

    func hasReached(_ end: LSN) -> Bool { state.withLock { $0.stream }?.progress.positions.hasReached(end) ?? false }
    var flushed: LSN { state.withLock { $0.stream }?.progress.positions.flushed ?? .none }

    // MARK: where it stops

    func hold(at limit: LSN) {
        state.withLock { state in
            state.limit = limit
            state.stream?.hold(at: limit)
        }
    }

    func release() {
        state.withLock { state in
            state.limit = nil
            state.stream?.release()
        }
    }

    var isAtLimit: Bool { state.withLock { $0.stream }?.isAtLimit ?? false }

    // MARK: connections

    private func keepGoing() async {
        var pause = Self.pauseMin
        state.withLock { $0.cameOn = .now }
        while !Task.isCancelled {
            let start = ContinuousClock.now
            do {
                try await follow()
            } catch {
                if Task.isCancelled { return }
                let failure = EffectFailure(error, doing: "following the changes of shard \(leg.from)")
                let isFinal = if case .impossible = failure { true } else { false }
                state.withLock { state in
                    if let stream = state.stream, start.duration(to: .now) > Self.calm || stream.progress.positions.flushed > state.begunAt { state.cameOn = .now }
                    state.stream = nil
                    state.isStreaming = false
                    state.shown.state = isFinal ? .failed : .waiting
                    state.shown.reason = failure.reason
                    if isFinal { state.failure = failure }
                }
                if isFinal { return }
            }
            pause = ContinuousClock.now - start > Self.calm ? Self.pauseMin : min(pause * 2, Self.pauseMax)
            try? await Task.sleep(for: pause)
        }
    }

    private func follow() async throws {
        guard let source = plan.shards[leg.from] else { return }
        let tables = try await sessions.with(source, as: plan.names.session, doing: "looking at the slot") { [leg, plan, affirm] client in
            // What has the slot may be another manager's.
            try await affirm()
            try await JobSlot.free(leg.slot, client)
            return try await JobTables.moved(leg, of: plan, client)
        }
        var opened: [PGClient] = []
        let result: Result<Void, any Error>
        do {
            result = .success(try await stream(tables, source, &opened))
        } catch {
            result = .failure(error)
        }
        for client in opened { await client.close() }
        try result.get()
    }

    private func stream(_ tables: [MovedTable], _ source: ShardRecord, _ opened: inout [PGClient]) async throws {
        var stored: [ShardID: LSN] = [:]
        var appliers: [ShardID: ChangeApplier] = [:]
        for id in leg.targets {
            guard let target = plan.shards[id] else { continue }
            let client = sessions.note(try await TransferSession.open(try sessions.endpoint(of: target, as: plan.names.session), on: sessions.group), on: id)
            opened.append(client)
            // Behind the session, which whoever takes the job over ends (`Takeover`): and before anything is read that counts.
            try await affirm()
            guard let position = try await leg.position.read(from: client) else {
                throw EffectFailure.impossible("shard \(id) has not stored how far it has followed shard \(leg.from): the job must be started anew")
            }
            stored[id] = position
            let applier = ChangeApplier(client, leg.position, tables: tables)
            try await applier.prepare()
            appliers[id] = applier
        }
        let session = sessions.note(try await ReplicationSession.open(try sessions.endpoint(of: source, as: plan.names.session), on: sessions.group), on: leg.from)
        opened.append(session)
        try await affirm()
        let router = ChangeRouter(ranges: leg.ranges, tables: tables, stored: stored)
        let stream = ChangeStream(leg.slot, publications: [leg.publication], router: router, stored: stored, targets: appliers)
        state.withLock { state in
            if let limit = state.limit { stream.hold(at: limit) }
            state.stream = stream
            state.shown.state = .streaming
            state.shown.reason = nil
            state.isStreaming = true
            state.begunAt = stream.progress.positions.flushed
        }
        try await stream.run(session)
    }
}

extension EffectFailure {
    var reason: String {
        switch self {
        case .busy(let reason), .unavailable(let reason), .impossible(let reason): reason
        }
    }
}
