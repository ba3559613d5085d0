internal import ControlAPI
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import PGWire

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The client's end of a session that the router holds with itself for REST: one statement at a time, on one event loop.
///
/// The other end is a `LoginHandler` like any client's, so that a statement is planned, run and refused as on the wire.
final class StatementConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// Logging in; the statement that the session is opened for waits.
        case opening(StatementCall)
        case idle
        case running(StatementCall)
        case closed
    }

    /// Who REST's sessions are: the author of the catalog changes they make.
    static let user = "rest"

    /// The one that is asked for it; another one of the same name, made anew in the catalog, is not it.
    let database: DatabaseState
    private unowned let pool: StatementPool
    private var state: State
    private var context: ChannelHandlerContext?
    private var received = ByteBuffer()
    /// Bytes of a row that is passed over, still to come.
    private var unwanted = 0
    private var processID: Int32?
    private var isReading = true
    private(set) var idleSince = NIODeadline.now()

    private static let readBytesKept = 64 << 10

    init(_ database: DatabaseState, for call: StatementCall, in pool: StatementPool) {
        self.database = database
        self.pool = pool
        state = .opening(call)
    }

    // MARK: Opening

    /// Makes the two ends on the loop. Failures reach the call through `closed`.
    func open(_ reference: LoopReference) {
        var ends: (CInt, CInt) = (-1, -1)
        let made = withUnsafeMutableBytes(of: &ends) { socketpair(AF_UNIX, Self.streamType, 0, $0.bindMemory(to: CInt.self).baseAddress) }
        guard made == 0 else {
            return closed(APIError(.tooManyRequests, "the router cannot open another session (errno \(errno))"))
        }
        let mine = NIOLoopBound(self, eventLoop: reference.eventLoop)
        let server = ClientBootstrap(group: reference.eventLoop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(LoginHandler(loop: reference.here(), isInternal: true))
            }
        }
        let client = ClientBootstrap(group: reference.eventLoop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(mine.value) }
        }
        server.withConnectedSocket(ends.0).whenFailure { _ in mine.value.close() }
        client.withConnectedSocket(ends.1).whenFailure { _ in mine.value.closed(nil) }
    }

    #if os(Linux)
    private static let streamType = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    #else
    private static let streamType = SOCK_STREAM
    #endif

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { start() }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) { start() }

    private var hasStarted = false
    private func start() {
        guard !hasStarted else { return }
        hasStarted = true
        var bytes = ByteBuffer()
        // No settings: the session's backends are those of every other session without any.
        bytes.writeStartup([.init(name: "user", value: Self.user), .init(name: "database", value: database.name)])
        send(bytes)
    }

    // MARK: Statements

    var isIdle: Bool { if case .idle = state { true } else { false } }

    /// Precondition: idle.
    func run(_ call: StatementCall) {
        precondition(isIdle, "a session of REST runs one statement at a time")
        state = .running(call)
        // Before its messages: they go through a socket.
        if let processID, let session = pool.loop.session(processID: processID) {
            session.variables.consistency = call.request.consistency
            session.access = call.request.access
            session.author = call.request.caller ?? Self.user
            if let origin = call.request.origin {
                session.auditOrigin = AuditOrigin(user: session.author, address: origin.address, requestID: origin.requestID, traceID: origin.traceID)
            }
        }
        send(call.exchange.open())
    }

    /// Asks the session to stop what it is doing; the answer comes as for any statement.
    func cancel() {
        guard case .running = state, let processID else { return close() }
        pool.loop.session(processID: processID)?.cancel()
    }

    func close() {
        if let context { context.close(promise: nil) } else { closed(nil) }
    }

    private func send(_ bytes: ByteBuffer) { context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil) }

    // MARK: Channel

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        let count = min(unwanted, bytes.readableBytes)
        bytes.moveReaderIndex(forwardBy: count)
        unwanted -= count
        if received.readableBytes == 0 {
            received = bytes
        } else {
            if received.readerIndex > Self.readBytesKept { received.discardReadBytes() }
            received.writeBuffer(&bytes)
        }
        do throws(WireError) {
            while let header = try FrameHeader.next(in: received, limit: .max) {
                if passOver(header) { continue }
                guard let frame = try received.readFrame(limit: .max) else { break }
                try process(frame)
            }
        } catch {
            pool.loop.logger.error("A session of REST broke the protocol", metadata: ["error": "\(error)"])
            closed(APIError(.internalError, "an internal error; the log has it"))
            context.close(promise: nil)
        }
    }

    /// A row that the answer cannot hold is not kept until all of it is here: it may have a gigabyte.
    private func passOver(_ header: FrameHeader) -> Bool {
        guard header.kind == BackendKind.dataRow, case .running(let call) = state, let action = call.exchange.passOver(rowOf: header.bodyLength)
        else { return false }
        let count = min(header.totalLength, received.readableBytes)
        received.moveReaderIndex(forwardBy: count)
        unwanted = header.totalLength - count
        act(action, call)
        return true
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if case .running(let call) = state, call.stream != nil { pool.advance(call) }
        context.fireChannelReadComplete()
    }

    /// While the caller of a stream does not take what has arrived, nothing more is read: the session's socket fills, and the session stops the shard.
    func setReading(_ on: Bool) {
        guard on != isReading, let context else { return }
        isReading = on
        _ = context.channel.setOption(.autoRead, value: on)
        if on { context.read() }
    }

    func channelInactive(context: ChannelHandlerContext) { closed(nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func process(_ frame: Frame) throws(WireError) {
        switch state {
        case .opening(let call): try processLogin(frame, call)
        case .running(let call):
            let action = try call.exchange.received(frame.kind, frame.body)
            act(action, call)
        // What a session says on its own: that it is being ended.
        case .idle, .closed: break
        }
    }

    private func processLogin(_ frame: Frame, _ call: StatementCall) throws(WireError) {
        switch frame.kind {
        case BackendKind.backendKeyData: processID = try BackendKeyData(body: frame.body).processID
        case BackendKind.errorResponse:
            closed(APIError(login: try ServerError(body: frame.body)))
            close()
        case BackendKind.readyForQuery:
            state = .idle
            // The caller may have gone meanwhile.
            if call.isDone { free() } else { run(call) }
        default: break
        }
    }

    private func act(_ action: ExchangeAction, _ call: StatementCall) {
        switch action {
        case .wait: break
        case .send(let bytes): send(bytes)
        case .cancel: cancel()
        case .finished:
            state = .idle
            setReading(true)
            pool.finished(call, on: self)
            if isIdle { free() }
        case .hopeless:
            closed(nil)
            close()
        }
    }

    private func free() {
        idleSince = .now()
        pool.isFree(self)
    }

    /// The session is over; `error` is why, where the exchange does not know.
    private func closed(_ error: APIError?) {
        let call: StatementCall?
        switch state {
        case .opening(let waiting): call = waiting
        case .running(let running): call = running
        case .idle: call = nil
        case .closed: return
        }
        state = .closed
        pool.closed(self, call, error)
    }
}

extension APIError {
    /// The session could not be opened.
    fileprivate init(login error: ServerError) {
        self.init(error)
        if error.sqlState == .invalidCatalogName { code = .databaseNotFound }
    }
}
