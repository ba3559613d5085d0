internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// SELECT whose answer the home shard makes of rows that are brought to it (docs/internals/scatter.md).
extension ClientSession {
    // MARK: Beginning

    /// - again: begins anew, where owners have changed before the answer is made.
    func beginFinish(
        _ plan: FinishPlan, _ origin: GatherOrigin, explaining explanation: Explanation? = nil, keeping parts: PartlyFetched? = nil, again: (() -> Void)? = nil
    ) {
        let isFree = transaction.isIdle && participants.isEmpty
        // Otherwise its isolation must be asked first, in a transaction that begins as the client's do.
        let isAlone = isFree && !settings.namesIsolation && !database.pools.contains(where: \.isStrict)
        let isImplicit = transaction.isIdle && !batch.isOpen
        guard isAlone else { return enlistAll { [self] in beginFinish(plan, origin, isImplicit: isImplicit, explanation, parts, again: again) } }
        enlistAll { [self] in
            guard let home = participants.first(where: { $0.backend.pool === database.home })?.backend else { return failUnit(.shardsChanged) }
            let sources = plan.fetches ? participants.map(\.backend).filter { $0 !== home } : []
            let state = RowFinish(plan, origin, home: home, sources, homePool: database.home, isAlone: true, isImplicit: false, isInBatch: batch.isOpen, moves: database.moves)
            (state.explanation, state.parts, state.again) = (explanation, parts, again)
            start(state)
        }
    }

    /// While a job may have one row on two shards: every shard's rows come to the router, which takes those that the shard owns; the answer is made of them, whatever the statement is.
    func beginOwned(_ plan: GatherRows, _ origin: GatherOrigin, keeping parts: PartlyFetched?) {
        let finish = (plan.finish ?? (plan.isOfShape ? self.finish(origin) : nil))?.withKeys
        guard let finish, finish.fetches, !(finish.sharded + finish.references).contains(where: \.isText) else { return failUnit(refusalOfStrays ?? .shardsChanged) }
        let isAlone = transaction.isIdle && participants.isEmpty
        let isImplicit = transaction.isIdle && !batch.isOpen
        enlistAll { [self] in
            beginFinish(finish, origin, isImplicit: isImplicit, nil, parts, isAlone: isAlone, owners: RowOwners(database)) { [self] in beginGather(plan, origin, keeping: parts) }
        }
    }

    /// The answer in this way, after the shards' columns have turned out to be of types that another way cannot put together, or their rows to be more than it holds; false: it is
    /// none, or nothing of the sort.
    func finishInstead(_ plan: GatherRows, _ origin: GatherOrigin, after error: ServerError, isAlone: Bool, keeping parts: PartlyFetched?) -> Bool {
        let detail = error[.detail] ?? ""
        // The client may have been told of the columns that all shards had when they agreed.
        if case .execution(let statement, _) = origin, statement.gathered != nil, detail.hasPrefix(RefusalCode.typesDiffer.rawValue) {
            statement.gathered = nil
            return false
        }
        // Nothing was said of it yet.
        if isAlone, detail.hasPrefix(RefusalCode.rowsMove.rawValue) {
            rollBackAll { [self] in beginGather(plan, origin, keeping: parts) }
            return true
        }
        guard let finish = plan.finish ?? (plan.isOfShape ? self.finish(origin) : nil) else { return false }
        // Where the shards disagree, or say too much, their work has been cut short, which a transaction of the client's does not survive.
        let isCutShort = detail.hasPrefix(RefusalCode.typesDiffer.rawValue) || error == .answerTooLarge
        guard detail.hasPrefix(RefusalCode.combinedType.rawValue) || isAlone && isCutShort else { return false }
        if isAlone { rollBackAll { [self] in beginFinish(finish, origin, keeping: parts) } } else { beginFinish(finish, origin, keeping: parts) }
        return true
    }

    private func finish(_ origin: GatherOrigin) -> FinishPlan? {
        guard let scope, case .query(let frame) = origin else { return nil }
        let text = Array(frame.readableBytesView.dropFirst(FrameHeader.length).dropLast())
        guard case .gatherRows(let gather)? = StatementPlanner.across(bytes: text, context: scope.context) else { return nil }
        return gather.finish
    }

