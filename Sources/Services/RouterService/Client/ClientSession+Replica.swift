internal import NIOCore
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// What a session remembers for the sake of its reads from replicas.
struct ReplicaUse {
    /// A statement that may write was planned in the unit, or in the transaction.
    var mayHaveWritten = false
    /// When the session's last write was answered: a replica must have all that its primary had at a later moment.
    private(set) var wrote: PoolInstant?
    /// The primary answers the rest of the unit.
    var avoids = false
    /// Of a transaction block on a replica: whether all of it sees the same rows; nil: nobody has said.
    var blockIsOneSnapshot: Bool?
    /// The block that has left its replica, and stays at the primaries.
    var leftBlock: UInt32?
    /// The read under way, while the primary could still answer it instead.
    var read: ReplicaRead?

    /// The unit is answered.
    mutating func unitEnded(isIdle: Bool, at now: PoolInstant) {
        if avoids { avoids = false }
        if read != nil { read = nil }
        if mayHaveWritten, isIdle {
            mayHaveWritten = false
            wrote = now
        }
    }
}

/// A read that went to a replica: what is needed to have the primary answer it, as long as the client has seen nothing of the answer.
///
/// As nothing but reads of a replica happened since it was made, doing it anew does nothing twice.
final class ReplicaRead {
    /// As much of an answer is held back as PostgreSQL itself holds back before it sends (PQ_SEND_BUFFER_SIZE).
    static let heldMax = 8192
    /// Of the client's messages that are kept. A longer batch is not repeated.
    static let framesMax = 64 << 10

    let mark: Outbox.Mark
    /// The pool of the shard's primary.
    let primary: BackendPool
    /// From the one that chose the replica on.
    private(set) var frames: [ByteBuffer]
    private var framesBytes: Int
    // The session as it was before.
    let batch: Batch
    let statements: [String: Statement]
    let unnamedStatement: Statement?
    let portals: [String: Portal]
    let unnamedPortal: Portal?
    /// With another one, what came before is not as it was.
    let transactionNumber: UInt32
    let historyCount: Int

    init(_ session: ClientSession, _ mark: Outbox.Mark, primary: BackendPool, frame: ByteBuffer) {
        self.mark = mark
        self.primary = primary
        frames = [frame]
        framesBytes = frame.readableBytes
        batch = session.batch
        statements = session.statements
        unnamedStatement = session.unnamedStatement
        portals = session.portals
        unnamedPortal = session.unnamedPortal
        transactionNumber = session.transactionNumber
        historyCount = session.transaction.historyCount
    }

    /// Keeps a further message of the client's; false when the read cannot be repeated from now on.
    fileprivate func keep(_ kind: UInt8, _ frame: ByteBuffer) -> Bool {
        switch kind {
        case FrontendKind.parse, FrontendKind.bind, FrontendKind.describe, FrontendKind.execute, FrontendKind.close, FrontendKind.sync: break
        // Flush: the client waits for what has been answered so far. What others mean is not for here.
        default: return false
        }
        framesBytes += frame.readableBytes
        guard framesBytes <= Self.framesMax else { return false }
        frames.append(frame)
        return true
    }
}

/// Eventual reads: outside of transaction blocks, statements that cannot write go to a replica (blocks: `ClientSession+ReplicaBlock`) that lags little enough and has what
/// the session wrote. A replica that fails before the client has seen anything costs the client nothing: the primary answers.
extension ClientSession {
    var consistency: Consistency { variables.consistency ?? database.defaultConsistency }

    /// Whether a replica could answer now.
    @inline(__always)
    var readsReplicas: Bool { database.hasReplicas && mayReadReplicas }

    private var mayReadReplicas: Bool { transaction.isIdle && consistency == .eventual && !replicas.avoids && privateSchema == nil && !hasHiddenState }

    /// The session is on a replica: for a unit of nothing but reads.
    var isOnReplica: Bool { participants.first?.backend.pool.replica != nil }

    // MARK: Choosing

    /// The pool to send the statement to: a replica's where one may answer it; nil: the primary's, by the usual way.
    func replica(for plan: CachedPlan, _ inputs: KeyInputs, _ frame: ByteBuffer) -> BackendPool? {
        guard plan.mayReadReplica, let primary = primary(for: plan, inputs) else { return nil }
        if isOnReplica {
            // One more read of the same pipeline.
            let pool = participants[0].backend.pool
            return pool.shardID == primary.shardID ? pool : nil
        }
        guard participants.isEmpty, script.isEmpty else { return nil }
        // A write of this very unit has not been answered yet.
        guard !replicas.mayHaveWritten, let pool = database.replica(of: primary, wrote: replicas.wrote) else {
            primary.eventualReads.primary &+= 1
            return nil
        }
        primary.eventualReads.replica &+= 1
        replicas.read = ReplicaRead(self, outboxMark, primary: primary, frame: frame)
        return pool
    }

