internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// SELECT whose rows every shard gives in the order that is asked for, and the router merges (docs/internals/scatter.md).
extension ClientSession {
    // MARK: Beginning

    /// False: LIMIT or OFFSET, or the formats of the columns, are not for the router to read.
    ///
    /// Precondition: every shard is a participant, and may be asked.
    func merge(
        _ combination: GatherCombination, _ origin: GatherOrigin, _ backends: [Backend], isImplicit: Bool, isBare: Bool, goesOn: @escaping (ServerError) -> Bool
    ) -> Bool {
        guard let plan = combination.merge, let bounds = RowBounds(combination, origin), let formats = SortedGather.formats(combination, plan, origin) else { return false }
        let state = SortedGather(combination, plan, bounds, origin, backends, isImplicit: isImplicit, isInBatch: batch.isOpen, isBare: isBare, moves: database.moves)
        state.goesOn = goesOn
        gather = state
        batch.rawUnnamed = nil
        suspend()
        for (place, lane) in state.lanes.enumerated() {
            let backend = lane.backend
            let index = participants.firstIndex { $0.backend === backend } ?? 0
            let prelude = isBare ? [] : prelude(of: index, wrote: participants[index].wrote)
            // The statement under its name is the client's own.
            let preparation = plan.text == nil ? preparation(of: origin, on: backend) : nil
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
                state.write(formats, preparation, into: &buffer)
            }
        }
        return true
    }

    // MARK: What the shards send

    private func received(_ frame: Frame, _ state: SortedGather, _ place: Int) {
        if frame.kind == BackendKind.rowDescription { return begun(frame, state, place) }
        let lane = state.lanes[place]
        lane.count += 1
        guard !state.isOver else { return passOver(frame, state, lane) }
        lane.add(frame.body)
        if state.merge?.waits(for: place) ?? false, lane.first != nil { goOn(state, from: place) }
        if lane.isFull { lane.backend.setReading(false) }
    }

    private func begun(_ frame: Frame, _ state: SortedGather, _ place: Int) {
        let lane = state.lanes[place]
        guard !lane.isBegun, let description = try? RowDescription(body: frame.body) else { return stop(state, .shardsDisagree(lane.backend.pool.shardID)) }
        if let column = state.common.disagreement(of: description) { return stop(state, .refusal(Refusal(.typesDiffer, column))) }
        if lane.backend.pool === database.home { state.columns = description.columns }
        lane.isBegun = true
        guard state.hasBegun else { return }
        if let refusal = refusalOfStrays(since: state.moves) { return stop(state, refusal) }
        if let column = state.begin() { return stop(state, .refusal(Refusal(.typesDiffer, column))) }
        guard state.origin.isAsTold(state.shown) else { return stop(state, .planChanged) }
        if !state.origin.isExecution { answer { $0.writeRowDescription(state.shown) } }
        for place in state.lanes.indices { load(place, state) }
        goOn(state)
    }

    // MARK: Merging

    private func goOn(_ state: SortedGather, from place: Int) {
        load(place, state)
        goOn(state)
    }

    /// Tells the merge of the lane's first row, or of its end; nothing where neither is known.
    private func load(_ place: Int, _ state: SortedGather) {
        let lane = state.lanes[place]
        if let row = lane.first {
            if !(state.merge?.arrived(place, row: row) ?? false) { stop(state, .shardsDisagree(lane.backend.pool.shardID)) }
        } else if lane.isDone {
            state.merge?.ended(place)
        }
    }

    /// Gives the rows that are known to be next.
    private func goOn(_ state: SortedGather) {
        while state.error == nil, let step = state.merge?.next() {
            switch step {
            case .wait: return
            case .over: return complete(state)
            case .give(let place):
                state.given += 1
                if let row = take(place, state) { give(row, state.plan.hidden) }
                load(place, state)
            case .skip(let place):
                _ = take(place, state)
                load(place, state)
            }
        }
    }

    private func take(_ place: Int, _ state: SortedGather) -> ByteBuffer? {
        let lane = state.lanes[place]
        let wasFull = lane.isFull
        let row = lane.take()
        if wasFull, !lane.isFull, !lane.isDone { lane.backend.setReading(isClientWritable) }
        return row
    }

    /// A row without its first columns.
    private func give(_ body: ByteBuffer, _ hidden: Int) {
        guard hidden > 0 else { return answer { buffer in buffer.writeFrame(BackendKind.dataRow) { $0.writeImmutableBuffer(body) } } }
        var rest = body
        let count = rest.readInteger(as: UInt16.self) ?? 0
        for _ in 0..<hidden {
            let length = rest.readInteger(as: Int32.self) ?? 0
            // The merge has read these columns.
            if length > 0 { rest.moveReaderIndex(forwardBy: Int(length)) }
        }
        answer { buffer in
            buffer.writeFrame(BackendKind.dataRow) {
                $0.writeInteger(count - UInt16(hidden))
                $0.writeImmutableBuffer(rest)
            }
        }
    }

    // MARK: The end of the answer

    /// What the shards still have to say is of no interest.
    private func complete(_ state: SortedGather) {
        guard !state.isOver else { return }
        state.isOver = true
        for lane in state.lanes { lane.drop() }
        steer(state)
    }

    private func passOver(_ frame: Frame, _ state: SortedGather, _ lane: SortedGather.Lane) {
        lane.leftover += frame.body.readableBytes
        // In a transaction a cancel would be its end.
        guard state.isBare, !lane.isCancelled, lane.leftover > SortedGather.leftoverMax, lane.backend.hasExchange else { return }
        lane.isCancelled = true
        lane.backend.pool.cancel(lane.backend)
    }

    private func ended(_ state: SortedGather, _ place: Int, _ exchange: Exchange, _ result: Exchange.Result) {
        let lane = state.lanes[place]
        lane.isDone = true
        lane.backend.setReading(true)
        // One PostgreSQL would not have looked at the rows behind its limit.
        let isOfNoInterest = state.isOver && state.isBare && result == .done
        if !isOfNoInterest, let error = failure(exchange, result, lane, state) { stop(state, error) }
        if state.error == nil, state.merge?.waits(for: place) ?? false { goOn(state, from: place) }
        guard state.isDone else { return }
        concludeGather(state.error, rows: state.given, isImplicit: state.isImplicit, isInBatch: state.isInBatch, state.goesOn)
    }

    private func failure(_ exchange: Exchange, _ result: Exchange.Result, _ lane: SortedGather.Lane, _ state: SortedGather) -> ServerError? {
        if var error = Self.failure(exchange, result, lane.backend) {
            // With more columns before the select list's own it is another place in the client's text.
            if !state.combination.mergeKeepsPlaces { error[.position] = nil }
            return error
        }
        return lane.isBegun && exchange.tags == ["SELECT \(lane.count)"] ? nil : .shardsDisagree(lane.backend.pool.shardID)
    }

    func stop(_ state: SortedGather, _ error: ServerError) {
        guard state.error == nil else { return }
        state.error = error
        for lane in state.lanes {
            lane.drop()
            if !lane.isDone, lane.backend.hasExchange { lane.backend.pool.cancel(lane.backend) }
        }
        steer(state)
    }

    // MARK: Back-pressure

    /// A shard is read while there is room for its rows and the client takes what comes; those that have nothing more to say that matters are, to come to their ends.
    func steer(_ state: SortedGather) {
        for lane in state.lanes where !lane.isDone { lane.backend.setReading(state.error != nil || state.isOver || isClientWritable && !lane.isFull) }
    }
}
