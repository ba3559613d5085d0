internal import Logging
internal import NIOCore
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import SessionCore

/// One connection to a shard, on the event loop of the sessions that borrow it.
///
/// It is idle in its pool, or forwards its answers to the session that borrowed it, or runs an exchange of the router's own. Several sessions may share
/// it: `Backend+Sharing`.
final class Backend: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let id: BackendID
    let channel: any Channel
    let processID: Int32
    let secretKey: Int32
    let pool: BackendPool

    /// Who borrowed it and forwards its answers.
    var session: ClientSession?
    var exchange: Exchange?
    /// Who shares it; nil: it is the borrower's alone.
    var line: Line?
    /// How many have been answered while it was shared; what it was when the event loop looked last, which it does while there are riders.
    var turns: UInt64 = 0
    var watchedTurns: UInt64 = 0
    var isWatched = false
    /// What was sent is written out at the end of the loop's tick.
    private var isFlushDue = false
    /// Ends the connection when the exchange does not end by itself.
    private var exchangeDeadline: Scheduled<Void>?
    /// It did.
    private(set) var isOverdue = false

    /// The settings in effect outside a transaction.
    var settings: SettingsRef
    var prepared = PreparedStatements()
    /// What its last ReadyForQuery said.
    private(set) var status = TransactionState.Phase.idle.rawValue
    private(set) var isOpen = true
    /// Cancel requests under way: until they have been delivered nobody else may have this backend, or they would hit the wrong statement.
    var cancelsUnderWay = 0
    /// A cancel request was given up: nobody else may have this backend any more.
    var mayBeCancelled = false
    /// What the server said when it ended the session.
    var farewell: String?
    /// Why the router itself has ended the connection in the middle of a transaction, as its client is to hear it.
    private(set) var endReason: ServerError?
    /// What waits for them.
    var onCancelsDelivered: (() -> Void)?
    /// The pool knows it: it has been greeted.
    var isAdmitted = false

    /// Messages to it that wait for the end of the burst.
    private let outbox = Outbox()
    /// The beginning of a message that has not arrived in full.
    private var partial = ByteBuffer()
    /// Bytes of the current message, its head already forwarded, still to be forwarded.
    private var passThrough = 0
    /// Connections begin without reading.
    private var isReading = false
    /// Another shard's answers go to the session's client first: what comes is kept as it is (`ClientSession+Scatter`).
    var isWaiting = false
    /// All that was due of it has been passed on, and the next shard's turn has come.
    private var isTurnOver = false

    /// `unread`: what came behind the server's greeting.
    init(
        id: BackendID, channel: any Channel, processID: Int32, secretKey: Int32, unread: ByteBuffer, pool: BackendPool,
        settings: SettingsRef
    ) {
        partial = unread
        self.id = id
        self.channel = channel
        self.processID = processID
        self.secretKey = secretKey
        self.pool = pool
        self.settings = settings
    }

    var hasExchange: Bool { exchange != nil }
    /// The client has the beginning of a message: what is written next would be taken for the rest of it.
    var isMidFrame: Bool { passThrough > 0 }

    // MARK: Sending

    func send(_ message: ByteBuffer) { outbox.append(message) }

    /// Builds messages in place, behind those that wait.
    func send(_ build: (inout ByteBuffer) -> Void) { outbox.append(build) }

    func flush() {
        if isFlushDue { return }
        guard line != nil, pool.expectsCompany() else { return outbox.flush() }
        isFlushDue = true
        pool.loop.flushSoon(self)
    }

    func flushNow() {
        isFlushDue = false
        outbox.flush()
    }

    /// It runs something that no session waits for.
    var isOrphan: Bool { isOpen && session == nil && exchange != nil }

    // MARK: Borrowing

    func lend(to session: ClientSession) { self.session = session }
    /// Reads again, should a slow client have stopped it: the next borrower, or the pool, must hear what the server says.
    func takeBack() {
        session = nil
        isWaiting = false
        setReading(true)
    }

    /// Sends `messages` and collects what comes back, for the router itself.
    ///
    /// Precondition: nothing is outstanding towards the session.
    func run(_ exchange: Exchange, _ messages: (inout ByteBuffer) -> Void) {
        precondition(self.exchange == nil, "one exchange at a time")
        guard isOpen else { return exchange.lost() }
        self.exchange = exchange
        // A slow client may have stopped it, and need not hear these answers.
        setReading(true)
        send(messages)
        flush()
    }

    /// Nobody would notice, or end it, if the exchange that is under way never ended: it gets this long, and then the connection is closed.
    func boundExchange(to limit: TimeAmount) {
        guard exchange != nil, exchangeDeadline == nil else { return }
        exchangeDeadline = channel.eventLoop.assumeIsolated().scheduleTask(in: limit) {
            self.isOverdue = true
            self.close()
        }
    }

    private func exchangeEnded() {
        exchange = nil
        exchangeDeadline?.cancel()
        exchangeDeadline = nil
    }

    var isWritable: Bool { channel.isWritable }

    func setReading(_ on: Bool) {
        guard on != isReading else { return }
        isReading = on
        _ = channel.setOption(.autoRead, value: on)
        if on { channel.read() }
    }

    /// Closes the connection; the pool is told by `channelInactive`.
    func close() {
        guard isOpen else { return }
        channel.close(promise: nil)
    }

    /// The same at once: whoever uses it hears of the loss before anything else.
    func cutOff(_ reason: ServerError? = nil) {
        guard isOpen else { return }
        endReason = reason
        channel.close(promise: nil)
        lost()
    }

    // MARK: Receiving

    func handlerAdded(context: ChannelHandlerContext) { outbox.attach(context) }

    func handlerRemoved(context: ChannelHandlerContext) { outbox.detach() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if isWaiting { return keep(&buffer) }
        if partial.readableBytes > 0 {
            partial.writeBuffer(&buffer)
            swap(&partial, &buffer)
            partial = ByteBuffer()
        }
        take(&buffer)
        if isTurnOver {
            isTurnOver = false
            session?.takeTurns()
        }
    }

    private func take(_ buffer: inout ByteBuffer) {
        do {
            try consume(&buffer)
        } catch {
            pool.logger.error("A shard broke the protocol", metadata: ["shard": "\(pool.shardID)", "error": "\(error)"])
            close()
            return
        }
        guard buffer.readableBytes > 0 else { return }
        // What was read stays behind, or a long stream of an exchange would be kept from its beginning on.
        buffer.discardReadBytes()
        partial = buffer
    }

    private func keep(_ buffer: inout ByteBuffer) {
        if partial.readableBytes > 0 { partial.writeBuffer(&buffer) } else { partial = buffer }
        session?.keptAnswers(of: self)
    }

    /// What was said while it was another shard's turn, and nobody has heard yet.
    var unheardBytes: Int { partial.readableBytes }

    /// Its turn has come: takes what was kept.
    func hear() {
        isWaiting = false
        guard partial.readableBytes > 0 else { return }
        var buffer = partial
        partial = ByteBuffer()
        take(&buffer)
        isTurnOver = false
    }

    private func endTurn(in session: ClientSession) {
        guard session.script.isAtTurn, self.session === session else { return }
        isWaiting = true
        isTurnOver = true
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        session?.backendBurstEnded()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        session?.backendWritabilityChanged(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        pool.logger.debug("A backend connection failed", metadata: ["shard": "\(pool.shardID)", "error": "\(error)"])
        close()
    }

    func channelInactive(context: ChannelHandlerContext) { lost() }

    private func lost() {
        guard isOpen else { return }
        isOpen = false
        let midFrame = isMidFrame
        let (session, exchange) = (session, exchange)
        // What it has said before is still heard in its turn.
        if !isWaiting { self.session = nil }
        let riders = endLine()
        exchangeEnded()
        // In this order: what the end of the exchange leads to must not find a participant that is gone.
        session?.backendLost(self, midFrame: midFrame)
        exchange?.lost()
        onCancelsDelivered = nil
        if isAdmitted { pool.closed(self) }
        for rider in riders { rider.sentAway() }
    }

    /// Takes whole messages; what is left in `buffer` is the beginning of one.
    private func consume(_ buffer: inout ByteBuffer) throws(WireError) {
        while buffer.readableBytes > 0 {
            if let exchange {
                guard let frame = try buffer.readFrame(limit: pool.limits.backendMessageMax) else { return }
                if frame.kind == BackendKind.readyForQuery {
                    status = try ReadyForQuery(body: frame.body).status
                }
                if frame.kind == BackendKind.notificationResponse {
                    var message = ByteBuffer()
                    message.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
                    session?.notified(message, by: self)
                }
                if exchange.received(frame) {
                    exchangeEnded()
                    exchange.finish(status: status)
                }
            } else if let session, session.isAside(self) {
                guard let frame = try buffer.readFrame(limit: pool.limits.backendMessageMax) else { return }
                session.receivedAside(frame, from: self)
            } else if let session {
                let before = buffer.readableBytes
                try forward(&buffer, to: session)
                if buffer.readableBytes == before || isWaiting { return }
            } else {
                guard let frame = try buffer.readFrame(limit: pool.limits.backendMessageMax) else { return }
                receivedWhileIdle(frame)
            }
        }
    }

    /// A server may report a setting, a notice, or that it is shutting down.
    private func receivedWhileIdle(_ frame: Frame) {
        switch frame.kind {
        case BackendKind.noticeResponse, BackendKind.parameterStatus, BackendKind.notificationResponse: break
        default: close()
        }
    }

    /// Passes messages on as long slices; stops behind each ReadyForQuery, where the session may let go of the backend.
    private func forward(_ buffer: inout ByteBuffer, to session: ClientSession) throws(WireError) {
        let end = buffer.writerIndex
        var runStart = buffer.readerIndex
        var position = runStart

        func passRun() {
            if position > runStart, let run = buffer.getSlice(at: runStart, length: position - runStart) { session.forward(run) }
            runStart = position
        }

        /// What came before is passed on all the same: it may be the rest of a message that the client has the beginning of.
        func refused(_ kind: UInt8) -> WireError {
            passRun()
            return WireError(.unexpectedMessage, kind: kind)
        }

        if passThrough > 0 {
            let count = min(passThrough, end - position)
            position += count
            passThrough -= count
        }
        var isAmongRows = false
        while position < end {
            let found: FrameHeader?
            do throws(WireError) {
                found = try FrameHeader.next(in: buffer, at: position, limit: pool.limits.backendMessageMax)
            } catch {
                passRun()
                throw error
            }
            guard let header = found else { break }
            let isWhole = end - position >= header.totalLength
            if Self.isBulk(header.kind) {
                // Asked once for many rows.
                if !isAmongRows, session.script.isEmpty { throw refused(header.kind) }
                isAmongRows = true
                if isWhole {
                    position += header.totalLength
                } else {
                    passThrough = header.totalLength - (end - position)
                    position = end
                }
                continue
            }
            isAmongRows = false
            guard isWhole else { break }
            let next = position + header.totalLength
            switch header.kind {
            case BackendKind.readyForQuery:
                // In the middle of a batch there is none before its Sync.
                if !session.script.isReadyDue { throw refused(header.kind) }
                status = buffer.getInteger(at: position + 5) ?? 0
                let verdict = session.script.received(header.kind)
                let shown = session.settle(self, status)
                if verdict == .forward, shown == status {
                    position = next
                    passRun()
                } else {
                    passRun()
                    position = next
                    runStart = next
                    if verdict == .forward { session.answerReady(shown) }
                }
                buffer.moveReaderIndex(to: position)
                session.readyPassed(self)
                endTurn(in: session)
                return
            case BackendKind.errorResponse, BackendKind.copyInResponse, BackendKind.parameterStatus,
                BackendKind.notificationResponse:
                passRun()
                let message = buffer.getSlice(at: position, length: header.totalLength)!
                position = next
                runStart = next
                session.received(header.kind, message, from: self)
            default:
                if session.script.isEmpty, header.kind != BackendKind.noticeResponse { throw refused(header.kind) }
                switch session.script.received(header.kind) {
                case .forward:
                    position = next
                case .drop:
                    passRun()
                    position = next
                    runStart = next
                case .forwardMarked:
                    position = next
                    let body = buffer.getSlice(at: position - header.bodyLength, length: header.bodyLength)!
                    passRun()
                    session.markedStepCompleted(body)
                case .capture:
                    passRun()
                    position = next
                    runStart = next
                    session.captured(header.kind, buffer.getSlice(at: position - header.bodyLength, length: header.bodyLength)!)
                case .replace:
                    preconditionFailure("only errors are replaced")
                }
                if session.script.hasDueEmission {
                    passRun()
                    session.writeDueEmissions()
                    endTurn(in: session)
                }
                if session.onDrained != nil, session.script.isEmpty {
                    // What a Flush asked for has arrived.
                    passRun()
                    session.answersDrained()
                }
            }
            // The session may have let go of this backend.
            if self.session !== session || exchange != nil || isWaiting {
                buffer.moveReaderIndex(to: position)
                return
            }
        }
        passRun()
        buffer.moveReaderIndex(to: position)
    }

    /// Messages that may be larger than memory allows, and that nobody needs to see as a whole.
    @inline(__always)
    private static func isBulk(_ kind: UInt8) -> Bool {
        kind == BackendKind.dataRow || kind == BackendKind.copyData
    }
}