    /// In the client's transaction: its shards give their rows, and a session of its own makes the answer. One that has had temporary tables cannot be prepared.
    /// The same for somebody else than the client.
    func beginFinish(_ plan: FinishPlan, _ origin: GatherOrigin, for taker: RowTaker) { beginFinish(plan, origin, isImplicit: false, nil, nil, for: taker) }

    /// - isAlone: nothing else is part of the transaction, so that the other session's time is as good.
    /// - owners: which shard's rows count; nil: all rows of all shards do.
    private func beginFinish(
        _ plan: FinishPlan, _ origin: GatherOrigin, isImplicit: Bool, _ explanation: Explanation?, _ parts: PartlyFetched?, for taker: RowTaker? = nil, isAlone: Bool = false,
        owners: RowOwners? = nil, again: (() -> Void)? = nil
    ) {
        let fail = { [self] (error: ServerError) in if let taker { taker.ended(error) } else if isImplicit { rollBackAll { [self] in failUnit(error) } } else { failUnit(error) } }
        if !isAlone, let refusal = refusal(inTransaction: plan) { return fail(refusal) }
        for index in participants.indices { participants[index].role = .bound }
        boundLocks(of: Array(participants.indices)) { [self] error in
            if let error { return fail(error) }
            borrowHome { [self] home in
                let state = RowFinish(
                    plan, origin, home: home, plan.fetches ? participants.map(\.backend) : [], homePool: database.home, isAlone: false, isImplicit: isImplicit, isInBatch: batch.isOpen, moves: owners?.moves ?? database.moves)
                (state.explanation, state.parts, state.owners, state.again) = (explanation, parts, owners, again)
                borrowed = home
                state.taker = taker
                home.lend(to: self)
                start(state)
            }
        }
    }

    private func refusal(inTransaction plan: FinishPlan) -> ServerError? {
        if plan.readsClock { return .refusal(Refusal(.noKey, "the transaction's time")) }
        // The other session would not see what has been defined, and would wait for its locks.
        if privateSchema != nil { return .refusal(Refusal(.noKey, "a transaction that has changed definitions")) }
        if let table = (plan.sharded + plan.references).first(where: \.isText) { return .refusal(Refusal(.combinedType, table.name.description)) }
        return nil
    }

    /// A backend of the home shard that has no part in the transaction, whatever else the session has there.
    private func borrowHome(_ then: @escaping (Backend) -> Void) {
        if let backend = database.home.take() { return adoptSettings(backend, then) }
        let suspension = suspend()
        waiter = database.home.wait { [self] result in
            waiter = nil
            guard resume(suspension) else {
                if case .success(let backend) = result { backend.pool.release(backend) }
                return
            }
            switch result {
            case .success(let backend): adoptSettings(backend, then)
            case .failure(let error): failUnit(error)
            }
            pump()
        }
    }

    // MARK: The shards

    private func start(_ state: RowFinish) {
        gather = state
        state.parts?.rows = .kept(ByteBuffer())
        batch.rawUnnamed = nil
        suspend()
        // It is not over before all have been asked, should one be lost already.
        state.outstanding += 1
        prepareHome(state)
        for source in state.sources { fetch(from: source, state) }
        state.outstanding -= 1
        if state.outstanding == 0 { endFinish(state) }
    }

    /// Has the home shard read the statement as it is, so that its errors are those of the client's text, and make the temporary tables.
    private func prepareHome(_ state: RowFinish) {
        var prelude = ["BEGIN READ WRITE"] + settings.settings.statements(from: state.home.settings.settings) + ["SET LOCAL lock_timeout = '\(limits.lockTimeoutMilliseconds)ms'"]
        if state.isAlone, let index = participants.firstIndex(where: { $0.backend === state.home }) {
            prelude = ["BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE"] + self.prelude(of: index, wrote: false).dropFirst()
        }
        let definitions = state.plan.definitions(inTransaction: !state.isAlone, fillsThem: state.isAlone && state.plan.fetches)
        run(on: state.home, state, prelude, readies: 2, nil) { buffer in
            state.origin.writeParse(into: &buffer)
            buffer.writeDescribe(.statement, name: "")
            buffer.writeSync()
            buffer.writeQuery("\(definitions); \(state.plan.sizeQuery(inTransaction: !state.isAlone))")
        } done: { [self] exchange in
            guard state.read(preparation: exchange) else { return stop(state, .shardsDisagree(state.home.pool.shardID)) }
            state.step = .waiting
        }
    }

