internal import NIOCore
internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore

/// INSERT … VALUES whose shard keys are worked out first (docs/decisions/0094-keys-are-worked-out-first.md): one shard is asked for them, and the statement with the keys in
/// it is run as if the client had sent it.
extension ClientSession {
    // MARK: The two protocols

    func insertSimple(_ first: KeysFirst, _ text: ByteBuffer) {
        let bytes = Array(buffer: text)
        guard let question = first.question(bytes), question.parameters.isEmpty else { return failUnit(.planChanged) }
        askKeys(first, { Self.write(question.text, [], nil, into: &$0) }) { [self] keys in
            // As literals, so that statements with other keys have the same shape.
            guard let made = first.statement(bytes, keys.map { Array(quoteLiteral(String(buffer: $0)).utf8) }) else { return failUnit(.planChanged) }
            let text = ByteBuffer(bytes: made)
            var frame = ByteBuffer()
            frame.writeQuery(text)
            unit.hidesPositions = true
            runSimple(frame, text, mayReload: false, isMade: true)
        }
    }

    /// The keys are worked out here and not at Execute, which runs a portal of an INSERT once: so the portal is that of a statement with keys.
    func bindInsert(_ first: KeysFirst, _ message: BindMessage, _ statement: Statement) {
        // PostgreSQL looks at the portal's name before it reads the parameters.
        if isTaken(message) { return failBatch(.duplicatePortal(String(buffer: message.portal))) }
        guard message.parameterCount == first.parameterTypes.count else { return failBatch(.parameterCount(message.parameterCount, wanted: first.parameterTypes.count)) }
        let bytes = Array(buffer: statement.parse.query)
        guard let question = first.question(bytes), let made = first.statement(withParameters: bytes) else { return failBatch(.planChanged) }
        let types = question.parameters.map { first.parameterTypes[$0 - 1] }
        askKeys(first, { Self.write(question.text, types, (message, question.parameters), into: &$0) }) { [self] keys in
            var parse = ByteBuffer(), frame = ByteBuffer()
            parse.writeParse(name: "", query: ByteBuffer(bytes: made), parameterTypes: first.typesWithKeys)
            frame.writeBind(appending: keys.map { ($0, .text) }, to: message)
            bindMade(parse, frame)
        }
    }

    func bindMade(_ parse: ByteBuffer, _ frame: ByteBuffer) {
        guard let scope else { return failBatch(.schemaUnknown(database.name)) }
        var (parseBody, bindBody) = (parse, frame)
        parseBody.moveReaderIndex(forwardBy: FrameHeader.length)
        bindBody.moveReaderIndex(forwardBy: FrameHeader.length)
        guard let made = try? ParseMessage(body: parseBody), let message = try? BindMessage(body: bindBody) else { return failBatch(.planChanged) }
        unit.hidesPositions = true
        bind(frame, message, scope.statement(made), mayReload: false, made: parse)
    }

    /// A query whose parameters are some of the client's.
    private static func write(_ query: [UInt8], _ types: [UInt32], _ parameters: (bind: BindMessage, numbers: [Int])?, into buffer: inout ByteBuffer) {
        let portal = "pgmosaic_keys"
        buffer.writeParse(name: "", query: ByteBuffer(bytes: query), parameterTypes: types)
        let values: [ByteBuffer.BindValue] = parameters.map { given in
            let all = Array(given.bind.parameters)
            return given.numbers.map { (all[$0 - 1], given.bind.format(ofParameter: $0 - 1)) }
        } ?? []
        buffer.writeBind(portal: portal, statement: "", parameters: values)
        buffer.writeDescribe(.portal, name: portal)
        buffer.writeExecute(portal: portal)
        buffer.writeClose(.portal, name: portal)
        buffer.writeSync()
    }

    // MARK: The keys

    /// Asks the transaction's shard, or outside of one the home shard, and calls `then` with the keys as texts; the unit fails where there is one that is none.
    private func askKeys(_ first: KeysFirst, _ messages: @escaping (inout ByteBuffer) -> Void, _ then: @escaping ([ByteBuffer]) -> Void) {
        if scatter != nil { return leaveScatter { [self] in askKeys(first, messages, then) } }
        // The Sync must not commit what the pipeline has done.
        if isInPlainPipeline { return openForSeveral { [self] in askKeys(first, messages, then) } }
        let ask = { [self] (backend: Backend, isBorrowed: Bool) in
            let suspension = suspend()
            if isBorrowed { borrowed = backend }
            batch.rawUnnamed = nil
            let exchange = Exchange(.simpleQuery, bytesMax: limits.coordinatedAnswerMax) { [self] exchange, result in
                if isBorrowed {
                    borrowed = nil
                    if result == .done { giveBack(backend) }
                }
                guard resume(suspension) else {
                    if !isBorrowed { afterClient(exchange, result, backend) }
                    return
                }
                do throws(ServerError) {
                    if let error = Self.failure(exchange, result, backend) { throw error }
                    then(try Self.keys(in: exchange.answers, first))
                } catch {
                    // It is a place in another text than the client's.
                    var error = error
                    error[.position] = nil
                    failUnit(error)
                }
                pump()
            }
            backend.run(exchange, messages)
        }
        afterAnswers { [self] in
            // A transaction that no shard has begun yet, and that holds nothing, needs not begin for this.
            if participants.isEmpty, transaction.isIdle || transaction.historyCount == 0 { return acquire(database.home) { ask($0, true) } }
            reach(poolOfCurrentShard(), .passing, writes: false) { [self] in
                drain { [self] in ask(backend, false) }
            }
        }
    }

    /// Throws where a key is none of the column's type: PostgreSQL would cast it on its way into the table, and the router cannot.
    private static func keys(in answers: ByteBuffer, _ first: KeysFirst) throws(ServerError) -> [ByteBuffer] {
        var rest = answers
        var keys: [ByteBuffer] = []
        while let frame = try? rest.readFrame(limit: .max) {
            switch frame.kind {
            case BackendKind.rowDescription:
                guard let columns = try? RowDescription(body: frame.body).columns, columns.count == 1, KeyType(typeOID: columns[0].typeOID) == first.type else {
                    throw .refusal(Refusal(.keyType))
                }
            case BackendKind.dataRow:
                guard let row = try? DataRow(body: frame.body), let value = Array(row.columns).first, let key = value else { throw .keyError(.null) }
                keys.append(key)
            default: break
            }
        }
        guard keys.count == first.keys.count else { throw .planChanged }
        return keys
    }
}
