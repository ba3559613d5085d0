internal import Logging
internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel
internal import Synchronization

/// A backend that a session keeps beyond its transactions, for it holds what cannot be carried to another one.
struct Pin {
    let backend: Backend
    var kept: Set<SessionTraces.Kept>
    /// It has no end but DISCARD ALL.
    var keepsState: Bool { kept.contains(.sessionState) }
    /// Names and settings may mean something in it that the router does not know of.
    var isHidden: Bool { kept.contains(where: \.isHidden) }
    /// What is hidden in it was made when the database had one shard, and nobody has looked at it.
    var isOfSingleShard = false
    /// Nothing of an earlier client's is in it.
    var isClean = false
    /// It is kept for what is drawn in it, and what an earlier client has drawn is still to be forgotten.
    var hasStaleSequences = false
    /// Something ran since the backend was last asked what it holds.
    var isDoubtful = true
    /// The session's place among those that may keep one.
    let permit: PinPermit
}

/// Statements that leave something behind in a server session: LISTEN, session advisory locks, cursors WITH HOLD, temporary tables.
///
/// Whether a backend must be kept is not worked out from statements, which may fail, be rolled back, or count (a lock is taken twice): behind each such
/// statement, once no transaction is open, the backend itself is asked what it holds.
extension ClientSession {
    /// Bytes of notifications that wait for the end of a unit.
    private static var notificationBytesMax: Int { 1 << 20 }

    func pinned(on pool: BackendPool) -> Backend? { pins.first { $0.backend.pool === pool }?.backend }

    /// A backend that was borrowed for an exchange.
    func giveBack(_ backend: Backend) {
        if !isPinned(backend) { backend.pool.release(backend) }
    }

    func isPinned(_ backend: Backend) -> Bool { !pins.isEmpty && pins.contains { $0.backend === backend } }

    // MARK: Statements that leave traces

    /// The simple protocol's.
    func runTraced(_ frame: ByteBuffer, _ plan: CachedPlan, _ inputs: KeyInputs) {
        do throws(ServerError) {
            let (pool, role) = try target(of: plan, inputs)
            unit.shard = pool
            reach(pool, role, writes: plan.writes) { [self] in
                if let error = note(plan) { return failUnit(error) }
                withCleanState(plan) { [self] in
                    if plan.value.traces.changesTemporary {
                        pendingEffects.append(.temporary)
                        script.expectMarked(.query)
                    } else {
                        script.expect(.query)
                    }
                    backend.send(frame)
                    work = .awaitingReady
                }
            }
        } catch {
            failUnit(error)
        }
    }

    /// The extended protocol's: a Bind.
    func bindTraced(_ plan: CachedPlan, _ inputs: KeyInputs, _ send: @escaping () -> Void) {
        do throws(ServerError) {
            let (pool, role) = try target(of: plan, inputs)
            unit.shard = pool
            reach(pool, role, writes: plan.writes) { [self] in
                if let error = note(plan) { return failBatch(error) }
                withCleanState(plan, send)
            }
        } catch {
            failBatch(error)
        }
    }

    private func target(of plan: CachedPlan, _ inputs: KeyInputs) throws(ServerError) -> (BackendPool, Role) {
        switch plan.value.cursor {
        case .use(let name), .close(let name): return (pool(ofCursor: name), .passing)
        case .closeAll:
            let pools = (Array(cursors.values) + Array(heldCursors.values))
            guard let first = pools.first else { return (poolOfCurrentShard(), .passing) }
            guard pools.allSatisfy({ $0 === first }) else { throw .refusal(Refusal(.manyShards, "CLOSE ALL")) }
            return (first, .passing)
        case .declare, nil: break
        }
        switch plan.route {
        case .keyed(let sources):
            if let wanted = inputs.missingParameter(in: sources) { throw .parameterCount(wanted - 1, wanted: wanted) }
            do throws(KeyProblem) { return (try pool(for: sources, plan, inputs), .bound) } catch { throw error.error }
        case .anyShard: return (poolOfDrawn(plan) ?? poolForReading(), .reader)
        case .homeShard: return (database.home, plan.writes ? .bound : .reader)
        default: return (poolOfDrawn(plan) ?? poolOfCurrentShard(), .passing)
        }
    }

    /// The shard that a cursor lives on, so far as the session knows.
    func pool(ofCursor name: String) -> BackendPool { cursors[name] ?? heldCursors[name] ?? poolOfCurrentShard() }

