internal import CommitCore
internal import Logging
internal import NIOCore
internal import PGWire
internal import SessionCore
internal import ShardModel

/// How a transaction of several shards ended, as the client is told.
enum CommitResult {
    /// `late`: shards on which it is not seen yet.
    case committed(late: [ShardID])
    /// Nothing took effect, or will.
    case aborted(ServerError)
    /// Everything took effect, or will, or nothing: SQLSTATE 08007.
    case unknown(ServerError)
}

/// Carries out what `CommitMachine` decides, on backends that belong to it from the call on: whether the client is still there makes
/// no difference to how its transaction ends.
final class CommitDriver {
    private let participants: [Participant]
    /// The session may have another role than the router's.
    private let changesRoles: Bool
    private let loop: RouterLoop
    private let database: DatabaseState
    private let onDone: (CommitResult) -> Void
    private var machine: CommitMachine
    private var id: GlobalTransactionID?
    /// The errors that shards answered, by participant.
    private var errors: [Int: ServerError] = [:]
    /// Participants whose sessions keep what SET changed in the transaction, however it ends: COMMIT says so, and PREPARE TRANSACTION does.
    private var settled: Set<Int> = []
    /// Participants whose sessions have no role any more, whatever SET ROLE has said.
    private var roleless: Set<Int> = []
    private var deadline: Scheduled<Void>?
    private var isUnwatched = false

    init(_ participants: [Participant], changesRoles: Bool, loop: RouterLoop, database: DatabaseState, onDone: @escaping (CommitResult) -> Void) {
        self.changesRoles = changesRoles
        self.participants = participants
        self.loop = loop
        self.database = database
        self.onDone = onDone
        machine = CommitMachine(participants.enumerated().map { CommitParticipant(index: $0, wrote: $1.wrote) })
    }

    func start() {
        // What a session keeps stays lent to it, for its notifications.
        for participant in participants where !participant.isKept { participant.backend.takeBack() }
        guard machine.needsPreparation, let decider = machine.decider else { return carryOut(machine.start()) }
        guard participants.count <= GlobalTransactionID.participantsMax else { return refuse(.tooManyWriters) }
        do throws(GlobalTransactionIDError) {
            id = try loop.nextTransactionID(decider: participants[decider].backend.pool.shardID)
        } catch {
            return refuse(.transactionNameTooLong)
        }
        carryOut(machine.start())
    }

    /// Nothing has been sent yet: closing the connections rolls everything back.
    private func refuse(_ error: ServerError) {
        for participant in participants { participant.backend.close() }
        onDone(.aborted(error))
    }

    private func receive(_ event: CommitEvent) { carryOut(machine.receive(event)) }

    private func carryOut(_ actions: [CommitAction]) {
        if !actions.isEmpty { restartDeadline() }
        for action in actions {
            switch action {
            case .commit(let index): run(index, [CommitStatements.commit]) { .committed($0) }
            case .rollBack(let index): run(index, [CommitStatements.rollBack]) { .rolledBack($0) }
            case .prepare(let index):
                withID { run(index, leavingRole + [CommitStatements.prepare($0, position: index)]) { .prepared($0) } }
            case .decide(let index):
                withID { run(index, leavingRole + CommitStatements.decide($0, participants: shards)) { .decisionRecorded($0) } }
            case .commitPrepared(let index):
                withID { runWithoutRole(index, CommitStatements.commitPrepared($0.name(of: index))) { .committed($0) } }
            case .rollBackPrepared(let index):
                withID { runWithoutRole(index, CommitStatements.rollBackPrepared($0.name(of: index))) { .rolledBack($0) } }
            case .commitPreparedAnew(let index): withID { commitAnew(index, $0) }
            case .lookUpDecision: withID(lookUp)
            case .abandon(let index): participants[index].backend.close()
            case .finish(let outcome, let unfinished): finish(outcome, unfinished: unfinished)
            case .forgetDecision: break  // Recovery does it, many at once.
            }
        }
    }

    private var leavingRole: [String] { changesRoles ? CommitStatements.leaveRole : [] }

    private func withID(_ step: (GlobalTransactionID) -> Void) {
        guard let id else { preconditionFailure("only a two-phase commit has such a step") }
        step(id)
    }

    private var shards: [ShardID] { participants.filter(\.wrote).map(\.backend.pool.shardID) }

    // MARK: Steps

    /// Each statement is a simple query of its own.
    private func run(_ index: Int, _ statements: [String], _ success: @escaping (Int) -> CommitEvent) {
        let exchange = Exchange(readies: statements.count) { [self] exchange, result in
            // Off the stack of `carryOut`, whose further actions come first.
            let event = event(index, exchange, result, success)
            loop.eventLoop.assumeIsolated().execute { self.receive(event) }
        }
        let backend = participants[index].backend
        backend.run(exchange) { buffer in
            for statement in statements { buffer.writeQuery(statement) }
        }
        if isUnwatched { backend.boundExchange(to: loop.limits.abandonedTime) }
    }

    /// Ends what was prepared, as the role that prepared it.
    private func runWithoutRole(_ index: Int, _ statement: String, _ success: @escaping (Int) -> CommitEvent) {
        if changesRoles { roleless.insert(index) }
        run(index, changesRoles ? CommitStatements.withoutRole(statement) : [statement], success)
    }

