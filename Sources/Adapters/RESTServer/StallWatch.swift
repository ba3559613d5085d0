internal import Listening
internal import NIOCore
internal import Synchronization

/// Closes the connection of a caller that takes nothing of what is sent to it for too long, so that it does not hold a shard's session for good.
///
/// A caller that is slow but reads is not cut off: each byte that its machine acknowledges counts. Of a stream of HTTP/2, which has its own window on a
/// connection that others use, each piece counts that it takes, and it is the stream that is closed.
final class StallWatch: Sendable {
    private struct State {
        var isSending = false
        /// What the kernel had not got rid of, when it was looked at last.
        var unsent = -1
        var movedAt = NIODeadline.now()
    }
    /// Looks in the time of one patience.
    private static let looks = 4

    private let state = Mutex(State())
    private let channel: any Channel
    private let isStream: Bool
    private let patience: TimeAmount
    private let looking = Mutex<RepeatedTask?>(nil)

    init(_ channel: any Channel, isStream: Bool, patience: Duration) {
        self.channel = channel
        self.isStream = isStream
        self.patience = TimeAmount(patience)
        let interval = TimeAmount(patience / Self.looks)
        let task = channel.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] task in
            guard let self else { return task.cancel() }
            look()
        }
        looking.withLock { $0 = task }
    }

    /// Runs `send`, which ends when the connection has taken what it sends, or was closed.
    func whileSending(_ send: () async throws -> Void) async throws {
        set(isSending: true)
        defer { set(isSending: false) }
        try await send()
    }

    /// How much is sent at a time, in bytes.
    var pieceMax: Int { isStream ? 16 << 10 : .max }

    func end() { looking.withLock { $0.take() }?.cancel() }

    private func set(isSending: Bool) {
        state.withLock { state in
            state.isSending = isSending
            state.movedAt = .now()
        }
    }

    /// On the channel's loop.
    private func look() {
        let unsent = isStream ? -1 : Listening.unsentBytes(channel)
        let hasStalled = state.withLock { state in
            if unsent != state.unsent {
                state.unsent = unsent
                state.movedAt = .now()
            }
            return state.isSending && NIODeadline.now() - state.movedAt >= patience
        }
        if hasStalled { channel.close(promise: nil) }
    }
}