    /// nil where the usual way has an error to give.
    func primary(for plan: CachedPlan, _ inputs: KeyInputs) -> BackendPool? {
        switch plan.route {
        case .keyed(let sources):
            inputs.missingParameter(in: sources) == nil ? try? pool(for: sources, plan, inputs) : nil
        case .anyShard: isOnReplica ? database.pool(ofShard: participants[0].backend.pool.shardID) : database.anyPool()
        case .homeShard: database.home
        case .currentShard: isOnReplica ? database.pool(ofShard: participants[0].backend.pool.shardID) : database.home
        default: nil
        }
    }

    /// Ends what the session has on a replica, in the middle of a pipeline: what follows is not for it.
    func leaveReplica(_ then: @escaping () -> Void) {
        if !transaction.isIdle { return moveToPrimary(then) }
        replicas.read = nil
        replicas.avoids = true
        drain { [self] in
            batch.rawUnnamed = nil
            validate()
            releaseParticipants()
            then()
        }
    }

    // MARK: Holding back

    /// The client's next message, while a read is on a replica.
    func keepForPrimary(_ kind: UInt8, _ frame: ByteBuffer, _ read: ReplicaRead) {
        if !read.keep(kind, frame) { replicas.read = nil }
    }

    /// Whether answers stay in the router for now, so that the primary could still give others.
    func holdsAnswers(_ read: ReplicaRead) -> Bool {
        if work != .closed, let held = heldBytes(behind: read.mark), held <= ReplicaRead.heldMax { return true }
        replicas.read = nil
        return false
    }

    // MARK: Failing over

    /// Has the primary answer what a replica could not; false where the client has seen a part of the answer, or no replica was asked.
    ///
    /// - closing: the replica's connection is given up.
    func retryOnPrimary(closing: Bool = false) -> Bool {
        guard let read = replicas.read else { return false }
        replicas.read = nil
        guard work != .closed, read.transactionNumber == transactionNumber, read.historyCount == transaction.historyCount, !transaction.isFailed,
            rewindAnswers(to: read.mark)
        else { return false }
        read.primary.eventualReads.retried &+= 1
        letGoOfReplica(closing: closing)
        script.reset()
        onDrained = nil
        stepLoss = nil
        pendingEffects.removeAll()
        (statements, unnamedStatement) = (read.statements, read.unnamedStatement)
        (portals, unnamedPortal) = (read.portals, read.unnamedPortal)
        batch = read.batch
        unit.outcome = .ok
        unit.hasFailed = false
        replicas.avoids = true
        work = batch.isOpen ? .batch : .ready
        putBack(read.frames)
        pump()
        return true
    }

    private func letGoOfReplica(closing: Bool) {
        let readies = script.readiesOutstanding
        let needsSync = batch.needsSync
        if let waiter {
            self.waiter = nil
            waiter.cancel()
        }
        for (index, participant) in participants.enumerated() {
            let backend = participant.backend
            backend.takeBack()
            backend.settings = participant.settingsInside
            guard backend.isOpen else { continue }
            if closing {
                backend.close()
                continue
            }
            backend.prepared.doubt()
            guard index == speaker, readies > 0 || needsSync else {
                backend.pool.release(backend, isReusable: backend.status == TransactionState.Phase.idle.rawValue)
                continue
            }
            // What it still answers is of no interest.
            let exchange = Exchange(readies: readies + (needsSync ? 1 : 0)) { exchange, result in
                if result == .done { backend.pool.release(backend, isReusable: exchange.status == TransactionState.Phase.idle.rawValue) }
            }
            backend.run(exchange) { if needsSync { $0.writeSync() } }
            backend.boundExchange(to: limits.abandonedTime)
        }
        participants.removeAll()
    }

    /// An error that a replica answered: true when the primary answers instead. The errors that a client or a limit of its own caused stay.
    func retriesOnPrimary(after message: ByteBuffer) -> Bool {
        guard replicas.read != nil else { return false }
        var message = message
        if let frame = try? message.readFrame(limit: .max), let error = try? ServerError(body: frame.body),
            error.sqlState == .queryCanceled, !error.message.contains("recovery")
        {
            replicas.read = nil
            return false
        }
        return retryOnPrimary()
    }

    /// The monitor found that a replica does not answer, or must not be asked: a read that is under way there is not waited for where the primary
    /// can answer it.
    func replicaAbandoned(_ backend: Backend) {
        guard replicas.read != nil, participants.contains(where: { $0.backend === backend }) else { return }
        _ = retryOnPrimary(closing: true)
    }
}
