internal import NIOCore
internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// A write whose rows live on several shards: each shard gets its part, and all of it is one transaction.
extension ClientSession {
    /// The shards that own the keys, in their order; of an INSERT also which rows each of them gets.
    func parts(of spread: Spread, _ sources: [KeySource], _ inputs: KeyInputs) throws(ServerError) -> [SpreadWork.Part] {
        var owners: [ShardIndex: [Int]] = [:]
        do throws(KeyError) {
            switch spread {
            case .sameText:
                for source in sources {
                    switch try inputs.tokens(source) {
                    case .one(let token): owners[database.owner(of: token)] = []
                    case .many(let tokens): for token in tokens { owners[database.owner(of: token)] = [] }
                    }
                }
            case .rows(let keys, _):
                for (row, key) in keys.enumerated() {
                    guard case .one(let token) = try inputs.tokens(key) else { continue }
                    owners[database.owner(of: token), default: []].append(row)
                }
            }
        } catch {
            throw .keyError(error)
        }
        return owners.sorted { $0.key.value < $1.key.value }.map { SpreadWork.Part(pool: database.pool($0.key), rows: $0.value) }
    }

    /// What each shard will be sent, or why the statement does not run on several.
    func spread(
        _ sources: [KeySource], _ plan: CachedPlan, _ inputs: KeyInputs, _ origin: SpreadWork.Origin, _ problem: KeyProblem
    ) throws(ServerError) -> SpreadWork {
        guard case .several = problem, let spread = plan.value.spread, variables.shardKey == nil, plan.hint == nil else { throw problem.error }
        let parts = try parts(of: spread, sources, inputs)
        if case .sameText = spread, parts.count > 1, let refusal = refusalOfStrays(on: parts.map(\.pool.shardID)) { throw refusal }
        guard var work = SpreadWork(spread, parts, origin, epoch: database.topology.epoch) else { throw problem.error }
        if parts.count > 1 { work.ask(try momentUse(in: origin)) }
        return work
    }

    // MARK: The two protocols

    func spreadSimple(
        _ sources: [KeySource], _ plan: CachedPlan, _ inputs: KeyInputs, _ frame: ByteBuffer, _ text: ByteBuffer, _ problem: KeyProblem
    ) {
        switch across(plan, problem, text) {
        case .gatherRows(let gather): return beginGather(gather, .query(frame))
        case .explain(let explain): return beginExplain(explain, .query(frame))
        default: break
        }
        do throws(ServerError) {
            run(try spread(sources, plan, inputs, .query(frame, text: text), problem))
        } catch {
            failUnit(error)
        }
    }

    /// A Bind whose keys do not name one shard.
    func bindSpread(
        _ message: BindMessage, _ statement: Statement, _ sources: [KeySource], _ plan: CachedPlan, _ inputs: KeyInputs, _ problem: KeyProblem
    ) {
        switch isForAll(plan, problem) ? statement.across : nil {
        case .gatherRows(let gather): return bindGather(gather, message, statement, inputs)
        case .explain(let explain): return bindExplain(explain, message, statement, inputs)
        default: break
        }
        do throws(ServerError) {
            let work = try spread(sources, plan, inputs, .execution(statement, message), problem)
            bindBehindHeld(message, statement, .spread(work))
        } catch {
            // PostgreSQL looks at the portal's name before it reads the parameters.
            if isTaken(message) { failBatch(.duplicatePortal(String(buffer: message.portal))) } else { failBatch(error, leaving: (message, statement)) }
        }
    }

    /// How all shards answer a SELECT whose keys live on several, or a COPY or an EXPLAIN of it; nil: it is none, or they do not.
    private func across(_ plan: CachedPlan, _ problem: KeyProblem, _ text: ByteBuffer) -> Route? {
        guard isForAll(plan, problem), let scope else { return nil }
        return StatementPlanner.across(bytes: Array(buffer: text), context: scope.context)
    }

    private func isForAll(_ plan: CachedPlan, _ problem: KeyProblem) -> Bool {
        guard case .several = problem, [.select, .copy, .utility].contains(plan.kind), !plan.writes, !plan.isTraced else { return false }
        return variables.shardKey == nil && plan.hint == nil
    }

    func run(_ work: SpreadWork) {
        unit.ranEverywhere = true
        let isImplicit = transaction.isIdle
        isInOwnBlock = isImplicit
        carryOut(work, keep: .simpleQuery) { [self] in conclude($0, isImplicit: isImplicit) }
    }

