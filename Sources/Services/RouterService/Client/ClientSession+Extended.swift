internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// The extended query protocol.
///
/// A Parse waits until a Bind says which shard it is for; statements that some backend has already accepted are answered by the router
/// and reach other backends silently, under the router's own names.
extension ClientSession {
    func beginBatch() {
        beginUnit()
        batch.isOpen = true
        work = .batch
    }

    // MARK: Parse

    func parse(_ frame: ByteBuffer, _ body: ByteBuffer) throws(WireError) {
        let message = try ParseMessage(body: body)
        let name = message.name.nameKey
        guard statements.count < limits.preparedStatementsMax else { return failBatch(.tooManyStatements) }
        parse(frame, message, name, mayReload: true)
    }

    private func parse(_ frame: ByteBuffer, _ message: ParseMessage, _ name: String, mayReload: Bool) {
        if isTemporaryDoubtful, !transaction.isFailed { return readTemporary { [self] in parse(frame, message, name, mayReload: mayReload) } }
        guard let scope else { return failBatch(.schemaUnknown(database.name)) }
        let statement = scope.statement(message, hinted: variables.shardKey != nil)
        guard let plan = statement.planned.plan else {
            if mayReload, statement.planned.isCuredByReload, !transaction.isFailed {
                return reloadSchema { [self] in parse(frame, message, name, mayReload: false) }
            }
            // Bind says why it is not run.
            if !transaction.isFailed, statement.planned.isDescribable || hint(for: statement.planned) != nil { return accept(statement, frame, name) }
            return failParse(name, statement.planned.error(inFailedTransaction: transaction.isFailed))
        }
        if transaction.isFailed, !plan.leavesFailedTransaction, !plan.isEmpty { return failParse(name, .failedTransaction) }
        if plan.lacksSchema, mayReload, looksForNames(of: plan) { return reloadSchema { [self] in parse(frame, message, name, mayReload: false) } }
        accept(statement, frame, name)
    }

    private func accept(_ statement: Statement, _ frame: ByteBuffer, _ name: String) {
        if !name.isEmpty, statements[name] != nil { return failBatch(.duplicateStatement(name)) }
        let needsShard = statement.planned.plan?.needsShard ?? true
        // Under a name it may be used long after, so what it gives must be known; and a session changes its own temporary tables at any time.
        let isKnown = statement.isValidated && (name.isEmpty && !mayBeTemporary(statement) || statement.result != nil) || !needsShard
        let isTemporary = !isKnown && usesTemporary(statement)
        if isTemporary, !isAtHome { return reach(database.home, .passing, writes: false) { [self] in accept(statement, frame, name) } }
        define(name, statement)
        unit.positionShift = 0
        if isKnown {
            answerInTurn(as: .parse) { $0.writeParseComplete() }
        } else if batch.needsSync || isTemporary {
            sendHeld()
            sendParse(statement, frame, isUnnamed: name.isEmpty)
        } else {
            batch.held.append(.parse(statement, frame: frame, isUnnamed: name.isEmpty))
            batch.heldBytes += frame.readableBytes
        }
    }

    /// What waits in the batch stays bounded, however long the client puts off its Sync: held messages are sent on, and answers waited for.
    func boundBatch() {
        guard work == .batch, !batch.isSkipping else { return }
        if batch.held.count >= limits.heldMax || batch.heldBytes >= limits.heldBytesMax {
            prepareHeld {}
        } else if script.count >= limits.unansweredMax {
            awaitAnswers()
        }
    }

    /// The unnamed statement is gone even when nothing takes its place.
    private func failParse(_ name: String, _ error: ServerError) {
        if name.isEmpty { unnamedStatement = nil }
        failBatch(error)
    }

    func define(_ name: String, _ statement: Statement?) {
        // What has been answered cannot be undone any more.
        if script.isEmpty, batch.held.isEmpty { batch.definitions.removeAll(keepingCapacity: true) }
        if name.isEmpty {
            batch.definitions.append((name, unnamedStatement))
            unnamedStatement = statement
        } else {
            batch.definitions.append((name, statements[name]))
            statements[name] = statement
        }
    }

