internal import Listening
internal import NIOCore
internal import Synchronization

/// The connections that a server has taken, and the streams of HTTP/2 on them.
final class OpenConnections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Who waits for answers on a channel: a connection's of HTTP/1.1, or a stream's.
        var watches: [ObjectIdentifier: CallerWatch] = [:]
        var streams = 0
        var isQuiescing = false
        var listener: (any Channel)?
        var isClosing = false
    }
    private let state = Mutex(State())
    private let limits: RESTLimits

    init(_ limits: RESTLimits) { self.limits = limits }

    /// That of a channel that is closed already knows that its caller has gone: a request may be reset before it is looked at.
    func watch(_ channel: any Channel) -> CallerWatch {
        if let watch = state.withLock({ $0.watches[ObjectIdentifier(channel)] }) { return watch }
        let watch = CallerWatch(channel, patience: limits.idleTimeout, executor: nil)
        watch.callerHasGone()
        return watch
    }

    func add(_ channel: any Channel) -> CallerWatch {
        let watch = CallerWatch(channel, patience: limits.idleTimeout, executor: executor(of: channel))
        let id = ObjectIdentifier(channel)
        let (isLate, isTooLate) = state.withLock { state in
            state.channels[id] = channel
            state.watches[id] = watch
            return (state.isQuiescing, state.isClosing)
        }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { state in
                state.channels[id] = nil
                state.watches[id] = nil
            }
        }
        // Not before it is set up.
        if isLate { channel.eventLoop.execute { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) } }
        if isTooLate { channel.eventLoop.execute { channel.close(promise: nil) } }
        return watch
    }

    /// What a stream asks for takes as much of the server as what a connection of HTTP/1.1 asks for, and there are many streams to a connection.
    func addStream(_ channel: any Channel) -> CallerWatch {
        let id = ObjectIdentifier(channel)
        let watch = state.withLock { state in
            state.streams += 1
            let watch = CallerWatch(
                channel, isStream: true, patience: limits.idleTimeout, executor: executor(of: channel), isOneTooMany: state.streams > limits.connectionsMax)
            state.watches[id] = watch
            return watch
        }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { state in
                state.streams -= 1
                state.watches[id] = nil
            }
        }
        return watch
    }

    private func executor(of channel: any Channel) -> LoopExecutor? { limits.runsOnLoops ? LoopExecutor(channel.eventLoop) : nil }

    /// The channel that takes the connections.
    func listens(_ listener: any Channel) {
        let isClosing = state.withLock { state in
            state.listener = listener
            return state.isClosing
        }
        if isClosing { listener.close(promise: nil) }
    }

    /// Ends everything at once.
    func close() {
        let channels = state.withLock { state in
            state.isClosing = true
            return [state.listener].compactMap(\.self) + Array(state.channels.values)
        }
        for channel in channels { channel.close(promise: nil) }
    }

    /// Lets each connection end: now when it is idle, or with the answers of its requests.
    func quiesce() {
        let channels = state.withLock { state in
            state.isQuiescing = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.eventLoop.execute { Self.quiesce(channel, triesLeft: 20) } }
    }

    /// A request that has arrived but was not read yet is answered, too.
    private static func quiesce(_ channel: any Channel, triesLeft: Int) {
        guard channel.isActive else { return }
        guard triesLeft > 0, Listening.hasUnreadBytes(channel) else {
            return channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
        channel.eventLoop.scheduleTask(in: .milliseconds(5)) { quiesce(channel, triesLeft: triesLeft - 1) }
    }
}