    private func fetch(from source: RowFinish.Source, _ state: RowFinish) {
        guard let index = participants.firstIndex(where: { $0.backend === source.backend }) else { return stop(state, .shardsChanged) }
        var prelude = prelude(of: index, wrote: participants[index].wrote)
        if state.isAlone {
            prelude[0] = "BEGIN READ ONLY"
            if state.tables.contains(where: \.isText) { prelude.append(Self.exactText) }
        }
        let onRow = { [self] (frame: Frame) in
            if frame.kind == BackendKind.rowDescription {
                source.columns = (try? RowDescription(body: frame.body))?.columns
                if let column = state.disagreement(of: source) { stop(state, .refusal(Refusal(.typesDiffer, column))) }
                return
            }
            guard state.take(frame.body, from: source) else { return stop(state, .shardsDisagree(source.backend.pool.shardID)) }
            if state.bytes > limits.fetchedMax { return stop(state, .fetchedTooLarge(limits.fetchedMax)) }
            goOn(state)
        }
        run(on: source.backend, state, prelude, readies: 1, onRow) { buffer in
            state.writeFetch(from: source, into: &buffer)
        } done: { [self] exchange in
            source.isDone = true
            if exchange.tags != ["SELECT \(source.rows)"] { stop(state, .shardsDisagree(source.backend.pool.shardID)) }
        }
    }

    /// Texts that are read as the values they stand for, whatever the session's settings are.
    private static let exactText =
        "SET LOCAL client_encoding = 'UTF8'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'"

    // MARK: The home shard

    /// Gives the home shard its next piece of work, when it has none and there is one.
    private func goOn(_ state: RowFinish) {
        guard state.error == nil, state.step == .waiting else { return }
        let isFetched = state.isFetched
        let number = state.rows.indices.max { state.rows[$0].bytes < state.rows[$1].bytes } ?? 0
        if state.rows[number].bytes >= RowFinish.copyBytes || isFetched && state.rows[number].count > 0 {
            copy(number, state)
        } else if isFetched {
            finish(state)
        }
        steer(state)
    }

    private func copy(_ number: Int, _ state: RowFinish) {
        state.step = .copying
        let (data, count) = state.rows[number].take()
        run(on: state.home, state, [], readies: 1, nil) { buffer in
            buffer.writeQuery(state.plan.copy(into: number, isText: state.rows[number].isText))
            buffer.writeCopyData(data)
            buffer.writeCopyDone()
        } done: { [self] exchange in
            guard exchange.tags == ["COPY \(count)"] else { return stop(state, .shardsDisagree(state.home.pool.shardID)) }
            state.step = .waiting
        }
    }

    /// All rows are there.
    private func finish(_ state: RowFinish) {
        if let refusal = state.owners == nil ? refusalOfStrays(since: state.moves) : refusalOfMoves(since: state.moves) { return stop(state, refusal) }
        state.again = nil
        state.step = .answering
        var prelude = [String]()
        if !state.isAlone { prelude = transaction.replay(after: 0, from: settings.settings, to: settings.settings) }
        prelude += state.plan.preparations(inTransaction: !state.isAlone)
        run(on: state.home, state, prelude, readies: 1, { [self] in answered(with: $0, state) }) { buffer in
            state.writeStatement(into: &buffer)
        } done: { [self] exchange in
            state.step = .over
            guard state.isWhole(exchange.tags) else { return stop(state, .shardsDisagree(state.home.pool.shardID)) }
            state.tag = exchange.tags[0]
        }
    }

