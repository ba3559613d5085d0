internal import NIOCore
internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// Where the rows of a COPY FROM STDIN for several shards go.
enum CopyTarget {
    /// Each to the shard that owns its key.
    case split(SplitCopy)
    /// All of them to every shard.
    case broadcast(BroadcastCopy)
}

/// A COPY of several shards in a portal.
enum CopyWork {
    case into(CopyTarget)
    case out(GatherCopy)
}

/// A COPY FROM STDIN on every shard, all or nothing.
final class SplitCopyState {
    /// Finds the rows and their keys, the first of text and csv. Neither: every shard gets the client's data as they are.
    var lines: CopySplitter?
    var binary: BinaryCopySplitter?
    /// Look through such data for words that name the present.
    var clocks: [CopySplitter] = []
    /// As it was when the COPY began.
    let ring: HashRing
    /// Positions among the participants, by shard of that ring.
    let participantOfShard: [Int]
    /// Rows for each participant, sent when they are worth a message.
    var pending: [ByteBuffer]
    /// It is the whole transaction of a simple query. In a batch Sync commits.
    let isImplicit: Bool
    let isInBatch: Bool
    /// The first error of the data or of a shard; the rest of the client's data is passed over.
    var error: ServerError?
    /// Shards that have answered their COPY.
    var outstanding: Int
    var tags: [String] = []

    init(_ target: CopyTarget, ring: HashRing, participantOfShard: [Int], isImplicit: Bool, isInBatch: Bool, rowMax: Int) {
        self.ring = ring
        self.isInBatch = isInBatch
        switch target {
        case .split(let plan) where plan.format == .binary: binary = BinaryCopySplitter(plan, rowMax: rowMax)
        case .split(let plan): lines = CopySplitter(plan, rowMax: rowMax)
        case .broadcast(let plan): clocks = plan.clocks.map { CopySplitter($0, rowMax: rowMax) }
        }
        self.participantOfShard = participantOfShard
        pending = participantOfShard.map { _ in ByteBuffer() }
        self.isImplicit = isImplicit
        outstanding = participantOfShard.count
    }

    var isSplit: Bool { lines != nil || binary != nil }
}

extension ClientSession {
    /// A participant's rows are sent when they have come to this many bytes.
    private static let chunkSize = 32 << 10

    func beginCopy(_ target: CopyTarget, text: String) {
        let isInBatch = batch.isOpen
        let isImplicit = transaction.isIdle && !isInBatch
        enlistAll { [self] in
            let participantOfShard = database.pools.map { pool in participants.firstIndex { $0.backend.pool === pool }! }
            let state = SplitCopyState(
                target, ring: database.topology.ring, participantOfShard: participantOfShard, isImplicit: isImplicit, isInBatch: isInBatch,
                rowMax: limits.copyRowMax)
            copy = state
            batch.rawUnnamed = nil
            suspend()
            var started = 0
            for index in participants.indices {
                let backend = participants[index].backend
                let prelude = prelude(of: index)
                let exchange = Exchange(preludes: prelude.count) { [self] exchange, result in
                    guard work != .closed else { return afterClient(exchange, result, backend) }
                    if state.error == nil { state.error = Self.failure(exchange, result, backend) }
                    state.tags += exchange.tags
                    state.outstanding -= 1
                    if state.outstanding == 0 { return endSplitCopy(state) }
                    // PostgreSQL says so at once, and not only when the client has sent everything.
                    if state.error != nil { stopSplitCopy(state) }
                }
                exchange.onCopyIn = { [self] response in
                    started += 1
                    if state.error != nil, let index = participants.firstIndex(where: { $0.backend === backend }) {
                        return failCopy(on: index)
                    }
                    guard started == participants.count, work == .suspended else { return }
                    work = .copyIn
                    forward(response)
                    flushClient()
                    pump()
                }
                backend.run(exchange) { buffer in
                    for statement in prelude { buffer.writeQuery(statement) }
                    buffer.writeQuery(text)
                }
            }
        }
    }

    // MARK: The extended protocol

    func bindCopy(_ message: BindMessage, _ statement: Statement, _ work: CopyWork) {
        if message.parameterCount > 0 { return failBatch(.parameterCount(message.parameterCount, wanted: 0)) }
        bindBehindHeld(message, statement, .copy(work))
    }

    /// At Execute: a part of the pipeline's transaction.
    func executeCopy(_ work: CopyWork, text: ByteBuffer) {
        unit.ranEverywhere = true
        if isOnReplica { return leaveReplica { [self] in executeCopy(work, text: text) } }
        if isInPlainPipeline { return openForSeveral { [self] in executeCopy(work, text: text) } }
        afterAnswers { [self] in
            if transaction.isIdle { batch.isImplicitlyCoordinated = true }
            switch work {
            case .into(let target): beginCopy(target, text: String(buffer: text))
            case .out(let plan): beginGather(plan, text: String(buffer: text))
            }
        }
    }

