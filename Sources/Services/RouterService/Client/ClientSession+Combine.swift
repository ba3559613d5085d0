internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// SELECT whose answer is made of partial rows of every shard, by the PostgreSQL of one of them (docs/internals/scatter.md).
extension ClientSession {
    /// The portal's name on the shards, where a client's own may be in use.
    private static let portal = "pgmosaic_part"

    /// Precondition: every shard is a participant, and may be asked.
    ///
    /// - isBare: without BEGIN (`start`).
    /// - goesOn: whether the statement goes on in another way after this error.
    func combine(
        _ combination: GatherCombination, _ origin: GatherOrigin, isImplicit: Bool, isBare: Bool, keeping parts: PartlyFetched? = nil, goesOn: @escaping (ServerError) -> Bool
    ) {
        let done = { [self] (outcome: EverywhereOutcome) in
            if case .failure(let error) = outcome, goesOn(error) { return }
            if !origin.isExecution { return conclude(outcome, isImplicit: isImplicit) }
            switch outcome {
            case .failure(let error): failUnit(error)
            case .success(let answers):
                guard let parts else { return answer { $0.writeImmutableBuffer(answers) } }
                parts.keep(answers)
                if keepsTooMuch { failUnit(.answerTooLarge) } else { give(parts) }
            }
        }
        combine(combination, origin, showsColumns: !origin.isExecution || parts != nil, isBare: isBare, done)
    }

    /// The rows, and what they are made of, to `done`.
    func combine(_ combination: GatherCombination, _ origin: GatherOrigin, showsColumns: Bool, isBare: Bool = false, _ done: @escaping (EverywhereOutcome) -> Void) {
        let indices = participants.indices.filter { index in database.pools.contains { $0 === participants[index].backend.pool } }
        var rows = PartialRows()
        var error: ServerError?
        let moves = database.moves
        each(
            Array(indices), { index in (isBare ? [] : self.prelude(of: index, wrote: self.participants[index].wrote), { origin.writePart(combination.partText, into: &$0, portal: Self.portal) }) },
            keep: .simpleQuery, AnswerBudget(limits.coordinatedAnswerMax)
        ) { [self] index, exchange, result in
            guard error == nil else { return }
            let backend = participants[index].backend
            error = Self.failure(exchange, result, backend).map { error in
                var error = error
                // With more columns before the select list's own it is another place in the client's text.
                if !combination.keepsPlaces { error[.position] = nil }
                return error
            } ?? rows.add(exchange.answers, isHome: backend.pool === database.home).map { .refusal(Refusal(.typesDiffer, $0)) }
            // Nobody waits for the rest of it.
            if error != nil {
                for participant in participants where participant.backend.hasExchange { participant.backend.pool.cancel(participant.backend) }
            }
        } then: { [self] in
            if let error = error ?? refusalOfStrays(since: moves) { return done(.failure(error)) }
            rows.moveToEnd(first: combination.hidden)
            finish(rows, combination, origin, showsColumns: showsColumns, isBare: isBare, done)
        }
    }

    /// Has the home shard make the answer of the partial rows.
    private func finish(
        _ rows: PartialRows, _ combination: GatherCombination, _ origin: GatherOrigin, showsColumns: Bool, isBare: Bool, _ done: @escaping (EverywhereOutcome) -> Void
    ) {
        let types = rows.columns.map(\.typeOID)
        if let place = combination.refused(types: types) { return done(.failure(.refusal(Refusal(.combinedType, rows.columns[place].name)))) }
        guard let statement = combination.statement(types: types), let home = participants.firstIndex(where: { $0.backend.pool === database.home }) else {
            return done(.failure(.shardsDisagree(database.home.shardID)))
        }
        let columns = Array(rows.columns.prefix(combination.width))
        let isNamed = combination.order.allSatisfy { item in
            item.name == nil || columns.indices.filter { columns[$0].name == item.name } == (item.place < columns.count ? [item.place] : [])
        }
        guard isNamed, combination.merge == nil || origin.isAsTold(columns) else { return done(.failure(.planChanged)) }
        let answerTypes = combination.answerTypes(types)
        let arrays = rows.arrays()
        var parameterTypes = types.compactMap { CombinedType(oid: $0)?.arrayOID }
        var bounds: [(value: ByteBuffer?, format: WireFormat)] = []
        if case .execution(let client, let bind) = origin {
            for number in combination.parameters where number <= bind.parameterCount {
                bounds.append((bind.parameter(at: number - 1), bind.format(ofParameter: number - 1)))
                parameterTypes.append(number <= client.parameterTypes.count ? client.parameterTypes[number - 1] : 0)
            }
        }
        var outcome = EverywhereOutcome.failure(.shardsDisagree(database.home.shardID))
        each(
            [home],
            { index in
                (
                    isBare ? [] : self.prelude(of: index, wrote: self.participants[index].wrote),
                    { buffer in
                        buffer.writeParse(name: "", query: statement, parameterTypes: parameterTypes)
                        buffer.writeBind(portal: Self.portal, arrays: arrays, bounds, resultFormats: origin.resultFormats)
                        buffer.writeDescribe(.portal, name: Self.portal)
                        buffer.writeExecute(portal: Self.portal)
                        buffer.writeClose(.portal, name: Self.portal)
                        buffer.writeSync()
                    }
                )
            }, keep: .simpleQuery
        ) { [self] index, exchange, result in
            if var error = Self.failure(exchange, result, participants[index].backend) {
                // Not a place in the client's text.
                error[.position] = nil
                return outcome = .failure(error)
            }
            outcome = Self.answer(exchange.answers, columns, answerTypes, showsColumns: showsColumns, database.home.shardID)
        } then: {
            done(outcome)
        }
    }

