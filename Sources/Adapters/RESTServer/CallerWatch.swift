internal import NIOCore
internal import Synchronization

/// Notices that the caller of a connection, or of a stream of HTTP/2, has gone, so that work whose answer nobody reads can end.
///
/// A caller that has closed its connection and one that has only ended its own sending look alike until something is written: both are one FIN.
/// Who ends its sending before it has its answer is taken for gone.
package final class CallerWatch: Sendable {
    private struct State {
        var isGone = false
        /// Ends the work of the request. Requests of a connection of HTTP/1.1 are answered one after the other: there is one at most.
        var cancel: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())
    private let channel: any Channel
    /// Of HTTP/2: the channel is a stream's, and has no socket.
    private let isStream: Bool
    /// How long the caller may take nothing of an answer that is sent while it is made.
    private let patience: Duration
    /// What runs the request; nil: any thread.
    let executor: LoopExecutor?

    /// The server has as many requests as it takes at a time.
    let isOneTooMany: Bool

    init(_ channel: any Channel, isStream: Bool = false, patience: Duration, executor: LoopExecutor?, isOneTooMany: Bool = false) {
        self.channel = channel
        self.executor = executor
        self.isStream = isStream
        self.patience = patience
        self.isOneTooMany = isOneTooMany
    }

    /// Of the connection.
    var address: CallerAddress { CallerAddress(channel.remoteAddress ?? channel.parent?.remoteAddress) }

    /// The watch of the connection whose request the task answers.
    @TaskLocal static var current: CallerWatch?

    /// Runs `operation` in a task of its own, which is cancelled when the caller goes, or when the task that waits for it is cancelled.
    func whileCallerWaits<Value: Sendable>(_ operation: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let task = Task(executorPreference: executor) { try await operation() }
        let isGone = state.withLock { state in
            state.cancel = { task.cancel() }
            return state.isGone
        }
        if isGone { task.cancel() }
        defer { state.withLock { $0.cancel = nil } }
        return try await withTaskCancellationHandler { try await task.value } onCancel: { task.cancel() }
    }

    /// Watches whether the caller takes what is sent; ends the connection of one that does not.
    func watchReading() -> StallWatch { StallWatch(channel, isStream: isStream, patience: patience) }

    func callerHasGone() {
        let cancel = state.withLock { state in
            state.isGone = true
            return state.cancel
        }
        cancel?()
    }
}

/// Tells a watch what happens to its connection.
final class CallerWatchHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let watch: CallerWatch

    init(_ watch: CallerWatch) { self.watch = watch }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { watch.callerHasGone() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        watch.callerHasGone()
        context.fireChannelInactive()
    }
}
