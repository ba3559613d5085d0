internal import NIOCore

/// Closes a secured connection whose client takes too long to agree on a protocol, or that has no streams and says nothing.
///
/// HTTP/2 asks a client to leave and then waits for its word; a client that has vanished gives none. In HTTP/1.1 a handler of its own sees to it.
final class SilenceHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    enum Agreement { case none, http1, http2 }

    private let limit: TimeAmount
    private var agreement = Agreement.none
    private var streams = 0
    private var heardAt = NIODeadline.now()
    private var nextLook: Scheduled<Void>?

    /// - limit: for the agreement; twice as long a connection may be silent behind it, so that one that is alive has been asked to leave before.
    init(limit: Duration) { self.limit = TimeAmount(limit) }

    /// That of a connection. On its event loop.
    static func of(_ connection: any Channel) -> SilenceHandler? { try? connection.pipeline.syncOperations.handler(type: SilenceHandler.self) }

    func tell(_ agreement: Agreement) {
        self.agreement = agreement
        if agreement == .http1 { stop() }
    }

    func streamOpened(_ stream: any Channel) {
        streams += 1
        stream.closeFuture.assumeIsolated().whenComplete { [self] _ in
            streams -= 1
            heardAt = .now()
        }
    }

    func handlerAdded(context: ChannelHandlerContext) { look(later: context) }

    private func look(later context: ChannelHandlerContext) {
        let interval = TimeAmount.nanoseconds(max(1_000_000, limit.nanoseconds / 2))
        nextLook = context.eventLoop.assumeIsolated().scheduleTask(in: interval) { [self] in
            let silence = NIODeadline.now() - heardAt
            let isOver =
                switch agreement {
                case .none: silence >= limit
                case .http1: false
                case .http2: streams == 0 && silence >= limit * 2
                }
            if isOver { context.close(promise: nil) } else { look(later: context) }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Bytes of a handshake that does not end are no reason to wait.
        if agreement != .none { heardAt = .now() }
        context.fireChannelRead(data)
    }

    /// There is nothing to be answered yet, and nobody behind who would take the event.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if agreement == .none, event is ChannelShouldQuiesceEvent { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        stop()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { stop() }

    private func stop() {
        nextLook?.cancel()
        nextLook = nil
    }
}
