internal import NIOCore
internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore
internal import ShardModel

/// EXECUTE in SQL: routed by the prepared statement's plan, the arguments being the values of its parameters, and run by the shard itself, which has
/// the statement under the router's name for it. So the arguments are PostgreSQL's to evaluate, all but those that are keys.
extension ClientSession {
    /// Where an EXECUTE goes, and what it executes there.
    private struct Execution {
        var statement: Statement
        /// nil: a hint places it.
        var plan: CachedPlan?
        /// The plan's keys, with the arguments for parameters.
        var keys: [KeySource] = []
        var pool: BackendPool?
        var role = Role.bound
        var everyShard: EveryShard?
    }

    // MARK: The simple protocol

    func executeSimple(_ execute: ExecuteStatement, _ text: ByteBuffer) {
        executeSimple(execute, KeyInputs(text: text, literals: loop.shape.literals), mayReload: true)
    }

    private func executeSimple(_ execute: ExecuteStatement, _ inputs: KeyInputs, mayReload: Bool) {
        let execution: Execution
        do throws(ExecutionError) {
            execution = try self.execution(execute, inputs)
        } catch {
            if mayReload, error.isCuredByReload {
                return reloadSchema { [self] in executeSimple(execute, inputs, mayReload: false) }
            }
            if let unknown = error.unknown {
                return learnResult(of: unknown) { [self] in
                    if adopt(unknown, as: execute.name) { executeSimple(execute, inputs, mayReload: mayReload) } else { failUnit(.planChanged) }
                }
            }
            return failUnit(error.serverError)
        }
        let again = { [self] in executeSimple(execute, inputs, mayReload: mayReload) }
        if !variables.explains, waits(for: execution.plan, keys: execution.keys, inputs, again) { return }
        if variables.explains {
            do {
                let row = try explanation(execution, inputs)
                return completeUnit { buffer in
                    buffer.writeRowDescription(Self.explanationColumns)
                    buffer.writeDataRow(text: row)
                    buffer.writeCommandComplete(tag: "EXPLAIN")
                }
            } catch {
                return failUnit(error)
            }
        }
        let there = isOnReplica ? replica(ofBlockFor: execution.plan, at: execution.pool) : nil
        if isOnReplica, there == nil { return leaveReplica { [self] in executeSimple(execute, inputs, mayReload: mayReload) } }
        let tail = inputs.text.getSlice(at: inputs.text.readerIndex + execute.tailStart, length: inputs.text.readableBytes - execute.tailStart)
        if let everyShard = execution.everyShard {
            return enlistAll { [self] in
                prepareEverywhere(execution.statement) { [self] name in
                    runEverywhere(everyShard, text: String(buffer: Self.execution(execute, of: name, tail ?? ByteBuffer())))
                }
            }
        }
        guard let pool = there ?? execution.pool else { return failUnit(.refusal(Refusal(.sqlPrepare, execute.name))) }
        unit.shard = pool
        reach(pool, execution.role, writes: execution.plan?.writes ?? false) { [self] in
            let run = { [self] in
                prepare(execution.statement, on: speaker) { [self] name in
                    shiftPositions(execute, name)
                    let text = Self.execution(execute, of: name, tail ?? ByteBuffer())
                    if execution.plan == nil { return runReadOnly(text) }
                    backend.send { $0.writeQuery(text) }
                    script.expect(.query)
                    work = .awaitingReady
                }
            }
            guard let plan = execution.plan else { return run() }
            if let error = note(plan) { return failUnit(error) }
            withCleanState(plan, run)
        }
    }

    /// `EXECUTE pgm_7 (…)`: what the shard is sent.
    private static func execution(_ execute: ExecuteStatement, of name: String, _ tail: ByteBuffer) -> ByteBuffer {
        var text = ByteBuffer()
        text.writeString(executionHead(execute, name))
        text.writeImmutableBuffer(tail)
        return text
    }

    private static func executionHead(_ execute: ExecuteStatement, _ name: String) -> String { (execute.explainHead ?? "EXECUTE ") + name }

    func shiftPositions(_ execute: ExecuteStatement, _ name: String) {
        unit.positionsFrom = Self.executionHead(execute, name).unicodeScalars.count
        unit.positionShift = execute.tailStartCharacters - unit.positionsFrom
    }

    /// Makes sure that a participant knows the statement, and calls `then` with its name there; the unit fails otherwise.
    private func prepare(_ statement: Statement, on index: Int, _ then: @escaping (String) -> Void) {
        let backend = participants[index].backend
        let slot = loop.slot(of: statement)
        if backend.prepared.contains(slot) { return then(slot.serverName) }
        drain { [self] in
            let suspension = suspend()
            let exchange = Exchange { [self] exchange, result in
                if result == .done, exchange.error == nil {
                    backend.prepared.add(slot)
                    backend.prepared.confirm()
                    statement.isValidated = true
                }
                guard resume(suspension) else { return afterClient(exchange, result, backend) }
                if let error = Self.failure(exchange, result, backend) { failUnit(error) } else { then(slot.serverName) }
                pump()
            }
            let old = backend.prepared.displaced(by: slot)
            backend.run(exchange) { buffer in
                if let old { buffer.writeClose(.statement, name: StatementSlot(index: slot.index, incarnation: old).serverName) }
                buffer.writeParse(rewriting: statement.parse, name: slot.serverName)
                buffer.writeSync()
            }
        }
    }

