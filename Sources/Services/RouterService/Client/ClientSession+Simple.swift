internal import NIOCore
internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore
internal import ShardModel

/// The simple query protocol.
extension ClientSession {
    func simpleQuery(_ frame: ByteBuffer) {
        beginUnit()
        // As in PostgreSQL, where a simple query takes their place.
        unnamedStatement = nil
        unnamedPortal = nil
        var text = frame
        text.moveReaderIndex(forwardBy: FrameHeader.length)
        guard let zero = text.readableBytesView.last, zero == 0 else {
            return failUnit(WireError(.unterminatedString, kind: FrontendKind.query).serverError)
        }
        text.moveWriterIndex(to: text.writerIndex - 1)
        runSimple(frame, text, mayReload: true)
    }

    /// - isMade: the router has made it of the client's, which has been taken down already.
    func runSimple(_ frame: ByteBuffer, _ text: ByteBuffer, mayReload: Bool, isMade: Bool = false) {
        if isTemporaryDoubtful, !transaction.isFailed { return readTemporary { [self] in runSimple(frame, text, mayReload: mayReload, isMade: isMade) } }
        guard let scope else { return failUnit(.schemaUnknown(database.name)) }
        let planned = scope.plan(simple: text)
        guard let plan = planned.plan else {
            if mayReload, planned.isCuredByReload, !transaction.isFailed {
                return reloadSchema { [self] in runSimple(frame, text, mayReload: false, isMade: isMade) }
            }
            if !transaction.isFailed, let key = hint(for: planned) { return runHinted(text, key, scope) }
            return failUnit(planned.error(inFailedTransaction: transaction.isFailed))
        }
        if plan.lacksSchema, mayReload, !transaction.isFailed, looksForNames(of: plan) {
            return reloadSchema { [self] in runSimple(frame, text, mayReload: false, isMade: isMade) }
        }
        unit.kind = plan.kind
        if transaction.isFailed, !plan.leavesFailedTransaction, !plan.isEmpty { return failUnit(.failedTransaction) }
        if list != nil, isForTheList(plan) { return }
        let inputs = KeyInputs(text: text, literals: loop.shape.literals)
        if variables.explains, plan.isExplainable {
            if case .gatherRows(let gather) = plan.route, !isGathered(planned) { return gatherSimple(gather, planned, frame, text) }
            return explainSimple(plan, inputs)
        }
        if database.isHolding, waits(for: plan, inputs, { [self] in runSimple(frame, text, mayReload: mayReload, isMade: isMade) }) { return }
        if plan.writes {
            replicas.mayHaveWritten = true
            if loop.auditsWrites, !isMade { do { try auditWrite(text, plan) } catch { return failUnit(error) } }
        }
        if database.hasReplicas {
            switch replicaStep(plan, inputs, frame) {
            case .usual: break
            case .read(let pool): return forwardSimple(frame, pool, .reader, writes: false)
            case .leave: return leaveReplica { [self] in runSimple(frame, text, mayReload: mayReload, isMade: isMade) }
            }
        }
        if plan.value.cursor != nil, let step = cursorStep(plan) { return run(step) }
        if plan.isTraced, !drawsOnSeveral(plan, inputs) { return runTraced(frame, plan, inputs) }
        switch plan.route {
        case .keyed(let sources):
            do throws(KeyProblem) {
                let pool = try pool(for: sources, plan, inputs)
                if needsMoment(plan, at: pool) { return run(try workWithMoment(pool, .query(frame, text: text))) }
                if sendRead(frame, plan, pool) { return }
                forwardSimple(frame, pool, .bound, writes: plan.writes)
            } catch {
                if plan.value.isList, case .several = error {
                    unit.audited?.removeLast()
                    return run(statementsOf: text)
                }
                spreadSimple(sources, plan, inputs, frame, text, error)
            }
        case .anyShard:
            forwardSimple(frame, poolForReading(), .reader, writes: false)
        case .homeShard:
            forwardSimple(frame, database.home, plan.writes ? .bound : .reader, writes: plan.writes)
        case .currentShard:
            forwardSimple(frame, poolOfCurrentShard(for: plan), .passing, writes: plan.writes)
        case .everyShard(let everyShard):
            runEverywhere(everyShard, text: String(buffer: text))
        case .splitCopy(let split):
            beginCopy(.split(split), text: String(buffer: text))
        case .broadcastCopy(let broadcast):
            beginCopy(.broadcast(broadcast), text: String(buffer: text))
        case .gatherCopy(let gather):
            beginGather(gather, text: String(buffer: text))
        case .gatherRows(let gather):
            gatherSimple(gather, planned, frame, text)
        case .everyKey:
            writeEverywhere(planned, .query(frame, text: text))
        case .keysFirst(let first):
            insertSimple(first, text)
        case .explain(let explain):
            explainEverywhere(explain, planned, frame)
        case .statements:
            run(statementsOf: text)
        case .transaction(let statement):
            runTransaction(statement, frame, text)
        case .session(let statement):
            runSession(statement, frame, text)
        case .mosaic(let statement):
            runMosaic(statement)
        case .empty:
            completeUnit { $0.writeEmptyQueryResponse() }
        }
    }

