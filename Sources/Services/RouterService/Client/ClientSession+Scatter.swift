internal import NIOCore
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import SessionCore

/// Pipelines outside of transaction blocks that have only read so far, and come to a second shard (docs/decisions/0039-scattered-pipelines.md).
///
/// Each statement is sent to its shard at once, so that all of them work at the same time; what a shard answers before its turn is kept. Something that may
/// write makes a transaction of the router's own of it all (`leaveScatter`), with what was read in it.
extension ClientSession {
    // MARK: Beginning

    /// Whether the read that is about to be sent may be one of several shards' at the same time.
    func mayScatter(to pool: BackendPool) -> Bool {
        guard batch.hasOnlyRead, participants.count == 1, transaction.isIdle, !batch.isImplicitlyCoordinated, pins.isEmpty else { return false }
        let first = participants[0].backend
        // At a stricter isolation one PostgreSQL would read everything as of one moment.
        guard first.pool !== pool, !settings.namesIsolation, !first.pool.isStrict, !pool.isStrict else { return false }
        return first.pool.replica == nil && first.line == nil && !participants[0].wrote && !isInternal && temporary.isEmpty && privateSchema == nil
            && batch.settingsBefore == nil && pendingEffects.isEmpty
    }

    /// Whether a Bind of the statement can be one more read of it.
    func isScattered(_ statement: Statement, in scope: PlanScope) -> Bool {
        guard statement.scopeID == scope.id, let plan = statement.planned.plan, plan.mayReadReplica, !plan.isTraced, !variables.explains else { return false }
        return switch plan.route {
        case .keyed, .anyShard, .homeShard, .currentShard: true
        default: false
        }
    }

    /// Sends a read's Bind to its shard, while others are at work.
    func sendScattered(_ frame: ByteBuffer, _ message: BindMessage, _ statement: Statement, _ pool: BackendPool) {
        if let lane = participants.firstIndex(where: { $0.backend.pool === pool }) {
            if turn(to: lane) { sendBind(frame, message, statement, nil) }
            return
        }
        if pool.isStrict {
            return leaveScatter { [self] in reach(pool, .bound, writes: false) { [self] in sendBind(frame, message, statement, nil) } }
        }
        beginScatter()
        let join = { [self] (backend: Backend) in
            addLane(backend)
            sendBind(frame, message, statement, nil)
        }
        if let backend = pool.take(at: loop.lately) { return adoptSettings(backend, join) }
        guard portals.isEmpty, !message.hasNamedPortal else { return acquire(pool, join) }
        // Nobody waits for a connection who has others that somebody else may wait for.
        endScatter { [self] in self.send(frame, message, statement, pool, .bound, writes: false) }
    }

    private func beginScatter() {
        guard scatter == nil else { return }
        scatter = Scatter()
        batch.needsSync = false
    }

    private func addLane(_ backend: Backend) {
        backend.lend(to: self)
        backend.isWaiting = true
        participants.append(
            Participant(backend: backend, wrote: false, role: .bound, historyApplied: 0, settingsInside: settings, settingsOutside: settings))
        _ = turn(to: participants.count - 1)
    }

    // MARK: Turns

    /// Makes the lane the one that is spoken to; false where it turns out that it is gone, and the pipeline has failed by it.
    func turn(to lane: Int) -> Bool {
        guard let scatter else { return false }
        scatter.hasUnasked = true
        guard lane != speaker else { return true }
        speaker = lane
        if script.isEmpty {
            participants[scatter.heard].backend.isWaiting = true
            hear(lane, scatter)
        } else {
            script.turn(to: lane)
        }
        return self.scatter === scatter
    }

    /// The lane that was heard has no more to say for now.
    func takeTurns() {
        guard let scatter, !scatter.isTakingTurns else { return }
        scatter.isTakingTurns = true
        scatter.keeps(participants[scatter.heard].backend.unheardBytes, lane: scatter.heard)
        while self.scatter === scatter, let lane = script.takeTurn() {
            writeDueEmissions()
            hear(lane, scatter)
        }
        scatter.isTakingTurns = false
        if script.isEmpty { answersDrained() }
    }

