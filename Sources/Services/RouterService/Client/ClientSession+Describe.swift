internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// Describe, and the ways to a portal.
extension ClientSession {
    func describe(_ frame: ByteBuffer, _ body: ByteBuffer) throws(WireError) {
        let message = try DescribeMessage(body: body)
        switch message.target {
        case .statement:
            describeStatement(message.name.nameKey)
        case .portal:
            if pass(frame, to: message.name, expecting: .describePortal) { return }
            guard let portal = portal(message.name) else { return passToCursor(message.name, frame, .describePortal) }
            switch portal.target {
            case .backend(let owner), .effect(let owner, _):
                speak(as: owner, portal: message.name) { [self] in passOn(frame, .describePortal) }
            case .router:
                answerInTurn(as: .describePortal) { self.describeHere(portal.statement, &$0) }
            case .failing, .copy:
                answerInTurn(as: .describePortal) { $0.writeNoData() }
            case .explanation:
                answerInTurn(as: .describePortal) { $0.writeRowDescription(Self.explanationColumns) }
            case .gather(let plan, let bind) where plan.givesWholeRows: describeGathered(portal.statement, bind)
            case .everyShard(_, let bind), .gather(_, let bind), .explained(_, let bind):
                describeAside(portal.statement, resultFormats: bind.resultFormats)
            case .spread(let work):
                describeAside(portal.statement, resultFormats: work.resultFormats)
            case .parts(let parts):
                describeAside(portal.statement, resultFormats: parts.bind.resultFormats)
            case .cursor(let step):
                answerInTurn(as: .describePortal) { step.writeDescription(into: &$0) }
            case .hinted(let work):
                describeAside(work.statement, resultFormats: work.bind.resultFormats)
            }
        }
    }

    /// What the home shard has said before; should it say something else at Execute, that fails.
    private func describeGathered(_ statement: Statement, _ bind: BindMessage) {
        let formats = bind.resultFormats
        guard let columns = statement.gathered, formats.count <= 1 || formats.count == columns.count, !transaction.isFailed else {
            return describeAside(statement, resultFormats: formats)
        }
        answerInTurn(as: .describePortal) { buffer in
            buffer.writeRowDescription(
                columns.enumerated().map { place, column in
                    var column = column
                    column.format = formats[place]
                    return column
                })
        }
    }

    func describeStatement(_ name: String) {
        if isTemporaryDoubtful, !transaction.isFailed { return readTemporary { [self] in describeStatement(name) } }
        guard let statement = name.isEmpty ? unnamedStatement : statements[name] else { return failBatch(.unknownStatement(name)) }
        guard let scope, statement.scopeID != scope.id, statement.result != nil, !transaction.isFailed else { return describe(statement) }
        switch renewal(of: statement, in: scope) {
        case .usable(let renewed): describe(renewed)
        case .changed: failDescription(of: statement)
        case .unknown(let renewed):
            captureResult(of: renewed) { [self] in
                if adopt(renewed, as: name) { describeStatement(name) } else { failDescription(of: statement) }
            }
        }
    }

    /// What it gives has changed; what it takes has not, and PostgreSQL tells that first.
    private func failDescription(of statement: Statement) {
        if let told = statement.result { answerInTurn(as: .describeStatement) { $0.writeParameterDescription(told.parameters) } }
        failBatch(.planChanged)
    }

