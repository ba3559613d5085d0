internal import NIOCore
internal import PGWire
internal import SessionCore

/// Errors of the router's own in the middle of a batch.
extension ClientSession {
    /// The router refuses a message of the batch: what was sent before it is undone, as PostgreSQL would, and the rest up to Sync is
    /// passed over.
    ///
    /// - bind: the message is a Bind that PostgreSQL refuses when it has made the portal, so that its name stays taken.
    func failBatch(_ error: ServerError, leaving bind: FailedBind? = nil) {
        guard work != .closed, !retryOnPrimary() else { return }
        if !batch.held.isEmpty, !batch.isPreparing, !transaction.isFailed {
            // What came before has its answers first, and perhaps an error of its own.
            return prepareHeld { [self] in
                if !batch.isSkipping { failBatch(error, leaving: bind) }
            }
        }
        if scatter != nil {
            guard script.isEmpty else { return awaitScatter { [self] in failBatch(error, leaving: bind) } }
            // There is nothing to undo.
            leaveLanes()
        }
        let error = unheardLoss(insteadOf: error)
        work = .batch
        unit.outcome = .failed(error)
        auditRefusal(error)
        batch.isSkipping = true
        undoHeld()
        if let bind { setPortal(bind.message, Portal(statement: bind.statement, target: .failing(error))) }
        if batch.needsSync || !script.isEmpty, !participants.isEmpty {
            batch.needsSync = true
            // The shard's implicit transaction must fail, too: it gets a statement that no PostgreSQL accepts.
            var bytes = ByteBuffer()
            bytes.writeErrorResponse(error)
            backend.send { $0.writeParse(name: "", query: "PGMOSAIC UNDOES A REFUSED BATCH") }
            script.provokeError(bytes, leavesPortal: bind != nil && !transaction.isIdle)
            return syncAfterFailure()
        }
        if batch.settingsBefore != nil { transactionOfPipelineEnded(committed: false) }
        transaction.fail()
        unit.hasFailed = true
        answer { $0.writeErrorResponse(error) }
        if batch.isImplicitlyCoordinated {
            batch.isImplicitlyCoordinated = false
            return rollBackAll { [self] in syncAfterFailure() }
        }
        syncAfterFailure()
    }

    typealias FailedBind = (message: BindMessage, statement: Statement)

    /// Whether a Bind that ends with this error has made its portal all the same: PostgreSQL makes it before it reads parameters and plans
    /// (`exec_bind_message`). Of the same SQLSTATE, only the function tells a wrong number of parameters from a parameter that is cut off.
    static func leavesPortal(_ message: ByteBuffer) -> Bool {
        var message = message
        guard let frame = try? message.readFrame(limit: .max), let error = try? ServerError(body: frame.body) else { return false }
        switch error.sqlState {
        case .invalidStatementName, .inFailedTransaction, .duplicateCursor: return false
        case .protocolViolation: return error[.routine] != "exec_bind_message"
        default: return true
        }
    }

    /// The batch has failed, and is passed over up to its Sync: where that was taken already, it is answered now.
    func syncAfterFailure() {
        guard batch.isSyncTaken else { return }
        batch.isSyncTaken = false
        sync()
    }

    func undoHeld() {
        let unsent = batch.held.count {
            switch $0 {
            case .parse, .answer(_, as: .parse), .answer(_, as: .close): true
            default: false
            }
        }
        undoDefinitions(unsent)
        undoPortals(batch.held.count { if case .answer(_, as: .bind) = $0 { true } else { false } })
        batch.held.removeAll(keepingCapacity: true)
        batch.isPreparing = false
    }

    /// What the script has skipped never happened.
    func undoSkipped() {
        undoDefinitions(script.takeSkippedDefinitions())
        undoPortals(script.takeSkippedBinds())
    }

    /// The last `count` definitions never happened.
    private func undoDefinitions(_ count: Int) {
        for _ in 0..<min(count, batch.definitions.count) {
            let (name, previous) = batch.definitions.removeLast()
            if name.isEmpty { unnamedStatement = previous } else { statements[name] = previous }
        }
    }

    /// The last `count` Binds never happened.
    private func undoPortals(_ count: Int) {
        for _ in 0..<min(count, batch.binds.count) {
            let (name, previous) = batch.binds.removeLast()
            if name.isEmpty { unnamedPortal = previous } else { portals[name] = previous }
        }
    }

    /// The batch's statements were prepared without an error.
    func validate() {
        for statement in batch.unvalidated where !batch.isSkipping { statement.isValidated = true }
        batch.unvalidated.removeAll(keepingCapacity: true)
    }
}