    /// An answer of the router's own, behind those that are still to come.
    func answerInTurn(as expectation: ResponseScript.Expectation, _ build: (inout ByteBuffer) -> Void) {
        if script.isEmpty, batch.held.isEmpty { return answer(build) }
        var bytes = ByteBuffer()
        build(&bytes)
        if batch.held.isEmpty { script.emit(bytes, as: expectation) } else { batch.held.append(.answer(bytes, as: expectation)) }
    }

    // MARK: Towards the backend

    /// Precondition: there is a participant.
    var backend: Backend { participants[speaker].backend }

    private func sendParse(_ statement: Statement, _ frame: ByteBuffer, isUnnamed: Bool) {
        if isUnnamed, statement.uses == 1, !mayBeTemporary(statement) {
            // Perhaps its only use: no name is spent on it.
            backend.send(frame)
            batch.rawUnnamed = statement
        } else {
            let slot = loop.slot(of: statement)
            let isKnown = backend.prepared.contains(slot)
            if isKnown {
                answerInTurn(as: .parse) { $0.writeParseComplete() }
            } else {
                closeDisplaced(by: slot)
                backend.send { $0.writeParse(rewriting: statement.parse, name: slot.serverName) }
                backend.prepared.add(slot)
                script.expect(.parse)
            }
            if !isUnnamed || mayBeTemporary(statement), statement.result == nil { sendCapture(statement, slot.serverName) }
            if isKnown { return }
            batch.needsSync = true
            batch.unvalidated.append(statement)
            return
        }
        script.expect(.parse)
        batch.needsSync = true
        batch.unvalidated.append(statement)
    }

    /// Makes sure that the speaker knows the statement, without the client's seeing it. Returns its name there.
    func ensurePrepared(_ statement: Statement) -> String {
        let slot = loop.slot(of: statement)
        if !backend.prepared.contains(slot) {
            closeDisplaced(by: slot)
            backend.send { $0.writeParse(rewriting: statement.parse, name: slot.serverName) }
            script.swallow(.parse)
            backend.prepared.add(slot)
            batch.needsSync = true
        }
        return slot.serverName
    }

    private func closeDisplaced(by slot: StatementSlot) {
        guard let old = backend.prepared.displaced(by: slot) else { return }
        backend.send { $0.writeClose(.statement, name: StatementSlot(index: slot.index, incarnation: old).serverName) }
        script.swallow(.close)
    }

    /// Sends what waited for a shard to be chosen.
    func sendHeld() {
        guard !batch.held.isEmpty else { return }
        let held = batch.held
        batch.held.removeAll(keepingCapacity: true)
        batch.heldBytes = 0
        batch.isPreparing = false
        for message in held {
            switch message {
            case .parse(let statement, let frame, let isUnnamed): sendParse(statement, frame, isUnnamed: isUnnamed)
            case .describe(let statement): sendDescribe(statement)
            case .answer(let bytes, let expectation): answerInTurn(as: expectation) { $0.writeImmutableBuffer(bytes) }
            case .prepare(let statement):
                let name = ensurePrepared(statement)
                if statement.result == nil { sendCapture(statement, name) }
                batch.unvalidated.append(statement)
            case .capture(let statement): sendCapture(statement, ensurePrepared(statement))
            case .describeExecution(let statement, let execute, let tail): sendDescribeExecution(statement, execute, tail)
            }
        }
    }

    func sendDescribe(_ statement: Statement) {
        let name = batch.rawUnnamed === statement ? "" : ensurePrepared(statement)
        backend.send { $0.writeDescribe(.statement, name: name) }
        script.expect(.describeStatement)
        batch.needsSync = true
    }

    // MARK: Bind