    /// Sends the query as it came, and passes its answers on.
    func forwardSimple(_ frame: ByteBuffer, _ pool: BackendPool, _ role: Role, writes: Bool, _ effect: Effect? = nil) {
        unit.shard = pool
        if participants.isEmpty, transaction.isIdle, effect == nil, pins.isEmpty, borrowIdle(of: pool, writes: writes) { return sendQuery(frame) }
        reach(pool, role, writes: writes) { [self] in
            guard let effect else { return sendQuery(frame) }
            pendingEffects.append(effect)
            script.expectMarked(.query)
            backend.send(frame)
            work = .awaitingReady
        }
    }

    func sendQuery(_ frame: ByteBuffer) {
        script.expect(.query)
        backend.send(frame)
        work = .awaitingReady
    }

    // MARK: Keys

    /// The pool of the one shard that owns every key.
    func pool(for sources: [KeySource], _ plan: CachedPlan, _ inputs: KeyInputs) throws(KeyProblem) -> BackendPool {
        if let limit = plan.keyLengthMax {
            do { try inputs.checkLength(of: sources, max: limit) } catch { throw .fault(error) }
        }
        var owner: ShardIndex?
        for source in sources {
            let tokens: TokenList
            do throws(KeyError) {
                tokens = try inputs.tokens(source)
            } catch {
                throw .fault(.keyError(error))
            }
            switch tokens {
            case .one(let token):
                try settle(&owner, database.owner(of: token))
            case .many(let tokens):
                for token in tokens { try settle(&owner, database.owner(of: token)) }
            }
        }
        if let named = variables.shardKey { try compare(owner, withShardOf: named, sources) }
        if let hint = plan.hint { try compare(owner, withShardOf: hint, sources) }
        // A list without any key matches no row on whatever shard.
        return owner.map(database.pool) ?? poolOfCurrentShard()
    }

    /// A key that the caller names besides the statement's own must not contradict it.
    private func compare(_ owner: ShardIndex?, withShardOf named: String, _ sources: [KeySource]) throws(KeyProblem) {
        guard let owner, let type = sources.first?.keyType else { return }
        let token: Token
        do throws(KeyError) { token = try type.token(text: named.utf8Span.span.bytes) } catch { throw .fault(.keyError(error)) }
        guard database.owner(of: token) == owner else { throw .fault(.refusal(Refusal(.shardKeyDisagrees))) }
    }

    @inline(__always)
    private func settle(_ owner: inout ShardIndex?, _ shard: ShardIndex) throws(KeyProblem) {
        if let owner, owner != shard { throw .several }
        owner = shard
    }
}

/// Why a statement's keys name no single shard.
enum KeyProblem: Error {
    /// They live on more than one.
    case several
    case fault(ServerError)

    var error: ServerError {
        switch self {
        case .several: .refusal(Refusal(.manyShards))
        case .fault(let error): error
        }
    }
}

enum TokenList {
    case one(Token)
    case many([Token])
}

/// Where a plan finds the values of its keys: the literals of a text, or the parameters of a Bind.
struct KeyInputs {
    let text: ByteBuffer
    let literals: LiteralRanges
    let bind: BindMessage?
    let parameterTypes: [UInt32]

