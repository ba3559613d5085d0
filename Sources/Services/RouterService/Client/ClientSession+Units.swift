internal import NIOCore
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// The life of a unit: begun, perhaps suspended, answered.
extension ClientSession {
    func beginUnit() {
        if !unit.isRunning { unit.begin(at: loop.readClock()) }
        if scopeCache?.generation != database.generation { scopeCache = nil }
    }

    /// The plans for the session as it is now. nil: the schema is not known.
    var scope: PlanScope? {
        if let privateSchema {
            guard privateSchema.shardCount == database.topology.shards.count else {
                // Its definitions would be missing on the new shard.
                fatal(.shardsChanged)
                return nil
            }
            return privateSchema.scope
        }
        if let scopeCache { return scopeCache }
        scopeCache = endsForSecondShard() ? nil : temporary.isEmpty ? database.scope(for: settings, roles: roles, access, keepsSequences: variables.keepsSequences) : temporaryScope
        return scopeCache
    }

    func forgetScope() { scopeCache = nil }

    func settingsChanged(to new: SettingsRef) {
        settings = new
        scopeCache = nil
        privateSchema?.rebase(on: self)
    }

    /// The unit is answered: lets go of what only it needed.
    func finishUnit() {
        batch.reset()
        stepLoss = nil
        work = .ready
        if transaction.isIdle {
            releaseParticipants()
            if transaction.historyCount > 0 { transaction.forgetHistory() }
            privateSchema = nil
            unnamedPortal = nil
            if !portals.isEmpty { portals.removeAll() }
            if !cursors.isEmpty { cursors.removeAll() }
        } else if limits.idleTransactionTimeout != nil {
            idleInTransactionSince = loop.lately
        }
        if list != nil { return statementEnded() }
        let finished = exchange(&unit, with: UnitRecord())
        let now = loop.readClock()
        loop.metrics.record(finished, at: now)
        if finished.audited != nil { auditEnded(finished) }
        finished.pacer?.pace.record(now.elapsed(since: finished.turnBegan).count)
        replicas.unitEnded(isIdle: transaction.isIdle, at: loop.lately)
        if !notifications.isEmpty { deliverNotifications() }
        flushClient()
        closeIfDrained()
        if !pins.isEmpty, transaction.isIdle, work == .ready {
            endStrayBlocks()
            settlePins()
        }
        // Nearly always there is nothing: the client waits for the answer that was just written.
        if hasInput || !participants.isEmpty || !isReading || !isClientWritable { pump() }
    }

    /// Answers the unit with an error, once a BEGIN that may be under way is answered.
    func failUnit(_ error: ServerError) {
        guard work != .closed, !retryOnPrimary() else { return }
        if work == .batch || batch.isOpen { return failBatch(error) }
        guard script.isEmpty else {
            suspend()
            onDrained = { [self] in
                guard resume() else { return }
                failUnit(error)
                pump()
            }
            return
        }
        let error = unheardLoss(insteadOf: error)
        transaction.fail()
        unit.outcome = .failed(error)
        auditRefusal(error)
        answer { $0.writeErrorResponse(error) }
        answerReady(transaction.statusByte)
        finishUnit()
    }

    /// Answers the unit with the router's own messages.
    func completeUnit(_ build: (inout ByteBuffer) -> Void) {
        answer(build)
        answerReady(transaction.statusByte)
        finishUnit()
    }

    // MARK: Suspension

    /// Stops the pump until `resume`. Returns which of the suspensions it is.
    @discardableResult
    func suspend() -> UInt32 {
        if work != .closed { work = .suspended }
        suspensionCount &+= 1
        return suspensionCount
    }

    /// Goes on after a suspension; false when the client has gone in the meantime, or when a shard was lost and the unit has failed by it.
    ///
    /// - suspension: what a lost shard has cut short may still come to its end, while the session waits for something else by then. nil: it does not.
    func resume(_ suspension: UInt32? = nil) -> Bool {
        guard work == .suspended, suspension == nil || suspension == suspensionCount else { return false }
        work = batch.isOpen ? .batch : .ready
        guard let loss = stepLoss else { return true }
        stepLoss = nil
        failUnit(loss)
        pump()
        return false
    }
}
