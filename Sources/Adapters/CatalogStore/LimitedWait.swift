internal import Synchronization

/// Waits for something no longer than until a deadline, also where it takes no notice of it.
///
/// A library's own limit ends a wait by cancelling it, and waits for the end of what it has cancelled: where that never comes, neither does the caller's answer.
package enum LimitedWait {
    /// The deadline has passed. What was waited for is cancelled, and may go on.
    package struct TimedOut: Error {
        package init() {}
    }

    /// What `work` returns or throws; `TimedOut` where it has not by `deadline`. When the caller is cancelled, so is the work, and it has until the deadline to end.
    package static func value<Value: Sendable>(
        until deadline: ContinuousClock.Instant, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let race = Race<Value>()
        let task = Task {
            let result: Result<Value, any Error>
            do { result = .success(try await work()) } catch { result = .failure(error) }
            race.end(result)
        }
        let timer = Task {
            guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { return }
            race.end(.failure(TimedOut()))
            task.cancel()
        }
        defer { timer.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { race.wait($0) }
        } onCancel: {
            task.cancel()
        }
    }

    /// The first end counts.
    private final class Race<Value: Sendable>: Sendable {
        private struct State {
            var result: Result<Value, any Error>?
            var waiting: CheckedContinuation<Value, any Error>?
        }
        private let state = Mutex(State())

        func wait(_ continuation: CheckedContinuation<Value, any Error>) {
            let result = state.withLock { state in
                if state.result == nil { state.waiting = continuation }
                return state.result
            }
            if let result { continuation.resume(with: result) }
        }

        func end(_ result: Result<Value, any Error>) {
            let waiting: CheckedContinuation<Value, any Error>? = state.withLock { state in
                guard state.result == nil else { return nil }
                state.result = result
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume(with: result)
        }
    }
}