    func bind(_ frame: ByteBuffer, _ body: ByteBuffer) throws(WireError) {
        let message = try BindMessage(body: body)
        guard portals.count < limits.portalsMax else { return failBatch(.tooManyPortals) }
        bind(frame, message, mayReload: true)
    }

    private func bind(_ frame: ByteBuffer, _ message: BindMessage, mayReload: Bool) {
        if isTemporaryDoubtful, !transaction.isFailed { return readTemporary { [self] in bind(frame, message, mayReload: mayReload) } }
        let name = message.hasNamedStatement ? message.statement.nameKey : ""
        guard var statement = name.isEmpty ? unnamedStatement : statements[name] else {
            return failBatch(.unknownStatement(name))
        }
        guard let scope else { return failBatch(.schemaUnknown(database.name)) }
        if scatter != nil, !isScattered(statement, in: scope) { return leaveScatter { [self] in bind(frame, message, mayReload: mayReload) } }
        if statement.scopeID != scope.id {
            // The schema, the placements or the settings have changed since it was parsed.
            switch renewal(of: statement, in: scope) {
            case .usable(let renewed): statement = renewed
            case .changed: return failBatch(.planChanged)
            case .unknown(let renewed):
                guard !transaction.isFailed else { return failBatch(.failedTransaction) }
                return captureResult(of: renewed) { [self] in
                    if adopt(renewed, as: name) { bind(frame, message, mayReload: mayReload) } else { failBatch(.planChanged) }
                }
            }
            if name.isEmpty { unnamedStatement = statement } else { statements[name] = statement }
        }
        bind(frame, message, statement, mayReload: mayReload)
    }

    private func bindAgain(_ frame: ByteBuffer, _ message: BindMessage, _ made: ByteBuffer?, mayReload: Bool) {
        if let made { bindMade(made, frame) } else { bind(frame, message, mayReload: mayReload) }
    }