    /// A part of the home shard's answer.
    private func answered(with frame: Frame, _ state: RowFinish) {
        if let explanation = state.explanation { return explanation.takeHomes(frame) }
        switch frame.kind {
        case BackendKind.rowDescription:
            guard let made = try? RowDescription(body: frame.body), state.isLike(made.columns), state.taker?.columns(made.columns) ?? true else { return stop(state, .planChanged) }
            state.parts?.columns = state.columns
            if !state.origin.isExecution, state.taker == nil { answer { $0.writeRowDescription(state.columns) } }
        default:
            if frame.kind == BackendKind.dataRow { state.answered += 1 }
            if let taker = state.taker { return taker.row(frame.body) ? () : stop(state, .answerTooLarge) }
            if let parts = state.parts {
                parts.keep(frame)
                if keepsTooMuch { stop(state, .answerTooLarge) }
                return
            }
            answer { buffer in buffer.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) } }
        }
    }

    /// One exchange of the statement's. `done` is called for one that has gone well, while nothing else has failed.
    private func run(
        on backend: Backend, _ state: RowFinish, _ prelude: [String], readies: Int, _ onRow: ((Frame) -> Void)?, _ messages: (inout ByteBuffer) -> Void,
        done: @escaping (Exchange) -> Void
    ) {
        state.outstanding += 1
        let exchange = Exchange(.simpleQuery, preludes: prelude.count, readies: readies) { [self] exchange, result in
            guard work != .closed else { return afterClient(exchange, result, backend) }
            state.outstanding -= 1
            if let error = Self.failure(exchange, result, backend) {
                stop(state, state.told(error, of: backend))
            } else if state.error == nil {
                done(exchange)
            }
            guard gather === state else { return }
            if state.error == nil, state.step != .over { goOn(state) }
            if state.outstanding == 0 { endFinish(state) }
        }
        if let onRow {
            let isHeard = { [self] (frame: Frame) in
                guard gather === state, state.error == nil else { return }
                onRow(frame)
            }
            (exchange.onRow, exchange.onCopyOut) = (isHeard, isHeard)
        }
        backend.run(exchange) { buffer in
            for statement in prelude { buffer.writeQuery(statement) }
            messages(&buffer)
        }
    }

    // MARK: Back-pressure

    /// The shards are read while the home shard takes what came, and the home shard while the client does; after an error all are, to come to their ends.
    func steer(_ state: RowFinish) {
        let takesMore = state.error != nil || state.waitingBytes < RowFinish.waitingMax
        for source in state.sources where !source.isDone { source.backend.setReading(takesMore) }
        state.home.setReading(state.error != nil || state.step != .answering || isClientWritable)
    }

    // MARK: Ends

    func stop(_ state: RowFinish, _ error: ServerError) {
        guard state.error == nil else { return }
        state.error = error
        for backend in state.sources.map(\.backend) + [state.home] where backend.hasExchange { backend.pool.cancel(backend) }
        steer(state)
    }

    private func endFinish(_ state: RowFinish) {
        gather = nil
        state.home.setReading(true)
        if !state.isAlone { giveBack(home: state.home) }
        guard resume() else { return }
        defer { pump() }
        if let taker = state.taker { return taker.ended(state.error) }
        if let again = state.again, state.error?[.detail]?.hasPrefix(RefusalCode.rowsMove.rawValue) ?? false {
            // At an isolation that takes a snapshot for each statement, what is left of the transactions does as well.
            return state.isAlone || state.isImplicit ? rollBackAll(again) : again()
        }
        let end: (ServerError?) -> Void = { [self] error in
            if let error { return failUnit(error) }
            if let explanation = state.explanation { return endExplain(explanation) }
            if let parts = state.parts { return give(parts) }
            let tag = { (buffer: inout ByteBuffer) in
                if state.plan.output == .copy { buffer.writeCopyDone() }
                buffer.writeCommandComplete(tag: state.tag)
            }
            if state.isInBatch { answer(tag) } else { completeUnit(tag) }
        }
        if state.isAlone || state.isImplicit { rollBackAll { end(state.error) } } else { end(state.error) }
    }

    /// Its transaction is rolled back, and with it the temporary tables go.
    private func giveBack(home: Backend) {
        borrowed = nil
        home.takeBack()
        let exchange = Exchange { exchange, result in
            if result == .done { home.pool.release(home, isReusable: exchange.error == nil && exchange.status == TransactionState.Phase.idle.rawValue) }
        }
        home.run(exchange) { $0.writeQuery("ROLLBACK") }
        home.boundExchange(to: limits.abandonedTime)
    }
}