    /// The speaker is about to run a statement that leaves traces. Returns why it may not.
    func note(_ plan: CachedPlan) -> ServerError? {
        let traces = plan.value.traces
        let backend = backend
        if traces.preventsPrepare {
            // One participant commits without being prepared, so one may have run such a statement.
            guard !participants.contains(where: { $0.cannotPrepare && $0.backend !== backend }) else { return .refusal(Refusal(.cannotPrepare)) }
            participants[speaker].cannotPrepare = true
        }
        if variables.keepsSequences, let error = noteSequences(plan) { return error }
        let index = pins.firstIndex { $0.backend === backend }
        if traces.readsSessionState, traces.keeps != .sessionState, index.map({ pins[$0].keepsState }) != true {
            return .refusal(Refusal(.sessionFunction, "currval() or lastval()"))
        }
        if let kept = traces.keeps {
            if let index {
                pins[index].kept.insert(kept)
                if kept != .sessionState { pins[index].isDoubtful = true }
            } else {
                guard let permit = loop.shared.pins.admit() else { return .tooManyPinned }
                pins.append(Pin(backend: backend, kept: [kept], isDoubtful: kept != .sessionState, permit: permit))
            }
            if kept.isHidden, database.topology.shards.count == 1 { pins[index ?? pins.count - 1].isOfSingleShard = true }
        } else if traces.releases, let index {
            pins[index].isDoubtful = true
        }
        switch plan.value.cursor {
        case .declare(let name, let holds):
            if let other = cursors[name] ?? heldCursors[name], other !== backend.pool { return .duplicatePortal(name) }
            guard cursors.count + heldCursors.count < limits.portalsMax else { return .tooManyPortals }
            cursors[name] = backend.pool
            if holds { heldCursors[name] = backend.pool }
        case .close(let name):
            cursors[name] = nil
            if let index { pins[index].isDoubtful = true }
        case .closeAll:
            cursors.removeAll()
            if let index { pins[index].isDoubtful = true }
        case .use, nil: break
        }
        return nil
    }

    /// A server session that is kept for its state must have none of an earlier client's: what the others leave is undone or known, but not which
    /// sequences they have used. Called behind `note`; goes on with `then` when the server session has said that it has forgotten them.
    func withCleanState(_ plan: CachedPlan, _ then: @escaping () -> Void) {
        guard let index = pins.firstIndex(where: { $0.backend === backend }),
            pins[index].hasStaleSequences || plan.value.traces.keeps == .sessionState && !pins[index].isClean
        else { return then() }
        drainInTransaction { [self] in clean(then) }
    }

    private func clean(_ then: @escaping () -> Void) {
        runAlone(on: speaker, ["DISCARD SEQUENCES"]) { [self] in
            if let index = pins.firstIndex(where: { $0.backend === self.backend }) {
                pins[index].isClean = true
                pins[index].hasStaleSequences = false
            }
            then()
        }
    }

    /// Whether names and settings may mean something that only the primary's server session knows of.
    var hasHiddenState: Bool { !pins.isEmpty && pins.contains(where: \.isHidden) }

    /// Whether the session had to end: it keeps state of the one shard that its database had, and the database has several now. What its code has left
    /// there nobody knows, and its temporary tables may be made of rows that are another shard's next.
    func endsForSecondShard() -> Bool {
        guard database.topology.shards.count > 1, pins.contains(where: { $0.isHidden && $0.isOfSingleShard }) else { return false }
        fatal(.stateOfSingleShard)
        return true
    }

    /// A statement ran that may have dropped temporary objects.
    func doubtTemporaryObjects() {
        for index in pins.indices where pins[index].kept.contains(.temporary) { pins[index].isDoubtful = true }
        doubtTemporaryNames()
    }

    // MARK: Unpinning

    /// No transaction is open: asks those backends that may have nothing to keep any more.
    func settlePins() {
        guard let pin = pins.first(where: \.isDoubtful) else { return }
        let backend = pin.backend
        let questions = [SessionTraces.question] + (pin.kept.contains(.temporary) && !pin.isOfSingleShard ? SchemaQueries.temporary : [])
        let suspension = suspend()
        let exchange = Exchange(.simpleQuery, readies: questions.count, bytesMax: Self.temporaryBytesMax) { [self] exchange, result in
            guard resume(suspension) else { return }
            let answers = exchange.error == nil && !exchange.isTooLarge ? exchange.textResults : []
            settle(backend, answers.first)
            if answers.count == questions.count, questions.count > 1 { install(temporary: Array(answers.dropFirst())) }
            if pins.contains(where: \.isDoubtful) { return settlePins() }
            deliverNotifications()
            flushClient()
            closeIfDrained()
            pump()
        }
        backend.run(exchange) { buffer in
            for question in questions { buffer.writeQuery(question) }
        }
    }

    /// `held`: what the backend says that it holds; nil where it could not be asked, and so keeps what it may have.
    private func settle(_ backend: Backend, _ held: [[String?]]?) {
        guard let index = pins.firstIndex(where: { $0.backend === backend }) else { return }
        pins[index].isDoubtful = false
        guard let held else { return }
        // Of that the server cannot tell.
        let state = pins[index].kept.intersection([.sessionState, .sequences])
        pins[index].kept = state.union(held.compactMap { $0.first.flatMap { $0 }.flatMap(SessionTraces.Kept.init(rawValue:)) })
        let names = Set(held.filter { $0.first == SessionTraces.Kept.heldCursor.rawValue }.compactMap { $0.last ?? nil })
        heldCursors = heldCursors.filter { $0.value !== backend.pool || names.contains($0.key) }
        for name in names { heldCursors[name] = backend.pool }
        guard pins[index].kept.isEmpty else { return }
        pins.remove(at: index)
        letGo(of: backend)
    }