    /// - made: the Parse of a statement that the router has made of the client's, which has been taken down already.
    func bind(_ frame: ByteBuffer, _ message: BindMessage, _ statement: Statement, mayReload: Bool, made: ByteBuffer? = nil) {
        guard let plan = statement.planned.plan else {
            if mayReload, statement.planned.isCuredByReload, !transaction.isFailed {
                return reloadSchema { [self] in bindAgain(frame, message, made, mayReload: false) }
            }
            batch.hasOnlyRead = false
            if !transaction.isFailed, let key = hint(for: statement.planned) { return bindHinted(message, statement, key) }
            return failBatch(statement.planned.error(inFailedTransaction: transaction.isFailed))
        }
        unit.kind = plan.kind
        if transaction.isFailed, !plan.leavesFailedTransaction { return failBatch(.failedTransaction) }
        let inputs = KeyInputs(bind: message, parameterTypes: statement.parameterTypes)
        if variables.explains, plan.isExplainable {
            do { return bindHere(message, statement, .explanation(try explanation(plan, inputs))) } catch { return failBatch(error) }
        }
        if database.isHolding, waits(for: plan, inputs, { [self] in bindAgain(frame, message, made, mayReload: mayReload) }) { return }
        if plan.writes {
            replicas.mayHaveWritten = true
            if loop.auditsWrites, made == nil { do { try auditWrite(statement.parse.query, plan) } catch { return failBatch(error) } }
        }
        if !plan.mayReadReplica || plan.isTraced { batch.hasOnlyRead = false }
        if database.hasReplicas {
            switch replicaStep(plan, inputs, frame, isPortalNamed: message.hasNamedPortal) {
            case .usual: break
            case .read(let pool): return send(frame, message, statement, pool, .reader, writes: false)
            case .leave: return leaveReplica { [self] in bindAgain(frame, message, made, mayReload: mayReload) }
            }
        }
        if plan.requiresBlock, transaction.isIdle { return bindHere(message, statement, .failing(.noTransaction("LOCK TABLE"))) }
        if plan.value.cursor != nil, let step = cursorStep(plan) { return bind(step, message, statement) }
        if plan.isTraced, !drawsOnSeveral(plan, inputs) {
            if transaction.isIdle, case .declare(_, holds: false) = plan.value.cursor {
                // The shard may be in a block of the router's own.
                return bindHere(message, statement, .failing(.noTransaction("DECLARE CURSOR")))
            }
            let effect = plan.value.traces.changesTemporary ? Effect.temporary : nil
            return bindTraced(plan, inputs) { [self] in sendBind(frame, message, statement, effect) }
        }
        switch plan.route {
        case .keyed(let sources):
            if let wanted = inputs.missingParameter(in: sources) { return failBatch(.parameterCount(message.parameterCount, wanted: wanted)) }
            do throws(KeyProblem) {
                let pool = try pool(for: sources, plan, inputs)
                if needsMoment(plan, at: pool) { return bindBehindHeld(message, statement, .spread(try workWithMoment(pool, .execution(statement, message)))) }
                if sendRead(frame, message, statement, plan, pool) { return }
                send(frame, message, statement, pool, .bound, writes: plan.writes)
            } catch { bindSpread(message, statement, sources, plan, inputs, error) }
        case .anyShard:
            send(frame, message, statement, poolForReading(), .reader, writes: false)
        case .homeShard:
            send(frame, message, statement, database.home, plan.writes ? .bound : .reader, writes: plan.writes)
        case .currentShard:
            send(frame, message, statement, poolOfCurrentShard(for: plan), .passing, writes: plan.writes)
        case .everyShard(let everyShard):
            if let error = inputs.clockText(in: everyShard.clockParameters) { return failBatch(error) }
            bindBehindHeld(message, statement, .everyShard(everyShard, message))
        case .splitCopy(let split): bindCopy(message, statement, .into(.split(split)))
        case .broadcastCopy(let broadcast): bindCopy(message, statement, .into(.broadcast(broadcast)))
        case .gatherCopy(let gather): bindCopy(message, statement, .out(gather))
        case .gatherRows(let gather): bindGather(gather, message, statement, inputs)
        case .everyKey(let write): bindEverywhere(write, message, statement, inputs)
        case .keysFirst(let first): bindInsert(first, message, statement)
        case .explain(let explain): bindExplain(explain, message, statement, inputs)
        case .statements:
            failBatch(.refusal(Refusal(.statementList)))
        case .transaction(let transactionStatement):
            if let effect = effectOnSpeaker(of: transactionStatement) {
                send(frame, message, statement, poolOfCurrentShard(), .passing, writes: false, effect)
            } else {
                bindHere(message, statement, .router)
            }
        case .session(.execute(let execute)):
            bindExecution(message, statement, execute)
        case .session(let sessionStatement):
            switch sessionStep(sessionStatement, statement.parse.query, message) {
            case .forward(let effect):
                send(frame, message, statement, pool(ofSession: sessionStatement), .passing, writes: false, effect)
            case .here: bindHere(message, statement, .router)
            case .refuse(let error): bindHere(message, statement, .failing(error))
            }
        case .mosaic, .empty:
            bindHere(message, statement, .router)
        }
    }

    func send(
        _ frame: ByteBuffer, _ message: BindMessage, _ statement: Statement, _ pool: BackendPool, _ role: Role, writes: Bool,
        _ effect: Effect? = nil
    ) {
        unit.shard = pool
        if participants.isEmpty, transaction.isIdle, effect == nil, pins.isEmpty, borrowIdle(of: pool, writes: writes) {
            return sendBind(frame, message, statement, nil)
        }
        if scatter != nil || mayScatter(to: pool) { return sendScattered(frame, message, statement, pool) }
        reach(pool, role, writes: writes) { [self] in sendBind(frame, message, statement, effect) }
    }

