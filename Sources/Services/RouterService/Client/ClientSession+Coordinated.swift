internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore
internal import ShardModel

/// Statements that run on every shard, and the ends of transactions that have several.
///
/// The home shard always goes first: whoever gets its locks there is the one to go on to the others, so that two such statements cannot
/// wait for each other on different shards, and one of them need not be ended (`DeadlockWatch`).
extension ClientSession {
    /// What ran on the home shard, when the others agreed.
    typealias EverywhereOutcome = Result<ByteBuffer, ServerError>

    // MARK: The two protocols

    func runEverywhere(_ everyShard: EveryShard, text: String) {
        unit.ranEverywhere = true
        if let refusal = refusalDuringJob(of: everyShard) { return failUnit(refusal) }
        if everyShard.changesSchema { doubtTemporaryObjects() }
        if let index = everyShard.concurrentIndex { return runConcurrently(index, text) }
        guard everyShard.transactional else { return runUntransactional(everyShard, text) }
        let isImplicit = transaction.isIdle
        onEveryShard({ $0.writeQuery(text) }, keep: .simpleQuery, everyShard) { [self] outcome in
            switch outcome {
            case .success(let answers) where !isImplicit:
                noteSchemaChange(everyShard) { [self] _ in completeUnit { $0.writeImmutableBuffer(answers) } }
            case .success:
                confirm(everyShard) { [self] changes in
                    switch changes {
                    case .success(let changes): conclude(outcome, isImplicit: isImplicit, publishing: changes)
                    case .failure(let error): conclude(.failure(error), isImplicit: isImplicit)
                    }
                }
            case .failure:
                conclude(outcome, isImplicit: isImplicit)
            }
        }
    }

    /// Answers a simple query that ran on several shards; commits it first where it is a transaction of its own.
    func conclude(_ outcome: EverywhereOutcome, isImplicit: Bool, publishing changes: [PlacementChange]? = nil) {
        switch (outcome, isImplicit) {
        case (.failure(let error), true):
            rollBackAll { [self] in failUnit(error) }
        case (.failure(let error), false):
            failUnit(error)
        case (.success(let answers), false):
            completeUnit { $0.writeImmutableBuffer(answers) }
        case (.success(let answers), true):
            commitAll { [self] result in
                releaseParticipants()
                switch result {
                case .committed:
                    publish(changes) { [self] notice in
                        completeUnit {
                            if let notice { $0.writeNoticeResponse(notice) }
                            $0.writeImmutableBuffer(answers)
                        }
                    }
                case .aborted(let error), .unknown(let error):
                    failUnit(error)
                }
            }
        }
    }

    /// A job that moves rows has brought the definitions to where they go.
    private func refusalDuringJob(of everyShard: EveryShard) -> ServerError? {
        guard everyShard.reason == .ddl, let job = database.topology.jobs.first else { return nil }
        return .refusal(Refusal(.resharding, "job \(job)"))
    }

    func executeEverywhere(_ everyShard: EveryShard, _ statement: Statement, _ bind: BindMessage) {
        unit.ranEverywhere = true
        if let refusal = refusalDuringJob(of: everyShard) { return failBatch(refusal) }
        if everyShard.changesSchema { doubtTemporaryObjects() }
        if let index = everyShard.concurrentIndex { return executeConcurrently(index, String(buffer: statement.parse.query)) }
        guard everyShard.transactional else { return failBatch(.refusal(Refusal(.extendedMaintenance))) }
        // Its portal is older than a read of the same pipeline.
        if isOnReplica { return leaveReplica { [self] in executeEverywhere(everyShard, statement, bind) } }
        if isInPlainPipeline {
            return openForSeveral { [self] in executeEverywhere(everyShard, statement, bind) }
        }
        afterAnswers { [self] in
            if transaction.isIdle { batch.isImplicitlyCoordinated = true }
            batch.rawUnnamed = nil
            let portal = String(buffer: bind.portal)
            onEveryShard(
                { buffer in
                    buffer.writeParse(rewriting: statement.parse, name: "")
                    buffer.writeBind(rewriting: bind, statementName: "")
                    buffer.writeExecute(portal: portal)
                    buffer.writeClose(.portal, name: portal)
                    buffer.writeSync()
                }, keep: .executeOnly, everyShard
            ) { [self] outcome in
                switch outcome {
                case .failure(let error):
                    failBatch(error)
                case .success(let answers):
                    batch.changesSchema = batch.changesSchema || everyShard.changesSchema
                    noteSchemaChange(everyShard) { [self] changes in
                        batch.schemaChanges.append(contentsOf: changes)
                        answer { $0.writeImmutableBuffer(answers) }
                    }
                }
            }
        }
    }