    private func hear(_ lane: Int, _ scatter: Scatter) {
        let backend = participants[lane].backend
        scatter.heard = lane
        scatter.keeps(0, lane: lane)
        scatter.stopped.remove(lane)
        backend.setReading(isClientWritable)
        backend.hear()
        guard self.scatter === scatter, scatter.heard == lane else { return }
        // Nothing was due of it.
        if script.isAtTurn { backend.isWaiting = true }
        if backend.isWaiting { scatter.keeps(backend.unheardBytes, lane: lane) }
        guard scatter.lost.contains(lane), !script.isAtTurn else { return }
        // The client has the beginning of a row whose rest never comes: an error would complete it.
        if backend.isMidFrame { return closeClient() }
        failLane(lane)
    }

    /// A lane has answered before its turn.
    func keptAnswers(of backend: Backend) {
        guard let scatter, let lane = participants.firstIndex(where: { $0.backend === backend }) else { return }
        scatter.keeps(backend.unheardBytes, lane: lane)
        guard scatter.keptBytes > limits.keptAnswersMax else { return }
        scatter.stopped.insert(lane)
        backend.setReading(false)
    }

    func steer(_ scatter: Scatter) {
        for (lane, participant) in participants.enumerated() { participant.backend.setReading(isClientWritable && !scatter.stopped.contains(lane)) }
    }

    /// The client waits for the end of its pipeline, and other lanes are about to answer: one write for all of them, or for those of a short time.
    func delayAnswers(_ scatter: Scatter) {
        guard !scatter.isFlushDue else { return }
        scatter.isFlushDue = true
        loop.flushLater(self, scatter)
    }

    /// Has every lane send the answers that it has.
    func ask(_ scatter: Scatter) {
        guard scatter.hasUnasked, scatter.end == .open else { return }
        scatter.hasUnasked = false
        for lane in script.owingLanes(heard: scatter.heard) {
            participants[lane].backend.send { $0.writeFlush() }
            participants[lane].backend.flush()
        }
    }

    /// A lane that takes nothing more may be one that is not read before others have answered: these must not keep their answers for a Sync that
    /// its client cannot send.
    func askBlocked(_ scatter: Scatter) {
        if !areBackendsWritable { ask(scatter) }
    }

    // MARK: The end

    /// Sync behind the reads.
    func syncScatter() {
        guard let scatter else { return }
        sendHeld()
        let lanes = finishLanes(.synced, scatter)
        guard self.scatter === scatter else { return sync() }
        guard !lanes.isEmpty else { return endBatch() }
        work = .awaitingReady
    }

    /// Waits for the answers, lets go of the shards, and calls `then`; held messages stay held.
    func endScatter(_ then: @escaping () -> Void) {
        guard let scatter else { return then() }
        _ = finishLanes(.synced, scatter, isShown: false)
        awaitScatter { [self] in
            validate()
            batch.rawUnnamed = nil
            unnamedPortal = nil
            releaseParticipants()
            then()
        }
    }

    /// Makes a transaction of the router's own of what the lanes have read, and calls `then`: what follows is none of these reads.
    func leaveScatter(_ then: @escaping () -> Void) {
        guard let scatter else { return then() }
        _ = finishLanes(.blocked, scatter, isShown: false)
        awaitScatter { [self] in
            self.scatter = nil
            loop.metrics.scattered.left &+= 1
            for participant in participants { participant.backend.isWaiting = false }
            batch.isImplicitlyCoordinated = true
            isInOwnBlock = true
            then()
        }
    }

    /// Sends every lane what ends the reads there. Answers which.
    ///
    /// - isShown: the last ReadyForQuery is the client's.
    private func finishLanes(_ end: Scatter.End, _ scatter: Scatter, isShown: Bool = true) -> [Int] {
        let owing = script.owingLanes(heard: scatter.heard)
        var lanes = [speaker] + participants.indices.filter { $0 != speaker }
        // One that has answered everything is not missed.
        if end == .synced { lanes.removeAll { scatter.lost.contains($0) && !owing.contains($0) } }
        for lane in lanes {
            guard turn(to: lane) else { return [] }
            if end == .blocked { runUnseen("BEGIN") }
            backend.send { $0.writeSync() }
            if isShown, lane == lanes.last { script.expect(.sync) } else { script.swallow(.sync) }
            backend.flush()
        }
        scatter.end = end
        batch.needsSync = false
        return lanes
    }

