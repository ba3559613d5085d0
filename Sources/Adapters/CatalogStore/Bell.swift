internal import Synchronization

/// Wakes tasks that wait for something to happen, or for a moment to pass.
package final class Bell: Sendable {
    private struct State {
        var rings: UInt64 = 0
        var lastID: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }
    private let state = Mutex(State())

    package init() {}

    /// How often it has rung: to be read before looking, so that nothing that happens in between is missed.
    package var rings: UInt64 { state.withLock(\.rings) }

    package func ring() {
        let waiting = state.withLock { state in
            state.rings += 1
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Returns once it has rung more than `rings` times, at `deadline`, or when the task is cancelled.
    package func wait(after rings: UInt64, until deadline: ContinuousClock.Instant) async {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let timer = Task {
            try? await Task.sleep(until: deadline, clock: .continuous)
            self.wake(id)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Cancelled behind this look, it is woken: the handler waits for the lock.
                let isOver = state.withLock { state in
                    if state.rings > rings || deadline <= .now || Task.isCancelled { return true }
                    state.waiting[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            wake(id)
        }
        timer.cancel()
    }

    private func wake(_ id: UInt64) { state.withLock { $0.waiting.removeValue(forKey: id) }?.resume() }
}