    func handleSplitCopy(_ kind: UInt8, _ frame: ByteBuffer) throws(WireError) {
        guard let state = copy else { return }
        var body = frame
        body.moveReaderIndex(forwardBy: FrameHeader.length)
        switch kind {
        case FrontendKind.copyData:
            guard state.error == nil else { return }
            take(body, state)
        case FrontendKind.copyDone:
            finishRows(state)
            suspend()
            if state.error == nil {
                for index in participants.indices {
                    flushRows(state, index, atLeast: 1)
                    participants[index].backend.send { $0.writeCopyDone() }
                    participants[index].backend.flush()
                }
            } else {
                stopSplitCopy(state)
            }
        case FrontendKind.copyFail:
            let reason = (try? CopyFail(body: body).reason) ?? ""
            if state.error == nil {
                state.error = ServerError(sqlState: .queryCanceled, message: "COPY from stdin failed: \(reason)")
            }
            suspend()
            stopSplitCopy(state)
        case FrontendKind.flush, FrontendKind.sync:
            break
        case FrontendKind.terminate:
            closeClient()
        default:
            throw WireError(.unexpectedMessage, kind: kind)
        }
    }

    /// Routes the rows of one message.
    private func take(_ data: ByteBuffer, _ state: SplitCopyState) {
        guard state.isSplit else { return broadcast(data, state) }
        let sink: CopySplitter.RowSink = { [self] (row, key) throws(ServerError) in try place(row, key, state) }
        do throws(ServerError) {
            try state.lines?.consume(data.readableBytesSpan, sink)
            try state.binary?.consume(data.readableBytesSpan, sink)
        } catch {
            state.error = error
            return stopSplitCopy(state)
        }
        for index in participants.indices { flushRows(state, index, atLeast: Self.chunkSize) }
    }

    private func broadcast(_ data: ByteBuffer, _ state: SplitCopyState) {
        do throws(ServerError) {
            for index in state.clocks.indices { try state.clocks[index].consume(data.readableBytesSpan) { _, _ in } }
        } catch {
            state.error = error
            return stopSplitCopy(state)
        }
        for index in participants.indices { participants[index].backend.send { $0.writeCopyData(data) } }
    }

    private func finishRows(_ state: SplitCopyState) {
        guard state.error == nil else { return }
        do throws(ServerError) {
            for index in state.clocks.indices { try state.clocks[index].finish { _, _ in } }
        } catch {
            state.error = error
            return
        }
        let sink: CopySplitter.RowSink = { [self] (row, key) throws(ServerError) in try place(row, key, state) }
        do throws(ServerError) {
            try state.lines?.finish(sink)
            try state.binary?.finish(sink)
        } catch {
            state.error = error
        }
    }

    private func place(_ row: RawSpan, _ key: CopyKey, _ state: SplitCopyState) throws(ServerError) {
        switch key {
        case .none:
            // A header or a trailer: every shard expects one.
            for index in state.pending.indices { state.pending[index].writeBytes(row) }
        case .token(let token):
            state.pending[state.participantOfShard[state.ring.owner(of: token).value]].writeBytes(row)
        }
    }

    private func flushRows(_ state: SplitCopyState, _ index: Int, atLeast size: Int) {
        guard state.pending[index].readableBytes >= size else { return }
        let rows = state.pending[index]
        participants[index].backend.send { $0.writeCopyData(rows) }
        state.pending[index].clear()
    }

    /// A shard was lost, perhaps after it had taken all of its rows.
    func shardLost(_ error: ServerError, during state: SplitCopyState) {
        if state.error == nil { state.error = error }
        stopSplitCopy(state)
    }

    /// Ends the COPY on the shards without keeping anything.
    private func stopSplitCopy(_ state: SplitCopyState) {
        // What the client sends from here on is no COPY's any more: its next Sync is one.
        if work == .copyIn { suspend() }
        for index in participants.indices { failCopy(on: index) }
    }

    private func failCopy(on index: Int) {
        let backend = participants[index].backend
        guard backend.hasExchange else { return }
        backend.send { $0.writeCopyFail(reason: "stopped by the router") }
        backend.flush()
    }

    /// Every shard has answered.
    private func endSplitCopy(_ state: SplitCopyState) {
        copy = nil
        if work == .copyIn { work = .suspended }
        guard resume() else { return }
        defer { pump() }
        if let error = state.error {
            if state.isImplicit { rollBackAll { [self] in failUnit(error) } } else { failUnit(error) }
            return
        }
        let counts = state.tags.map { CommandTag(text: $0).rows ?? 0 }
        // The same rows everywhere count once.
        let rows = state.isSplit ? counts.reduce(0, +) : counts.max() ?? 0
        if state.isInBatch { return answer { $0.writeCommandComplete(tag: "COPY \(rows)") } }
        guard state.isImplicit else { return completeUnit { $0.writeCommandComplete(tag: "COPY \(rows)") } }
        commitAll { [self] result in
            releaseParticipants()
            switch result {
            case .committed: completeUnit { $0.writeCommandComplete(tag: "COPY \(rows)") }
            case .aborted(let error), .unknown(let error): failUnit(error)
            }
        }
    }
}