    private func event(
        _ index: Int, _ exchange: Exchange, _ result: Exchange.Result, _ success: (Int) -> CommitEvent
    ) -> CommitEvent {
        // A fatal error may come after the server has made its commit durable.
        if result == .lost || exchange.error?.isFatal == true { return .lost(index) }
        let answer = success(index)
        if let error = exchange.error {
            errors[index] = error
            return .failed(index, sqlState: error.sqlState.code)
        }
        if case .rolledBack = answer { return answer }
        // COMMIT and PREPARE of a transaction that has failed succeed in rolling it back.
        if exchange.tags.last == CommitStatements.rollbackTag {
            errors[index] = .failedTransaction
            return .failed(index, sqlState: SQLState.inFailedTransaction.code)
        }
        settled.insert(index)
        return answer
    }

    private func lookUp(_ id: GlobalTransactionID) {
        loop.shared.requests.lookUp(id, database: database.name).hop(to: loop.eventLoop).assumeIsolated().whenComplete { [self] result in
            switch try? result.get() {
            case .committed: receive(.decisionFound)
            case .excluded: receive(.decisionExcluded)
            case .absent, .unreachable, nil: receive(.decisionUnreachable)
            }
        }
    }

    private func commitAnew(_ index: Int, _ id: GlobalTransactionID) {
        participants[index].backend.close()
        let shard = participants[index].backend.pool.shardID
        let done = loop.shared.requests.commitPrepared(id.name(of: index), at: shard, until: .now() + loop.limits.commitPhaseTimeout)
        done.hop(to: loop.eventLoop).assumeIsolated().whenSuccess { [self] isDone in
            if isDone { receive(.committed(index)) }
        }
    }

    // MARK: Time

    /// A plain COMMIT takes the time it takes, as on one PostgreSQL; the phases of a two-phase commit hold others' locks.
    private func restartDeadline() {
        guard machine.needsPreparation else { return }
        deadline?.cancel()
        deadline = loop.eventLoop.assumeIsolated().scheduleTask(in: loop.limits.commitPhaseTimeout) { self.receive(.timeout) }
    }

    /// Nobody waits for the outcome any more: neither is a shard that does not answer a plain COMMIT waited for without limit.
    func clientHasGone() {
        isUnwatched = true
        for participant in participants { participant.backend.boundExchange(to: loop.limits.abandonedTime) }
    }

    // MARK: The end

    private func finish(_ outcome: CommitOutcome, unfinished: [Int]) {
        deadline?.cancel()
        let isCommitted = if case .committed = outcome { true } else { false }
        for (index, participant) in participants.enumerated() where participant.backend.isOpen {
            let backend = participant.backend
            backend.settings = isCommitted || settled.contains(index) ? participant.settingsInside : participant.settingsOutside
            if roleless.contains(index) {
                var settings = backend.settings.settings
                settings.reset(SessionSettings.role)
                backend.settings = loop.settings(settings)
            }
            if participant.isKept {
                if backend.status != TransactionState.Phase.idle.rawValue || backend.hasExchange { backend.close() }
                continue
            }
            backend.pool.release(backend, isReusable: backend.status == TransactionState.Phase.idle.rawValue && !backend.hasExchange)
        }
        if !unfinished.isEmpty {
            loop.logger.warning(
                "A transaction's end is left to recovery",
                metadata: ["transaction": "\(id?.key ?? "")", "shards": "\(unfinished.map { participants[$0].backend.pool.shardID })"])
        }
        let result = result(outcome, unfinished: unfinished)
        if machine.needsPreparation { count(result) }
        onDone(result)
    }

    private func result(_ outcome: CommitOutcome, unfinished: [Int]) -> CommitResult {
        switch outcome {
        case .committed: .committed(late: unfinished.map { participants[$0].backend.pool.shardID })
        case .aborted(.failed(let index, _)): .aborted(errors[index] ?? .failedTransaction)
        case .aborted(.lost(let index)), .aborted(.excluded(let index)):
            .aborted(.shardLost(participants[index].backend.pool.shardID, mayHaveRun: false))
        case .aborted(.timedOut): .aborted(.commitTimedOut)
        case .unknown(let index): .unknown(.shardLost(participants[index].backend.pool.shardID, mayHaveRun: true))
        }
    }

    private func count(_ result: CommitResult) {
        switch result {
        case .committed: loop.metrics.commits.add("committed")
        case .aborted: loop.metrics.commits.add("rolled_back")
        case .unknown: loop.metrics.commits.add("unknown")
        }
    }
}

extension ServerError {
    var isFatal: Bool { ["FATAL", "PANIC"].contains(self[.severityPlain] ?? self[.severity] ?? "") }

    static func seenLater(on shards: [ShardID]) -> ServerError {
        ServerError(
            severity: .warning, sqlState: .warning,
            message: "the transaction is committed, but not to be seen yet on shard \(shards.map(\.name).sorted().joined(separator: ", "))",
            detail: "The shard did not answer. Until it is back and its part is ended, reads of it find what was there before.")
    }

    static let commitTimedOut = ServerError(
        sqlState: .systemError, message: "the transaction could not be prepared on every shard in time", detail: "It was rolled back.")
    static let tooManyWriters = ServerError(
        sqlState: .programLimitExceeded, message: "a transaction can write to \(GlobalTransactionID.participantsMax) shards at most")
    static let transactionNameTooLong = ServerError(
        sqlState: .configurationLimitExceeded, message: "the ids of this router and of the home shard are too long together",
        hint: "PostgreSQL bounds the name of a prepared transaction to 200 bytes; choose a shorter router id.")
}