    init(text: ByteBuffer, literals: LiteralRanges) {
        self.text = text
        self.literals = literals
        bind = nil
        parameterTypes = []
    }

    init(bind: BindMessage, parameterTypes: [UInt32]) {
        text = ByteBuffer()
        literals = []
        self.bind = bind
        self.parameterTypes = parameterTypes
    }

    var bytes: Int { text.readableBytes + (bind?.bytes ?? 0) }

    /// The first parameter that a key needs and the Bind does not have.
    func missingParameter(in sources: [KeySource]) -> Int? {
        for source in sources {
            switch source {
            case .parameter(let number, _), .parameterArray(let number, _):
                if number > bind?.parameterCount ?? 0 { return number }
            default: continue
            }
        }
        return nil
    }

    func tokens(_ source: KeySource) throws(KeyError) -> TokenList {
        switch source {
        case .token(let token):
            return .one(token)
        case .literal(let ordinal, let negated, let type):
            return .one(try token(literals[ordinal], negated: negated, type))
        case .constant(let text, let type):
            return .one(try type.token(text: text.span.bytes))
        case .parameter(let number, let type):
            let (value, isBinary, oid) = try parameter(number)
            return .one(try type.token(parameter: value.readableBytesSpan, isBinary: isBinary, oid: oid))
        case .parameterArray(let number, let type):
            let (value, isBinary, oid) = try parameter(number)
            return .many(try type.tokens(array: value.readableBytesSpan, isBinary: isBinary, oid: oid))
        }
    }

    /// A text longer than the column would lose trailing blanks on its way into the table, and then hash differently.
    func checkLength(of sources: [KeySource], max: Int) throws(ServerError) {
        for source in sources {
            let length: Int
            switch source {
            case .token, .parameterArray: continue
            case .constant(let text, _): length = Self.characters(in: text.span.bytes)
            case .literal(let ordinal, _, _):
                let literal = literals[ordinal]
                length =
                    literal.kind == .quotedString
                    ? Self.characters(in: literal.value(in: text.readableBytesSpan).span.bytes)
                    : Self.characters(in: text.readableBytesSpan.extracting(literal.content))
            case .parameter(let number, _):
                guard let value = bind?.parameter(at: number - 1) else { continue }
                length = Self.characters(in: value.readableBytesSpan)
            }
            if length > max { throw .keyTooLong(max) }
        }
    }

    /// Of UTF-8: every byte but those that continue a character.
    private static func characters(in text: RawSpan) -> Int {
        var count = 0
        for index in 0..<text.byteCount where text.unsafeLoad(fromByteOffset: index, as: UInt8.self) & 0xC0 != 0x80 { count += 1 }
        return count
    }

    /// An error where one of these parameters names a moment ('now'), which each shard would take for another one.
    func clockText(in parameters: [Int]) -> ServerError? {
        guard let bind else { return nil }
        for number in parameters where number >= 1 && number <= bind.parameterCount {
            guard bind.format(ofParameter: number - 1) == .text, let value = bind.parameter(at: number - 1),
                ClockText.mayNameNow(String(buffer: value))
            else { continue }
            return .refusal(Refusal(.volatileReferenceWrite, "$\(number)"))
        }
        return nil
    }

    private func token(_ literal: LiteralRange, negated: Bool, _ type: KeyType) throws(KeyError) -> Token {
        if literal.kind == .quotedString || negated {
            let value = (negated ? [0x2D] : []) + literal.value(in: text.readableBytesSpan)
            return try type.token(text: value.span.bytes)
        }
        return try type.token(text: text.readableBytesSpan.extracting(literal.content))
    }

    private func parameter(_ number: Int) throws(KeyError) -> (ByteBuffer, isBinary: Bool, oid: UInt32) {
        guard let bind, number >= 1, number <= bind.parameterCount else { throw .malformed }
        guard let value = bind.parameter(at: number - 1) else { throw .null }
        return (
            value, bind.format(ofParameter: number - 1) == .binary,
            number <= parameterTypes.count ? parameterTypes[number - 1] : 0
        )
    }
}
