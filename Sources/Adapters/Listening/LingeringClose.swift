package import NIOCore

/// The end of a connection whose peer must read our last words: what we have to say is said and ended (FIN), and what the peer still sends is
/// read and thrown away until it hangs up, or `limit` has passed.
///
/// A socket that is closed with bytes unread, or that gets bytes afterwards, answers with a reset, and a reset may take from the peer what it
/// has not read yet: an error message that says that its statement did not run.
package final class LingeringClose: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer

    private let limit: TimeAmount
    private var deadline: Scheduled<Void>?
    private var onEnd: (() -> Void)?

    /// `onEnd` is called once, when the connection is closed.
    package init(limit: TimeAmount, onEnd: @escaping () -> Void = {}) {
        self.limit = limit
        self.onEnd = onEnd
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        guard context.channel.isActive else { return end() }
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: limit) { context.close(promise: nil) }
        _ = context.channel.setOption(.autoRead, value: true)
        context.read()
        // Behind everything that was written before.
        context.channel.close(mode: .output, promise: nil)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    package func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func end() {
        deadline?.cancel()
        onEnd?()
        onEnd = nil
    }
}