extension RowFinish {
    /// What the home shard has made of the statement, and how large its own part is; false: it cannot be read.
    fileprivate func read(preparation exchange: Exchange) -> Bool {
        var rest = exchange.answers
        var hasTypes = false
        while let frame = try? rest.readFrame(limit: .max) {
            switch frame.kind {
            case BackendKind.parameterDescription:
                guard let types = try? ParameterDescription(body: frame.body).types.array else { return false }
                (parameterTypes, hasTypes) = (types, true)
            case BackendKind.noData: hasColumns = true
            // The first is the statement's; the other is that of the size.
            case BackendKind.rowDescription where !hasColumns:
                guard let description = try? RowDescription(body: frame.body) else { return false }
                (columns, hasColumns) = (description.columns, true)
            case BackendKind.dataRow:
                guard let row = try? DataRow(body: frame.body), let value = Array(row.columns).first ?? nil, let size = Int(String(buffer: value)) else { return false }
                bytes += size
            default: break
            }
        }
        return hasTypes && hasColumns
    }

    /// Whether the home shard has said that it has given all, and how much.
    fileprivate func isWhole(_ tags: [String]) -> Bool {
        switch plan.output {
        case .rows: tags == ["SELECT \(answered)"]
        case .copy: tags.count == 1 && tags[0].hasPrefix("COPY ")
        case .plan: tags == ["EXPLAIN"]
        }
    }

    /// Whether the rewritten statement gives what the client's gives; the formats of its columns are known from it.
    fileprivate func isLike(_ made: [RowDescription.Column]) -> Bool {
        guard made.count == columns.count else { return false }
        for place in made.indices {
            guard made[place].name == columns[place].name, made[place].typeOID == columns[place].typeOID, made[place].typeModifier == columns[place].typeModifier else { return false }
            columns[place].format = made[place].format
        }
        return true
    }

    fileprivate func writeStatement(into buffer: inout ByteBuffer) {
        buffer.writeParse(name: "", query: ByteBuffer(bytes: plan.text(inTransaction: !isAlone)), parameterTypes: parameterTypes)
        if case .execution(_, let bind) = origin {
            buffer.writeBind(selecting: Array(1..<(bind.parameterCount + 1)), of: bind, portal: Self.portal, statement: "")
        } else {
            buffer.writeBind(portal: Self.portal, statement: "", parameters: [], resultFormat: .text)
        }
        buffer.writeDescribe(.portal, name: Self.portal)
        buffer.writeExecute(portal: Self.portal)
        buffer.writeClose(.portal, name: Self.portal)
        buffer.writeSync()
    }

    /// The error as the client is to hear it.
    fileprivate func told(_ error: ServerError, of backend: Backend) -> ServerError {
        if backend === home, step == .preparing { return error }
        if step == .copying, backend === home, error.sqlState.code == "42804" { return .refusal(Refusal(.combinedType, tables.map(\.name.description).joined(separator: ", "))) }
        // It is a place in another text.
        var error = error
        error[.position] = nil
        return error
    }
}

extension GatherOrigin {
    /// The client's statement as the unnamed one.
    fileprivate func writeParse(into buffer: inout ByteBuffer) {
        switch self {
        case .query(let frame):
            var text = frame
            text.moveReaderIndex(forwardBy: FrameHeader.length)
            text.moveWriterIndex(to: text.writerIndex - 1)
            buffer.writeParse(name: "", query: text)
        case .execution(let statement, _): buffer.writeParse(rewriting: statement.parse, name: "")
        }
    }
}