    func describe(_ statement: Statement) {
        guard let plan = statement.planned.plan else {
            guard !transaction.isFailed, statement.planned.isDescribable || statement.planned.isPlacedByHint else { return failBatch(.failedTransaction) }
            if variables.explains, hint(for: statement.planned) != nil {
                return answerInTurn(as: .describeStatement) {
                    $0.writeParameterDescription(statement.parameterTypes)
                    $0.writeRowDescription(Self.explanationColumns)
                }
            }
            return describeOnShard(statement)
        }
        if variables.explains, plan.isExplainable {
            return answerInTurn(as: .describeStatement) {
                $0.writeParameterDescription(statement.parameterTypes)
                $0.writeRowDescription(Self.explanationColumns)
            }
        }
        if plan.value.cursor != nil, let step = cursorStep(plan) {
            return answerInTurn(as: .describeStatement) {
                $0.writeParameterDescription([])
                step.writeDescription(into: &$0)
            }
        }
        if case .session(.execute(let execute)) = plan.route { return describeExecution(execute, statement) }
        if !plan.needsShard {
            return answerInTurn(as: .describeStatement) {
                $0.writeParameterDescription([])
                self.describeHere(statement, &$0)
            }
        }
        if case .everyShard = plan.route, !batch.needsSync, batch.held.isEmpty { return describeAside(statement, resultFormats: nil) }
        describeOnShard(statement)
    }

    private func describeOnShard(_ statement: Statement) {
        if usesTemporary(statement) {
            guard isAtHome else { return reach(database.home, .passing, writes: false) { [self] in describeOnShard(statement) } }
            sendHeld()
            return sendDescribe(statement)
        }
        if batch.needsSync { return sendDescribe(statement) }
        batch.held.append(.describe(statement))
    }

    /// What the router answers by itself must not overtake the answers to what it has held back.
    func bindBehindHeld(_ message: BindMessage, _ statement: Statement, _ target: Portal.Target) {
        if batch.held.isEmpty { return bindHere(message, statement, target) }
        prepareHeld { [self] in
            if !batch.isSkipping { bindHere(message, statement, target) }
        }
    }

    /// A portal that no Bind of the client's has made: in a transaction it may be a cursor of DECLARE, which drivers describe, and the
    /// transaction's shard knows.
    func passToCursor(_ name: ByteBuffer, _ frame: ByteBuffer, _ expectation: ResponseScript.Expectation) {
        // A failed transaction has lost its cursors.
        guard name.readableBytes > 0, transaction.phase == .open || transaction.isIdle && heldCursors[name.nameKey] != nil else {
            return failBatch(.unknownPortal(String(buffer: name)))
        }
        reach(pool(ofCursor: name.nameKey), .passing, writes: false) { [self] in
            sendHeld()
            backend.send(frame)
            script.expect(expectation)
            batch.needsSync = true
        }
    }

    /// Passes a message on to the unnamed portal where nothing else is to be done: the case of nearly every statement, without a copy of the
    /// portal.
    func pass(_ frame: ByteBuffer, to name: ByteBuffer, expecting expectation: ResponseScript.Expectation) -> Bool {
        guard name.readableBytes == 0, case .backend(let owner)? = unnamedPortal?.target, !participants.isEmpty, backend === owner, batch.held.isEmpty
        else { return false }
        passOn(frame, expectation)
        return true
    }

    /// Makes the backend that has the portal the one that is spoken to.
    func speak(as owner: Backend, portal: ByteBuffer, _ then: @escaping () -> Void) {
        guard let index = participants.firstIndex(where: { $0.backend === owner }) else {
            return failBatch(.unknownPortal(String(buffer: portal)))
        }
        if !batch.held.isEmpty {
            return prepareHeld { [self] in
                if !batch.isSkipping { speak(as: owner, portal: portal, then) }
            }
        }
        if scatter != nil {
            if turn(to: index) { then() }
            return
        }
        // Statements of the router's own let named portals live. An unnamed one they end, and the shard says so.
        if index == speaker, isCurrent(participants[index]) { return then() }
        drainInTransaction { [self] in
            guard participants.indices.contains(index), participants[index].backend === owner else {
                return failBatch(.unknownPortal(String(buffer: portal)))
            }
            speaker = index
            catchUp(then)
        }
    }

    func passOn(_ frame: ByteBuffer, _ expectation: ResponseScript.Expectation) {
        backend.send(frame)
        script.expect(expectation)
        batch.needsSync = true
    }
}
