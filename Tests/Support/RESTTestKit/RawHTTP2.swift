internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// A connection of HTTP/2 over TLS, frame by frame as the test wants it (RFC 9113). It acknowledges settings, and opens no window by itself.
package final class RawHTTP2: Sendable {
    package struct Frame: Sendable, CustomStringConvertible {
        package enum Kind: UInt8, Sendable { case data, headers, priority, reset, settings, pushPromise, ping, goAway, windowUpdate, continuation }
        package var kind: Kind?
        package var flags: UInt8
        package var stream: UInt32
        package var payload: [UInt8]

        package var endsStream: Bool { (kind == .data || kind == .headers) && flags & 1 != 0 }
        /// Of a reset or a GOAWAY.
        package var errorCode: UInt32? {
            switch kind {
            case .reset: payload.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
            case .goAway: payload.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
            default: nil
            }
        }
        package var description: String { "\(kind.map { "\($0)" } ?? "?")[\(stream)]\(endsStream ? " end" : "")\(errorCode.map { " \($0)" } ?? "")" }
    }

    fileprivate struct State {
        var bytes: [UInt8] = []
        var isClosed = false
    }
    private let state = Mutex(State())
    private let channel: Mutex<(any Channel)?> = Mutex(nil)

    /// - window: what the server may send on a stream before it is given more, in bytes.
    package static func connect(port: Int, window: UInt32 = 65_535) async throws -> RawHTTP2 {
        let connection = RawHTTP2()
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.applicationProtocols = ["h2"]
        let context = try NIOSSLContext(configuration: configuration)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(NIOSSLClientHandler(context: context, serverHostname: nil), Collector(connection))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        connection.channel.withLock { $0 = channel }
        try await connection.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + frame(.settings, payload: [0, 4] + bytes(window)) + frame(.settings, flags: 1))
        return connection
    }

    // MARK: Sending

    /// - body: nil ends the stream with the headers.
    package func request(_ stream: UInt32, _ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8]? = nil, ends: Bool = true) async throws {
        var block: [UInt8] = []
        for (name, value) in [(":method", method), (":scheme", "https"), (":authority", "a"), (":path", path)] + headers {
            block += [0] + Self.text(name) + Self.text(value)
        }
        var frames = Self.frame(.headers, flags: body == nil && ends ? 5 : 4, stream: stream, payload: block)
        if let body { frames += Self.frame(.data, flags: ends ? 1 : 0, stream: stream, payload: body) }
        try await send(frames)
    }

    /// CANCEL.
    package func reset(_ stream: UInt32) async throws { try await send(Self.frame(.reset, stream: stream, payload: Self.bytes(8))) }
    package func widen(_ stream: UInt32, by window: UInt32) async throws { try await send(Self.frame(.windowUpdate, stream: stream, payload: Self.bytes(window))) }
    package func ping() async throws { try await send(Self.frame(.ping, payload: [UInt8](repeating: 7, count: 8))) }

    package func send(_ bytes: [UInt8]) async throws {
        guard let channel = channel.withLock({ $0 }) else { return }
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }

    package func close() async { try? await channel.withLock { $0 }?.close() }

    package static func frame(_ kind: Frame.Kind, flags: UInt8 = 0, stream: UInt32 = 0, payload: [UInt8] = []) -> [UInt8] {
        bytes(UInt32(payload.count)).dropFirst() + [kind.rawValue, flags] + bytes(stream) + payload
    }

    private static func bytes(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } }

    /// A string literal of HPACK, not compressed (RFC 7541, section 5.2).
    private static func text(_ text: String) -> [UInt8] {
        var length: [UInt8] = []
        var rest = text.utf8.count
        if rest < 127 {
            length = [UInt8(rest)]
        } else {
            length = [127]
            rest -= 127
            while rest >= 128 {
                length.append(UInt8(rest % 128 + 128))
                rest /= 128
            }
            length.append(UInt8(rest))
        }
        return length + Array(text.utf8)
    }

    // MARK: Receiving

    /// The next frame; nil: the server has closed the connection.
    package func next(within limit: Duration = .seconds(120)) async throws -> Frame? {
        let deadline = ContinuousClock.now + limit
        while true {
            let (frame, isClosed) = state.withLock { ($0.takeFrame(), $0.isClosed) }
            if let frame { return frame }
            if isClosed { return nil }
            guard ContinuousClock.now < deadline else { throw RawHTTPError(description: "no frame in time") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// The body of a stream's answer, up to its end. Frames of other streams are passed over.
    package func answer(_ stream: UInt32) async throws -> [UInt8] {
        var body: [UInt8] = []
        while let frame = try await next() {
            if frame.stream == stream, frame.kind == .data { body += frame.payload }
            if frame.stream == stream, frame.kind == .reset { throw RawHTTPError(description: "\(frame)") }
            if frame.stream == stream, frame.endsStream { return body }
        }
        throw RawHTTPError(description: "the connection was closed")
    }

    /// Everything up to the end of the connection.
    package func untilEnd() async throws -> [Frame] {
        var frames: [Frame] = []
        // Closing a connection over TLS has limits of its own, and a machine may be busy.
        while let frame = try await next(within: .seconds(120)) { frames.append(frame) }
        return frames
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let connection: RawHTTP2
        init(_ connection: RawHTTP2) { self.connection = connection }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            connection.state.withLock { $0.bytes += bytes }
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
        func channelInactive(context: ChannelHandlerContext) { connection.state.withLock { $0.isClosed = true } }
    }
}

extension RawHTTP2.State {
    fileprivate mutating func takeFrame() -> RawHTTP2.Frame? {
        guard bytes.count >= 9 else { return nil }
        let length = bytes[0..<3].reduce(0) { $0 << 8 | Int($1) }
        guard bytes.count >= 9 + length else { return nil }
        let frame = RawHTTP2.Frame(
            kind: .init(rawValue: bytes[3]), flags: bytes[4], stream: bytes[5..<9].reduce(0) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF, payload: Array(bytes[9..<(9 + length)]))
        bytes.removeFirst(9 + length)
        return frame
    }
}
