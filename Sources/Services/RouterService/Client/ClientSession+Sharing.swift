internal import NIOCore
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import SessionCore

/// A statement that was sent behind another session's, and whose turn has not come: what is needed to do it anew.
struct Ride {
    let backend: Backend
    /// A simple query, or a Bind.
    let frame: ByteBuffer
    /// The messages of the unit behind the Bind.
    let rest: ByteBuffer?
}

/// Reads outside of transactions whose unit is sent as a whole. Those of a plan that has proved quick share connections: behind another session's
/// statement, or with others' behind their own.
extension ClientSession {
    /// Whether the unit has nothing else, so that it needs no more of the session than an answer.
    @inline(__always)
    private var isOnItsOwn: Bool {
        participants.isEmpty && transaction.isIdle && pins.isEmpty && script.isEmpty && list == nil && !isInternal && !unit.isAlone
    }

    /// Sends a read of one shard as a simple query; false where it has to go the usual way.
    func sendRead(_ frame: ByteBuffer, _ plan: CachedPlan, _ pool: BackendPool) -> Bool {
        guard plan.mayReadReplica, isOnItsOwn else { return false }
        unit.shard = pool
        if plan.pace.isQuick, let backend = pool.line(for: settings) {
            ride(backend, frame, nil, plan)
            sendQuery(frame)
        } else if borrowIdle(of: pool, writes: false) {
            lead(plan)
            sendQuery(frame)
        } else {
            reach(pool, .bound, writes: false) { [self] in
                lead(plan)
                sendQuery(frame)
            }
        }
        return true
    }

    /// The same for a Bind whose whole unit has arrived.
    func sendRead(_ frame: ByteBuffer, _ message: BindMessage, _ statement: Statement, _ plan: CachedPlan, _ pool: BackendPool) -> Bool {
        guard plan.mayReadReplica, isOnItsOwn, !message.hasNamedPortal, batch.held.isEmpty, let rest = restOfUnit else { return false }
        unit.shard = pool
        // It ends with the unit.
        unnamedPortal = nil
        if plan.pace.isQuick, let slot = statement.slot, let backend = pool.line(for: settings, slot) {
            ride(backend, frame, bytes(of: rest), plan)
            sendUnit(message, slot.serverName, rest)
        } else if borrowIdle(of: pool, writes: false) {
            lead(plan)
            sendUnit(message, ensurePrepared(statement), rest)
        } else {
            reach(pool, .bound, writes: false) { [self] in
                lead(plan)
                sendUnit(message, ensurePrepared(statement), rest)
            }
        }
        return true
    }

    /// The Bind, and what stands behind it in the inbox.
    private func sendUnit(_ message: BindMessage, _ name: String, _ rest: RestOfUnit) {
        backend.send {
            $0.writeBind(rewriting: message, statementName: name)
            $0.writeImmutableBuffer(bytes(of: rest))
        }
        take(rest)
        script.expect(.bind)
        if rest.describes { script.expect(.describePortal) }
        script.expect(.execute)
        script.expect(.sync)
        batch.needsSync = false
        work = .awaitingReady
    }

    /// Lets others behind the session on its backend where the plan is a quick one.
    private func lead(_ plan: CachedPlan) {
        beginTurn(plan)
        if plan.pace.isQuick, backend.pool.core.shareWait > 0 { backend.share(cost: plan.pace.cost) }
    }

    private func ride(_ backend: Backend, _ frame: ByteBuffer, _ rest: ByteBuffer?, _ plan: CachedPlan) {
        ride = Ride(backend: backend, frame: frame, rest: rest)
        takePart(on: backend, writes: false)
        beginTurn(plan)
        backend.join(self, cost: plan.pace.cost)
    }

    private func beginTurn(_ plan: CachedPlan) {
        unit.pacer = plan
        unit.turnBegan = loop.lately
    }

    // MARK: The ride

    /// The server comes to its statement now.
    func turnCame() {
        ride = nil
        unit.turnBegan = loop.lately
    }

    /// The statement is done elsewhere, from the client's own messages.
    func sentAway() {
        guard let ride else { return }
        endRide()
        ride.backend.pool.movedReads &+= 1
        unit.isAlone = true
        work = batch.isOpen ? .batch : .ready
        putBack([ride.frame] + (ride.rest.map { [$0] } ?? []))
        // Not at once: another session is in the middle of something, or this one in that of sending.
        loop.eventLoop.assumeIsolated().execute { self.pump() }
    }

    /// The client does not wait for the answer any more; false where the session rides nowhere.
    func leaveRide() -> Bool {
        guard let ride else { return false }
        ride.backend.line?.leave(self)
        endRide()
        return true
    }

    private func endRide() {
        ride = nil
        unit.pacer = nil
        participants.removeAll()
        script.reset()
    }

    /// Answers for the statement, of which nothing has been seen.
    func failRide(_ error: ServerError) {
        unit.outcome = .failed(error)
        answer { $0.writeErrorResponse(error) }
        answerReady(transaction.statusByte)
        finishUnit()
    }
}