    /// Nothing is kept in it any more, and it takes no part in anything.
    func letGo(of backend: Backend) {
        backend.takeBack()
        backend.pool.release(backend, isReusable: backend.status == TransactionState.Phase.idle.rawValue)
    }

    /// No transaction is open: a kept server session that says otherwise would swallow what comes later. It does not come about; if it does, the session ends.
    func endStrayBlocks() {
        for pin in pins where pin.backend.status != TransactionState.Phase.idle.rawValue && !pin.backend.hasExchange {
            loop.logger.error("A kept server session is in a transaction that its client's session has not begun", metadata: ["shard": "\(pin.backend.pool.shardID)"])
            pin.backend.close()
        }
    }

    /// DISCARD ALL, or the session's end: what is kept goes with the server sessions.
    func dropPins() {
        let dropped = pins
        pins.removeAll()
        heldCursors.removeAll()
        forgetTemporary()
        notifications.removeAll()
        for pin in dropped {
            if holdsDrawnOnly(pin) {
                letGo(of: pin.backend)
                continue
            }
            pin.backend.takeBack()
            if pin.backend.hasExchange || pin.backend.status != TransactionState.Phase.idle.rawValue || isBusy(pin.backend) {
                // It may be running something, and would only see that the connection is gone when it answers.
                pin.backend.pool.cancel(pin.backend)
            }
            pin.backend.close()
        }
    }

    private func isBusy(_ backend: Backend) -> Bool {
        participants.indices.contains(speaker) && participants[speaker].backend === backend && (!script.isEmpty || batch.needsSync)
    }

    /// A backend that was kept is gone, and with it what the client relies on: the session ends, as it would with PostgreSQL.
    func pinnedBackendLost(_ backend: Backend, mayHaveRun: Bool) {
        pins.removeAll { $0.backend === backend }
        fatal(.pinLost(backend.pool.shardID, mayHaveRun: mayHaveRun, farewell: backend.farewell))
    }

    // MARK: Messages of a backend that nothing was asked of

    /// Whether the session has the backend, but its answers are not those that are on their way to the client.
    func isAside(_ backend: Backend) -> Bool {
        guard !pins.isEmpty || participants.count > 1 else { return false }
        // Those whose turn has not come are not read.
        if scatter != nil { return false }
        if participants.isEmpty { return isPinned(backend) }
        return participants[speaker].backend !== backend
    }

    /// What a backend says that was not asked. An answer from it is a fault of the server's, and must not reach the client as another shard's.
    func receivedAside(_ frame: Frame, from backend: Backend) {
        switch frame.kind {
        case BackendKind.notificationResponse, BackendKind.parameterStatus, BackendKind.noticeResponse:
            var message = ByteBuffer()
            message.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
            notified(message, by: backend)
        case BackendKind.errorResponse:
            let error = try? ServerError(body: frame.body)
            backend.farewell = error.map { "\($0.sqlState.code) \($0.message)" }
            backend.close()
        default:
            backend.close()
        }
    }

    /// A NotificationResponse of a backend that is lent to the session. Between two units it is passed on at once; inside of one it waits for
    /// the end, for another shard's answer may be on its way to the client.
    func notified(_ message: ByteBuffer, by backend: Backend) {
        // Of a backend that is not kept it is another client's, which listened there before.
        guard isPinned(backend), work != .closed else { return }
        guard work != .ready else {
            forward(message)
            return flushClient()
        }
        notifications.append(message)
        notificationBytes += message.readableBytes
        // An exchange of the router's own must end.
        if notificationBytes > Self.notificationBytesMax, !backend.hasExchange { backend.setReading(false) }
    }

    /// The unit's answer is complete.
    func deliverNotifications() {
        guard !notifications.isEmpty else { return }
        for message in notifications { forward(message) }
        notifications.removeAll()
        notificationBytes = 0
        if isClientWritable { for pin in pins { pin.backend.setReading(true) } }
    }
}

/// How many sessions may keep a backend, over all loops.
final class PinBudget: Sendable {
    private let places: Mutex<(max: Int, taken: Int)>

    init(max: Int) { places = Mutex((max, 0)) }

    func change(max: Int) { places.withLock { $0.max = max } }

    /// nil: the limit is reached.
    func admit() -> PinPermit? {
        places.withLock { places in
            guard places.taken < places.max else { return nil }
            places.taken += 1
            return PinPermit(self)
        }
    }

    fileprivate func release() { places.withLock { $0.taken -= 1 } }
}

/// A place, given back when the last reference goes.
final class PinPermit: Sendable {
    private let budget: PinBudget
    fileprivate init(_ budget: PinBudget) { self.budget = budget }
    deinit { budget.release() }
}
