internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// The transaction of a pipeline that nobody has begun: everything up to Sync is one, as in PostgreSQL, over however many shards.
///
/// One shard keeps it by itself. From the second on the shards are in a block of the router's own (`isImplicitlyCoordinated`), which Sync commits.
extension ClientSession {
    /// What the pipeline has done so far is in the implicit transaction of one shard, which any Sync commits.
    var isInPlainPipeline: Bool { transaction.isIdle && !batch.isImplicitlyCoordinated && (batch.needsSync || !participants.isEmpty) }

    /// Sync behind statements that ran on several shards.
    func commitImplicit(_ then: @escaping () -> Void) {
        settleBatch { [self] in
            guard batch.isSkipping || unit.hasFailed else {
                return commitPipeline { [self] error in
                    if let error {
                        unit.outcome = .failed(error)
                        answer { $0.writeErrorResponse(error) }
                    }
                    then()
                }
            }
            rollBackPipeline(then)
        }
    }

    /// BEGIN, COMMIT and ROLLBACK in such a pipeline; false where they do what they do outside of a transaction.
    func performInPipeline(_ statement: TransactionStatement, tag: String, _ done: @escaping (StepOutcome) -> Void) -> Bool {
        switch statement {
        case .begin(let options):
            // They would come too late for what has run.
            guard options.isEmpty else {
                done(.failed(.refusal(Refusal(.statementList, "BEGIN \(options)"))))
                return true
            }
            // What has run belongs to the block.
            batch.isImplicitlyCoordinated = false
            isInOwnBlock = false
            beginTransaction(options: "")
            done(.done(tag: tag, notice: nil))
        case .commit(chain: false):
            settleBatch { [self] in
                guard !unit.hasFailed else { return }
                commitPipeline { error in done(error.map { .failed($0) } ?? .done(tag: "COMMIT", notice: .noTransactionInProgress)) }
            }
        case .rollback(chain: false):
            settleBatch { [self] in
                guard !unit.hasFailed else { return }
                rollBackPipeline { done(.done(tag: "ROLLBACK", notice: .noTransactionInProgress)) }
            }
        case .commit, .rollback, .savepoint, .release, .rollbackTo: return false
        }
        return true
    }

    /// DISCARD ALL, at Execute. As in PostgreSQL (PreventInTransactionBlock) a pipeline's transaction is in its way once a statement was executed in it: one
    /// that has only been begun, behind COMMIT as well, is not. It is a transaction of its own.
    ///
    /// Precondition: every answer has come.
    func discardAll() {
        guard transaction.isIdle, !batch.isPipelining else { return failBatch(.discardAllInTransaction) }
        endEmptyPipeline { [self] error in
            if let error { return failBatch(error) }
            switch answerSession(.discardAll, ByteBuffer()) {
            case .success(let build): answer(build)
            case .failure(let error): failBatch(error)
            }
        }
    }

    /// Lets go of the shards on which statements were prepared or described, and of which none was executed.
    private func endEmptyPipeline(_ then: @escaping (ServerError?) -> Void) {
        guard !batch.isImplicitlyCoordinated else { return settleBatch { [self] in commitPipeline(then) } }
        drain { [self] in
            batch.rawUnnamed = nil
            validate()
            releaseParticipants()
            then(nil)
        }
    }

    /// Precondition: every answer has come.
    private func commitPipeline(_ done: @escaping (ServerError?) -> Void) {
        let changes = batch.changesSchema ? batch.schemaChanges : nil
        commitAll { [self] result in
            switch result {
            case .committed:
                unit.hasCommitted = true
                pipelineEnded(committed: true)
                publish(changes) { [self] notice in
                    if let notice { answer { $0.writeNoticeResponse(notice) } }
                    done(nil)
                }
            case .aborted(let error), .unknown(let error):
                pipelineEnded(committed: false)
                done(error)
            }
        }
    }

    private func rollBackPipeline(_ then: @escaping () -> Void) {
        rollBackAll { [self] in
            pipelineEnded(committed: false)
            then()
        }
    }

    /// Statements of the same pipeline that follow are a transaction of their own.
    private func pipelineEnded(committed: Bool) {
        batch.isImplicitlyCoordinated = false
        batch.changesSchema = false
        batch.schemaChanges.removeAll()
        privateSchema = nil
        transactionOfPipelineEnded(committed: committed)
        releaseParticipants()
    }

    /// What SET changed outside of a block belongs to the pipeline's transaction, and so do portals.
    func transactionOfPipelineEnded(committed: Bool) {
        dropPortals()
        doubtTemporaryNames()
        transaction.forgetHistory()
        for index in participants.indices { participants[index].historyApplied = 0 }
        if !committed, let before = batch.settingsBefore { settingsChanged(to: before) }
        batch.settingsBefore = nil
        for index in participants.indices {
            if committed {
                participants[index].settingsOutside = participants[index].settingsInside
            } else {
                participants[index].settingsInside = participants[index].settingsOutside
            }
        }
    }

    /// Waits for the answers to what the batch sent to the speaker, errors included.
    func settleBatch(_ then: @escaping () -> Void) {
        guard batch.needsSync, !participants.isEmpty else { return then() }
        participants[speaker].backend.send { $0.writeSync() }
        participants[speaker].backend.flush()
        script.swallow(.sync)
        batch.needsSync = false
        suspend()
        onDrained = { [self] in
            guard resume() else { return }
            then()
            pump()
        }
    }
}