    /// The combined rows under the names that the client's statement gives them.
    private static func answer(
        _ answers: ByteBuffer, _ columns: [RowDescription.Column], _ types: [UInt32], showsColumns: Bool, _ shard: ShardID
    ) -> EverywhereOutcome {
        var (rest, buffer) = (answers, ByteBuffer())
        while let frame = try? rest.readFrame(limit: .max) {
            switch frame.kind {
            case BackendKind.rowDescription:
                guard let made = try? RowDescription(body: frame.body), made.columns.map(\.typeOID) == types else {
                    return .failure(.shardsDisagree(shard))
                }
                var shown = columns
                for (place, column) in made.columns.enumerated() { (shown[place].typeOID, shown[place].typeSize, shown[place].format) = (column.typeOID, column.typeSize, column.format) }
                if showsColumns { buffer.writeRowDescription(shown) }
            case BackendKind.dataRow, BackendKind.commandComplete, BackendKind.noticeResponse:
                buffer.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
            default: break
            }
        }
        return .success(buffer)
    }
}

extension ByteBuffer {
    /// Bind of the unnamed statement to arrays in binary form, and limits as the client gave them.
    fileprivate mutating func writeBind(
        portal: String, arrays: [ByteBuffer], _ bounds: [(value: ByteBuffer?, format: WireFormat)], resultFormats: FormatList?
    ) {
        writeFrame(FrontendKind.bind) { buffer in
            buffer.writeNullTerminatedString(portal)
            buffer.writeNullTerminatedString("")
            let values = arrays.map { (value: $0 as ByteBuffer?, format: WireFormat.binary) } + bounds
            buffer.writeInteger(UInt16(values.count))
            for value in values { buffer.writeInteger(value.format.rawValue) }
            buffer.writeInteger(UInt16(values.count))
            for (value, _) in values {
                buffer.writeInteger(Int32(value?.readableBytes ?? -1))
                if let value { buffer.writeImmutableBuffer(value) }
            }
            let count = resultFormats?.count ?? 0
            buffer.writeInteger(UInt16(count))
            for place in 0..<count { buffer.writeInteger(resultFormats?[place].rawValue ?? 0) }
        }
    }
}

extension GatherOrigin {
    /// nil: text.
    var resultFormats: FormatList? { if case .execution(_, let bind) = self { bind.resultFormats } else { nil } }

    /// The statement with its rows in binary form, whatever the client asked for.
    ///
    /// - text: in place of the client's own; nil: there is none.
    func writePart(_ text: [UInt8]?, into buffer: inout ByteBuffer, portal: String) {
        switch self {
        case .query(let frame):
            var own = frame
            own.moveReaderIndex(forwardBy: FrameHeader.length)
            own.moveWriterIndex(to: own.writerIndex - 1)
            buffer.writeParse(name: "", query: text.map { ByteBuffer(bytes: $0) } ?? own)
            buffer.writeBind(portal: portal, statement: "", parameters: [], resultFormat: .binary)
        case .execution(let statement, let bind):
            if let text {
                buffer.writeParse(name: "", query: ByteBuffer(bytes: text), parameterTypes: statement.parameterTypes)
            } else {
                buffer.writeParse(rewriting: statement.parse, name: "")
            }
            let parameters = bind.parameters.enumerated().map { (value: $1, format: bind.format(ofParameter: $0)) }
            buffer.writeBind(portal: portal, statement: "", parameters: parameters, resultFormat: .binary)
        }
        buffer.writeDescribe(.portal, name: portal)
        buffer.writeExecute(portal: portal)
        buffer.writeClose(.portal, name: portal)
        buffer.writeSync()
    }
}