    /// Precondition: every shard takes part.
    private func prepareEverywhere(_ statement: Statement, from index: Int = 0, _ then: @escaping (String) -> Void) {
        prepare(statement, on: index) { [self] name in
            if index + 1 < participants.count { prepareEverywhere(statement, from: index + 1, then) } else { then(name) }
        }
    }

    // MARK: The extended protocol

    func bindExecution(_ message: BindMessage, _ outer: Statement, _ execute: ExecuteStatement) {
        bindExecution(message, outer, execute, mayReload: true)
    }

    private func bindExecution(_ message: BindMessage, _ outer: Statement, _ execute: ExecuteStatement, mayReload: Bool) {
        if message.parameterCount > 0 { return failBatch(.parameterCount(message.parameterCount, wanted: 0)) }
        if isTaken(message) { return failBatch(.duplicatePortal(String(buffer: message.portal))) }
        // An EXECUTE's text is planned for itself alone: its keys are constants.
        let inputs = KeyInputs(text: outer.parse.query, literals: [])
        let execution: Execution
        do throws(ExecutionError) {
            execution = try self.execution(execute, inputs)
            if variables.explains {
                let row: [String?]
                do { row = try explanation(execution, inputs) } catch { throw .failed(error) }
                return bindHere(message, outer, .explanation(row))
            }
        } catch {
            if mayReload, error.isCuredByReload {
                return reloadSchema { [self] in bindExecution(message, outer, execute, mayReload: false) }
            }
            if let unknown = error.unknown {
                return captureResult(of: unknown) { [self] in
                    guard adopt(unknown, as: execute.name) else { return bindHere(message, outer, .failing(.planChanged)) }
                    bindExecution(message, outer, execute, mayReload: mayReload)
                }
            }
            return bindHere(message, outer, .failing(error.serverError))
        }
        let again = { [self] in bindExecution(message, outer, execute, mayReload: mayReload) }
        if waits(for: execution.plan, keys: execution.keys, inputs, again) { return }
        let there = isOnReplica ? replica(ofBlockFor: execution.plan, at: execution.pool) : nil
        if isOnReplica, there == nil { return leaveReplica { [self] in bindExecution(message, outer, execute, mayReload: mayReload) } }
        // What runs on every shard is prepared on each before: a pipeline has no place for that.
        guard let pool = there ?? execution.pool else { return failBatch(.refusal(Refusal(.sqlPrepare, execute.name))) }
        unit.shard = pool
        let tail = Self.tail(of: outer, execute)
        guard let plan = execution.plan else {
            return bindHinted(message, outer, HintedWork(statement: execution.statement, pool: pool, bind: message, execution: (execute, tail)))
        }
        reach(pool, execution.role, writes: plan.writes) { [self] in
            if let error = note(plan) { return failBatch(error) }
            withCleanState(plan) { [self] in
                sendHeld()
                let name = ensurePrepared(execution.statement)
                sendExecution(execute, name, tail)
                shiftPositions(execute, name)
                backend.send { $0.writeBind(rewriting: message, statementName: "") }
                script.expect(.bind)
                setPortal(message, Portal(statement: outer, target: .backend(backend), executed: plan))
            }
        }
    }

    /// EXECUTE as the backend's unnamed statement.
    func sendExecution(_ execute: ExecuteStatement, _ name: String, _ tail: ByteBuffer) {
        backend.send { $0.writeParse(name: "", query: Self.execution(execute, of: name, tail)) }
        script.swallow(.parse)
        batch.rawUnnamed = nil
        batch.needsSync = true
    }

    private static func tail(of outer: Statement, _ execute: ExecuteStatement) -> ByteBuffer {
        let text = outer.parse.query
        return text.getSlice(at: text.readerIndex + execute.tailStart, length: text.readableBytes - execute.tailStart) ?? ByteBuffer()
    }

    /// Describe of a statement that is an EXECUTE: it takes no parameters, and gives what the prepared statement gives.
    func describeExecution(_ execute: ExecuteStatement, _ outer: Statement) {
        guard let scope, let known = statements[execute.name], case .usable(let statement) = renewal(of: known, in: scope),
            statement.planned.plan != nil || statement.planned.isPlacedByHint
        else {
            // PostgreSQL says so at Bind only.
            return answerInTurn(as: .describeStatement) {
                $0.writeParameterDescription([])
                $0.writeNoData()
            }
        }
        if batch.needsSync, batch.held.isEmpty { return sendDescribeExecution(statement, execute, Self.tail(of: outer, execute)) }
        batch.held.append(.describeExecution(statement, execute, tail: Self.tail(of: outer, execute)))
    }

