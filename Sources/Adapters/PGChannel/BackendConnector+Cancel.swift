package import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOTLS
package import PGWire

extension BackendConnector {
    /// Asks the server to cancel what the session with this key is running.
    ///
    /// Succeeds once the server has taken the request (it closes the connection); whether anything was cancelled is never told. Under the
    /// sslmodes that demand TLS the request goes encrypted too: its key is a secret.
    package static func sendCancel(
        to endpoint: PostgresEndpoint, _ request: CancelRequest, on eventLoop: any EventLoop, timeout: TimeAmount? = nil
    ) -> EventLoopFuture<Void> {
        let timeout = timeout ?? endpoint.connectTimeout ?? timeoutDefault
        let promise = eventLoop.makePromise(of: Void.self)
        let needsTLS = tlsPolicy(for: endpoint) == .required
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = CancelHandler(request, needsTLS: needsTLS, delivered: promise) { try BackendTLS.makeHandler(for: endpoint) }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        let connected =
            switch endpoint.address {
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            case .unix(let directory, let port): bootstrap.connect(unixDomainSocketPath: "\(directory)/.s.PGSQL.\(port)")
            }
        connected.whenFailure { promise.fail(connectFailure($0, timeout)) }
        let deadline = eventLoop.scheduleTask(in: timeout) {
            promise.fail(BackendConnectError.timedOut(timeout))
            connected.whenSuccess { $0.close(promise: nil) }
        }
        promise.futureResult.whenComplete { _ in deadline.cancel() }
        return promise.futureResult
    }
}

/// Sends one CancelRequest, after TLS where that is demanded, and waits for the server to hang up.
private final class CancelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let request: CancelRequest
    private let needsTLS: Bool
    private let makeTLS: () throws -> NIOSSLClientHandler
    private var delivered: EventLoopPromise<Void>?
    private var isSent = false

    init(_ request: CancelRequest, needsTLS: Bool, delivered: EventLoopPromise<Void>, makeTLS: @escaping () throws -> NIOSSLClientHandler) {
        self.request = request
        self.needsTLS = needsTLS
        self.delivered = delivered
        self.makeTLS = makeTLS
    }

    func channelActive(context: ChannelHandlerContext) {
        guard needsTLS else { return send(context) }
        var bytes = ByteBuffer()
        bytes.writeSSLRequest()
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let answer = unwrapInboundIn(data)
        guard needsTLS, !isSent else { return }
        guard answer.readableBytes == 1, answer.getInteger(at: answer.readerIndex, as: UInt8.self) == UInt8(ascii: "S") else {
            return fail(.tls(.notOffered), context)
        }
        do {
            try context.pipeline.syncOperations.addHandler(try makeTLS(), position: .first)
        } catch {
            fail(.tls(.configuration(error)), context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted(_) = event { send(context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if isSent { delivered?.succeed() } else { delivered?.fail(BackendConnectError.closed) }
        delivered = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A server that hangs up without TLS's farewell, or with a reset, has taken the request all the same.
        if isSent { context.close(promise: nil) } else { fail(.tls(.handshake(error)), context) }
    }

    private func send(_ context: ChannelHandlerContext) {
        isSent = true
        var bytes = ByteBuffer()
        bytes.writeCancelRequest(request)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    private func fail(_ error: BackendConnectError, _ context: ChannelHandlerContext) {
        delivered?.fail(error)
        delivered = nil
        context.close(promise: nil)
    }
}
