internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// Prepared statements after a change of the schema.
///
/// Backends' statements are shared by text, and a changed schema begins new ones, so the error that PostgreSQL gives for a statement whose columns have changed
/// (0A000, "cached plan must not change result type") would reach nobody by itself: neither a client that prepared before, for which it
/// is due, since it decodes rows by what it was told then, nor one that prepared later. So the first Parse under a name asks what the statement
/// gives, and when the schema has changed since, a use compares. The types of parameters stay what they were, as in PostgreSQL.
extension ClientSession {
    enum Renewal {
        /// The statement is as it was, or may be used again.
        case usable(Statement)
        /// What the new one gives must be asked first.
        case unknown(Statement)
        case changed
    }

    func renewal(of statement: Statement, in scope: PlanScope) -> Renewal {
        guard statement.scopeID != scope.id else { return .usable(statement) }
        guard let told = statement.result else { return .usable(scope.statement(statement.parse, hinted: variables.shardKey != nil)) }
        let mayDiffer = statement.schemaGeneration != scope.context.schema.generation || statement.searchPath != scope.context.searchPath
            || statement.temporaryGeneration != scope.context.temporary.generation
        guard mayDiffer else {
            let renewed = scope.statement(statement.parse, hinted: variables.shardKey != nil)
            if renewed.result == nil { renewed.result = told }
            return .usable(renewed)
        }
        let renewed = scope.statement(Self.fixing(statement.parse, told.parameters), hinted: variables.shardKey != nil)
        if let plan = renewed.planned.plan {
            // Plans that are made anew each time are of statements without rows, or name what the schema lacks: a single shard's temporary table.
            guard plan.needsShard, plan.value.reuse != .never || plan.lacksSchema else { return .usable(renewed) }
        } else if hint(for: renewed.planned) == nil {
            // What it names is gone, and may come again.
            if renewed.result == nil { renewed.result = told }
            return .usable(renewed)
        }
        guard let result = renewed.result else { return .unknown(renewed) }
        return result.columns == told.columns ? .usable(renewed) : .changed
    }

    /// What a renewed statement gives has been asked: it takes the old one's place where that is what the client was told; false: it is not.
    func adopt(_ renewed: Statement, as name: String) -> Bool {
        if let told = (name.isEmpty ? unnamedStatement : statements[name])?.result, renewed.result?.columns != told.columns { return false }
        if name.isEmpty { unnamedStatement = renewed } else { statements[name] = renewed }
        return true
    }

    /// The statement with the parameters' types that it had when it was prepared.
    private static func fixing(_ parse: ParseMessage, _ types: [UInt32]) -> ParseMessage {
        let declared = parse.parameterTypes.array
        let fixed = types.enumerated().map { $0 < declared.count && declared[$0] != 0 ? declared[$0] : $1 }
        guard fixed != declared else { return parse }
        var bytes = ByteBuffer()
        bytes.writeParse(name: "", query: parse.query, parameterTypes: fixed)
        bytes.moveReaderIndex(forwardBy: FrameHeader.length)
        return (try? ParseMessage(body: bytes)) ?? parse
    }

    // MARK: Asking in a batch

    func captureResult(of statement: Statement, _ then: @escaping () -> Void) {
        if scatter != nil { return leaveScatter { [self] in captureResult(of: statement, then) } }
        if usesTemporary(statement), !isAtHome { return reach(database.home, .passing, writes: false) { [self] in captureResult(of: statement, then) } }
        batch.held.append(.capture(statement))
        afterAnswers { [self] in
            if statement.result == nil { failBatch(.planChanged) } else { then() }
        }
    }

    /// Describe of a statement that the speaker knows, for the session itself.
    func sendCapture(_ statement: Statement, _ name: String) {
        backend.send { $0.writeDescribe(.statement, name: name) }
        script.capture(.describeStatement)
        captures.append(statement)
        batch.needsSync = true
    }

    /// A message of the answer to a `sendCapture`.
    func captured(_ kind: UInt8, _ body: ByteBuffer) {
        guard let statement = captures.first else { return }
        if kind == BackendKind.parameterDescription {
            capturing = PreparedResult(parameterDescription: body)
        } else {
            capturing?.setColumns(kind, body)
            statement.result = capturing
            capturing = nil
            captures.removeFirst()
        }
    }

    func forgetCaptures() {
        guard !captures.isEmpty else { return }
        captures.removeAll()
        capturing = nil
    }

    // MARK: Asking outside of one

    /// Asks the transaction's shard, or the home shard, what a statement gives. The unit fails where that is impossible.
    func learnResult(of statement: Statement, _ then: @escaping () -> Void) {
        let ask = { [self] (backend: Backend, isBorrowed: Bool) in
            let suspension = suspend()
            if isBorrowed { borrowed = backend }
            let exchange = Exchange(.simpleQuery) { [self] exchange, result in
                borrowed = nil
                if isBorrowed, result == .done { giveBack(backend) }
                guard resume(suspension) else {
                    if !isBorrowed { afterClient(exchange, result, backend) }
                    return
                }
                if let error = Self.failure(exchange, result, backend) {
                    failUnit(error)
                } else {
                    statement.result = PreparedResult(answers: exchange.answers)
                    if statement.result == nil { failUnit(.planChanged) } else { then() }
                }
                pump()
            }
            backend.run(exchange) { buffer in
                buffer.writeParse(rewriting: statement.parse, name: "")
                buffer.writeDescribe(.statement, name: "")
                buffer.writeSync()
            }
        }
        if transaction.isIdle { return acquire(database.home) { ask($0, true) } }
        reach(usesTemporary(statement) ? database.home : poolOfCurrentShard(), .passing, writes: false) { [self] in
            drain { [self] in ask(backend, false) }
        }
    }
}
