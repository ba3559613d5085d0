internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore

/// PREPARE in SQL: one namespace with the statements of the protocol, which is the session's and not any shard's.
extension ClientSession {
    /// The simple query becomes a batch of one step, its Sync included.
    func prepareSimple(_ prepare: PrepareStatement, _ text: ByteBuffer) {
        beginBatch()
        injectSync()
        self.prepare(prepare, text)
    }

    /// Defines the statement once a shard has accepted it, and answers the client.
    ///
    /// Precondition: a batch is open, and everything before has been answered.
    ///
    /// - text: all of it.
    func prepare(_ prepare: PrepareStatement, _ text: ByteBuffer) { self.prepare(Self.carryHint(of: text, to: prepare), mayReload: true) }

    /// A hint before PREPARE is the prepared statement's, as one behind it is.
    private static func carryHint(of text: ByteBuffer, to prepare: PrepareStatement) -> PrepareStatement {
        guard let key = StatementHint.shardKey(in: Array(buffer: text)), StatementHint.shardKey(in: Array(prepare.query.utf8)) == nil,
            let comment = StatementHint.comment(shardKey: key)
        else { return prepare }
        var hinted = prepare
        hinted.query = comment + prepare.query
        hinted.prefixLength -= comment.unicodeScalars.count
        return hinted
    }

    private func prepare(_ prepare: PrepareStatement, mayReload: Bool) {
        guard let scope else { return failBatch(.schemaUnknown(database.name)) }
        guard statements.count < limits.preparedStatementsMax else { return failBatch(.tooManyStatements) }
        var message = ByteBuffer()
        message.writeParse(name: "", query: prepare.query, parameterTypes: prepare.types)
        message.moveReaderIndex(forwardBy: FrameHeader.length)
        let inner: Statement
        do throws(WireError) {
            inner = scope.statement(try ParseMessage(body: message), hinted: variables.shardKey != nil)
        } catch {
            return failBatch(error.serverError)
        }
        if inner.planned.plan == nil {
            if mayReload, inner.planned.isCuredByReload { return reloadSchema { [self] in self.prepare(prepare, mayReload: false) } }
            if hint(for: inner.planned) == nil { return failBatch(inner.planned.error(inFailedTransaction: false).shifted(by: prepare.prefixLength, from: 0)) }
        }
        let finish = { [self] in
            unit.positionShift = 0
            guard statements[prepare.name] == nil else { return failBatch(.duplicateStatement(prepare.name)) }
            statements[prepare.name] = inner
            answer { $0.writeCommandComplete(tag: "PREPARE") }
        }
        guard !inner.isValidated || inner.result == nil else { return finish() }
        if usesTemporary(inner), !isAtHome {
            return reach(database.home, .passing, writes: false) { [self] in self.prepare(prepare, mayReload: mayReload) }
        }
        (unit.positionShift, unit.positionsFrom) = (prepare.prefixLength, 0)
        batch.held.append(.prepare(inner))
        afterAnswers(finish)
    }


    // MARK: Errors

    /// An ErrorResponse about a text, or a name, that the router has put in the place of the client's: told in the client's terms.
    func asClientsOwn(_ message: ByteBuffer) -> ByteBuffer {
        let namesStatement = message.readableBytesView.contains(subsequence: StatementSlot.quotedPrefix)
        guard namesStatement || unit.positionShift != 0 || unit.hidesPositions || sequences.isIncomplete else { return message }
        var rest = message
        guard let frame = try? rest.readFrame(limit: .max), var error = try? ServerError(body: frame.body) else { return message }
        if namesStatement, let own = clientsName(in: error.message) { error[.message] = own }
        if unit.hidesPositions { error[.position] = nil }
        if sequences.isIncomplete { error = explainingDrawn(error) }
        var bytes = ByteBuffer()
        bytes.writeErrorResponse(error.shifted(by: unit.positionShift, from: unit.positionsFrom))
        return bytes
    }

    /// `text` with the client's name for a statement instead of the one that shards know it by; nil where it is none of the session's.
    private func clientsName(in text: String) -> String? {
        let isNamed = { (statement: Statement) in statement.slot.map { text.contains("\"\($0.serverName)\"") } ?? false }
        let executed = unit.executedName.flatMap { name in statements[name].map { (key: name, value: $0) } }
        let found = executed.flatMap { isNamed($0.value) ? $0 : nil } ?? statements.first { isNamed($0.value) } ?? unnamedStatement.flatMap { isNamed($0) ? ("", $0) : nil }
        guard let found, let slot = found.value.slot else { return nil }
        return text.replacing("\"\(slot.serverName)\"", with: "\"\(found.key)\"")
    }
}

extension ServerError {
    func shifted(by shift: Int, from start: Int) -> ServerError {
        guard let position, position > start else { return self }
        var copy = self
        copy[.position] = String(position + shift)
        return copy
    }
}

extension Collection where Element: Equatable {
    fileprivate func contains(subsequence: [Element]) -> Bool {
        guard let head = subsequence.first else { return true }
        return indices.contains { self[$0] == head && self[$0...].starts(with: subsequence) }
    }
}
