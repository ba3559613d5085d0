internal import NIOCore
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// While vnodes change their owner: statements for their tokens wait here, before anything of them has begun, and are planned anew when the hold has gone.
///
/// What may go on: for a while, reads outside of a transaction block; and whatever belongs to something that the session has under way on the old owner since before
/// the hold, for it must come to its end.
extension ClientSession {
    /// True: the statement waits, and `again` runs it from its plan on.
    func waits(for plan: CachedPlan, _ inputs: KeyInputs, _ again: @escaping () -> Void) -> Bool {
        guard let hold = hold(of: plan.route, plan, inputs) else { return false }
        wait(for: hold, bytes: inputs.bytes, again)
        return true
    }

    /// The same of an EXECUTE, whose arguments are the keys.
    func waits(for plan: CachedPlan?, keys: [KeySource], _ inputs: KeyInputs, _ again: @escaping () -> Void) -> Bool {
        guard database.isHolding, let plan else { return false }
        var route = plan.route
        if case .keyed = route { route = .keyed(keys) }
        guard let hold = hold(of: route, plan, inputs) else { return false }
        wait(for: hold, bytes: inputs.bytes, again)
        return true
    }

    /// The same of a portal that runs on several shards: it was bound, and has begun nothing.
    func waits(for target: Portal.Target, _ again: @escaping () -> Void) -> Bool {
        switch target {
        case .everyShard, .spread, .copy(.into): break
        case .gather, .explained: return waitsToRead(again)
        case .parts(let parts): if case .none = parts.rows { return waitsToRead(again) } else { return false }
        case .backend, .effect, .router, .copy, .cursor, .hinted, .explanation, .failing: return false
        }
        guard let hold = hold(where: { _ in true }) else { return false }
        // Its values are kept with the portal, held or not.
        wait(for: hold, bytes: 0, again)
        return true
    }

    private func waitsToRead(_ again: @escaping () -> Void) -> Bool {
        guard let hold = hold(where: concernsReads) else { return false }
        wait(for: hold, bytes: 0, again)
        return true
    }

    /// Of all shards.
    private func concernsReads(_ drain: HoldDrain) -> Bool { !transaction.isIdle || drain.isOld(at: loop.lately, limits) }

    private func hold(of route: Route, _ plan: CachedPlan, _ inputs: KeyInputs) -> HoldDrain? {
        let isLoneRead = plan.mayReadReplica && transaction.isIdle
        switch route {
        case .keyed(let sources):
            return hold { drain in (!isLoneRead || drain.isOld(at: loop.lately, limits)) && sources.contains { Self.touches(drain.record, $0, inputs) } }
        case .everyShard, .splitCopy, .broadcastCopy:
            return hold { _ in true }
        case .everyKey(let write):
            // It is refused while a job may have left rows on two shards, but for rows that are sent to whoever owns them.
            return refusalOfStrays == nil || write.sent?.followsOwners ?? false ? hold { _ in true } : nil
        case .anyShard, .homeShard, .currentShard:
            // With one shard nobody has looked for keys.
            return database.topology.shards.count > 1 ? nil : hold { !isLoneRead || $0.isOld(at: loop.lately, limits) }
        case .gatherCopy, .gatherRows, .explain: return hold(where: concernsReads)
        // Its keys' owners are looked for when they are known.
        case .keysFirst, .statements, .transaction, .session, .mosaic, .empty: return nil
        }
    }

    private func hold(where concerns: (HoldDrain) -> Bool) -> HoldDrain? {
        database.holds.drains.first { concerns($0) && !$0.isSpared(self) }
    }

    /// A key that cannot be read is told of where it is routed.
    private static func touches(_ hold: HoldRecord, _ source: KeySource, _ inputs: KeyInputs) -> Bool {
        switch try? inputs.tokens(source) {
        case .one(let token): hold.contains(token)
        case .many(let tokens): tokens.contains(where: hold.contains)
        case nil: false
        }
    }

    private func wait(for hold: HoldDrain, bytes: Int, _ again: @escaping () -> Void) {
        // Its other shards answer first; then the statement is looked at again.
        if scatter != nil { return leaveScatter(again) }
        guard database.holds.hasRoom(for: bytes) else { return failUnit(.tooMuchHeld) }
        let statement = HeldStatement(self, suspension: suspend(), since: loop.now, bytes: bytes, again)
        held = statement
        loop.metrics.holds.held &+= 1
        database.holds.wait(statement, in: database)
    }