    func sendBind(_ frame: ByteBuffer, _ message: BindMessage, _ statement: Statement, _ effect: Effect?) {
        if message.hasNamedPortal, let known = portal(message.portal), known.owner !== backend {
            return failBatch(.duplicatePortal(String(buffer: message.portal)))
        }
        sendHeld()
        // Statements of the same text are one object here: a named one of it is not the unnamed one that the shard got.
        if batch.rawUnnamed === statement, !message.hasNamedStatement {
            backend.send(frame)
        } else {
            let name = ensurePrepared(statement)
            backend.send { $0.writeBind(rewriting: message, statementName: name) }
        }
        script.expect(.bind)
        batch.needsSync = true
        setPortal(message, Portal(statement: statement, target: effect.map { .effect(backend, $0) } ?? .backend(backend)))
    }

    /// A portal that only the router knows.
    func bindHere(_ message: BindMessage, _ statement: Statement, _ target: Portal.Target) {
        if case .router = target, message.parameterCount > 0 { return failBatch(.parameterCount(message.parameterCount, wanted: 0)) }
        if isTaken(message) { return failBatch(.duplicatePortal(String(buffer: message.portal))) }
        setPortal(message, Portal(statement: statement, target: target))
        answerInTurn(as: .bind) { $0.writeBindComplete() }
    }

    func setPortal(_ message: BindMessage, _ portal: Portal) {
        var portal = portal
        portal.madeAfter = transaction.historyCount
        guard message.hasNamedPortal else {
            noteBind("", unnamedPortal)
            return unnamedPortal = portal
        }
        let name = message.portal.nameKey
        noteBind(name, portals[name])
        portals[name] = portal
    }

    /// An error may make the shard skip the Bind, or the router itself.
    private func noteBind(_ name: String, _ previous: Portal?) {
        guard !transaction.isIdle else { return }
        if script.isEmpty, batch.held.isEmpty { batch.binds.removeAll(keepingCapacity: true) }
        batch.binds.append((name, previous))
    }

    func isTaken(_ message: BindMessage) -> Bool { message.hasNamedPortal && portal(message.portal) != nil }

    func portal(_ name: ByteBuffer) -> Portal? {
        name.readableBytes == 0 ? unnamedPortal : portals[name.nameKey]
    }

    // MARK: Execute

    func execute(_ frame: ByteBuffer, _ body: ByteBuffer) throws(WireError) {
        let message = try ExecuteMessage(body: body)
        if variables.keepsSequences, let error = noteExecution(of: portal(message.portal)) { return failBatch(error) }
        if pass(frame, to: message.portal, expecting: .execute) {
            batch.isPipelining = true
            return
        }
        guard let portal = portal(message.portal) else { return passToCursor(message.portal, frame, .execute) }
        if scatter != nil, portal.owner == nil { return leaveScatter { [self] in extended(FrontendKind.execute, frame) } }
        if database.isHolding, waits(for: portal.target, { [self] in extended(FrontendKind.execute, frame) }) { return }
        if !portal.statement.endsPipeline { batch.isPipelining = true }
        switch portal.target {
        case .backend(let owner):
            speak(as: owner, portal: message.portal) { [self] in passOn(frame, .execute) }
        case .effect where isOutdated(portal):
            guard useUp(portal, message.portal) else { return }
            executeHere(portal.statement)
        case .effect(let owner, let effect):
            speak(as: owner, portal: message.portal) { [self] in
                backend.send(frame)
                batch.needsSync = true
                pendingEffects.append(effect)
                script.expectMarked(.execute)
                if !isSyncNext { awaitAnswers() }
            }
        case .router:
            guard useUp(portal, message.portal) else { return }
            if let effect = effectOnSpeaker(ofPortal: portal) { executeOnSpeaker(portal.statement, effect) } else { executeHere(portal.statement) }
        case .explanation(let row):
            answerInTurn(as: .execute) {
                $0.writeDataRow(text: row)
                $0.writeCommandComplete(tag: "EXPLAIN")
            }
        case .failing(let error):
            failBatch(transaction.isFailed ? .failedTransaction : error)
        case .everyShard(let everyShard, let bind):
            guard useUp(portal, message.portal) else { return }
            executeEverywhere(everyShard, portal.statement, bind)
        case .spread(let work):
            guard useUp(portal, message.portal) else { return }
            execute(work, of: portal.statement, rowsMax: message.rowsMax)
        case .copy(let work):
            guard useUp(portal, message.portal) else { return }
            executeCopy(work, text: portal.statement.parse.query)
        case .gather(let plan, let bind): executeGather(plan, portal, bind, message)
        case .explained(let plan, let bind): executeExplain(plan, portal, bind, message)
        case .parts(let parts): executeParts(parts, rowsMax: message.rowsMax)
        case .cursor(let step):
            guard useUp(portal, message.portal) else { return }
            afterAnswers { [self] in run(step) }
        case .hinted(let work):
            if portal.isUsedUp, !transaction.isFailed { return failBatch(.refusal(Refusal(.hint, "the rest of a portal's rows"))) }
            guard useUp(portal, message.portal) else { return }
            execute(work, frame)
        }
    }