    /// Calls `then` when the lanes have answered everything without an error.
    func awaitScatter(_ then: @escaping () -> Void) {
        guard !script.isEmpty else { return batch.isSkipping ? () : then() }
        if let scatter { ask(scatter) }
        suspend()
        onDrained = { [self] in
            guard resume() else { return }
            if batch.isSkipping { syncAfterFailure() } else { then() }
            pump()
        }
    }

    // MARK: Failing

    /// The pipeline fails at the lane that is heard: what came before has been told, and what follows never happened.
    func failScatter(_ tell: () -> Void) {
        tell()
        forgetCaptures()
        // The script still says who is at work.
        leaveLanes()
        undoHeld()
        script.skipAll()
        undoSkipped()
        batch.isSkipping = true
        if work == .awaitingReady {
            answerReady(transaction.statusByte)
            return finishUnit()
        }
        if onDrained != nil { return answersDrained() }
        guard work == .suspended else { return }
        // It was about to reach one more shard.
        if let waiter {
            self.waiter = nil
            waiter.cancel()
        }
        abandonBorrowed()
        borrowed = nil
        if resume() { pump() }
    }

    private func failLane(_ lane: Int) {
        let backend = participants[lane].backend
        let error = ServerError.shardLost(backend.pool.shardID, mayHaveRun: false, farewell: backend.farewell)
        unit.hasFailed = true
        unit.outcome = .failed(error)
        failScatter { answer { $0.writeErrorResponse(error) } }
    }

    func laneLost(_ lane: Int, midFrame: Bool, _ scatter: Scatter) {
        if midFrame { return closeClient() }
        guard lane == scatter.heard, !script.isAtTurn else {
            scatter.lost.insert(lane)
            return
        }
        failLane(lane)
        flushClient()
    }

    /// CancelRequest: stops every shard that has something to answer.
    func cancel(_ scatter: Scatter) {
        for lane in script.owingLanes(heard: scatter.heard) { participants[lane].backend.pool.cancel(participants[lane].backend) }
    }

    /// Lets go of the shards, wherever they are. What they still answer is of no interest: they have only read.
    func leaveLanes() {
        guard let scatter else { return }
        self.scatter = nil
        loop.metrics.scattered.failed &+= 1
        let owing = script.owingLanes(heard: scatter.heard)
        let lanes = exchange(&participants, with: [])
        speaker = 0
        batch.needsSync = false
        for (number, lane) in lanes.enumerated() {
            let backend = lane.backend
            backend.prepared.doubt()
            backend.takeBack()
            guard backend.isOpen else { continue }
            leave(backend, scatter, isReady: scatter.isReady.contains(number), isBusy: owing.contains(number))
        }
    }

    private func leave(_ backend: Backend, _ scatter: Scatter, isReady: Bool, isBusy: Bool) {
        let isIdle = TransactionState.Phase.idle.rawValue
        let isInBlock = scatter.end == .blocked
        let readies = (isReady ? 0 : 1) + (isInBlock ? 1 : 0)
        guard readies > 0 else { return backend.pool.release(backend, isReusable: backend.status == isIdle && backend.unheardBytes == 0) }
        let exchange = Exchange(readies: readies) { exchange, result in
            if result == .done { backend.pool.release(backend, isReusable: exchange.status == isIdle) }
        }
        backend.run(exchange) {
            if scatter.end == .open { $0.writeSync() }
            if isInBlock { $0.writeQuery("ROLLBACK") }
        }
        backend.boundExchange(to: limits.abandonedTime)
        backend.hear()
        guard isBusy, backend.exchange === exchange else { return }
        loop.eventLoop.assumeIsolated().scheduleTask(in: RouterLimits.leftReadTime) { [weak backend, weak exchange] in
            if let backend, let exchange, backend.exchange === exchange { backend.pool.cancel(backend) }
        }
    }
}
