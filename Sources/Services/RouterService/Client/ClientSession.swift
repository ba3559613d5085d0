internal import Listening
internal import Logging
internal import NIOCore
internal import NIOSSL
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore
internal import ShardModel

/// One logged-in client: takes its messages, one unit at a time, and sees to it that each is answered exactly once.
///
/// A unit is a simple query, or a batch of the extended protocol up to its Sync. `work` says what the session is doing; while it is
/// suspended or waits for a backend, the client's further messages wait in `inbox`, and beyond a bound in the socket.
final class ClientSession: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Work: Equatable {
        /// Between units.
        case ready
        /// In a batch of the extended protocol, its Sync not yet taken.
        case batch
        /// All of the unit was sent; its last ReadyForQuery is awaited.
        case awaitingReady
        /// An asynchronous step of the router's own; its continuation goes on.
        case suspended
        /// CopyData is taken and passed on.
        case copyIn
        case closed
    }

    let loop: RouterLoop
    let database: DatabaseState
    let user: String
    /// A connection of the router's own REST service.
    let isInternal: Bool
    /// Whom the catalog's history names for what the session changes in it.
    var author: String
    /// What the session may run, by which its plans are made.
    var access: DatabaseAccess { didSet { if access != oldValue { accessChanged() } } }
    /// The user is one of the catalog's, and what it may do changes with the catalog.
    let followsUsers: Bool
    let startupSettings: SettingsRef
    let openedAt: PoolInstant
    private(set) var processID: Int32 = 0
    let secret: Int32

    var work = Work.ready
    /// Grows with each suspension.
    var suspensionCount: UInt32 = 0
    var settings: SettingsRef
    var transaction = TransactionState()
    /// The settings before the transaction block.
    var settingsAtBegin: SettingsRef
    var participants: [Participant] = []
    /// The participant to which statements go; valid while there is one.
    var speaker = 0 {
        // What is unnamed on one backend is something else on another.
        didSet { if speaker != oldValue { batch.rawUnnamed = nil } }
    }
    /// What the client must see of the speaker's answers.
    var script = ResponseScript()
    /// What completed statements change in the session, in the order of the script's marked steps.
    var pendingEffects: [Effect] = []
    /// Called when the script has become empty.
    var onDrained: (() -> Void)?
    /// A backend that runs an exchange for the session, but takes no part in its transaction: it is given settings, or asked to describe a statement.
    var borrowed: Backend?
    /// The request for a backend that is under way.
    var waiter: BackendPool.Waiter?
    /// Waits until vnodes have their new owner.
    var held: HeldStatement?
    /// Grows with each transaction, or statement outside of one, that is over.
    var workNumber: UInt32 = 0
    /// Every shard takes part in the transaction, so that no statement can touch one more.
    var isCoordinated = false
    /// The shards are in a block of the router's own, which the client has not begun: nothing is committed before the router says so.
    var isInOwnBlock = false
    /// The transaction's isolation level, where it is known to be one that several shards together cannot keep.
    var strictIsolation: String?
    /// A shard of the transaction was lost: it can only be rolled back.
    var isDoomed = false
    /// Its loss between two statements, or while another shard answered: the next statement answers with it.
    var unheardLoss: ServerError?
    /// Its loss during the step for which the session is suspended: the step fails with it once it is over on the other shards.
    var stepLoss: ServerError?
    var isRollingBack = false
    /// Schema changes of the open transaction.
    var privateSchema: PrivateSchema?
    /// The rest of a simple query with several statements, of which one is running.
    var list: StatementList?
    var copy: SplitCopyState?
    var gather: (any Gather)?
    /// A pipeline of reads is at work on several shards.
    var scatter: Scatter?

    /// Backends that the session keeps.
    var pins: [Pin] = []
    /// Temporary relations, as one of them has them; of databases with several shards.
    var temporary = TemporaryRelations.none
    /// They may be others by now: they are read before the next statement is planned.
    var isTemporaryDoubtful = false
    /// Their notifications that wait for the end of the unit.
    var notifications: [ByteBuffer] = []
    var notificationBytes = 0
    /// The end of a transaction is under way on backends that belong to `CommitDriver` until it is over.
    var commit: CommitDriver?
    var isCommitting: Bool { commit != nil }
    /// Where the cursors of the transaction live, and those WITH HOLD.
    var cursors: [String: BackendPool] = [:]
    var heldCursors: [String: BackendPool] = [:]

    var batch = Batch()
    var statements: [String: Statement] = [:]
    var unnamedStatement: Statement?
    /// Statements of which the speaker was asked what they give, and the answer that is on its way.
    var captures: [Statement] = []
    var capturing: PreparedResult?
    var portals: [String: Portal] = [:]
    var unnamedPortal: Portal?
    var variables: MosaicVariables
    /// Those of the startup packet, which RESET goes back to.
    let startupVariables: MosaicVariables
    var sequences = DrawnSequences()
    var replicas = ReplicaUse()
    /// The statement was sent behind another session's, and its turn has not come.
    var ride: Ride?

    /// The roles that the session has, or may come back to, by SET ROLE and SET LOCAL ROLE, in order. Never empty once it has taken one.
    var roles: [String]
    var unit = UnitRecord()
    /// nil: it was opened otherwise.
    var token: SessionToken?
    /// nil: statements are not audited.
    var auditOrigin: AuditOrigin?
    var scopeCache: PlanScope?
    /// The client's place among the router's clients, given back when the session ends, though its connection may linger.
    private var permit: ClientPermit?

    private var context: ChannelHandlerContext?
    private(set) var inbox = ByteBuffer()
    /// Answers that wait for the end of the burst.
    private let outbox = Outbox()
    private var isPumping = false
    private(set) var isReading = true
    /// The session ends with its transaction, or at once: `ClientSession+Goodbye`.
    var isDraining = false
    /// Why, where the session ends whether or not its transaction has; and since when.
    var cutOff: (reason: ServerError, since: PoolInstant)?
    /// Grows with each transaction block.
    var transactionNumber: UInt32 = 0
    /// The transaction that was seen by the sweep last, and since when.
    var seenTransaction: (number: UInt32, since: PoolInstant) = (0, PoolInstant(nanoseconds: 0))
    var idleInTransactionSince = PoolInstant(nanoseconds: 0)
    /// What the channel last told: asking it costs a lookup and an atomic read. A client that does not read is not read either.
    private(set) var isClientWritable = true

    init(
        loop: RouterLoop, database: DatabaseState, user: String, settings: SettingsRef, startup: MosaicVariables, secret: Int32,
        isInternal: Bool, permit: ClientPermit?, access: DatabaseAccess = .write, followsUsers: Bool = false
    ) {
        roles = Self.roles(of: settings)
        self.permit = permit
        author = user
        self.access = access
        self.followsUsers = followsUsers
        startupVariables = startup
        variables = startup
        self.loop = loop
        self.database = database
        self.user = user
        self.settings = settings
        startupSettings = settings
        settingsAtBegin = settings
        openedAt = loop.now
        self.secret = secret
        self.isInternal = isInternal
        processID = loop.register(self)
    }

    var limits: RouterLimits { loop.limits }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        outbox.attach(context)
        isClientWritable = context.channel.isWritable
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { received(unwrapInboundIn(data)) }

    /// Bytes from the client.
    func received(_ bytes: ByteBuffer) {
        var buffer = bytes
        if inbox.readableBytes == 0 {
            inbox = buffer
        } else {
            inbox.discardReadBytes()
            inbox.writeBuffer(&buffer)
        }
        pump()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isClientWritable = context.channel.isWritable
        steerBackends()
        // What the client sent in the meantime.
        guard isClientWritable else { return }
        continueList()
        pump()
    }

    func channelInactive(context: ChannelHandlerContext) { clientGone() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.logger.debug("A client connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    /// Where the client is, and whether the way there is encrypted.
    var peer: (SocketAddress?, isEncrypted: Bool) {
        guard let context else { return (nil, false) }
        return (context.remoteAddress, (try? context.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)) != nil)
    }

    func restartIdleClock() { idleInTransactionSince = loop.now }

    /// Something of the client's has arrived that is not being worked on yet.
    var hasUnreadBytes: Bool { inbox.readableBytes > 0 || context.map { Listening.hasUnreadBytes($0.channel) } == true }

    // MARK: The pump

    /// Takes the client's messages as long as the session can act on them.
    func pump() {
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        loop: while true {
            flushFullOutbox()
            // Perhaps for want of a flush: the channel then says so here and now, and nobody would pump again.
            if !isClientWritable { flushClient() }
            guard isClientWritable else { break }
            switch work {
            case .ready, .batch, .copyIn: break
            case .awaitingReady, .suspended, .closed: break loop
            }
            do throws(WireError) {
                guard let header = try FrameHeader.next(in: inbox, limit: limits.wire.messageMax),
                    inbox.readableBytes >= header.totalLength
                else { break }
                if header.totalLength > limits.wire.limit(forFrontendKind: header.kind) {
                    throw WireError(.messageTooLarge, kind: header.kind)
                }
                let frame = inbox.readSlice(length: header.totalLength)!
                if let read = replicas.read { keepForPrimary(header.kind, frame, read) }
                try handle(header.kind, frame)
            } catch {
                fatal(error.serverError)
                break
            }
        }
        if inbox.readableBytes == 0 { inbox = ByteBuffer() }
        // By index: going through them would copy each, references and all.
        for index in participants.indices { participants[index].backend.flush() }
        // Behind the flush, which shows what a shard takes.
        if let scatter { askBlocked(scatter) }
        // What the router itself answered waits for the shard's answers behind it, as in PostgreSQL, which writes at Sync: one write instead of two.
        if work != .awaitingReady { flushClient() }
        // A client that sends on while it waits is read up to a bound only.
        let shouldRead =
            work != .closed && (inbox.readableBytes < limits.clientBacklogMax || needsMoreInput) && areBackendsWritable && isClientWritable
        if shouldRead != isReading {
            isReading = shouldRead
            _ = context?.channel.setOption(.autoRead, value: shouldRead)
            if shouldRead { context?.read() }
        }
    }

    /// The session could go on, but the next message is not complete yet.
    private var needsMoreInput: Bool { work == .ready || work == .batch || work == .copyIn }

    /// A shard that does not read stops the reading of its client, while what the client sends goes straight on to it.
    var areBackendsWritable: Bool {
        guard work == .copyIn || work == .batch else { return true }
        return participants.allSatisfy(\.backend.isWritable)
    }

    func backendWritabilityChanged(_ backend: Backend) {
        if work == .copyIn || work == .batch { pump() }
    }

    private func handle(_ kind: UInt8, _ frame: ByteBuffer) throws(WireError) {
        if work == .copyIn { return try handleCopyIn(kind, frame) }
        if batch.isSkipping, kind != FrontendKind.sync, kind != FrontendKind.terminate { return }
        switch kind {
        case FrontendKind.query:
            if batch.isOpen { endBatch(before: frame) } else { simpleQuery(frame) }
        case FrontendKind.parse, FrontendKind.bind, FrontendKind.describe, FrontendKind.execute, FrontendKind.close: extended(kind, frame)
        case FrontendKind.flush: if batch.isOpen { extended(kind, frame) }
        case FrontendKind.sync: sync()
        case FrontendKind.terminate: closeClient()
        case FrontendKind.copyData, FrontendKind.copyDone, FrontendKind.copyFail:
            // The rest of a COPY that failed: PostgreSQL ignores it, too.
            break
        case FrontendKind.functionCall:
            beginUnit()
            failUnit(.functionCall)
        default:
            throw WireError(.unexpectedMessage, kind: kind)
        }
    }

    /// A message of a batch, whose own faults end the batch and not the connection.
    func extended(_ kind: UInt8, _ frame: ByteBuffer) {
        if work == .ready { beginBatch() }
        scatter?.hasUnasked = true
        var body = frame
        body.moveReaderIndex(forwardBy: FrameHeader.length)
        do throws(WireError) {
            switch kind {
            case FrontendKind.parse: try parse(frame, body)
            case FrontendKind.bind: try bind(frame, body)
            case FrontendKind.describe: try describe(frame, body)
            case FrontendKind.execute: try execute(frame, body)
            case FrontendKind.close: try close(frame, body)
            default: flush(frame)
            }
        } catch {
            failBatch(error.serverError)
        }
        // Each of its shards is sent a Sync in the end.
        if scatter != nil { batch.needsSync = false }
        boundBatch()
    }

    // MARK: Answers

    /// Bytes for the client, in order, written out at the end of the burst.
    func forward(_ run: ByteBuffer) { outbox.append(run) }

    func answer(_ build: (inout ByteBuffer) -> Void) { outbox.append(build) }

    /// Between the statements of one simple query there is none.
    func answerReady(_ status: UInt8) {
        if list == nil { answer { $0.writeReadyForQuery(status: status) } }
    }

    func writeDueEmissions() {
        while let bytes = script.takeDueEmission() { forward(bytes) }
    }

    func flushClient() {
        if let read = replicas.read, holdsAnswers(read) { return }
        outbox.flush()
    }

    func flushFullOutbox() {
        if outbox.readableBytes >= limits.clientBacklogMax { flushClient() }
    }

    var outboxMark: Outbox.Mark { outbox.mark }
    func heldBytes(behind mark: Outbox.Mark) -> Int? { outbox.heldBytes(behind: mark) }
    func rewindAnswers(to mark: Outbox.Mark) -> Bool { outbox.rewind(to: mark) }

    /// The client's messages that are to be handled again, before all that have not been yet.
    func putBack(_ frames: [ByteBuffer]) {
        var bytes = ByteBuffer()
        for frame in frames { bytes.writeImmutableBuffer(frame) }
        bytes.writeImmutableBuffer(inbox)
        inbox = bytes
    }

    /// Ends a batch that the router made of a simple query: the message comes before whatever the client sent next.
    func injectSync() {
        var bytes = ByteBuffer()
        bytes.writeSync()
        bytes.writeImmutableBuffer(inbox)
        inbox = bytes
    }

    var hasInput: Bool { inbox.readableBytes > 0 }

    /// nil: it has not arrived, or is something else.
    var restOfUnit: RestOfUnit? {
        var position = inbox.readerIndex
        let describes = inbox.getInteger(at: position, as: UInt8.self) == FrontendKind.describe
        if describes {
            // Of a portal ("P") without a name.
            guard inbox.getInteger(at: position + 1, as: UInt32.self) == 6, inbox.getInteger(at: position + 5, as: UInt16.self) == 0x5000 else { return nil }
            position += 7
        }
        guard inbox.getInteger(at: position, as: UInt8.self) == FrontendKind.execute, inbox.getInteger(at: position + 1, as: UInt32.self) == 9,
            inbox.getInteger(at: position + 5, as: UInt8.self) == 0, inbox.getInteger(at: position + 10, as: UInt8.self) == FrontendKind.sync,
            inbox.getInteger(at: position + 11, as: UInt32.self) == 4
        else { return nil }
        return RestOfUnit(describes: describes, length: position + 15 - inbox.readerIndex)
    }

    func bytes(of rest: RestOfUnit) -> ByteBuffer { inbox.getSlice(at: inbox.readerIndex, length: rest.length)! }
    func take(_ rest: RestOfUnit) { inbox.moveReaderIndex(forwardBy: rest.length) }

    /// The kind of the client's next message; nil while it has not arrived.
    var nextMessageKind: UInt8? { inbox.getInteger(at: inbox.readerIndex) }

    func backendBurstEnded() {
        if let scatter, work == .awaitingReady, outbox.isSmall, isClientWritable { return delayAnswers(scatter) }
        flushClient()
        guard !isClientWritable else { return }
        // A client that does not read stops the reading of its backends; `channelWritabilityChanged` starts it again.
        steerBackends()
    }

    private func steerBackends() {
        // Its connection is another session's to steer.
        if ride != nil { return }
        if let gather { return gather.steer(in: self) }
        if let scatter { return steer(scatter) }
        for participant in participants { participant.backend.setReading(isClientWritable) }
        for pin in pins { pin.backend.setReading(isClientWritable) }
    }

    // MARK: The end

    func fatal(_ error: ServerError) {
        guard work != .closed else { return }
        var error = error
        error[.severity] = ServerError.Severity.fatal.rawValue
        error[.severityPlain] = ServerError.Severity.fatal.rawValue
        sayGoodbye(error)
    }

    /// The client may be sending: it is sure to get the error, and not a reset instead.
    func sayGoodbye(_ error: ServerError) {
        guard work != .closed, let context else { return }
        // In the middle of a row the error would complete it, with what is no value of it.
        if ride == nil, participants.contains(where: \.backend.isMidFrame) { return closeClient() }
        replicas.read = nil
        answer { $0.writeErrorResponse(error) }
        flushClient()
        clientGone()
        loop.linger(context, before: self)
    }

    func closeClient() {
        replicas.read = nil
        flushClient()
        context?.close(promise: nil)
        clientGone()
    }

    private func clientGone() {
        guard work != .closed else { return }
        work = .closed
        replicas.read = nil
        loop.unregister(processID: processID)
        auditAbandoned()
        token?.stop()
        permit = nil
        if let waiter {
            self.waiter = nil
            waiter.cancel()
        }
        forgetHeld()
        list = nil
        abandonParticipants()
        statements.removeAll()
        inbox = ByteBuffer()
        context = nil
        outbox.detach()
    }

    /// CancelRequest: stops what the session is doing.
    func cancel() {
        replicas.read = nil
        if let scatter { cancel(scatter) }
        if let waiter {
            self.waiter = nil
            waiter.cancel()
            if resume() {
                failUnit(.canceled)
                pump()
            }
            return
        }
        if cancelHeld() { return }
        guard work != .ready, work != .closed else { return }
        unit.task?.cancel()
        if leaveRide() { return failRide(.canceled) }
        if scatter == nil {
            for participant in participants {
                participant.backend.sendRidersAway()
                participant.backend.pool.cancel(participant.backend)
            }
        }
        borrowed.map { $0.pool.cancel($0) }
    }
}
