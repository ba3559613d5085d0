internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore

/// BEGIN, COMMIT, ROLLBACK and savepoints.
///
/// A transaction of one shard ends where it lives: the client's own statement is passed on. With no shard the router answers; with several
/// it runs the statement on each, and commits in two phases.
extension ClientSession {
    enum StepOutcome {
        case done(tag: String, notice: ServerError?)
        case failed(ServerError)
    }

    func runTransaction(_ statement: TransactionStatement, _ frame: ByteBuffer, _ text: ByteBuffer) {
        if let effect = effectOnSpeaker(of: statement) {
            return forwardSimple(frame, participants[speaker].backend.pool, .passing, writes: false, effect)
        }
        perform(statement, tag: Self.beginTag(text)) { [self] outcome in
            switch outcome {
            case .done(let tag, let notice):
                completeUnit {
                    if let notice { $0.writeNoticeResponse(notice) }
                    $0.writeCommandComplete(tag: tag)
                }
            case .failed(let error):
                failUnit(error)
            }
        }
    }

    /// BEGIN and START TRANSACTION differ in nothing else.
    static func beginTag(_ text: ByteBuffer) -> String {
        text.withUnsafeReadableBytes { FirstWord.isFirst("start", in: $0) } ? "START TRANSACTION" : "BEGIN"
    }

    /// What the statement will have done once the one shard concerned has answered it; nil when the router itself must act.
    func effectOnSpeaker(of statement: TransactionStatement) -> Effect? {
        guard participants.count == 1, !isDoomed, privateSchema == nil, !batch.isImplicitlyCoordinated else { return nil }
        // The shard must be exactly where the session is.
        guard transaction.isIdle ? batch.needsSync : participants[0].historyApplied == transaction.historyCount else { return nil }
        if transaction.isFailed, participants[0].backend.status != TransactionState.Phase.failed.rawValue { return nil }
        // The next one of a chain has a replica of its own.
        if isOnReplica, !transaction.isIdle {
            switch statement {
            case .commit(chain: true), .rollback(chain: true): return nil
            default: break
            }
        }
        // The shard was told by BEGIN what the session has of a chain.
        let endsChained = transaction.isFailed && transaction.isChained
        return switch statement {
        case .commit(chain: true) where endsChained, .rollback(chain: true) where endsChained: nil
        case .begin(let options): transaction.historyCount < limits.transactionHistoryMax ? .begin(options: options) : nil
        case .commit(let chain): .commit(chain: chain)
        case .rollback(let chain): .rollback(chain: chain)
        case .savepoint(let name): transaction.historyCount < limits.transactionHistoryMax ? .savepoint(name) : nil
        case .release(let name): .release(name)
        case .rollbackTo(let name): .rollbackTo(name)
        }
    }