    // MARK: On every shard

    /// VACUUM and its like: on each shard by itself, with the first error for an answer.
    private func runUntransactional(_ everyShard: EveryShard, _ text: String) {
        guard transaction.isIdle, !unit.continuesPipeline else { return failUnit(.notInTransactionBlock) }
        enlistAll { [self] in
            var error: ServerError?
            var answers = ByteBuffer()
            each(Array(participants.indices), { _ in ([], { $0.writeQuery(text) }) }, keep: .simpleQuery) { index, exchange, result in
                if let failure = Self.failure(exchange, result, self.participants[index].backend), error == nil { error = failure }
                if self.participants[index].backend.pool === self.database.home { answers = exchange.answers }
            } then: { [self] in
                releaseParticipants()
                if let error { failUnit(error) } else { completeUnit { $0.writeImmutableBuffer(answers) } }
            }
        }
    }

    /// Runs `messages` inside the transaction on every shard; all must succeed with the same command tag.
    private func onEveryShard(
        _ messages: @escaping (inout ByteBuffer) -> Void, keep: Exchange.Keep, _ everyShard: EveryShard,
        _ done: @escaping (EverywhereOutcome) -> Void
    ) {
        let locks = Self.locks(of: everyShard.readTables)
        enlistAll { [self] in
            guard !locks.isEmpty, !transaction.isIdle else { return runOnEveryShard(messages, keep, everyShard, locks, done) }
            // A snapshot from before the locks would show each shard its own past.
            boundLocks(of: participants.indices.filter { participants[$0].hasBegun }) { [self] error in
                if let error = error ?? strictIsolation.map({ .refusal(Refusal(.isolation, $0)) }) { return done(.failure(error)) }
                runOnEveryShard(messages, keep, everyShard, locks, done)
            }
        }
    }

    private func runOnEveryShard(
        _ messages: @escaping (inout ByteBuffer) -> Void, _ keep: Exchange.Keep, _ everyShard: EveryShard, _ locks: [String],
        _ done: @escaping (EverywhereOutcome) -> Void
    ) {
        guard let leader = participants.firstIndex(where: { $0.backend.pool === database.home }) else {
            return done(.failure(.schemaUnknown(database.name)))
        }
        // What it does to other relations may reach the session's temporary ones (CASCADE, ANALYZE of all).
        if keepsTemporary { participants[leader].cannotPrepare = true }
        var answers = ByteBuffer()
        var tags: [String] = []
        var error: ServerError?
        each([leader], { (self.prelude(of: $0) + locks, messages) }, keep: keep) { index, exchange, result in
            error = Self.failure(exchange, result, self.participants[index].backend)
            answers = exchange.answers
            tags = exchange.tags
        } then: { [self] in
            if let error {
                let notices = Self.notices(in: answers)
                if notices.readableBytes > 0 { answer { $0.writeImmutableBuffer(notices) } }
                return done(.failure(error))
            }
            let followers = participants.indices.filter { $0 != leader }
            each(followers, { (self.prelude(of: $0) + self.followerLockBound(of: $0) + locks, messages) }, keep: .outcome) {
                index, exchange, result in
                guard error == nil else { return }
                let backend = self.participants[index].backend
                error = Self.failure(exchange, result, backend)
                if error == nil, exchange.tags != tags { error = .shardsDisagree(backend.pool.shardID) }
            } then: {
                if let error { return done(.failure(error)) }
                self.sliceSequences(everyShard.sequences) { error in done(error.map { .failure($0) } ?? .success(answers)) }
            }
        }
    }

