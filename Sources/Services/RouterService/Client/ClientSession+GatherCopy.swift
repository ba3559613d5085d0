internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// A COPY TO STDOUT of the rows of every shard.
///
/// All shards begin at once, so that their snapshots are of about the same moment. The client gets the rows of one after the other: the others' wait
/// in the shards and their sockets, so that the router holds one burst of each at most.
final class GatherCopyState: Gather {
    /// It is the whole transaction of a simple query. In a batch Sync commits.
    let isImplicit: Bool
    let isInBatch: Bool
    let isBinary: Bool
    var gatherer: CopyGatherer
    /// In the order of their turns.
    let backends: [Backend]
    /// Whose rows the client gets now.
    var turn = 0
    /// Messages for the client that came before their shard's turn.
    var early: [ByteBuffer]
    var isDone: [Bool]
    /// CopyOutResponse, the first shard's.
    var response: CopyResponse?
    var isBegun: [Bool]
    /// The first error: what comes after it is passed over.
    var error: ServerError?
    var rows = 0
    /// `DatabaseState.moves` at the beginning.
    let moves: UInt64

    init(_ plan: GatherCopy, _ backends: [Backend], isImplicit: Bool, isInBatch: Bool, moves: UInt64) {
        self.moves = moves
        self.isImplicit = isImplicit
        self.isInBatch = isInBatch
        self.backends = backends
        isBinary = plan.isBinary
        gatherer = CopyGatherer(plan, shards: backends.count)
        early = backends.map { _ in ByteBuffer() }
        isBegun = backends.map { _ in false }
        isDone = isBegun
    }

    var hasBegun: Bool { isBegun.allSatisfy(\.self) }

    func steer(in session: ClientSession) { session.steer(self) }
    func stop(in session: ClientSession, _ error: ServerError) { session.stop(self, error) }
}

extension ClientSession {
    func beginGather(_ plan: GatherCopy, text: String) {
        if let refusal = refusalOfStrays { return failUnit(refusal) }
        let isAlone = transaction.isIdle && participants.isEmpty
        let isImplicit = transaction.isIdle && !batch.isOpen
        enlistAll { [self] in
            guard !isAlone, participants.count > 1 else { return start(plan, text, isImplicit: isImplicit) }
            // It reads rows of each, in a transaction that goes on.
            for index in participants.indices { participants[index].role = .bound }
            boundLocks(of: Array(participants.indices)) { [self] error in
                if let error { return failUnit(error) }
                start(plan, text, isImplicit: isImplicit)
            }
        }
    }

    private func start(_ plan: GatherCopy, _ text: String, isImplicit: Bool) {
        let state = GatherCopyState(plan, participants.map(\.backend), isImplicit: isImplicit, isInBatch: batch.isOpen, moves: database.moves)
        gather = state
        batch.rawUnnamed = nil
        suspend()
        for (index, backend) in state.backends.enumerated() {
            let prelude = prelude(of: index, wrote: participants[index].wrote)
            let exchange = Exchange(preludes: prelude.count) { [self] exchange, result in
                guard work != .closed else { return afterClient(exchange, result, backend) }
                ended(state, index, exchange, result)
            }
            exchange.onCopyOut = { [self] frame in
                guard gather === state, state.error == nil else { return }
                received(frame, state, index)
            }
            backend.run(exchange) { buffer in
                for statement in prelude { buffer.writeQuery(statement) }
                buffer.writeQuery(text)
            }
        }
    }

    // MARK: What the shards send

    private func received(_ frame: Frame, _ state: GatherCopyState, _ index: Int) {
        if frame.kind == BackendKind.copyOutResponse { return begun(frame, state, index) }
        do throws(CopyGatherer.Fault) {
            guard let data = try state.gatherer.take(frame.body, from: index) else { return }
            if state.hasBegun, index == state.turn {
                answer { $0.writeCopyDataHeader(length: data.readableBytes) }
                forward(data)
            } else {
                state.early[index].writeCopyData(data)
            }
        } catch {
            stop(state, .shardsDisagree(state.backends[index].pool.shardID))
        }
    }

