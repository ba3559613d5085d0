internal import NIOCore
internal import NIOPosix
internal import NIOSSL

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// What waits to be written to one connection, and the way out. Belongs to the connection's event loop.
///
/// Without TLS, and while the channel holds nothing of it, bytes go straight to the socket: for the short messages of a point read the
/// channel's way costs more than all of the router's own work. What the socket does not take at once goes the channel's way, which tells of
/// errors and of writability as always.
final class Outbox {
    /// Above this size bytes are passed on as the slice they are, below it they are copied behind the others.
    private static let copyMax = 4096
    /// A larger buffer is not kept for the next burst.
    private static let keptMax = 1 << 16

    private var buffer = ByteBuffer()
    private var hasUnflushed = false
    /// Some of it was passed to the channel already.
    private var hasPassedOn = false
    private var context: ChannelHandlerContext?
    private var channel: (any Channel)?
    /// Where bytes may go directly. Valid only while the channel is active: it closes the socket before it tells anybody, and the number may
    /// be another connection's by then.
    private var socket: CInt?
    /// Writes that the channel has not finished: until then nothing may overtake them.
    private var channelWrites = 0
    /// Of the write that the next flush passes to the channel; made when the first bytes of it were passed on unflushed.
    private var flushed: EventLoopPromise<Void>?
    /// Grows whenever bytes leave for the socket or the channel.
    private var departures: UInt64 = 0

    /// As much as PostgreSQL itself keeps back until the end of what it was asked (PQ_SEND_BUFFER_SIZE).
    private static let smallMax = 8192
    /// What no flush has sent on yet may wait for more.
    var isSmall: Bool { !hasPassedOn && buffer.readableBytes < Self.smallMax }

    /// Bytes that no flush has sent on yet.
    var readableBytes: Int { buffer.readableBytes }
    /// The socket has all of it.
    var isWrittenOut: Bool { buffer.readableBytes == 0 && channelWrites == 0 }

    func attach(_ context: ChannelHandlerContext) {
        self.context = context
        channel = context.channel
        socket = Self.plainSocket(context)
        // The handler before may have written something that is still on its way.
        if socket != nil { flushThroughChannel() }
    }

    func detach() {
        context = nil
        channel = nil
        socket = nil
        buffer = ByteBuffer()
        // Of bytes that were passed on and that nobody flushed.
        flushed?.succeed(())
        flushed = nil
    }

    private static func plainSocket(_ context: ChannelHandlerContext) -> CInt? {
        let pipeline = context.pipeline.syncOperations
        let isEncrypted =
            (try? pipeline.handler(type: NIOSSLServerHandler.self)) != nil || (try? pipeline.handler(type: NIOSSLClientHandler.self)) != nil
        return isEncrypted ? nil : try? pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
    }

    // MARK: Filling

    func append(_ bytes: ByteBuffer) {
        hasUnflushed = true
        guard bytes.readableBytes > Self.copyMax else {
            buffer.writeImmutableBuffer(bytes)
            return
        }
        departures &+= 1
        guard let context else { return }
        willWriteThroughChannel(context)
        hasPassedOn = true
        if buffer.readableBytes > 0 { context.write(takeBuffer(), promise: nil) }
        context.write(NIOAny(bytes), promise: nil)
    }

    /// Builds bytes in place, behind those that wait.
    func append(_ build: (inout ByteBuffer) -> Void) {
        hasUnflushed = true
        build(&buffer)
    }

    // MARK: Taking back

    /// A place between bytes.
    struct Mark {
        fileprivate let departures: UInt64
        fileprivate let count: Int
    }

    var mark: Mark { Mark(departures: departures, count: buffer.readableBytes) }

    /// The bytes behind the mark; nil when some have left.
    func heldBytes(behind mark: Mark) -> Int? {
        departures == mark.departures && buffer.readableBytes >= mark.count ? buffer.readableBytes - mark.count : nil
    }

    /// Takes back what came behind the mark; false when some of it has left.
    func rewind(to mark: Mark) -> Bool {
        guard heldBytes(behind: mark) != nil else { return false }
        buffer.moveWriterIndex(to: buffer.readerIndex + mark.count)
        return true
    }

    // MARK: Writing

    func flush() {
        guard hasUnflushed else { return }
        hasUnflushed = false
        hasPassedOn = false
        departures &+= 1
        guard context != nil else { return buffer.clear() }
        if channelWrites == 0, let socket, let channel, channel.isActive { send(to: socket) }
        if buffer.readableBytes > 0 || flushed != nil { flushThroughChannel() }
        // Not before the channel has let go of the storage, or there would be a new one for each burst.
        guard buffer.readableBytes == 0 else { return }
        if buffer.capacity > Self.keptMax { buffer = ByteBuffer() } else { buffer.clear() }
    }

    /// As much as the socket takes. Its errors are left to the channel, which meets them, too.
    private func send(to socket: CInt) {
        let count = buffer.withUnsafeReadableBytes { systemSend(socket, $0.baseAddress, $0.count) }
        if count > 0 { buffer.moveReaderIndex(forwardBy: count) }
    }

    private func flushThroughChannel() {
        guard let context else { return }
        willWriteThroughChannel(context)
        let promise = flushed
        flushed = nil
        context.writeAndFlush(takeBuffer(), promise: promise)
    }

    private func willWriteThroughChannel(_ context: ChannelHandlerContext) {
        guard socket != nil, flushed == nil else { return }
        channelWrites += 1
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { [self] _ in channelWrites -= 1 }
        flushed = promise
    }

    private func takeBuffer() -> NIOAny {
        let bytes = NIOAny(buffer)
        buffer.moveReaderIndex(to: buffer.writerIndex)
        return bytes
    }
}

#if os(Linux)
private func systemSend(_ socket: CInt, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    send(socket, bytes, count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL))
}
#else
private func systemSend(_ socket: CInt, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int { send(socket, bytes, count, MSG_DONTWAIT) }
#endif