    /// Runs the statement where the router must act itself.
    func perform(_ statement: TransactionStatement, tag: String, _ done: @escaping (StepOutcome) -> Void) {
        if transaction.isIdle { return performOutside(statement, tag: tag, done) }
        switch statement {
        case .begin(let options):
            guard !options.isEmpty else { return done(.done(tag: tag, notice: .alreadyInTransaction)) }
            guard transaction.historyCount < limits.transactionHistoryMax else { return done(.failed(.transactionTooLong)) }
            // Its options hold all the same.
            let statement = "SET TRANSACTION \(options)"
            runOnAll(statement) { [self] error in
                if let error { return done(.failed(error)) }
                apply(.setCharacteristic(statement: statement))
                allAreCurrent()
                done(.done(tag: tag, notice: .alreadyInTransaction))
            }
        case .commit(let chain):
            if transaction.isFailed || isDoomed {
                let loss = unheardLoss
                rollBackAll { [self] in
                    endTransaction(committed: false, chain: chain && loss == nil)
                    // A ROLLBACK for an answer would be taken for success by clients that have seen no error.
                    if let loss { return done(.failed(loss)) }
                    done(.done(tag: "ROLLBACK", notice: nil))
                }
            } else {
                let changes = privateSchema?.changes
                commitAll { [self] result in
                    switch result {
                    case .committed:
                        unit.hasCommitted = true
                        endTransaction(committed: true, chain: chain)
                        publish(changes) { notice in done(.done(tag: "COMMIT", notice: notice)) }
                    case .aborted(let error), .unknown(let error):
                        endTransaction(committed: false)
                        done(.failed(error))
                    }
                }
            }
        case .rollback(let chain):
            rollBackAll { [self] in
                endTransaction(committed: false, chain: chain)
                done(.done(tag: "ROLLBACK", notice: nil))
            }
        case .savepoint(let name):
            guard transaction.historyCount < limits.transactionHistoryMax else { return done(.failed(.transactionTooLong)) }
            runOnAll("SAVEPOINT \(quoteIdentifier(name))") { [self] error in
                if let error { return done(.failed(error)) }
                apply(.savepoint(name))
                done(.done(tag: "SAVEPOINT", notice: nil))
            }
        case .release(let name):
            guard transaction.hasSavepoint(name) else { return done(.failed(.unknownSavepoint(name))) }
            runOnAll("RELEASE SAVEPOINT \(quoteIdentifier(name))") { [self] error in
                if let error { return done(.failed(error)) }
                apply(.release(name))
                done(.done(tag: "RELEASE", notice: nil))
            }
        case .rollbackTo(let name):
            if isDoomed { return done(.failed(.doomed)) }
            guard transaction.hasSavepoint(name) else { return done(.failed(.unknownSavepoint(name))) }
            runOnAll("ROLLBACK TO SAVEPOINT \(quoteIdentifier(name))") { [self] error in
                if let error { return done(.failed(error)) }
                apply(.rollbackTo(name))
                rereadPrivateSchema { done(.done(tag: "ROLLBACK", notice: nil)) }
            }
        }
    }

    func beginTransaction(options: String) {
        // A pipeline's transaction that becomes a block began before.
        settingsAtBegin = batch.settingsBefore ?? settings
        transaction.begin(options: options, settings: settingsAtBegin.settings)
        batch.settingsBefore = nil
        transactionNumber &+= 1
    }

    private func performOutside(_ statement: TransactionStatement, tag: String, _ done: @escaping (StepOutcome) -> Void) {
        if batch.isImplicitlyCoordinated, performInPipeline(statement, tag: tag, done) { return }
        switch statement {
        case .begin(let options):
            beginTransaction(options: options)
            done(.done(tag: tag, notice: nil))
        case .commit(let chain):
            if !chain { dropPortals() }
            done(chain ? .failed(.noTransaction("COMMIT AND CHAIN")) : .done(tag: "COMMIT", notice: .noTransactionInProgress))
        case .rollback(let chain):
            if !chain { dropPortals() }
            done(chain ? .failed(.noTransaction("ROLLBACK AND CHAIN")) : .done(tag: "ROLLBACK", notice: .noTransactionInProgress))
        case .savepoint: done(.failed(.noTransaction("SAVEPOINT")))
        case .release: done(.failed(.noTransaction("RELEASE SAVEPOINT")))
        case .rollbackTo: done(.failed(.noTransaction("ROLLBACK TO SAVEPOINT")))
        }
    }

    /// The end of a transaction is the end of its portals, in the middle of a batch, too.
    func dropPortals() {
        portals.removeAll()
        unnamedPortal = nil
        batch.binds.removeAll()
        batch.isPipelining = false
    }

    /// So it is for those that are younger than a savepoint that is gone back to.
    private func dropPortals(madeFrom count: Int) {
        if !portals.isEmpty { portals = portals.filter { $0.value.madeAfter < count } }
        if let portal = unnamedPortal, portal.madeAfter >= count { unnamedPortal = nil }
    }

    // MARK: Effects

