internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore

/// What is left of a simple query with several statements.
struct StatementList {
    fileprivate var rest: ArraySlice<ByteBuffer>
    /// The transaction is the list's own: nobody said BEGIN.
    fileprivate var isImplicit = false
    /// The next statement is due; whoever is at work on the list takes it, so that many short ones do not pile up on the stack.
    fileprivate var isDue = false
    fileprivate var isAdvancing = false
    /// It waits for the client to read, or for its turn on the event loop.
    fileprivate var isPaused = false

    fileprivate init(_ statements: [ByteBuffer]) { rest = statements[...] }
}

/// Several statements in one simple query, one after another: what no single shard can run as it is.
///
/// As in PostgreSQL they are one transaction, unless they say BEGIN and COMMIT themselves, and the first error ends them all ("Multiple Statements
/// in a Simple Query", 55.2.2.1 of its documentation). Each is a unit like any other, but for its ReadyForQuery, which the whole list has once.
extension ClientSession {
    func run(statementsOf text: ByteBuffer) {
        guard list == nil, let parsed = try? ParsedSQL.parse(bytes: Array(buffer: text)) else { return failUnit(.refusal(Refusal(.statementList))) }
        list = StatementList(
            parsed.statements.compactMap { text.getSlice(at: text.readerIndex + $0.range.lowerBound, length: $0.range.count) })
        advance()
    }

    /// The statement that was running is answered.
    func statementEnded() {
        if case .ok = unit.outcome, !unit.hasFailed { return advance() }
        endList(succeeded: false)
    }

    private func advance() {
        list?.isDue = true
        guard list?.isAdvancing == false else { return }
        list?.isAdvancing = true
        var count = 0
        while list?.isDue == true {
            // What the router answers itself does not wait for any shard.
            flushFullOutbox()
            guard isClientWritable, count < Self.listTurnMax else {
                pauseList()
                break
            }
            count += 1
            list?.isDue = false
            guard let text = list?.rest.popFirst() else {
                endList(succeeded: true)
                break
            }
            var frame = ByteBuffer()
            frame.writeQuery(text)
            runSimple(frame, text, mayReload: true)
        }
        list?.isAdvancing = false
        // What the statement sent is still to be written out.
        pump()
    }

    /// How many statements of a list are taken before other sessions have their turn.
    private static var listTurnMax: Int { 256 }

    private func pauseList() {
        suspend()
        list?.isPaused = true
        if isClientWritable { loop.eventLoop.assumeIsolated().execute { [self] in continueList() } }
    }

    /// The client reads again, or it is the list's turn.
    func continueList() {
        guard list?.isPaused == true else { return }
        list?.isPaused = false
        if resume() { advance() }
    }

    // MARK: What a list does otherwise

    /// Begins the list's own transaction where one is needed; true when the statement has been answered here.
    func isForTheList(_ plan: CachedPlan) -> Bool {
        if plan.kind == .copy {
            failUnit(.refusal(Refusal(.statementList, "COPY")))
            return true
        }
        if case .transaction(let statement) = plan.route { return list?.isImplicit == true && answered(statement) }
        if case .mosaic = plan.route { return false }
        guard transaction.isIdle else { return false }
        beginTransaction(options: "")
        list?.isImplicit = true
        return false
    }

    /// In a transaction that nobody has begun.
    private func answered(_ statement: TransactionStatement) -> Bool {
        switch statement {
        case .begin(let options):
            // Its options would come too late.
            guard options.isEmpty else {
                failUnit(.refusal(Refusal(.statementList, "BEGIN \(options)")))
                return true
            }
            list?.isImplicit = false
            completeUnit { $0.writeCommandComplete(tag: "BEGIN") }
        case .commit(chain: false), .rollback(chain: false):
            list?.isImplicit = false
            perform(statement, tag: "") { [self] outcome in
                switch outcome {
                case .done(let tag, let notice):
                    completeUnit {
                        $0.writeNoticeResponse(.noTransactionInProgress)
                        if let notice { $0.writeNoticeResponse(notice) }
                        $0.writeCommandComplete(tag: tag)
                    }
                case .failed(let error): failUnit(error)
                }
            }
        case .commit: failUnit(.noTransaction("COMMIT AND CHAIN"))
        case .rollback: failUnit(.noTransaction("ROLLBACK AND CHAIN"))
        case .savepoint: failUnit(.noTransaction("SAVEPOINT"))
        case .release: failUnit(.noTransaction("RELEASE SAVEPOINT"))
        case .rollbackTo: failUnit(.noTransaction("ROLLBACK TO SAVEPOINT"))
        }
        return true
    }

    /// The whole query is over: commits or undoes what is the list's own.
    private func endList(succeeded: Bool) {
        guard list?.isImplicit == true else { return answerList() }
        // From here on it is a transaction like any other, whose end has no answer.
        list?.isImplicit = false
        perform(succeeded ? .commit(chain: false) : .rollback(chain: false), tag: "") { [self] outcome in
            switch outcome {
            case .done(_, let notice):
                if let notice { answer { $0.writeNoticeResponse(notice) } }
            case .failed(let error):
                unit.outcome = .failed(error)
                answer { $0.writeErrorResponse(error) }
            }
            answerList()
        }
    }

    private func answerList() {
        list = nil
        answerReady(transaction.statusByte)
        finishUnit()
    }
}