    /// BEGIN and its like were bound when no shard had a part in the pipeline yet; by now one has, and its transaction is the pipeline's.
    private func effectOnSpeaker(ofPortal portal: Portal) -> Effect? {
        guard transaction.isIdle, case .transaction(let statement)? = portal.statement.planned.plan?.route else { return nil }
        return effectOnSpeaker(of: statement)
    }

    /// COMMIT or its like, bound on the one shard that the transaction had; by now it has another.
    private func isOutdated(_ portal: Portal) -> Bool {
        guard participants.count != 1, case .transaction? = portal.statement.planned.plan?.route else { return false }
        return true
    }

    private func executeOnSpeaker(_ statement: Statement, _ effect: Effect) {
        let portal = "pgmosaic_step"
        backend.send { buffer in
            buffer.writeParse(rewriting: statement.parse, name: "")
            buffer.writeBind(portal: portal, statement: "", parameters: [])
            buffer.writeExecute(portal: portal)
            buffer.writeClose(.portal, name: portal)
        }
        for step in [ResponseScript.Expectation.parse, .bind] { script.swallow(step) }
        pendingEffects.append(effect)
        script.expectMarked(.execute)
        script.swallow(.close)
        batch.rawUnnamed = nil
        if !isSyncNext { awaitAnswers() }
    }

    /// A portal of a statement that returns no rows, or all of them at once, runs once.
    func useUp(_ portal: Portal, _ name: ByteBuffer) -> Bool {
        if portal.isUsedUp {
            guard !transaction.isFailed else {
                failBatch(.failedTransaction)
                return false
            }
            failBatch(.portalUsedUp(String(buffer: name)))
            return false
        }
        if name.readableBytes == 0 { unnamedPortal?.isUsedUp = true } else { portals[name.nameKey]?.isUsedUp = true }
        return true
    }

    /// Stops until the backend has answered everything: what follows depends on it.
    func awaitAnswers() {
        guard !script.isEmpty else { return }
        askForAnswers()
        suspend()
        onDrained = { [self] in
            guard resume() else { return }
            pump()
        }
    }

    private func askForAnswers() {
        if let scatter { return ask(scatter) }
        backend.send { $0.writeFlush() }
        backend.flush()
    }

    /// Calls `step` when everything before it has been answered without an error.
    func afterAnswers(_ step: @escaping () -> Void) {
        guard batch.held.isEmpty else {
            return prepareHeld { [self] in
                if !batch.isSkipping { afterAnswers(step) }
            }
        }
        guard !script.isEmpty else { return step() }
        askForAnswers()
        suspend()
        onDrained = { [self] in
            guard resume() else { return }
            if !batch.isSkipping { step() }
            pump()
        }
    }

    /// Whether the client's next message is a Sync, so that waiting can be left to it.
    private var isSyncNext: Bool { nextMessageKind == FrontendKind.sync }
}
