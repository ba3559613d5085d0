internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdHTTP2
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTP2
internal import NIOSSL

/// What comes behind an accepted connection: HTTP/1.1, or, where there is a certificate, TLS and then what the client and ALPN agree on.
struct ConnectionSetup: Sendable {
    typealias Secure = EventLoopFuture<NIONegotiatedHTTPVersion<HTTP1Channel.Value, HTTP2Channel.Value>>

    enum Connection: Sendable {
        case plain(HTTP1Channel.Value, any Channel)
        case secure(Secure, any Channel)

        var channel: any Channel {
            switch self {
            case .plain(_, let channel), .secure(_, let channel): channel
            }
        }
    }

    private let http1: HTTP1Channel
    private let http2: HTTP2Channel
    private let connections: OpenConnections
    private let certificates: RESTCertificates
    private let limits: RESTLimits
    private let logger: Logger

    init(
        _ connections: OpenConnections, _ certificates: RESTCertificates, _ limits: RESTLimits, logger: Logger, responder: @escaping HTTPChannelHandler.Responder
    ) {
        self.connections = connections
        self.certificates = certificates
        self.limits = limits
        self.logger = logger
        let idleTimeout = TimeAmount(limits.idleTimeout)
        http1 = HTTP1Channel(responder: responder, configuration: .init(idleTimeout: idleTimeout))
        http2 = HTTP2Channel(
            responder: responder,
            configuration: .init(
                idleTimeout: limits.idleTimeout, gracefulCloseTimeout: limits.idleTimeout,
                streamConfiguration: .init(additionalChannelHandlers: [StreamHandler(connections)], idleTimeout: idleTimeout)))
    }

    func setUp(_ channel: any Channel) -> EventLoopFuture<Connection> {
        let watch = connections.add(channel)
        let added = channel.eventLoop.makeCompletedFuture {
            // First, so that no other handler keeps an event to itself.
            try channel.pipeline.syncOperations.addHandler(CallerWatchHandler(watch))
        }
        let made = setUp(channel, behind: added)
        // Nobody may let go of it before its channel has closed, served or not: NIO ends a process that does (`NIOAsyncWriter`).
        made.whenSuccess { connection in channel.closeFuture.whenComplete { _ in withExtendedLifetime(connection) {} } }
        return made
    }

    private func setUp(_ channel: any Channel, behind added: EventLoopFuture<Void>) -> EventLoopFuture<Connection> {
        guard let certificate = certificates.current else { return added.flatMap { setUpHTTP1(channel) }.map { .plain($0, channel) } }
        return added.flatMapThrowing {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(SilenceHandler(limit: limits.idleTimeout))
            try pipeline.addHandler(NIOSSLServerHandler(context: certificate.context))
        }.flatMap {
            channel.configureHTTP2AsyncSecureUpgrade { channel in
                SilenceHandler.of(channel)?.tell(.http1)
                return setUpHTTP1(channel)
            } http2ConnectionInitializer: { channel in
                SilenceHandler.of(channel)?.tell(.http2)
                return http2.setup(channel: channel, logger: logger)
            }
        }.map { .secure($0, channel) }
    }

    private func setUpHTTP1(_ channel: any Channel) -> EventLoopFuture<HTTP1Channel.Value> {
        http1.setup(channel: channel, logger: logger).flatMapThrowing { connection in
            let pipeline = channel.pipeline.syncOperations
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(OldHTTPHandler(), position: .after(decoder))
            return connection
        }
    }

    /// Answers the connection's requests until it ends.
    func serve(_ connection: Connection) async {
        await withTaskExecutorPreference(limits.runsOnLoops ? LoopExecutor(connection.channel.eventLoop) : nil) { await answer(connection) }
    }

    private func answer(_ connection: Connection) async {
        switch connection {
        case .plain(let value, _): await http1.handle(value: value, logger: logger)
        case .secure(let negotiation, let channel):
            do {
                switch try await negotiation.get() {
                case .http1_1(let value): await http1.handle(value: value, logger: logger)
                case .http2(let value): await http2.handle(value: value, logger: logger)
                }
            } catch {
                logger.debug("A REST connection could not be secured", metadata: ["error": "\(error)"])
                channel.close(promise: nil)
            }
        }
    }
}

/// Tells the watch of a stream that its caller has gone: by resetting the stream, or with its connection. That a caller has sent all of its request
/// means nothing in HTTP/2.
private final class StreamHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private let connections: OpenConnections
    private var watch: CallerWatch?

    init(_ connections: OpenConnections) { self.connections = connections }

    func handlerAdded(context: ChannelHandlerContext) {
        watch = connections.addStream(context.channel)
        context.channel.parent.flatMap(SilenceHandler.of)?.streamOpened(context.channel)
    }

    func channelInactive(context: ChannelHandlerContext) {
        watch?.callerHasGone()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.fireChannelRead(data) }
}
