internal import NIOCore

/// Spoils what the server writes, as `PGTestServer.Faults` says.
final class PGTestFaults: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let faults: PGTestServer.Faults
    private var bytesSent = 0

    init(_ faults: PGTestServer.Faults) { self.faults = faults }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var bytes = unwrapOutboundIn(data)
        let limit = min(faults.cutAfterBytes ?? .max, faults.stallAfterBytes ?? .max)
        let allowed = min(bytes.readableBytes, limit - bytesSent)
        bytesSent += allowed
        guard let sent = bytes.readSlice(length: allowed) else { return }
        if faults.isDribbling {
            for byte in sent.readableBytesView { context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [byte])), promise: nil) }
            promise?.succeed()
        } else {
            context.write(wrapOutboundOut(sent), promise: promise)
        }
        if let cut = faults.cutAfterBytes, bytesSent >= cut {
            context.flush()
            context.close(promise: nil)
        }
    }
}
