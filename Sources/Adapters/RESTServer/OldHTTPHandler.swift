internal import NIOCore
internal import NIOHTTP1

/// Answers HTTP/1.0 in HTTP/1.0: such a caller knows no chunks, so an answer of unknown length ends with the connection (RFC 9112, section 6.3).
///
/// What comes behind it in the pipeline knows one version of HTTP/1 only.
final class OldHTTPHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// Of the requests that are not answered yet, as many as the server reads ahead: whether they are of HTTP/1.0.
    private var areOld = CircularBuffer<Bool>()
    private var endsConnection = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = unwrapInboundIn(data) { areOld.append(head.version == .http1_0) }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard areOld.first == true else {
            if case .end = unwrapOutboundIn(data) { _ = areOld.popFirst() }
            return context.write(data, promise: promise)
        }
        switch unwrapOutboundIn(data) {
        case .head(var head):
            head.version = .http1_0
            endsConnection = !head.headers.contains(name: "content-length")
            if endsConnection { head.headers.replaceOrAdd(name: "connection", value: "close") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body: context.write(data, promise: promise)
        case .end:
            _ = areOld.popFirst()
            context.writeAndFlush(data, promise: promise)
            if endsConnection { context.close(mode: .output, promise: nil) }
        }
    }
}
