internal import NIOCore
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// EXPLAIN of a statement for every shard (docs/internals/scatter.md).
extension ClientSession {
    // MARK: The two protocols

    func explainEverywhere(_ plan: ExplainPlan, _ planned: PlannedStatement, _ frame: ByteBuffer) {
        // A hint names the shard of a SELECT.
        guard isGathered(planned) else { return failUnit(.refusal(Refusal(.noKey))) }
        beginExplain(plan, .query(frame))
    }

    func bindExplain(_ plan: ExplainPlan, _ message: BindMessage, _ statement: Statement, _ inputs: KeyInputs) {
        guard isGathered(statement.planned) else { return failBatch(.refusal(Refusal(.noKey))) }
        if inputs.clockText(in: plan.clockParameters) != nil { return failBatch(.refusal(Refusal(.noKey, "a parameter that names the present"))) }
        bindBehindHeld(message, statement, .explained(plan, message))
    }

    func executeExplain(_ plan: ExplainPlan, _ portal: Portal, _ bind: BindMessage, _ message: ExecuteMessage) {
        guard message.rowsMax <= 0 else { return failBatch(.refusal(Refusal(.rowLimit))) }
        guard useUp(portal, message.portal) else { return }
        executeExplain(plan, .execution(portal.statement, bind))
    }

    private func executeExplain(_ plan: ExplainPlan, _ origin: GatherOrigin) {
        if isOnReplica { return leaveReplica { [self] in executeExplain(plan, origin) } }
        if isInPlainPipeline { return openForSeveral { [self] in executeExplain(plan, origin) } }
        afterAnswers { [self] in
            if transaction.isIdle { batch.isImplicitlyCoordinated = true }
            beginExplain(plan, origin)
        }
    }

    // MARK: On each shard

    func beginExplain(_ plan: ExplainPlan, _ origin: GatherOrigin) {
        unit.ranEverywhere = true
        if plan.options.runs, let refusal = refusalOfStrays { return failUnit(refusal) }
        let isAlone = transaction.isIdle && participants.isEmpty
        let state = Explanation(
            plan, origin, shards: database.pools.map(\.shardID.name), home: database.home.shardID.name, isAlone: isAlone, isImplicit: transaction.isIdle && !batch.isOpen, moves: database.moves,
            AnswerBudget(limits.coordinatedAnswerMax))
        enlistAll { [self] in
            let isPlain = isAlone && !plan.isWrite && !settings.namesIsolation && !database.pools.contains(where: \.isStrict)
            guard !isPlain, participants.count > 1 else { return explain(on: database.pools[...], state) }
            for index in participants.indices { participants[index].role = .bound }
            boundLocks(of: Array(participants.indices)) { [self] error in
                if let error { end(state, .failure(error)) } else { explain(on: database.pools[...], state) }
            }
        }
    }

    /// Asks these shards: all at once, but for a write that runs, which goes from one to the next.
    private func explain(on pools: ArraySlice<BackendPool>, _ state: Explanation) {
        let writes = state.plan.isWrite && state.plan.options.runs
        let now = writes ? pools.prefix(1) : pools
        guard !now.isEmpty else { return explained(state) }
        let indices = now.compactMap { pool in participants.firstIndex { $0.backend.pool === pool } }
        guard indices.count == now.count else { return end(state, .failure(.shardsChanged)) }
        let began = loop.readClock()
        each(
            indices, { index in (self.prelude(of: index, wrote: writes || self.participants[index].wrote), { state.writePart(into: &$0) }) }, keep: .executeOnly, state.budget
        ) { [self] index, exchange, result in
            guard state.error == nil else { return }
            let backend = participants[index].backend
            state.take(exchange, of: backend.pool.shardID.name, nanoseconds: loop.readClock().elapsed(since: began).count)
            guard var error = Self.failure(exchange, result, backend) else { return }
            // Where the text is not the client's the place is another.
            if state.plan.finish != nil || state.plan.combination?.keepsPlaces == false || state.plan.combination?.merge?.hidden ?? 0 > 0 { error[.position] = nil }
            state.error = error
            for participant in participants where participant.backend.hasExchange { participant.backend.pool.cancel(participant.backend) }
        } then: { [self] in
            let strays = state.plan.options.runs ? refusalOfStrays(since: state.moves) : nil
            if let error = state.error ?? strays { return end(state, .failure(error)) }
            explain(on: pools.dropFirst(now.count), state)
        }
    }

    /// What is left is the home shard's plan, where it finishes the statement.
    private func explained(_ state: Explanation) {
        guard let finish = state.plan.finish else { return end(state, .success(state.answer)) }
        guard state.isAlone else { return beginFinish(finish, state.origin, explaining: state) }
        rollBackAll { [self] in beginFinish(finish, state.origin, explaining: state) }
    }

    /// The home shard has told its plan, and nothing is open that was not before.
    func endExplain(_ state: Explanation) {
        let answer = { (buffer: inout ByteBuffer) in _ = buffer.writeImmutableBuffer(state.answer) }
        if batch.isOpen { self.answer(answer) } else { completeUnit(answer) }
    }

    private func end(_ state: Explanation, _ outcome: EverywhereOutcome) {
        guard batch.isOpen else { return conclude(outcome, isImplicit: state.isImplicit) }
        switch outcome {
        case .failure(let error): failBatch(error)
        case .success(let answers): answer { $0.writeImmutableBuffer(answers) }
        }
    }
}