    func execute(_ bound: SpreadWork, of statement: Statement, rowsMax: Int32) {
        // Drivers ask for one row of what gives none.
        if rowsMax > 0, statement.planned.plan?.kind == .select { return failBatch(.refusal(Refusal(.rowLimit))) }
        unit.ranEverywhere = true
        // Its portal is older than a read of the same pipeline.
        if isOnReplica { return leaveReplica { [self] in execute(bound, of: statement, rowsMax: rowsMax) } }
        let work: SpreadWork
        do throws(ServerError) { work = try current(bound, statement) } catch { return failBatch(error) }
        afterAnswers { [self] in
            batch.rawUnnamed = nil
            if transaction.isIdle, participants.isEmpty {
                batch.isImplicitlyCoordinated = true
                isInOwnBlock = true
            }
            carryOut(work, keep: .executeOnly) { [self] outcome in
                switch outcome {
                case .failure(let error): failBatch(error)
                case .success(let answers): answer { $0.writeImmutableBuffer(answers) }
                }
            }
        }
    }

    /// Vnodes may have changed their owner since the portal was bound.
    private func current(_ work: SpreadWork, _ statement: Statement) throws(ServerError) -> SpreadWork {
        guard let bind = work.bind, let plan = statement.planned.plan else { return work }
        if case .everyKey = plan.route { return try everywhere(statement.planned, .execution(statement, bind)) }
        guard work.epoch != database.topology.epoch, case .keyed(let sources) = plan.route else { return work }
        let inputs = KeyInputs(bind: bind, parameterTypes: statement.parameterTypes)
        return try spread(sources, plan, inputs, .execution(statement, bind), .several)
    }

    // MARK: On each shard

    private func carryOut(_ work: SpreadWork, keep: Exchange.Keep, _ done: @escaping (EverywhereOutcome) -> Void) {
        guard participants.isEmpty else { return openForSeveral { [self] in enlistAndRun(work, keep, done) } }
        enlistAndRun(work, keep, done)
    }

    private func enlistAndRun(_ work: SpreadWork, _ keep: Exchange.Keep, _ done: @escaping (EverywhereOutcome) -> Void) {
        enlist(work.parts.map(\.pool)[...]) { [self] in
            // One may have come while the others were waited for.
            guard work.moves == nil || database.pools.elementsEqual(work.parts.map(\.pool), by: ===) else { return done(.failure(.shardsChanged)) }
            let indices = work.parts.compactMap { part in participants.firstIndex { $0.backend.pool === part.pool } }
            for index in indices { participants[index].role = .bound }
            boundLocks(of: indices) { [self] error in
                if let error { return done(.failure(error)) }
                askMoment(work) { [self] work in
                    switch work {
                    case .failure(let error): done(.failure(error))
                    case .success(let work):
                        if let sent = work.sent { return send(rowsOf: work, sent, done) }
                        send(work, keep, from: 0, SpreadAnswers(work, AnswerBudget(limits.coordinatedAnswerMax)), done)
                    }
                }
            }
        }
    }

    /// Rows that wait for nobody are written everywhere at once. Others are locked shard by shard, in the order of the shards, so that two such
    /// statements do not wait for each other on different ones.
    ///
    /// Before each shard and behind the last it is asked whether rows have begun to move. A job brings rows to a shard only when this router serves an epoch that has the
    /// job: so what a shard has answered before that has found none of them.
    private func send(
        _ work: SpreadWork, _ keep: Exchange.Keep, from first: Int, _ answers: SpreadAnswers, _ done: @escaping (EverywhereOutcome) -> Void
    ) {
        var answers = answers
        if work.findsStrays, let refusal = refusalOfStrays(in: work) { return done(.failure(refusal)) }
        let now = work.areIndependent ? first..<work.parts.count : first..<min(first + 1, work.parts.count)
        guard !now.isEmpty else { return done(answers.merged) }
        var positions: [Int: Int] = [:]
        for position in now {
            guard let index = participants.firstIndex(where: { $0.backend.pool === work.parts[position].pool }) else {
                return done(.failure(.shardLost(work.parts[position].pool.shardID, mayHaveRun: false)))
            }
            positions[index] = position
        }
        each(
            positions.keys.sorted(), { index in (self.prelude(of: index), { work.write(positions[index] ?? 0, into: &$0) }) }, keep: keep, answers.budget
        ) { [self] index, exchange, result in
            let backend = participants[index].backend
            guard let position = work.parts.firstIndex(where: { $0.pool === backend.pool }) else { return }
            answers.add(exchange, at: position, Self.failure(exchange, result, backend))
        } then: { [self] in
            if let error = answers.error { return done(.failure(error)) }
            send(work, keep, from: now.upperBound, answers, done)
        }
    }
}
