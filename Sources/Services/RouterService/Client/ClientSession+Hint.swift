internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore
internal import ShardModel

/// A statement in the extended protocol that a hint places: its Bind, carried out at Execute.
struct HintedWork {
    /// What the shard prepares.
    let statement: Statement
    let pool: BackendPool
    let bind: BindMessage
    /// The client's EXECUTE of the statement: what stands behind the name.
    var execution: (execute: ExecuteStatement, tail: ByteBuffer)?
}

/// Statements that the planner cannot place, and that a hint does: `/* pgmosaic: shard_key=42 */`, or `SET pgmosaic.shard_key`.
///
/// What such a statement reads is the client's word: it sees the rows of one shard. What it writes would be nobody's, so it runs read only, and PostgreSQL refuses a
/// write (25006): outside of a transaction in one of its own, inside behind a savepoint, whose end takes the restriction away. Both are
/// rolled back, so that what its functions set in the server's session does not stay there for the next client.
extension ClientSession {
    /// The key that says where a statement without a plan runs; nil: nothing does. The statement's own comment comes before the session's setting.
    func hint(for planned: PlannedStatement, executedAs hint: String? = nil) -> String? {
        planned.isPlacedByHint ? hint ?? planned.hint ?? variables.shardKey : nil
    }

    /// The shard of a hint's key, which the keys that the statement names must not contradict.
    func hintedPool(_ key: String, _ scope: PlanScope, _ named: [KeySource], _ inputs: KeyInputs) throws(ServerError) -> BackendPool {
        guard let token = scope.context.token(ofHint: key) else { throw .refusal(Refusal(.hint, "the key")) }
        let owner = database.owner(of: token)
        for source in named {
            // What is no key's value the shard itself refuses.
            guard let tokens = try? inputs.tokens(source) else { continue }
            let agrees =
                switch tokens {
                case .one(let token): database.owner(of: token) == owner
                case .many(let tokens): tokens.allSatisfy { database.owner(of: $0) == owner }
                }
            if !agrees { throw .refusal(Refusal(.shardKeyDisagrees)) }
        }
        return database.pool(owner)
    }

    func explanation(ofHinted pool: BackendPool) -> [String?] { ["hint", pool.shardID.name, StatementKind.select.rawValue, "false", "", "the key of its hint"] }

    // MARK: The simple protocol

    /// Precondition: the text is a single query, as far as its tokens tell.
    func runHinted(_ text: ByteBuffer, _ key: String, _ scope: PlanScope) {
        unit.kind = .select
        let pool: BackendPool
        do throws(ServerError) {
            let named = StatementPlanner.namedKeys(bytes: Array(buffer: text), parameterTypes: [], context: scope.context)
            pool = try hintedPool(key, scope, named, KeyInputs(text: text, literals: []))
        } catch {
            return failUnit(error)
        }
        if variables.explains {
            let row = explanation(ofHinted: pool)
            return completeUnit { buffer in
                buffer.writeRowDescription(Self.explanationColumns)
                buffer.writeDataRow(text: row)
                buffer.writeCommandComplete(tag: "EXPLAIN")
            }
        }
        unit.shard = pool
        reach(pool, .bound, writes: false) { [self] in runReadOnly(text) }
    }

    /// Sends a simple query to the speaker, read only, and ends the unit with its answer.
    func runReadOnly(_ text: ByteBuffer) {
        let scope = ReadOnlyScope(isOwn: transaction.isIdle)
        backend.send { $0.writeQuery(scope.opening) }
        script.swallow(.query)
        backend.send { $0.writeQuery(text) }
        script.expect(.query)
        // Of a failed one, too, it is the end.
        backend.send { $0.writeQuery(scope.closing) }
        script.swallow(.query)
        work = .awaitingReady
    }

    // MARK: The extended protocol

    func bindHinted(_ message: BindMessage, _ statement: Statement, _ key: String) {
        guard let scope else { return failBatch(.schemaUnknown(database.name)) }
        unit.kind = .select
        if isTaken(message) { return failBatch(.duplicatePortal(String(buffer: message.portal))) }
        do throws(ServerError) {
            let inputs = KeyInputs(bind: message, parameterTypes: statement.parameterTypes)
            let pool = try hintedPool(key, scope, statement.namedKeys, inputs)
            bindHinted(message, statement, HintedWork(statement: statement, pool: pool, bind: message))
        } catch {
            failBatch(error)
        }
    }

    /// - statement: the client's own, which in an EXECUTE is not what runs.
    func bindHinted(_ message: BindMessage, _ statement: Statement, _ work: HintedWork) {
        let target: Portal.Target = variables.explains ? .explanation(explanation(ofHinted: work.pool)) : .hinted(work)
        if batch.held.isEmpty { return bindHere(message, statement, target) }
        prepareHeld(on: work.pool) { [self] in
            if !batch.isSkipping { bindHere(message, statement, target) }
        }
    }

    func execute(_ work: HintedWork, _ frame: ByteBuffer) {
        if isOnReplica { return leaveReplica { [self] in execute(work, frame) } }
        // What the pipeline has done so far must not end with this.
        if isInPlainPipeline { return openForSeveral { [self] in execute(work, frame) } }
        afterAnswers { [self] in
            unit.shard = work.pool
            let scope = ReadOnlyScope(isOwn: transaction.isIdle && !batch.isImplicitlyCoordinated)
            reach(work.pool, .bound, writes: false) { [self] in run(work, frame, scope) }
        }
    }

    private func run(_ work: HintedWork, _ frame: ByteBuffer, _ scope: ReadOnlyScope) {
        backend.send { $0.writeQuery(scope.opening) }
        script.swallow(.query)
        batch.rawUnnamed = nil
        let name = ensurePrepared(work.statement)
        if let execution = work.execution {
            sendExecution(execution.execute, name, execution.tail)
            shiftPositions(execution.execute, name)
        }
        backend.send { $0.writeBind(rewriting: work.bind, statementName: work.execution == nil ? name : "") }
        script.swallow(.bind)
        backend.send(frame)
        script.expect(.execute)
        backend.send { $0.writeSync() }
        script.swallow(.sync)
        backend.send { $0.writeQuery(scope.closing) }
        script.swallow(.query)
        batch.needsSync = false
        backend.flush()
        suspend()
        onDrained = { [self] in
            guard resume() else { return }
            if scope.isOwn { releaseParticipants() }
            pump()
        }
    }
}

/// What makes a statement read only on a shard, and leaves nothing of it behind.
private struct ReadOnlyScope {
    /// It is the whole transaction.
    let isOwn: Bool

    var opening: String { isOwn ? "BEGIN READ ONLY" : "SAVEPOINT pgmosaic_hint; SET TRANSACTION READ ONLY" }
    /// PostgreSQL goes back to what may be written with the end of the savepoint (CommitSubTransaction, AbortSubTransaction).
    var closing: String { isOwn ? "ROLLBACK" : "ROLLBACK TO SAVEPOINT pgmosaic_hint; RELEASE SAVEPOINT pgmosaic_hint" }
}
