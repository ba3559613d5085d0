internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// Getting hold of backends, and letting go of them.
extension ClientSession {
    /// Makes the speaker a participant on `pool`, ready to take the unit's next message, and calls `then`. When that is impossible
    /// the unit fails instead.
    func reach(_ pool: BackendPool, _ role: Role, writes: Bool, _ then: @escaping () -> Void) {
        if scatter != nil { return leaveScatter { [self] in reach(pool, role, writes: writes, then) } }
        if let index = participants.firstIndex(where: { $0.backend.pool === pool }) {
            participants[index].role = max(role, participants[index].role)
            if let isolationProblem { return failUnit(isolationProblem) }
            if writes { participants[index].wrote = true }
            if isInternal { reportShard(pool) }
            if index == speaker, isCurrent(participants[index]) { return then() }
            return drainInTransaction { [self] in
                // A shard that says its transaction is over when it is not has ended that of the session.
                guard participants.indices.contains(index), participants[index].backend.pool === pool else {
                    return reach(pool, role, writes: writes, then)
                }
                speaker = index
                catchUp(then)
            }
        }
        if isOnReplica, pool.replica == nil { return leaveReplica { [self] in reach(pool, role, writes: writes, then) } }
        if participants.isEmpty {
            return acquire(pool) { [self] backend in enlist(backend, role, writes: writes, then) }
        }
        openForSeveral { [self] in
            acquire(pool) { [self] backend in
                enlist(backend, role, writes: writes, then)
            }
        }
    }

    func isCurrent(_ participant: Participant) -> Bool {
        participant.hasBegun && participant.settingsInside === settings && participant.historyApplied == transaction.historyCount
            && (participant.hasLockBound || participants.count == 1)
    }

    /// Waits until everything that was sent has been answered.
    func drain(_ then: @escaping () -> Void) {
        if script.isEmpty, !batch.needsSync { return then() }
        participants[speaker].backend.send { $0.writeSync() }
        script.swallow(.sync)
        batch.needsSync = false
        participants[speaker].backend.flush()
        suspend()
        onDrained = { [self] in
            guard resume() else { return }
            if batch.isSkipping { syncAfterFailure() } else { then() }
            pump()
        }
    }

    /// Those that a shard must have when it begins: what a transaction has changed, it changes inside.
    private var settingsOutside: SettingsRef { transaction.isIdle ? batch.settingsBefore ?? settings : settingsAtBegin }

    /// Borrows an idle backend of `pool` that has the session's settings: the path of nearly every statement, with nothing to wait for and nothing to
    /// allocate. False where there is none.
    ///
    /// Precondition: no shard takes part yet, and no transaction is open.
    @inline(__always)
    func borrowIdle(of pool: BackendPool, writes: Bool) -> Bool {
        guard let backend = pool.take(at: loop.lately) else { return false }
        guard backend.settings === settings else {
            pool.release(backend)
            return false
        }
        backend.lend(to: self)
        takePart(on: backend, writes: writes)
        if isInternal { reportShard(pool) }
        return true
    }

    /// Makes the backend the only participant; its settings are the session's.
    @inline(__always)
    func takePart(on backend: Backend, writes: Bool) {
        participants.append(
            Participant(backend: backend, wrote: writes, role: .bound, historyApplied: 0, settingsInside: settings, settingsOutside: settings))
        speaker = 0
    }

    /// Takes a backend of `pool` with the session's settings in effect, now or when there is one.
    func acquire(_ pool: BackendPool, _ then: @escaping (Backend) -> Void) {
        if !pins.isEmpty, let backend = pinned(on: pool) {
            backend.setReading(true)
            return adoptSettings(backend, then)
        }
        if let backend = pool.take() { return adoptSettings(backend, then) }
        let suspension = suspend()
        waiter = pool.wait { [self] result in
            waiter = nil
            guard resume(suspension) else {
                if case .success(let backend) = result { pool.release(backend) }
                return
            }
            switch result {
            case .success(let backend): adoptSettings(backend, then)
            case .failure(let error): failUnit(error)
            }
            pump()
        }
    }

    func adoptSettings(_ backend: Backend, _ then: @escaping (Backend) -> Void) {
        let wanted = settingsOutside
        if backend.settings === wanted { return then(backend) }
        let statements = wanted.settings.statements(from: backend.settings.settings)
        let suspension = suspend()
        borrowed = backend
        let exchange = Exchange { [self] exchange, result in
            if borrowed === backend { borrowed = nil }
            if result == .done, exchange.error == nil { backend.settings = wanted }
            guard resume(suspension) else {
                if result == .done { backend.pool.release(backend, isReusable: exchange.error == nil) }
                return
            }
            switch (result, exchange.error) {
            case (.done, nil):
                then(backend)
            case (.done, let error?):
                backend.pool.release(backend, isReusable: false)
                failUnit(error)
            case (.lost, _):
                failUnit(.shardLost(backend.pool.shardID, mayHaveRun: false))
            }
            pump()
        }
        backend.run(exchange) { $0.writeQuery(statements.joined(separator: ";\n")) }
    }