    /// What its client has sent behind what is being worked on.
    var backlogBytes: Int { inbox.readableBytes }

    /// The hold has gone.
    func goOn(_ statement: HeldStatement) {
        guard take(statement) else { return }
        if scopeCache?.generation != database.generation { scopeCache = nil }
        statement.again()
        pump()
    }

    /// It has lasted too long.
    func giveUp(_ statement: HeldStatement) {
        guard take(statement) else { return }
        failUnit(.heldTooLong)
        pump()
    }

    private func take(_ statement: HeldStatement) -> Bool {
        if held === statement { held = nil }
        return resume(statement.suspension)
    }

    /// Its client asks for that. False: it does not wait for a hold.
    func cancelHeld() -> Bool {
        guard let held else { return false }
        database.holds.forget(held)
        guard take(held) else { return true }
        failUnit(.canceled)
        pump()
        return true
    }

    /// Its client has gone.
    func forgetHeld() {
        guard let held else { return }
        self.held = nil
        database.holds.forget(held)
    }

    /// Why a statement that finds rows of some keys on each of these shards is not run; nil: no two of them have the same row.
    func refusalOfStrays(on shards: [ShardID]) -> ServerError? {
        database.topology.job(moving: shards).map { .refusal(Refusal(.rowsMove, "job \($0)")) }
    }

    /// The same of one that finds the rows of all shards.
    var refusalOfStrays: ServerError? { database.topology.strayingJobs.first.map { .refusal(Refusal(.rowsMove, "job \($0)")) } }

    var mayMeetStrays: Bool { !database.topology.strayingJobs.isEmpty }

    /// The same when all shards have begun to read, the first of them at `moves`. A job brings rows to a shard only when this router serves an epoch that has the job
    /// (`CatalogEffects.awaitRouters`): what has begun everywhere by then sees none of them, nor misses any.
    func refusalOfStrays(since moves: UInt64) -> ServerError? {
        refusalOfStrays ?? refusalOfMoves(since: moves)
    }

    /// Owners, or what strays, have changed since then.
    func refusalOfMoves(since moves: UInt64) -> ServerError? {
        database.moves == moves ? nil : .refusal(Refusal(.rowsMove, "a job that has begun, ended, or changed owners meanwhile"))
    }

    // MARK: What is under way

    /// Ends an open transaction that takes part on one of the shards, so that their rows can move: it has no effect, and the client hears of it with what
    /// runs, or with its next statement. Nothing happens where it may be committed by now, or where the client has a part of a message: that ends by itself. Nor
    /// where the connection holds more of the session than the transaction (`Pin`).
    func endTransaction(on owners: [ShardID]) {
        guard !transaction.isIdle, !transaction.isFailed || work == .ready, !isCommitting, scatter == nil, pins.isEmpty, work == .ready || !mayTakeEffect
        else { return }
        let backends = participants.map(\.backend).filter { $0.pool.replica == nil && owners.contains($0.pool.shardID) }
        guard !backends.isEmpty, !backends.contains(where: \.isMidFrame) else { return }
        loop.metrics.holds.ended &+= 1
        for backend in backends {
            // A statement that waits for a lock does not notice that its connection has gone.
            if work != .ready { backend.pool.cancel(backend) }
            backend.cutOff(.transactionEndedForMove)
        }
    }

    /// Whether the session has begun something on one of these shards' primaries.
    func takesPart(on owners: [ShardID]) -> Bool {
        participants.contains { $0.backend.pool.replica == nil && owners.contains($0.backend.pool.shardID) }
    }

    /// Whether something that was begun may still write on one of the shards. Unknown counts as yes.
    func mayStillWrite(on owners: [ShardID]) -> Bool {
        if work == .closed { return false }
        if isCommitting { return true }
        // All that it has under way is an answer of all shards, for the client.
        if gather?.isForTheClient ?? false, transaction.isIdle, !participants.contains(where: \.wrote) { return false }
        let takesPart = takesPart(on: owners)
        switch work {
        case .suspended: return held == nil || takesPart
        case .awaitingReady: return takesPart && !isLoneRead
        case .ready, .batch, .copyIn, .closed: return takesPart
        }
    }

    /// All of a unit was sent, and it is over with its answers, without having written.
    private var isLoneRead: Bool {
        transaction.isIdle && !isCoordinated && !isInOwnBlock && list == nil && !participants.contains(where: \.wrote)
    }
}
