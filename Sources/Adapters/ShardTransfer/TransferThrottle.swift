internal import Synchronization
internal import TransferCore

/// Counts what a transfer reads, over all of its sessions, and has them rest as long as its rate wants; the rate is changed while it runs.
package final class TransferThrottle: Sendable {
    private struct State {
        var pace: TransferPace
        var bytesRead = 0
    }
    private let state: Mutex<State>

    /// - bytesPerSecond: nil: without a limit.
    package init(bytesPerSecond: Int? = nil) { state = Mutex(State(pace: TransferPace(bytesPerSecond: bytesPerSecond))) }

    package var bytesRead: Int { state.withLock(\.bytesRead) }

    /// Holds for all that follows; nil: without a limit.
    package func limit(bytesPerSecond: Int?) { state.withLock { $0.pace.bytesPerSecond = bytesPerSecond } }

    /// Counts what was just read, and returns when more may be.
    ///
    /// Throws `CancellationError`.
    package func passed(_ bytes: Int) async throws {
        let rest = state.withLock { state in
            state.bytesRead += bytes
            return state.pace.rest(after: bytes, at: .now)
        }
        if rest > .zero { try await Task.sleep(for: rest) }
    }
}
