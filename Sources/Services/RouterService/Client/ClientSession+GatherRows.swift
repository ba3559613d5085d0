internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// SELECT over every shard (docs/internals/scatter.md).
extension ClientSession {
    // MARK: The two protocols

    func gatherSimple(_ plan: GatherRows, _ planned: PlannedStatement, _ frame: ByteBuffer, _ text: ByteBuffer) {
        guard !isGathered(planned) else { return beginGather(plan, .query(frame)) }
        // The hint says which shard's rows are meant.
        guard let scope, let key = hint(for: planned) else { return failUnit(.refusal(Refusal(.noKey))) }
        runHinted(text, key, scope)
    }

    /// Whether every shard is asked: a hint names one.
    func isGathered(_ planned: PlannedStatement) -> Bool { planned.hint == nil && variables.shardKey == nil }

    func bindGather(_ plan: GatherRows, _ message: BindMessage, _ statement: Statement, _ inputs: KeyInputs) {
        guard isGathered(statement.planned) else {
            guard let key = hint(for: statement.planned) else { return failBatch(.refusal(Refusal(.noKey))) }
            return bindHinted(message, statement, key)
        }
        // The home shard's session tells the time as one PostgreSQL would, but in a transaction of another.
        let isAlone = plan.isFinished && transaction.isIdle && participants.isEmpty
        if !isAlone, inputs.clockText(in: plan.clockParameters) != nil { return failBatch(.refusal(Refusal(.noKey, "a parameter that names the present"))) }
        bindBehindHeld(message, statement, .gather(plan, message))
    }

    /// At Execute: a part of the pipeline's transaction.
    func executeGather(_ plan: GatherRows, _ portal: Portal, _ bind: BindMessage, _ message: ExecuteMessage) {
        if message.rowsMax > 0, plan.finish?.output != .copy { return executeInParts(plan, portal, bind, message) }
        guard useUp(portal, message.portal) else { return }
        executeGather(plan, portal.statement, bind)
    }

    private func executeGather(_ plan: GatherRows, _ statement: Statement, _ bind: BindMessage) {
        if isOnReplica { return leaveReplica { [self] in executeGather(plan, statement, bind) } }
        if isInPlainPipeline { return openForSeveral { [self] in executeGather(plan, statement, bind) } }
        afterAnswers { [self] in
            if transaction.isIdle { batch.isImplicitlyCoordinated = true }
            beginGather(plan, .execution(statement, bind))
        }
    }

    // MARK: Beginning

    /// - keeping: the portal that gives the rows, where the client takes them a number at a time.
    func beginGather(_ plan: GatherRows, _ origin: GatherOrigin, keeping parts: PartlyFetched? = nil) {
        unit.ranEverywhere = true
        if mayMeetStrays { return beginOwned(plan, origin, keeping: parts) }
        if plan.isFinished, let finish = plan.finish { return beginFinish(finish, origin, keeping: parts) { [self] in beginGather(plan, origin, keeping: parts) } }
        let isAlone = transaction.isIdle && participants.isEmpty
        let isImplicit = transaction.isIdle && !batch.isOpen
        enlistAll { [self] in
            // A transaction of one statement, at an isolation that takes a snapshot for each.
            let isPlain = isAlone && !settings.namesIsolation && !database.pools.contains(where: \.isStrict)
            // Each shard's part is a transaction of its own then: it only reads, and at this isolation sees the same in one of several statements.
            let isBare = isPlain && batch.settingsBefore == nil
            guard !isPlain, participants.count > 1 else { return start(plan, origin, isImplicit: isImplicit, isAlone: isAlone, isBare: isBare, parts) }
            for index in participants.indices { participants[index].role = .bound }
            boundLocks(of: Array(participants.indices)) { [self] error in
                guard let error else { return start(plan, origin, isImplicit: isImplicit, isAlone: isAlone, parts) }
                if isImplicit { rollBackAll { [self] in failUnit(error) } } else { failUnit(error) }
            }
        }
    }

    /// - isBare: without BEGIN, and so without a COMMIT that would have to be waited for.
    private func start(_ plan: GatherRows, _ origin: GatherOrigin, isImplicit: Bool, isAlone: Bool, isBare: Bool = false, _ parts: PartlyFetched?) {
        let backends = database.pools.compactMap { pool in participants.first { $0.backend.pool === pool }?.backend }
        guard backends.count == database.pools.count else { return failUnit(.shardsChanged) }
        let goesOn = { [self] (error: ServerError) in finishInstead(plan, origin, after: error, isAlone: isAlone, keeping: parts) }
        if let combination = plan.combination {
            if parts == nil, merge(combination, origin, backends, isImplicit: isImplicit, isBare: isBare, goesOn: goesOn) { return }
            return combine(combination, origin, isImplicit: isImplicit, isBare: isBare, keeping: parts, goesOn: goesOn)
        }
        if let parts { return openParts(parts, goesOn: goesOn) }
        let state = RowGather(origin, backends, isImplicit: isImplicit, isInBatch: batch.isOpen, moves: database.moves)
        state.goesOn = goesOn
        gather = state
        batch.rawUnnamed = nil
        suspend()
        for (place, lane) in state.lanes.enumerated() {
            let backend = lane.backend
            let index = participants.firstIndex { $0.backend === backend } ?? 0
            let prelude = isBare ? [] : prelude(of: index, wrote: participants[index].wrote)
            let preparation = preparation(of: origin, on: backend)
            let exchange = Exchange(preludes: prelude.count) { [self] exchange, result in
                backend.prepared.answered(isError: exchange.error != nil)
                guard work != .closed else { return afterClient(exchange, result, backend) }
                ended(state, place, exchange, result)
            }
            exchange.onRow = { [self] frame in
                guard gather === state, state.error == nil else { return }
                received(frame, state, place)
            }
            backend.run(exchange) { buffer in
                for statement in prelude { buffer.writeQuery(statement) }
                origin.write(into: &buffer, preparation)
            }
        }
    }