    /// The client hears of it when every shard has begun: until then a shard's refusal is the statement's.
    private func begun(_ frame: Frame, _ state: GatherCopyState, _ index: Int) {
        guard let response = try? CopyResponse(body: frame.body, kind: frame.kind), state.response == nil || state.response == response else {
            return stop(state, .shardsDisagree(state.backends[index].pool.shardID))
        }
        state.response = response
        state.isBegun[index] = true
        if state.hasBegun {
            if let refusal = refusalOfStrays(since: state.moves) { return stop(state, refusal) }
            answer { $0.writeCopyOutResponse(response) }
            takeTurns(state)
        }
        steer(state)
    }

    /// Passes on what came early of the shard whose turn it is, and goes on to the next one behind each that is done.
    private func takeTurns(_ state: GatherCopyState) {
        while state.turn < state.backends.count {
            let index = state.turn
            if state.early[index].readableBytes > 0 {
                forward(state.early[index])
                state.early[index] = ByteBuffer()
            }
            guard state.isDone[index] else { return }
            state.turn += 1
        }
    }

    private func ended(_ state: GatherCopyState, _ index: Int, _ exchange: Exchange, _ result: Exchange.Result) {
        let backend = state.backends[index]
        state.isDone[index] = true
        backend.setReading(true)
        if let error = Self.failure(exchange, result, backend) {
            if state.error == nil { stop(state, error) }
        } else if state.error == nil, !state.gatherer.isComplete(index) {
            stop(state, .shardsDisagree(backend.pool.shardID))
        }
        state.rows += exchange.tags.first.flatMap { CommandTag(text: $0).rows } ?? 0
        if state.error == nil, state.hasBegun { takeTurns(state) }
        guard state.isDone.allSatisfy(\.self) else { return steer(state) }
        endGather(state)
    }

    // MARK: Back-pressure

    /// A shard is read while it is its turn and the client takes what comes; after an error all are, to come to their ends.
    func steer(_ state: GatherCopyState) {
        for (index, backend) in state.backends.enumerated() where !state.isDone[index] {
            // Before all have begun, only those that have not need to be heard.
            let isItsTurn = state.hasBegun ? index == state.turn && isClientWritable : !state.isBegun[index]
            backend.setReading(state.error != nil || isItsTurn)
        }
    }

    // MARK: Ends

    /// Ends the COPY on every shard; the client gets `error` when all have ended.
    func stop(_ state: GatherCopyState, _ error: ServerError) {
        guard state.error == nil else { return }
        state.error = error
        for index in state.early.indices { state.early[index] = ByteBuffer() }
        for (index, backend) in state.backends.enumerated() where !state.isDone[index] && backend.hasExchange { backend.pool.cancel(backend) }
        steer(state)
    }

    private func endGather(_ state: GatherCopyState) {
        gather = nil
        guard resume() else { return }
        defer { pump() }
        if let error = state.error {
            if state.isImplicit { rollBackAll { [self] in failUnit(error) } } else { failUnit(error) }
            return
        }
        guard state.isImplicit else { return completeGather(state) }
        commitAll { [self] result in
            releaseParticipants()
            switch result {
            case .committed: completeGather(state)
            case .aborted(let error), .unknown(let error): failUnit(error)
            }
        }
    }

    private func completeGather(_ state: GatherCopyState) {
        let end = { (buffer: inout ByteBuffer) in
            if state.isBinary { buffer.writeCopyData(ByteBuffer(bytes: BinaryCopyForm.trailer)) }
            buffer.writeCopyDone()
            buffer.writeCommandComplete(tag: "COPY \(state.rows)")
        }
        if state.isInBatch { answer(end) } else { completeUnit(end) }
    }
}