    func sendDescribeExecution(_ statement: Statement, _ execute: ExecuteStatement, _ tail: ByteBuffer) {
        sendExecution(execute, ensurePrepared(statement), tail)
        backend.send { $0.writeDescribe(.statement, name: "") }
        script.expect(.describeStatement)
    }

    private func explanation(_ execution: Execution, _ inputs: KeyInputs) throws(ServerError) -> [String?] {
        if let plan = execution.plan { return try explanation(plan, inputs, keys: execution.keys) }
        return explanation(ofHinted: execution.pool ?? database.home)
    }

    // MARK: Routing

    /// `@unchecked`: errors must be sendable, and this one never leaves the event loop of the statement in it.
    private struct ExecutionError: Error, @unchecked Sendable {
        var serverError: ServerError
        var isCuredByReload = false
        /// What this statement gives must be asked first.
        var unknown: Statement?

        static func failed(_ error: ServerError) -> Self { Self(serverError: error) }
        static func unknown(_ statement: Statement) -> Self { Self(serverError: .planChanged, unknown: statement) }
        /// The prepared statement has no plan any more.
        static func unplanned(_ planned: PlannedStatement) -> Self {
            Self(serverError: planned.error(inFailedTransaction: false), isCuredByReload: planned.isCuredByReload)
        }
    }

    private func execution(_ execute: ExecuteStatement, _ inputs: KeyInputs) throws(ExecutionError) -> Execution {
        guard let scope else { throw .failed(.schemaUnknown(database.name)) }
        guard let known = statements[execute.name] else { throw .failed(.unknownStatement(execute.name)) }
        let statement: Statement
        switch renewal(of: known, in: scope) {
        case .usable(let renewed): statement = renewed
        case .changed: throw .failed(.planChanged)
        case .unknown(let renewed): throw .unknown(renewed)
        }
        statements[execute.name] = statement
        unit.executedName = execute.name
        var execution = Execution(statement: statement, plan: statement.planned.plan)
        let wanted = statement.parameterCount
        let ownHint = StatementHint.shardKey(in: Array(buffer: inputs.text))
        guard let plan = execution.plan else {
            guard let key = hint(for: statement.planned, executedAs: ownHint) else { throw .unplanned(statement.planned) }
            unit.kind = .select
            do throws(ServerError) { execution.pool = try hintedPool(key, scope, execute.known(statement.namedKeys, wanted: wanted), inputs) } catch { throw .failed(error) }
            return execution
        }
        unit.kind = plan.kind
        if plan.writes, loop.auditsWrites { do { try auditWrite(statement.parse.query, plan) } catch { throw .failed(error) } }
        // Without parameters PostgreSQL does not look at the arguments; with another number it has an error of its own.
        if wanted > 0, execute.arguments.count != wanted {
            (execution.pool, execution.role) = (poolOfCurrentShard(), .passing)
            return execution
        }
        switch plan.route {
        case .keyed(let sources):
            do throws(ExecuteArgumentError) {
                execution.keys = try execute.sources(for: sources)
            } catch {
                switch error {
                case .null: throw .failed(.keyError(.null))
                case .refused(let refusal): throw .failed(.refusal(refusal))
                }
            }
            do throws(KeyProblem) { execution.pool = try pool(for: execution.keys, plan, inputs) } catch { throw .failed(error.error) }
            if let ownHint, let type = execution.keys.first?.keyType {
                let token: Token
                do throws(KeyError) { token = try type.token(text: ownHint.utf8Span.span.bytes) } catch { throw .failed(.keyError(error)) }
                guard database.pool(database.owner(of: token)) === execution.pool else { throw .failed(.refusal(Refusal(.shardKeyDisagrees))) }
            }
        case .anyShard: (execution.pool, execution.role) = (poolOfDrawn(plan) ?? poolForReading(), .reader)
        case .homeShard: (execution.pool, execution.role) = (database.home, plan.writes ? .bound : .reader)
        case .currentShard: (execution.pool, execution.role) = (poolOfDrawn(plan) ?? poolOfCurrentShard(for: plan), .passing)
        case .everyShard(let everyShard):
            guard everyShard.reason == .referenceWrite, execute.hasConstantsOnly, execute.explainHead == nil else { throw .failed(.refusal(Refusal(.sqlPrepare, execute.name))) }
            if !everyShard.clockParameters.isEmpty, ClockText.mayNameNow(String(buffer: inputs.text)) {
                throw .failed(.refusal(Refusal(.volatileReferenceWrite, "an argument of EXECUTE")))
            }
            execution.everyShard = everyShard
        case .splitCopy, .broadcastCopy, .gatherCopy, .gatherRows, .everyKey, .keysFirst, .explain, .statements, .transaction, .session, .mosaic, .empty:
            throw .failed(.refusal(Refusal(.sqlPrepare, execute.name)))
        }
        switch plan.kind {
        case .select, .insert, .update, .delete, .merge: return execution
        // Prepared through the protocol; PostgreSQL executes them, but no client does.
        default: throw .failed(.refusal(Refusal(.sqlPrepare, execute.name)))
        }
    }
}
