internal import NIOCore
internal import PGChannel
internal import Synchronization

/// The connections to one server: at most `connectionsMax`, with a line of at most `waitingMax` for them.
///
/// A connection is opened for whoever has to wait, by a task of its own, so that a caller can leave the line at any moment. When none can be opened and none is
/// there, all who wait are told at once why.
final class ServerPool: Sendable {
    struct Limits: Sendable {
        var connectionsMax: Int
        var waitingMax: Int
        var idleTimeout: Duration
        var lifetimeMax: Duration
    }

    private struct Idle {
        var connection: PooledConnection
        var since: ContinuousClock.Instant
    }

    private struct Waiter {
        var id: UInt64
        var continuation: CheckedContinuation<PooledConnection, any Error>
    }

    private struct State {
        /// The last one was used last.
        var idle: [Idle] = []
        /// Open, lent, being opened or being settled.
        var count = 0
        var opening = 0
        var waiting: [Waiter] = []
        var lastID: UInt64 = 0
        var isClosed = false
    }

    private let limits: Limits
    private let open: @Sendable () async throws -> PooledConnection
    /// What makes a connection as new, beside ROLLBACK; empty: nothing.
    private let resetting: String
    private let state = Mutex(State())

    init(_ limits: Limits, resetting: String = "", open: @escaping @Sendable () async throws -> PooledConnection) {
        (self.limits, self.resetting, self.open) = (limits, resetting, open)
    }

    var statistics: MosaicStatistics.Server {
        state.withLock { .init(connections: $0.count - $0.opening, idle: $0.idle.count, waiting: $0.waiting.count) }
    }

    // MARK: Lending

    private enum Found {
        case connection(PooledConnection)
        case failure(MosaicError)
        case line(opens: Bool)
    }

    /// Give it back with `release`. Throws `MosaicError`; nothing was sent then.
    func lease(until deadline: ContinuousClock.Instant) async throws -> PooledConnection {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        if let connection = takeIdle() { return connection }
        let timer = Task {
            try? await Task.sleep(until: deadline, clock: .continuous)
            if !Task.isCancelled { self.leave(id, .noConnectionInTime) }
        }
        defer { timer.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { enter(Waiter(id: id, continuation: $0), deadline) }
        } onCancel: {
            leave(id, .cancelled)
        }
    }

    private func takeIdle() -> PooledConnection? {
        state.withLock { state in
            // Whoever waits comes first.
            guard state.waiting.isEmpty, !state.isClosed else { return nil }
            while let last = state.idle.popLast() {
                if last.connection.isIdle { return last.connection }
                state.count -= 1
            }
            return nil
        }
    }

    private func enter(_ waiter: Waiter, _ deadline: ContinuousClock.Instant) {
        let found: Found = state.withLock { state in
            if state.isClosed { return .failure(.shutDown) }
            // Cancelled or late behind this look, it is taken out: who does that waits for the lock.
            if Task.isCancelled { return .failure(.cancelled) }
            if deadline <= .now { return .failure(.noConnectionInTime) }
            while let last = state.idle.popLast() {
                if last.connection.isIdle { return .connection(last.connection) }
                state.count -= 1
            }
            let opens = state.count < limits.connectionsMax
            guard opens || state.waiting.count < limits.waitingMax else {
                return .failure(MosaicError(.poolFull, "\(state.waiting.count) calls wait for this server already"))
            }
            state.waiting.append(waiter)
            if opens {
                state.count += 1
                state.opening += 1
            }
            return .line(opens: opens)
        }
        switch found {
        case .connection(let connection): waiter.continuation.resume(returning: connection)
        case .failure(let error): waiter.continuation.resume(throwing: error)
        case .line(let opens): if opens { openOne() }
        }
    }

    private func leave(_ id: UInt64, _ error: MosaicError) {
        let waiter = state.withLock { state in
            state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0) }
        }
        waiter?.continuation.resume(throwing: error)
    }

    // MARK: Opening

    private func openOne() {
        Task {
            do {
                let connection = try await open()
                state.withLock { $0.opening -= 1 }
                offer(connection)
            } catch {
                failed(MosaicError.from(error))
            }
        }
    }

    private func failed(_ error: MosaicError) {
        let (told, opens) = state.withLock { state -> ([Waiter], Bool) in
            state.count -= 1
            state.opening -= 1
            // Nothing is open: whoever is not waited for by an attempt under way is told now, and none is begun for them. Else somebody may
            // still be served by what there is.
            let isOpen = state.count > state.opening
            let toldCount = isOpen ? 1 : max(1, state.waiting.count - state.opening)
            let told = Array(state.waiting.prefix(toldCount))
            state.waiting.removeFirst(told.count)
            return (told, isOpen && Self.mayOpen(&state, limits))
        }
        for waiter in told { waiter.continuation.resume(throwing: error) }
        if opens { openOne() }
    }

    /// Counts one more being opened where somebody waits for whom none is.
    private static func mayOpen(_ state: inout State, _ limits: Limits) -> Bool {
        guard !state.isClosed, state.opening < state.waiting.count, state.count < limits.connectionsMax else { return false }
        state.count += 1
        state.opening += 1
        return true
    }

    // MARK: Giving back

    /// - isClean: nothing is under way on it any more, and nothing of the call is left; else it is made so first, in the background.
    func release(_ connection: PooledConnection, isClean: Bool = true) {
        guard !(isClean && resetting.isEmpty && connection.isIdle), connection.client.isOpen else { return offer(connection) }
        Task {
            // Waits for the end of a statement that was cancelled; PGClient closes the connection where none comes.
            let script = resetting.isEmpty ? ["ROLLBACK"] : ["ROLLBACK", resetting]
            do {
                for statement in script { try await connection.client.execute(statement, timeout: .seconds(15)) }
            } catch {
                await connection.client.close()
            }
            offer(connection)
        }
    }

    /// To whoever waits first, or to the idle ones.
    private func offer(_ connection: PooledConnection) {
        enum Outcome { case given(Waiter), kept, dropped(opens: Bool) }
        let isUsable = connection.isIdle && ContinuousClock.now - connection.opened < limits.lifetimeMax
        let outcome: Outcome = state.withLock { state in
            guard isUsable, !state.isClosed else {
                state.count -= 1
                return .dropped(opens: Self.mayOpen(&state, limits))
            }
            if !state.waiting.isEmpty { return .given(state.waiting.removeFirst()) }
            state.idle.append(Idle(connection: connection, since: .now))
            return .kept
        }
        switch outcome {
        case .given(let waiter): waiter.continuation.resume(returning: connection)
        case .kept: break
        case .dropped(let opens):
            Task { await connection.client.close() }
            if opens { openOne() }
        }
    }

    // MARK: The end

    /// Closes what has idled for too long.
    func sweep() {
        let now = ContinuousClock.now
        let old = state.withLock { state in
            let old = state.idle.filter { now - $0.since >= limits.idleTimeout || !$0.connection.client.isOpen }
            state.idle.removeAll { now - $0.since >= limits.idleTimeout || !$0.connection.client.isOpen }
            state.count -= old.count
            return old
        }
        for idle in old { Task { await idle.connection.client.close() } }
    }

    /// Who waits is told so; what is lent is closed when it comes back.
    func close() async {
        let (idle, waiting) = state.withLock { state in
            state.isClosed = true
            defer { (state.idle, state.waiting) = ([], []) }
            state.count -= state.idle.count
            return (state.idle, state.waiting)
        }
        for waiter in waiting { waiter.continuation.resume(throwing: MosaicError.shutDown) }
        for entry in idle { await entry.connection.client.close() }
    }
}
