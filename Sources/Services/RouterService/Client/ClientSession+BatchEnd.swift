internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// Close, Flush and Sync: what lets go of a part of a batch, or ends it.
extension ClientSession {
    func close(_ frame: ByteBuffer, _ body: ByteBuffer) throws(WireError) {
        let message = try CloseMessage(body: body)
        switch message.target {
        case .statement:
            define(message.name.nameKey, nil)
            answerInTurn(as: .close) { $0.writeCloseComplete() }
        case .portal:
            if let owner = portal(message.name)?.owner, participants.contains(where: { $0.backend === owner }) {
                forgetPortal(message.name)
                return speak(as: owner, portal: message.name) { [self] in passOn(frame, .close) }
            } else if portal(message.name) == nil, message.name.readableBytes > 0, !transaction.isFailed,
                !transaction.isIdle || heldCursors[message.name.nameKey] != nil
            {
                return passToCursor(message.name, frame, .close)
            } else {
                // Not as `.close`, which stands for statements: an error undoes those.
                answerInTurn(as: .describePortal) { $0.writeCloseComplete() }
            }
            forgetPortal(message.name)
        }
    }

    private func forgetPortal(_ name: ByteBuffer) {
        if name.readableBytes == 0 { unnamedPortal = nil } else { portals[name.nameKey] = nil }
    }

    func flush(_ frame: ByteBuffer) {
        guard batch.held.isEmpty else { return prepareHeld {} }
        if let scatter { return ask(scatter) }
        if batch.needsSync { backend.send(frame) }
    }

    func sync() {
        if work == .ready { beginBatch() }
        if scatter != nil { return syncScatter() }
        if batch.isSkipping, !batch.needsSync, !batch.isImplicitlyCoordinated { return endBatch() }
        guard batch.held.isEmpty else {
            batch.isSyncTaken = true
            return prepareHeld { [self] in
                guard batch.isSyncTaken else { return }
                batch.isSyncTaken = false
                sync()
            }
        }
        if batch.isImplicitlyCoordinated {
            batch.isSyncTaken = true
            return commitImplicit { [self] in endBatch() }
        }
        guard batch.needsSync else { return endBatch() }
        backend.send { $0.writeSync() }
        script.expect(.sync)
        batch.needsSync = false
        work = .awaitingReady
    }

    /// The batch needs nothing more of a shard.
    func endBatch() {
        answerReady(transaction.statusByte)
        finishUnit()
    }

    /// A simple query without a Sync before it: it ends the batch like one, but for the ReadyForQuery.
    ///
    /// PostgreSQL runs it in the batch's own transaction, so that its failure, or a ROLLBACK, undoes the batch. Where there is something
    /// to undo and no BEGIN to hold it, the query is refused, and the batch with it.
    func endBatch(before query: ByteBuffer) {
        if scatter != nil {
            sendHeld()
            return endScatter { [self] in beginQuery(query) }
        }
        afterAnswers { [self] in
            if transaction.isIdle, batch.isImplicitlyCoordinated || participants.contains(where: \.wrote) { return refuseQuery() }
            drain { [self] in beginQuery(query) }
        }
    }

    private func refuseQuery() {
        let refuse = { [self] in
            failBatch(.refusal(Refusal(.queryInPipeline)))
            sync()
        }
        guard batch.isImplicitlyCoordinated else { return refuse() }
        settleBatch { [self] in
            batch.isImplicitlyCoordinated = false
            rollBackAll(refuse)
        }
    }

    private func beginQuery(_ query: ByteBuffer) {
        loop.metrics.record(unit, at: loop.readClock())
        unit = UnitRecord()
        unit.continuesPipeline = batch.isPipelining
        batch.reset()
        work = .ready
        if transaction.isIdle { releaseParticipants() }
        simpleQuery(query)
    }

    /// Statements that are only prepared or described go to the transaction's shard, or outside of one to any: the schema is the same
    /// everywhere. They do not bind the batch to it.
    ///
    /// - pool: a shard that is needed anyhow; nil: the home shard.
    func prepareHeld(on pool: BackendPool? = nil, _ then: @escaping () -> Void) {
        batch.isPreparing = true
        if let scatter {
            sendHeld()
            ask(scatter)
            return then()
        }
        if !transaction.isIdle || !participants.isEmpty {
            return reach(poolOfCurrentShard(), .passing, writes: false) { [self] in
                sendHeld()
                backend.send { $0.writeFlush() }
                // Even where the shard knew every statement: a BEGIN may be under way before it, whose answer a Sync waits for.
                batch.needsSync = true
                then()
            }
        }
        acquire(pool ?? database.home) { [self] backend in
            // Borrowed for the length of an exchange only.
            participants.append(
                Participant(
                    backend: backend, wrote: false, role: .passing, historyApplied: 0, settingsInside: settings,
                    settingsOutside: settings))
            speaker = 0
            backend.lend(to: self)
            sendHeld()
            backend.send { $0.writeSync() }
            script.swallow(.sync)
            batch.needsSync = false
            backend.flush()
            suspend()
            onDrained = { [self] in
                guard resume() else { return }
                batch.rawUnnamed = nil
                validate()
                releaseParticipants()
                if batch.isSkipping { flushClient() }
                then()
                pump()
            }
        }
    }
}