    private func enlist(_ backend: Backend, _ role: Role, writes: Bool, _ then: @escaping () -> Void) {
        backend.lend(to: self)
        let isAlone = participants.isEmpty
        participants.append(
            Participant(
                backend: backend, wrote: writes, role: role, historyApplied: 0, hasBegun: isAlone, settingsInside: backend.settings, settingsOutside: backend.settings))
        speaker = participants.count - 1
        if participants.count == 2 { loop.spans(self) }
        if isInternal { reportShard(backend.pool) }
        guard isAlone else { return catchUp(then) }
        if transaction.isIdle { return catchUp(then) }
        if transaction.startsPlainly, backend.settings === settings {
            // It cannot fail, so the statement may follow without waiting.
            backend.send { $0.writeQuery("BEGIN") }
            script.swallow(.query)
            return then()
        }
        runAlone(on: participants.count - 1, [transaction.beginStatement]) { [self] in catchUp(then) }
    }

    /// Repeats on the speaker what the transaction has seen without it.
    func catchUp(_ then: @escaping () -> Void) {
        let participant = participants[speaker]
        if isCurrent(participant) { return then() }
        if participants.count > 1, !participant.hasLockBound {
            return boundLocks(of: [speaker]) { [self] error in
                if let error { failUnit(error) } else { then() }
            }
        }
        runAlone(on: speaker, prelude(of: speaker, wrote: participant.wrote), then)
    }

    /// Runs statements of the router's own on a participant, one after the other; when one fails the unit fails.
    func runAlone(on index: Int, _ statements: [String], _ then: @escaping () -> Void) {
        guard !statements.isEmpty else { return then() }
        let backend = participants[index].backend
        assert(script.isEmpty, "answers for the client are still to come")
        // A simple query takes its place.
        batch.rawUnnamed = nil
        let suspension = suspend()
        let exchange = Exchange(readies: statements.count) { [self] exchange, result in
            guard resume(suspension) else { return afterClient(exchange, result, backend) }
            if let error = Self.failure(exchange, result, backend) { failUnit(error) } else { then() }
            pump()
        }
        backend.run(exchange) { buffer in
            for statement in statements { buffer.writeQuery(statement) }
        }
    }

    /// An exchange ended when its client had already gone.
    func afterClient(_ exchange: Exchange, _ result: Exchange.Result, _ backend: Backend) {
        if result == .done { backend.pool.release(backend, isReusable: false) }
    }

    /// The pool in which a statement that any shard can answer disturbs least.
    func poolForReading() -> BackendPool {
        participants.isEmpty ? database.anyPool() : participants[speaker].backend.pool
    }

    func poolOfCurrentShard() -> BackendPool {
        participants.isEmpty ? database.home : participants[speaker].backend.pool
    }

    // MARK: Letting go

    /// The transaction, or the statement outside of one, is over on every participant.
    func releaseParticipants() {
        workNumber &+= 1
        // Of the transaction, and so also over when a commit has taken its participants away.
        isCoordinated = false
        isInOwnBlock = false
        isDoomed = false
        strictIsolation = nil
        batch.needsSync = false
        // The next one has another unnamed statement, were it the same backend.
        if batch.rawUnnamed != nil { batch.rawUnnamed = nil }
        speaker = 0
        let wasScattered = scatter != nil
        if wasScattered {
            scatter = nil
            loop.metrics.scattered.answered &+= 1
        }
        // Taken out one by one: going through them would copy each, references and all.
        while let participant = participants.popLast() {
            let backend = participant.backend
            if backend.line != nil {
                backend.nextTurn()
                continue
            }
            backend.settings = participant.settingsInside
            if isPinned(backend) { continue }
            backend.takeBack()
            // What it has said without being asked would be the next session's.
            let isHeard = !wasScattered || backend.unheardBytes == 0
            backend.pool.release(backend, isReusable: isHeard && backend.status == TransactionState.Phase.idle.rawValue)
        }
    }

    /// The client has gone: what is open is rolled back, what is running is stopped.
    func abandonParticipants() {
        if leaveRide() { return }
        unit.task?.cancel()
        // Messages without their Sync have an open implicit transaction behind them, which must not reach the next session.
        let isBusy = !script.isEmpty || onDrained != nil || batch.needsSync
        onDrained = nil
        pendingEffects.removeAll()
        let kept = pins.map(\.backend)
        abandonBorrowed()
        leaveLanes()
        if let commit { commit.clientHasGone() } else { dropPins() }
        for (index, participant) in participants.enumerated() {
            let backend = participant.backend
            if kept.contains(where: { $0 === backend }) { continue }
            backend.sendRidersAway()
            backend.takeBack()
            if isBusy && index == speaker || copy != nil || gather != nil {
                // A COPY that waits for data would wait for ever, and one that gives data would give all of them.
                backend.pool.cancel(backend)
                backend.close()
            } else if backend.hasExchange {
                // Its end releases it (`afterClient`), and comes sooner so.
                backend.pool.cancel(backend)
                backend.boundExchange(to: limits.abandonedTime)
            } else if backend.status == TransactionState.Phase.idle.rawValue, transaction.isIdle {
                backend.settings = participant.settingsInside
                backend.pool.release(backend)
            } else {
                backend.settings = participant.settingsOutside
                let exchange = Exchange { exchange, result in
                    if result == .done { backend.pool.release(backend, isReusable: exchange.error == nil && exchange.status == 0x49) }
                }
                backend.run(exchange) { $0.writeQuery("ROLLBACK") }
                backend.boundExchange(to: limits.abandonedTime)
            }
        }
        participants.removeAll()
        script.reset()
        copy = nil
        gather = nil
    }