    /// A statement of the client's that was passed on has completed.
    ///
    /// - commandComplete: its body; empty for PortalSuspended.
    func markedStepCompleted(_ commandComplete: ByteBuffer) {
        guard !pendingEffects.isEmpty else { return }
        let effect = pendingEffects.removeFirst()
        let tag = (try? CommandTag(body: commandComplete))?.text
        switch effect {
        case .commit(let chain) where tag == "ROLLBACK":
            // COMMIT of a failed transaction.
            apply(.rollback(chain: chain))
        case .set where tag == "SELECT 0", .setLocal where tag == "SELECT 0":
            // The rest of a set_config() whose row was read before: nothing was set again.
            break
        default:
            apply(effect)
        }
    }

    func apply(_ effect: Effect) {
        switch effect {
        case .set, .reset:
            if batch.isOpen, transaction.isIdle, batch.settingsBefore == nil { batch.settingsBefore = settings }
        default: break
        }
        switch effect {
        case .set(let name, let statement, let searchPath):
            var new = settings.settings
            new.set(name, statement: statement, searchPath: searchPath)
            settingsChanged(to: loop.settings(new))
            if !participants.isEmpty { participants[speaker].settingsInside = settings }
            recordSession(statement)
        case .temporary: temporaryRelationsChanged()
        case .sequencesDiscarded: forgetDrawn()
        case .setLocal(let statement):
            recordLocal(statement, isCharacteristic: false)
        case .setCharacteristic(let statement):
            recordLocal(statement, isCharacteristic: true)
        case .reset(let name):
            var new = settings.settings
            var there = participants.isEmpty ? SessionSettings() : participants[speaker].settingsInside.settings
            if let name {
                new.restore(name, from: startupSettings.settings)
                there.reset(name)
            } else {
                new = new.resetAll(to: startupSettings.settings)
                there = there.resetAll(to: SessionSettings())
                variables.consistency = startupVariables.consistency
                keepSequences(startupVariables.keepsSequences)
            }
            settingsChanged(to: loop.settings(new))
            // The shard went back to its own default, which need not be the client's.
            if !participants.isEmpty { participants[speaker].settingsInside = loop.settings(there) }
            recordSession(
                name.map { new[$0] ?? "RESET \(quoteIdentifier($0))" } ?? (["RESET ALL"] + new.statements(from: SessionSettings())).joined(separator: "; "))
        case .begin(let options):
            if transaction.isIdle {
                let before = transaction.historyCount
                beginTransaction(options: options)
                // What became of the options the shard has seen.
                if !participants.isEmpty, participants[speaker].historyApplied == before { participants[speaker].historyApplied = transaction.historyCount }
            } else if !options.isEmpty {
                // A second one begins nothing, but its options hold.
                apply(.setCharacteristic(statement: "SET TRANSACTION \(options)"))
            }
        case .commit(let chain):
            unit.hasCommitted = true
            if transaction.isIdle { transactionOfPipelineEnded(committed: true) }
            endTransaction(committed: true, chain: chain)
        case .rollback(let chain):
            if transaction.isIdle { transactionOfPipelineEnded(committed: false) }
            endTransaction(committed: false, chain: chain)
        case .savepoint(let name):
            guard !transaction.isIdle else { break }
            transaction.setSavepoint(name, settings: settings.settings)
            privateSchema?.setSavepoint(name)
            allAreCurrent()
        case .release(let name):
            try? transaction.release(name)
            for name in portals.keys { portals[name]?.madeAfter.clamp(to: transaction.historyCount) }
            unnamedPortal?.madeAfter.clamp(to: transaction.historyCount)
            privateSchema?.release(name)
            allAreCurrent()
        case .rollbackTo(let name):
            if let privateSchema, !privateSchema.rollBack(to: name) { self.privateSchema = nil }
            if let old = try? transaction.rollBack(to: name) { settingsChanged(to: loop.settings(old)) }
            doubtTemporaryNames()
            dropPortals(madeFrom: transaction.historyCount)
            allAreCurrent()
            for index in participants.indices where participants[index].hasBegun {
                participants[index].settingsInside = settings
                // It may have been set since.
                participants[index].hasLockBound = false
            }
        }
    }

