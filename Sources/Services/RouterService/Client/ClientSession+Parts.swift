internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// Execute with a row limit of a portal over several shards.
extension ClientSession {
    /// The first one: from now on the portal knows what it has given.
    func executeInParts(_ plan: GatherRows, _ portal: Portal, _ bind: BindMessage, _ message: ExecuteMessage) {
        guard useUp(portal, message.portal) else { return }
        let isNamed = message.portal.readableBytes > 0
        let parts = PartlyFetched(plan, portal.statement, bind, number: isNamed ? loop.nextScopeID() : 0)
        var fetched = Portal(statement: portal.statement, target: .parts(parts))
        fetched.madeAfter = portal.madeAfter
        if isNamed { portals[message.portal.nameKey] = fetched } else { unnamedPortal = fetched }
        executeParts(parts, rowsMax: message.rowsMax)
    }

    func executeParts(_ parts: PartlyFetched, rowsMax: Int32) {
        guard !transaction.isFailed else { return failBatch(.failedTransaction) }
        if isOnReplica { return leaveReplica { [self] in executeParts(parts, rowsMax: rowsMax) } }
        if isInPlainPipeline { return openForSeveral { [self] in executeParts(parts, rowsMax: rowsMax) } }
        afterAnswers { [self] in
            if transaction.isIdle { batch.isImplicitlyCoordinated = true }
            parts.purpose = .execute
            (parts.left, parts.given) = (rowsMax > 0 ? Int(rowsMax) : nil, 0)
            if case .none = parts.rows { beginGather(parts.plan, parts.origin, keeping: parts) } else { give(parts) }
        }
    }

    // MARK: On the shards

    /// Opens a portal on every shard, at about the same moment.
    ///
    /// - goesOn: whether the statement goes on in another way after this error.
    func openParts(_ parts: PartlyFetched, goesOn: @escaping (ServerError) -> Bool) {
        let pools = database.pools, moves = database.moves
        let indices = pools.compactMap { pool in participants.firstIndex { $0.backend.pool === pool } }
        guard indices.count == pools.count else { return failUnit(.shardsChanged) }
        var error: ServerError?
        var common: [RowDescription.Column]?
        each(
            indices, { index in (self.prelude(of: index, wrote: self.participants[index].wrote), { parts.writeOpening(into: &$0) }) }, keep: .simpleQuery
        ) { [self] index, exchange, result in
            guard error == nil else { return }
            let backend = participants[index].backend
            error = Self.failure(exchange, result, backend)
            guard error == nil else { return }
            guard let columns = Self.columns(in: exchange.answers) else { return error = .shardsDisagree(backend.pool.shardID) }
            if let common, let other = Self.disagreement(common, columns) { error = .refusal(Refusal(.typesDiffer, other)) }
            common = columns
        } then: { [self] in
            if let error {
                if !goesOn(error) { failUnit(error) }
                return
            }
            if let refusal = refusalOfStrays(since: moves) { return failUnit(refusal) }
            parts.rows = .onShards(pools, turn: 0)
            parts.columns = common ?? []
            give(parts)
        }
    }

    private static func columns(in answers: ByteBuffer) -> [RowDescription.Column]? {
        var rest = answers
        while let frame = try? rest.readFrame(limit: .max) {
            if frame.kind == BackendKind.rowDescription { return (try? RowDescription(body: frame.body))?.columns }
            if frame.kind == BackendKind.noData { return [] }
        }
        return nil
    }

    /// A column that two shards have differently. Where it stands in its table is each shard's own.
    private static func disagreement(_ first: [RowDescription.Column], _ second: [RowDescription.Column]) -> String? {
        guard first.count == second.count else { return "their number" }
        return zip(first, second).first { $0.name != $1.name || $0.typeOID != $1.typeOID || $0.typeModifier != $1.typeModifier || $0.format != $1.format }?.1.name
    }

    // MARK: Rows

    /// Gives the client what it has asked for, or what there is.
    func give(_ parts: PartlyFetched) {
        if parts.purpose == .declare { return endOfGiving(parts) }
        switch parts.rows {
        case .none: failUnit(.shardsChanged)
        case .kept(var buffer):
            parts.rows = .none
            while parts.left != parts.given, let frame = try? buffer.readFrame(limit: .max) {
                give(frame, of: parts)
            }
            buffer.discardReadBytes()
            parts.rows = .kept(buffer)
            endOfGiving(parts)
        case .onShards(let pools, let turn):
            guard turn < pools.count else { return endOfGiving(parts) }
            guard let index = participants.firstIndex(where: { $0.backend.pool === pools[turn] }) else { return failUnit(.shardLost(pools[turn].shardID, mayHaveRun: false)) }
            read(parts, from: index, pools, turn)
        }
    }

    private func give(_ row: Frame, of parts: PartlyFetched) {
        parts.given += 1
        if parts.purpose == .fetch(isMove: true) { return }
        answer { buffer in buffer.writeFrame(row.kind) { $0.writeImmutableBuffer(row.body) } }
    }

    private func endOfGiving(_ parts: PartlyFetched) {
        switch parts.purpose {
        case .execute where parts.left == parts.given: answer { $0.writePortalSuspended() }
        case .execute: answer { $0.writeCommandComplete(tag: "SELECT \(parts.given)") }
        case .declare: endCursorStep("DECLARE CURSOR")
        case .fetch(let isMove): endCursorStep("\(isMove ? "MOVE" : "FETCH") \(parts.given)")
        }
    }

    private func read(_ parts: PartlyFetched, from index: Int, _ pools: [BackendPool], _ turn: Int) {
        let backend = participants[index].backend
        gather = parts
        parts.reading = backend
        batch.rawUnnamed = nil
        suspend()
        let rowsMax = parts.left.map { $0 - parts.given } ?? 0
        let before = parts.given
        let prelude = prelude(of: index, wrote: participants[index].wrote)
        let exchange = Exchange(.simpleQuery, preludes: prelude.count) { [self] exchange, result in
            guard work != .closed else { return afterClient(exchange, result, backend) }
            (gather, parts.reading) = (nil, nil)
            backend.setReading(true)
            guard resume() else { return }
            defer { pump() }
            if let error = parts.error ?? Self.failure(exchange, result, backend) {
                parts.error = nil
                return failUnit(error)
            }
            if exchange.tags == ["SELECT \(parts.given - before)"] {
                parts.rows = .onShards(pools, turn: turn + 1)
            } else if parts.left != parts.given {
                return failUnit(.shardsDisagree(backend.pool.shardID))
            }
            if parts.left == parts.given { endOfGiving(parts) } else { give(parts) }
        }
        exchange.onRow = { [self] frame in
            guard gather === parts, parts.error == nil, frame.kind == BackendKind.dataRow else { return }
            give(frame, of: parts)
        }
        backend.run(exchange) { buffer in
            for statement in prelude { buffer.writeQuery(statement) }
            buffer.writeExecute(portal: parts.portal, rowsMax: Int32(rowsMax))
            buffer.writeSync()
        }
        parts.steer(in: self)
    }

    /// Room for rows that portals of the session keep: as much as one answer may have.
    var keepsTooMuch: Bool {
        let all = Array(portals.values) + [unnamedPortal].compactMap(\.self)
        let bytes = all.reduce(0) { sum, portal in if case .parts(let parts) = portal.target { sum + parts.keptBytes } else { sum } }
        return bytes > limits.coordinatedAnswerMax
    }
}