    /// Its end releases it.
    func abandonBorrowed() {
        guard let borrowed, !isPinned(borrowed) else { return }
        guard borrowed.hasExchange else { return borrowed.close() }
        borrowed.pool.cancel(borrowed)
        borrowed.boundExchange(to: limits.abandonedTime)
    }

    // MARK: Losing one

    /// A backend's connection broke. Where an exchange was under way on it, its completion follows.
    func backendLost(_ backend: Backend, midFrame: Bool) {
        guard work != .closed else { return }
        guard let index = participants.firstIndex(where: { $0.backend === backend }) else {
            if isPinned(backend) { pinnedBackendLost(backend, mayHaveRun: isCommitting) }
            return
        }
        if retryOnPrimary() { return }
        if let scatter { return laneLost(index, midFrame: midFrame, scatter) }
        let wasCommitting = pendingEffects.contains { if case .commit = $0 { true } else { false } }
        let mayHaveRun = participants[index].wrote && (mayHaveCommitted || wasCommitting) || unit.hasCommitted
        // While the session waits for something else, the step that it waits for tells of the loss.
        let isSpeaking = index == speaker && (!script.isEmpty || batch.needsSync && work != .suspended)
        if index == speaker { batch.needsSync = false }
        participants.remove(at: index)
        if speaker > index || speaker == participants.count { speaker = max(0, speaker - 1) }
        if midFrame { return closeClient() }
        if isPinned(backend) { return pinnedBackendLost(backend, mayHaveRun: mayHaveRun) }
        let loss = ServerError.shardLost(backend.pool.shardID, mayHaveRun: mayHaveRun, farewell: backend.farewell)
        let error = mayHaveRun ? loss : backend.endReason ?? loss
        // In a failed transaction it makes no difference, but to a step that is to mend it.
        let isNews = !transaction.isFailed || work == .suspended
        if !transaction.isIdle {
            transaction.fail()
            isDoomed = true
        }
        if isSpeaking {
            if wasCommitting, participants.isEmpty { endTransaction(committed: false) }
            speakerLost(error)
        } else if isNews {
            listenerLost(error)
        }
    }

    /// Whether what was sent outside of a transaction block may be committed by now: neither a batch before its Sync, nor a COPY that
    /// still takes data, nor a statement that runs on every shard.
    private var mayHaveCommitted: Bool { transaction.isIdle && !isCoordinated && !isInOwnBlock && !batch.needsSync && work != .copyIn }

    /// Answers of the lost shard were to come.
    private func speakerLost(_ error: ServerError) {
        let alreadyFailed = unit.hasFailed
        // A statement with a hint is answered before the router has ended its transaction, which changes nothing.
        let isAnswered = work == .awaitingReady && !script.owesReady
        undoHeld()
        script.skipAll()
        undoSkipped()
        script.reset()
        forgetCaptures()
        onDrained = nil
        stepLoss = nil
        pendingEffects.removeAll()
        if batch.settingsBefore != nil { transactionOfPipelineEnded(committed: false) }
        if isAnswered { return finishUnit() }
        unit.outcome = .failed(error)
        if !alreadyFailed { answer { $0.writeErrorResponse(error) } }
        if work == .batch || batch.isOpen && work != .awaitingReady {
            // A Sync is due.
            work = .batch
            batch.isSkipping = true
            syncAfterFailure()
            pump()
        } else {
            answerReady(transaction.statusByte)
            finishUnit()
        }
        flushClient()
    }

    /// The lost shard has answered everything, or is in an exchange of the router's own: what goes on with other shards ends first.
    private func listenerLost(_ error: ServerError) {
        if let copy { return shardLost(error, during: copy) }
        if let gather { return gather.stop(in: self, error) }
        switch work {
        case .suspended where isRollingBack, .closed:
            break
        case .suspended:
            stepLoss = error
            // The statement has failed: what it still does on other shards is for nothing.
            for participant in participants where participant.backend.hasExchange {
                participant.backend.pool.cancel(participant.backend)
            }
            if let waiter {
                self.waiter = nil
                waiter.cancel()
                _ = resume()
            }
        case .batch where batch.isImplicitlyCoordinated:
            failBatch(error)
            flushClient()
        case .ready, .batch, .awaitingReady, .copyIn:
            // The next statement of the transaction answers with it.
            if !transaction.isIdle { unheardLoss = error }
        }
    }

    /// The loss of a shard that the client has not been told of, or else `error`.
    func unheardLoss(insteadOf error: ServerError) -> ServerError {
        defer { unheardLoss = nil }
        return unheardLoss ?? error
    }
}