    private func recordLocal(_ statement: String, isCharacteristic: Bool) {
        transaction.recordLocal(statement, isCharacteristic: isCharacteristic, settings: settings.settings)
        if !participants.isEmpty { participants[speaker].historyApplied = transaction.historyCount }
    }

    private func recordSession(_ statement: String) {
        let before = transaction.historyCount
        transaction.recordSession(statement, settings: settings.settings)
        if transaction.historyCount > before, !participants.isEmpty { participants[speaker].historyApplied = transaction.historyCount }
    }

    /// Those that have not begun yet are told everything when they do.
    private func allAreCurrent() {
        for index in participants.indices where participants[index].hasBegun { participants[index].historyApplied = transaction.historyCount }
    }

    /// The transaction is over on every shard that took part.
    func endTransaction(committed: Bool, chain: Bool = false) {
        guard !transaction.isIdle else { return }
        privateSchema = nil
        unheardLoss = nil
        transactionNumber &+= 1
        let after =
            chain
            ? transaction.chain(committed: committed, settings: settings.settings)
            : transaction.end(committed: committed, settings: settings.settings)
        for index in participants.indices {
            if !committed { participants[index].settingsInside = participants[index].settingsOutside }
            participants[index].settingsOutside = participants[index].settingsInside
            participants[index].historyApplied = 0
            participants[index].wrote = false
        }
        settingsChanged(to: loop.settings(after))
        doubtTemporaryNames()
        // A chained transaction keeps the characteristics that it began with, whatever SET SESSION CHARACTERISTICS has said since.
        if !chain { settingsAtBegin = settings }
        dropPortals()
        // A chained one begins without any.
        if !cursors.isEmpty { cursors.removeAll() }
        isDoomed = false
        // After a commit of several shards nothing is open on them any more: the next transaction enlists anew.
        if script.isEmpty, !batch.needsSync, participants.allSatisfy({ $0.backend.status == TransactionState.Phase.idle.rawValue }) {
            releaseParticipants()
        }
    }

    // MARK: ReadyForQuery

    /// A ReadyForQuery of the speaker: what it means for the transaction, and the status to show for it.
    func settle(_ backend: Backend, _ status: UInt8) -> UInt8 {
        // A BEGIN of the router's own is answered before what was sent behind it, which need not have a Sync of its own yet.
        if unit.hasFailed { backend.prepared.doubt() } else if script.isEmpty || scatter != nil { backend.prepared.confirm() }
        if let scatter { scatter.isReady.insert(scatter.heard) }
        if !transaction.isIdle {
            switch status {
            case TransactionState.Phase.failed.rawValue: transaction.fail()
            case TransactionState.Phase.idle.rawValue:
                // COMMIT failed (a deferred constraint): the shard has rolled back.
                endTransaction(committed: false)
            default: break
            }
        }
        // Zero is no status: it is not passed on.
        return list == nil ? transaction.statusByte : 0
    }

    /// The ReadyForQuery has been passed on, or was the router's own.
    func readyPassed(_ backend: Backend) {
        writeDueEmissions()
        guard script.isEmpty else { return }
        if !pendingEffects.isEmpty { pendingEffects.removeAll() }
        if onDrained != nil {
            answersDrained()
        } else if work == .awaitingReady {
            if batch.isOpen { validate() }
            finishUnit()
        }
    }

    /// Every answer that was to come has come.
    func answersDrained() {
        guard let next = onDrained else { return }
        onDrained = nil
        next()
    }
}

extension Int {
    fileprivate mutating func clamp(to max: Int) { self = Swift.min(self, max) }
}
