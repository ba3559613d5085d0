internal import NIOCore
internal import NIOSSL
internal import NIOTLS
internal import PGWire

/// Runs a `BackendHandshake` on a channel, then takes itself out of the pipeline.
///
/// The channel's `autoRead` is off: this handler asks for each read, and asks for none once the session stands.
final class BackendHandshakeHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var machine: BackendHandshake
    private let makeTLS: () throws -> NIOSSLClientHandler
    private var established: EventLoopPromise<EstablishedBackend>?
    private var received = ByteBuffer()
    private var hasTLS = false
    private var hasStarted = false

    init(
        _ configuration: BackendHandshake.Configuration, established: EventLoopPromise<EstablishedBackend>,
        makeTLS: @escaping () throws -> NIOSSLClientHandler
    ) {
        machine = BackendHandshake(configuration)
        self.established = established
        self.makeTLS = makeTLS
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        start(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
    }

    /// Only here, when the whole burst is in: bytes read after the handler left would be lost.
    func channelReadComplete(context: ChannelHandlerContext) {
        while established != nil, let action = machine.received(&received) { perform(action, context) }
        if established != nil { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted(_) = event, established != nil {
            perform(machine.tlsEstablished(), context)
            context.read()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.closed, context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        // PostgreSQL's processes end without TLS's farewell when they are killed.
        case NIOSSLError.uncleanShutdown: fail(.closed, context)
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError: fail(.tls(.handshake(error)), context)
        default: fail(.unreachable(error), context)
        }
    }

    private func start(_ context: ChannelHandlerContext) {
        guard !hasStarted else { return }
        hasStarted = true
        perform(machine.start(), context)
        context.read()
    }

    private func perform(_ action: BackendHandshake.Action, _ context: ChannelHandlerContext) {
        switch action {
        case .send(let bytes): context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        case .startTLS: startTLS(context)
        case .established(let session): finish(session, context)
        case .fail(let failure): fail(BackendConnectError(failure), context)
        }
    }

    private func startTLS(_ context: ChannelHandlerContext) {
        do {
            try context.pipeline.syncOperations.addHandler(try makeTLS(), position: .first)
            hasTLS = true
        } catch {
            fail(.tls(.configuration(error)), context)
        }
    }

    private func finish(_ session: BackendHandshake.Session, _ context: ChannelHandlerContext) {
        guard let promise = established else { return }
        established = nil
        let backend = EstablishedBackend(
            channel: context.channel, parameters: session.parameters, processID: session.processID, secretKey: session.secretKey,
            unread: received.slice(), isEncrypted: hasTLS, hasProvenItself: session.hasProvenItself)
        context.pipeline.syncOperations.removeHandler(context: context).assumeIsolated().whenComplete { _ in promise.succeed(backend) }
    }

    private func fail(_ error: BackendConnectError, _ context: ChannelHandlerContext) {
        guard let promise = established else { return }
        established = nil
        promise.fail(error)
        context.close(promise: nil)
    }
}

extension BackendConnectError {
    init(_ failure: BackendHandshake.Failure) {
        self =
            switch failure {
            case .refused(let error): .refused(error)
            case .authentication(let failure): .authentication(failure)
            case .tlsNotOffered: .tls(.notOffered)
            case .unencryptedBytes: .tls(.unencryptedBytes)
            case .protocolViolation(let error): .protocolViolation(error)
            }
    }
}
