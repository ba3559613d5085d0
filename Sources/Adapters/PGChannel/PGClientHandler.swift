internal import NIOCore
internal import PGWire
internal import Synchronization

/// The loop's side of `PGClient`: sends one call at a time and gathers its answer.
final class PGClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long an abandoned call may take to end after its cancel request, before the connection is given up.
    static let cancelGrace = TimeAmount.seconds(10)
    private static let readBytesKept = 64 << 10
    private static let frameMax = WireLimits().backendMessageMax

    private let cancelRequest: @Sendable () -> EventLoopFuture<Void>?
    private let observers: PGClientObservers
    private var received: ByteBuffer
    private var waiting = CircularBuffer<PGClientCall>()
    private var running: PGClientCall?
    /// A cancel request that arrives late would hit the next call: that one waits for it.
    private var cancelsUnderWay = 0
    private var context: ChannelHandlerContext?
    private var isClosed = false

    /// `cancelRequest` gives nil where the server cannot be reached a second time (a socketpair).
    init(unread: ByteBuffer, observers: PGClientObservers, cancelRequest: @escaping @Sendable () -> EventLoopFuture<Void>?) {
        received = unread
        self.observers = observers
        self.cancelRequest = cancelRequest
    }

    // MARK: Calls

    func enqueue(_ call: PGClientCall, timeout: TimeAmount) {
        guard !isClosed, let context else { return call.abandon(PGClientError(.connectionClosed, execution: .didNotRun)) }
        guard waiting.count < PGClient.callsMax else { return call.abandon(PGClientError(.tooManyCalls, execution: .didNotRun)) }
        let id = call.id
        call.timeout = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.abandon(id, .timedOut) }
        waiting.append(call)
        startNext()
    }

    /// The caller does not want the answer any more.
    func abandon(_ id: UInt64, _ cause: PGClientError.Cause) {
        if let index = waiting.firstIndex(where: { $0.id == id }) {
            waiting.remove(at: index).abandon(PGClientError(cause, execution: .didNotRun))
            return
        }
        guard let call = running, call.id == id, !call.isAbandoned else { return }
        call.abandon(PGClientError(cause, execution: .unknown))
        cancelRunning(orClose: true)
        // A COPY whose chunks nobody took any more had stopped the reading.
        readMore()
        guard let context else { return }
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.cancelGrace) {
            if self.running === call { context.close(promise: nil) }
        }
    }

    @discardableResult
    func cancelRunning(orClose: Bool) -> EventLoopFuture<Void>? {
        guard running != nil, !isClosed, let context else { return nil }
        guard let sent = cancelRequest() else {
            if orClose { context.close(promise: nil) }
            return nil
        }
        cancelsUnderWay += 1
        sent.hop(to: context.eventLoop).assumeIsolated().whenComplete { _ in
            self.cancelsUnderWay -= 1
            self.startNext()
        }
        return sent
    }

    /// Writes a piece of the running COPY; false when that is over already.
    func sendCopy(_ id: UInt64, _ bytes: ByteBuffer, promise: EventLoopPromise<Void>) {
        guard let call = running, call.id == id, !call.isAbandoned, !call.hasFailed, let context else {
            return promise.fail(PGClientError(.connectionClosed, execution: .unknown))
        }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: promise)
    }

    func nextCopyRuns(_ sink: PGCopyOutSink, _ promise: EventLoopPromise<[ByteBuffer]?>) {
        let wasFull = sink.isFull
        sink.next(promise)
        if wasFull { readMore() }
    }

    /// Whoever took the server's data takes no more, and nothing is full now.
    func readOn() { readMore() }

    func close() {
        guard !isClosed, let context else { return }
        var bytes = ByteBuffer()
        bytes.writeTerminate()
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        context.close(promise: nil)
    }

    private func startNext() {
        guard running == nil, cancelsUnderWay == 0, !isClosed, let context, let call = waiting.popFirst() else { return }
        running = call
        context.writeAndFlush(wrapOutboundOut(call.request), promise: nil)
        call.request = ByteBuffer()
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard context.channel.isActive else { return ended(.connectionClosed) }
        process()
        readMore()
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if received.readableBytes == 0 {
            received = bytes
        } else {
            // A part of a message is left over, perhaps each time: what was read must not pile up before it.
            if received.readerIndex > Self.readBytesKept { received.discardReadBytes() }
            received.writeBuffer(&bytes)
        }
        process()
    }

    func channelReadComplete(context: ChannelHandlerContext) { readMore() }

    func channelInactive(context: ChannelHandlerContext) {
        ended(.connectionClosed)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ended(.connectionClosed)
        context.close(promise: nil)
    }

    private func readMore() {
        if let sink = running?.kind.sink, sink.isFull { return }
        context?.read()
    }

    private func ended(_ cause: PGClientError.Cause) {
        guard !isClosed else { return }
        isClosed = true
        running?.abandon(PGClientError(cause, execution: .unknown))
        running = nil
        while let call = waiting.popFirst() { call.abandon(PGClientError(cause, execution: .didNotRun)) }
        observers.finish()
    }

    private func process() {
        do throws(WireError) {
            while !isClosed {
                try takeCopyData()
                guard let frame = try received.readFrame(limit: Self.frameMax) else { return }
                try process(frame)
            }
        } catch {
            ended(.protocolViolation(error))
            context?.close(promise: nil)
        }
    }

    /// The rows of a COPY TO STDOUT come one a message: all that are here whole are taken at once.
    private func takeCopyData() throws(WireError) {
        guard let call = running, call.hasCopied, let sink = call.kind.sink else { return }
        let length = try received.copyDataRunLength(limit: Self.frameMax)
        if length > 0, let run = received.readSlice(length: length) { sink.add(run) }
    }

    private func process(_ frame: Frame) throws(WireError) {
        switch frame.kind {
        case BackendKind.parameterStatus: observers.changed(try ParameterStatus(body: frame.body))
        case BackendKind.notificationResponse: observers.notified(try NotificationResponse(body: frame.body))
        case BackendKind.noticeResponse:
            running?.addNotice(try ServerError(body: frame.body, kind: frame.kind))
        case BackendKind.errorResponse:
            let error = try ServerError(body: frame.body)
            running?.fail(error)
            if error.isFatal { running?.finish() }
        default:
            guard let call = running else { throw WireError(.unexpectedMessage, kind: frame.kind) }
            try process(frame, for: call)
        }
    }

    private func process(_ frame: Frame, for call: PGClientCall) throws(WireError) {
        switch frame.kind {
        case BackendKind.parseComplete, BackendKind.bindComplete, BackendKind.closeComplete, BackendKind.noData,
            BackendKind.parameterDescription:
            break
        case BackendKind.copyDone:
            // Here the server waits for the other side's end, which comes when the caller has heard of this one.
            if case .copyBoth(let sink, _) = call.kind { sink.end(nil) }
        case BackendKind.rowDescription: call.setColumns(try RowDescription(body: frame.body).columns)
        case BackendKind.dataRow: call.addRow(try DataRow(body: frame.body), bytes: frame.body.readableBytes)
        case BackendKind.commandComplete: call.endResult(tag: try CommandTag(body: frame.body))
        case BackendKind.emptyQueryResponse, BackendKind.portalSuspended: call.endResult(tag: nil)
        case BackendKind.copyInResponse: receivedCopyIn(call)
        case BackendKind.copyOutResponse:
            if case .copyOut = call.kind {
                call.hasCopied = true
                break
            }
            call.fail(PGClientError(.invalidCall("COPY TO STDOUT needs copyOut"), execution: .ran))
        case BackendKind.copyBothResponse:
            guard case .copyBoth(_, let ready) = call.kind else { throw WireError(.unexpectedMessage, kind: frame.kind) }
            call.hasCopied = true
            ready.succeed()
        case BackendKind.copyData:
            // Those of a COPY that was asked for are taken in runs.
            break
        case BackendKind.readyForQuery:
            // Before the caller goes on: it may ask.
            observers.transactionStatus.store(try ReadyForQuery(body: frame.body).status, ordering: .releasing)
            running = nil
            call.finish()
            startNext()
        default: throw WireError(.unexpectedMessage, kind: frame.kind)
        }
    }

    private func receivedCopyIn(_ call: PGClientCall) {
        if case .copyIn(let ready) = call.kind, !call.isAbandoned {
            call.hasCopied = true
            return ready.succeed()
        }
        // Nobody has data for it. In the extended protocol the server has ignored the Sync sent before, and waits for another.
        call.fail(PGClientError(.invalidCall("COPY FROM STDIN needs copyIn"), execution: .didNotRun))
        var bytes = ByteBuffer()
        bytes.writeCopyFail(reason: "no data for COPY")
        if case .query = call.kind { bytes.writeSync() }
        context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }
}