    /// One that is not likely to come again is not given a name.
    func preparation(of origin: GatherOrigin, on backend: Backend) -> StatementPreparation? {
        guard case .execution(let statement, let bind) = origin, bind.hasNamedStatement || statement.uses > 1 else { return nil }
        return StatementPreparation(statement, on: backend, loop)
    }

    // MARK: What the shards send

    private func received(_ frame: Frame, _ state: RowGather, _ place: Int) {
        if frame.kind == BackendKind.rowDescription { return begun(frame, state, place) }
        let lane = state.lanes[place]
        lane.rows += 1
        if place == state.turn, state.hasBegun {
            answer { buffer in buffer.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) } }
        } else {
            lane.early.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
        }
    }

    /// The client hears of it when every shard has begun: until then a shard's refusal is the statement's.
    private func begun(_ frame: Frame, _ state: RowGather, _ place: Int) {
        let lane = state.lanes[place]
        guard !lane.isBegun, let description = try? RowDescription(body: frame.body) else { return stop(state, .shardsDisagree(lane.backend.pool.shardID)) }
        if let column = state.common.disagreement(of: description) { return stop(state, .refusal(Refusal(.typesDiffer, column))) }
        if lane.backend.pool === database.home { state.columns = description.columns }
        lane.isBegun = true
        if state.hasBegun {
            if let refusal = refusalOfStrays(since: state.moves) { return stop(state, refusal) }
            guard state.origin.isAsTold(state.columns) else { return stop(state, .planChanged) }
            if !state.origin.isExecution { answer { $0.writeRowDescription(state.columns) } }
            takeTurns(state)
        }
        steerSoon(state)
    }

    /// Passes on what came early of the shard whose turn it is, and goes on to the next one behind each that is done.
    private func takeTurns(_ state: RowGather) {
        while state.turn < state.lanes.count {
            let lane = state.lanes[state.turn]
            if lane.early.readableBytes > 0 {
                forward(lane.early)
                lane.early = ByteBuffer()
            }
            guard lane.isDone else { return }
            state.turn += 1
        }
    }

    private func ended(_ state: RowGather, _ place: Int, _ exchange: Exchange, _ result: Exchange.Result) {
        let lane = state.lanes[place]
        lane.isDone = true
        lane.backend.setReading(true)
        if let error = Self.failure(exchange, result, lane.backend) {
            stop(state, error)
        } else if !lane.isBegun || exchange.tags != ["SELECT \(lane.rows)"] {
            stop(state, .shardsDisagree(lane.backend.pool.shardID))
        }
        if state.error == nil, state.hasBegun { takeTurns(state) }
        guard state.isDone else { return steerSoon(state) }
        concludeGather(state.error, rows: state.rows, isImplicit: state.isImplicit, isInBatch: state.isInBatch, state.goesOn)
    }

    // MARK: Back-pressure

    /// What ends within this tick, as a short answer does, is not stopped and started for nothing.
    private func steerSoon(_ state: RowGather) {
        guard !state.isSteeringDue else { return }
        state.isSteeringDue = true
        loop.eventLoop.assumeIsolated().execute { [self] in
            state.isSteeringDue = false
            if gather === state { steer(state) }
        }
    }

    /// A shard is read while it is its turn and the client takes what comes; after an error all are, to come to their ends.
    func steer(_ state: RowGather) {
        for (place, lane) in state.lanes.enumerated() where !lane.isDone {
            // Before all have begun, only those that have not need to be heard.
            let isItsTurn = state.hasBegun ? place == state.turn && isClientWritable : !lane.isBegun
            lane.backend.setReading(state.error != nil || isItsTurn)
        }
    }

    // MARK: Ends

    func stop(_ state: RowGather, _ error: ServerError) {
        guard state.error == nil else { return }
        state.error = error
        for lane in state.lanes {
            lane.early = ByteBuffer()
            if !lane.isDone, lane.backend.hasExchange { lane.backend.pool.cancel(lane.backend) }
        }
        steer(state)
    }

    /// All shards have come to their ends.
    ///
    /// - goesOn: whether the statement goes on in another way after this error.
    func concludeGather(_ error: ServerError?, rows: Int, isImplicit: Bool, isInBatch: Bool, _ goesOn: ((ServerError) -> Bool)?) {
        gather = nil
        guard resume() else { return }
        defer { pump() }
        if let error {
            if goesOn?(error) ?? false { return }
            if isImplicit { rollBackAll { [self] in failUnit(error) } } else { failUnit(error) }
            return
        }
        let complete = { [self] in
            let end = { (buffer: inout ByteBuffer) in buffer.writeCommandComplete(tag: "SELECT \(rows)") }
            if isInBatch { answer(end) } else { completeUnit(end) }
        }
        guard isImplicit else { return complete() }
        commitAll { [self] result in
            releaseParticipants()
            switch result {
            case .committed: complete()
            case .aborted(let error), .unknown(let error): failUnit(error)
            }
        }
    }
}