    /// What was said before the error.
    private static func notices(in answers: ByteBuffer) -> ByteBuffer {
        var (rest, notices) = (answers, ByteBuffer())
        while let frame = try? rest.readFrame(limit: .max) {
            if frame.kind == BackendKind.noticeResponse { notices.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) } }
        }
        return notices
    }

    /// Waits for the tables' writers, prepared ones included, and lets no other in.
    private static func locks(of tables: [QualifiedName]) -> [String] {
        guard !tables.isEmpty else { return [] }
        let names = tables.map { "\(quoteIdentifier($0.schema)).\(quoteIdentifier($0.name))" }.joined(separator: ", ")
        return ["LOCK TABLE \(names) IN SHARE ROW EXCLUSIVE MODE"]
    }

    /// A follower that waits for a lock longer than this may be part of a deadlock that spans shards, and that nobody has found.
    ///
    /// A bound that the client has set for its session stays.
    private func followerLockBound(of index: Int) -> [String] {
        if participants[index].hasLockBound || settings.settings["lock_timeout"] != nil { return [] }
        return ["SET LOCAL lock_timeout = '\(limits.lockTimeoutMilliseconds)ms'"]
    }

    /// What a participant has to be told before it may run a statement of the transaction; it counts as told from now on.
    func prelude(of index: Int, wrote: Bool = true) -> [String] {
        let participant = participants[index]
        participants[index].wrote = wrote
        participants[index].hasBegun = true
        participants[index].settingsInside = settings
        participants[index].historyApplied = transaction.historyCount
        return (participant.hasBegun ? [] : [transaction.isIdle ? "BEGIN" : transaction.beginStatement])
            + transaction.replay(after: participant.historyApplied, from: participant.settingsInside.settings, to: settings.settings)
    }

    /// Makes every shard a participant.
    func enlistAll(_ then: @escaping () -> Void) {
        let pools = database.pools
        enlist(pools[...]) { [self] in
            // One may have come while the others were waited for.
            guard database.pools.elementsEqual(pools, by: ===) else { return enlistAll(then) }
            isCoordinated = true
            then()
        }
    }

    /// Makes these shards participants. They are in the order of the shards, so that two sessions cannot hold what the other one needs.
    func enlist(_ pools: ArraySlice<BackendPool>, _ then: @escaping () -> Void) {
        let missing = pools.firstIndex { pool in !participants.contains { $0.backend.pool === pool } }
        guard let missing else { return then() }
        acquire(pools[missing]) { [self] backend in
            backend.lend(to: self)
            participants.append(
                Participant(
                    backend: backend, wrote: false, role: .passing, historyApplied: 0, hasBegun: false,
                    settingsInside: backend.settings, settingsOutside: backend.settings))
            if participants.count == 2 { loop.spans(self) }
            enlist(pools[(missing + 1)...], then)
        }
    }

    /// Runs `work` on the participants of the list at the same time.
    ///
    /// - work: statements that come first and whose answers are of no interest, and the messages themselves, answered by one ReadyForQuery.
    func each(
        _ indices: [Int], _ work: (Int) -> ([String], (inout ByteBuffer) -> Void), keep: Exchange.Keep, _ budget: AnswerBudget? = nil,
        _ each: @escaping (Int, Exchange, Exchange.Result) -> Void, then: @escaping () -> Void
    ) {
        guard !indices.isEmpty else { return then() }
        assert(script.isEmpty, "answers for the client are still to come")
        // A simple query takes its place.
        batch.rawUnnamed = nil
        let suspension = suspend()
        var outstanding = indices.count
        for index in indices {
            let backend = participants[index].backend
            let (prelude, messages) = work(index)
            let exchange = Exchange(keep, preludes: prelude.count, budget: budget ?? AnswerBudget(limits.coordinatedAnswerMax)) { [self] exchange, result in
                guard self.work != .closed else { return afterClient(exchange, result, backend) }
                if let index = participants.firstIndex(where: { $0.backend === backend }) { each(index, exchange, result) }
                outstanding -= 1
                guard outstanding == 0, resume(suspension) else { return }
                then()
                pump()
            }
            backend.run(exchange) { buffer in
                for statement in prelude { buffer.writeQuery(statement) }
                messages(&buffer)
            }
        }
    }

    static func failure(_ exchange: Exchange, _ result: Exchange.Result, _ backend: Backend) -> ServerError? {
        if result == .lost {
            return .shardLost(backend.pool.shardID, mayHaveRun: false, farewell: exchange.error.map { "\($0.sqlState.code) \($0.message)" })
        }
        if let error = exchange.error { return error }
        if exchange.isTooLarge { return .answerTooLarge }
        return nil
    }

    // MARK: The end of a transaction

    /// Runs one statement on every participant, those that lag behind brought up to date first.
    func runOnAll(_ statement: String, _ done: @escaping (ServerError?) -> Void) {
        var error: ServerError?
        each(
            participants.indices.filter { participants[$0].hasBegun },
            { index in
                let lag = self.transaction.isFailed ? [] : self.prelude(of: index, wrote: self.participants[index].wrote)
                return (lag, { $0.writeQuery(statement) })
            }, keep: .outcome
        ) { index, exchange, result in
            if error == nil { error = Self.failure(exchange, result, self.participants[index].backend) }
        } then: {
            done(error)
        }
    }

    /// Rolls back on every participant that is still there.
    func rollBackAll(_ then: @escaping () -> Void) {
        for index in participants.indices {
            participants[index].settingsInside = participants[index].settingsOutside
        }
        isRollingBack = true
        each(participants.indices.filter { participants[$0].hasBegun }, { _ in ([], { $0.writeQuery("ROLLBACK") }) }, keep: .outcome) { _, _, _ in
        } then: { [self] in
            isRollingBack = false
            releaseParticipants()
            then()
        }
    }

    /// Commits on every participant: the one that wrote last of all, several writers in two phases. Whatever becomes of it, the session
    /// has no participants afterwards.
    func commitAll(_ done: @escaping (CommitResult) -> Void) {
        for index in participants.indices { participants[index].isKept = isPinned(participants[index].backend) }
        // The first writer decides, and is not prepared.
        let begun = participants.filter { $0.hasBegun && $0.cannotPrepare } + participants.filter { $0.hasBegun && !$0.cannotPrepare }
        participants = participants.filter { !$0.hasBegun }
        releaseParticipants()
        guard !begun.isEmpty else { return done(.committed(late: [])) }
        let suspension = suspend()
        let driver = CommitDriver(begun, changesRoles: !roles.isEmpty, loop: loop, database: database) { [self] result in
            commit = nil
            if work == .closed { dropPins() }
            guard resume(suspension) else { return }
            if case .committed(let late) = result, !late.isEmpty { answer { $0.writeNoticeResponse(.seenLater(on: late)) } }
            done(result)
            pump()
        }
        commit = driver
        driver.start()
    }

    // MARK: Describe of a statement for every shard

    /// Asks the home shard what the statement takes and gives; `resultFormats` is given for a portal.
    func describeAside(_ statement: Statement, resultFormats: FormatList?) {
        if scatter != nil { return leaveScatter { [self] in describeAside(statement, resultFormats: resultFormats) } }
        // Its Sync must not commit what the pipeline has done.
        if isInPlainPipeline { return openForSeveral { [self] in describeAside(statement, resultFormats: resultFormats) } }
        afterAnswers { [self] in
            batch.rawUnnamed = nil
            let messages: (inout ByteBuffer) -> Void = { buffer in
                buffer.writeParse(rewriting: statement.parse, name: "")
                buffer.writeDescribe(.statement, name: "")
                buffer.writeSync()
            }
            let finish: (Exchange, Exchange.Result, Backend) -> Void = { [self] exchange, result, backend in
                if let error = Self.failure(exchange, result, backend) { return failBatch(error) }
                answer { Self.writeDescription(exchange.answers, resultFormats, &$0) }
            }
            if let index = participants.firstIndex(where: { $0.backend.pool === database.home }) {
                var outcome: (Exchange, Exchange.Result, Backend)?
                each([index], { (self.prelude(of: $0), messages) }, keep: .simpleQuery) { index, exchange, result in
                    outcome = (exchange, result, self.participants[index].backend)
                } then: {
                    if let outcome { finish(outcome.0, outcome.1, outcome.2) }
                }
                return
            }
            acquire(database.home) { [self] backend in
                let suspension = suspend()
                borrowed = backend
                let exchange = Exchange(.simpleQuery, bytesMax: limits.coordinatedAnswerMax) { [self] exchange, result in
                    borrowed = nil
                    if result == .done { giveBack(backend) }
                    guard resume(suspension) else { return }
                    finish(exchange, result, backend)
                    pump()
                }
                backend.run(exchange, messages)
            }
        }
    }

    /// The description of a statement, or, with formats, that of its portal: the same columns without the parameters.
    private static func writeDescription(_ answers: ByteBuffer, _ formats: FormatList?, _ buffer: inout ByteBuffer) {
        var answers = answers
        while let frame = try? answers.readFrame(limit: .max) {
            switch frame.kind {
            case BackendKind.parameterDescription where formats == nil, BackendKind.noData:
                buffer.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
            case BackendKind.rowDescription:
                guard let formats, var description = try? RowDescription(body: frame.body) else {
                    buffer.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
                    continue
                }
                for index in description.columns.indices { description.columns[index].format = formats[index] }
                buffer.writeRowDescription(description.columns)
            default: break
            }
        }
    }
}
