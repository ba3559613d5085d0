internal import Synchronization

/// Lets the changes of this manager's callers happen one after the other, in the order in which they came: whoever comes again and again would otherwise be
/// overtaken each time by others, as long as those are many.
///
/// A turn is fairness only; what makes a change right is that the store compares the epoch. So who has waited for `patience`, for the store hangs, goes on without.
final class CommitTurns: Sendable {
    static let patience = Duration.seconds(10)

    private struct State {
        var isTaken = false
        var lastID: UInt64 = 0
        /// In their order; as many as there are requests at most.
        var waiting: [(id: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
    }
    private let state = Mutex(State())
    private let patience: Duration

    init(patience: Duration = CommitTurns.patience) { self.patience = patience }

    /// How many wait.
    var waiting: Int { state.withLock(\.waiting.count) }

    func inTurn<Value: Sendable>(_ work: () async throws -> Value) async throws -> Value {
        let isMine = await take()
        defer { if isMine { pass() } }
        return try await work()
    }

    private func take() async -> Bool {
        let id: UInt64? = state.withLock { state in
            if !state.isTaken {
                state.isTaken = true
                return nil
            }
            state.lastID += 1
            return state.lastID
        }
        guard let id else { return true }
        let timer = Task { [patience] in
            try? await Task.sleep(for: patience)
            self.giveUp(id)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isMine: Bool? = state.withLock { state in
                    if Task.isCancelled { return false }
                    if !state.isTaken {
                        state.isTaken = true
                        return true
                    }
                    state.waiting.append((id, continuation))
                    return nil
                }
                if let isMine { continuation.resume(returning: isMine) }
            }
        } onCancel: {
            giveUp(id)
        }
    }

    private func pass() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            state.isTaken = !state.waiting.isEmpty
            return state.isTaken ? state.waiting.removeFirst().continuation : nil
        }
        next?.resume(returning: true)
    }

    private func giveUp(_ id: UInt64) {
        let given = state.withLock { state in
            state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0).continuation }
        }
        given?.resume(returning: false)
    }
}
