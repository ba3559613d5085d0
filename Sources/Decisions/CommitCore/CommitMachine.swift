/// Ends a transaction on all of its participants: everywhere or nowhere.
///
/// Pure: events in, actions out; a value, so that a test explores every branch from a copy. An event that makes no sense is counted
/// (`ignoredEvents`) and ignored: it is the late answer of a participant that was given up, or a defect of the shell.
///
/// **Protocol.**
/// 1. Participants that wrote nothing COMMIT. Nothing durable has happened yet, so that a failure rolls back everything.
/// 2. One writer: a plain COMMIT on it. That commit alone decides.
/// 3. Several writers: each but the first (the *decider*) prepares. Then the decider inserts the record of the decision into its own
///    table `pgmosaic.decisions` and commits it together with its data: the "last agent" optimisation, which saves it the PREPARE. That
///    single commit is the decision. Then COMMIT PREPARED on the others; from here on only forward.
///
/// **Why all or none.** A writer other than the decider leaves the prepared state only by COMMIT PREPARED, sent by this machine or by recovery
/// when the record is known to be committed, or by ROLLBACK PREPARED, sent when the record is known to be impossible. The record
/// is committed in one local transaction with the decider's data, so the decider's part took effect exactly if the record did.
/// "Impossible" means: this machine has not sent the record and never will (it sends it once, from one state), or a
/// marker under the record's unique key is committed in the decider, so that the insert of a decision still under way must fail. Absence alone
/// proves nothing: a COMMIT whose connection broke may still be running.
///
/// **Why the client is never told the contrary.** `committed` is said after the record's commit was acknowledged or read back; `aborted` only
/// when the record is impossible; `unknown` when neither can be learned in time. A marker that was set after the decider was lost proves
/// less than it seems: recovery may have committed everything and forgotten the record before. It forgets only when no participant is prepared
/// any more, so that a ROLLBACK PREPARED that finds its transaction is the proof; without one the answer is `unknown`. Before `committed` is
/// said, every participant has made its part visible, so that the client reads its own writes; one that fails to is asked anew, for as long
/// as the phase may take. What is not done by then is left to recovery, and `finish` names it.
///
/// **Blocking.** Between its PREPARE and the decision a participant holds its locks; if the decider is unreachable then, they are
/// held until it is back. There is no third copy of the decision, and guessing would break atomicity.
package struct CommitMachine: Hashable, Sendable {
    private enum Phase: Hashable { case ready, readers, single, preparing, deciding, lookingUp, forward, backward, done }

    /// A participant's transaction, as far as this machine knows.
    private enum Part: Hashable {
        /// Open, and nothing is under way.
        case open
        /// A step was sent whose answer is awaited.
        case committing, preparing, deciding, committingPrepared, committingPreparedAnew, rollingBack, rollingBackPrepared
        case prepared
        /// Ended.
        case done
        /// The connection is gone, and nothing is left to do: the server rolls back what was neither prepared nor committed.
        case lost
        /// A prepared transaction may be left behind, for recovery.
        case inDoubt
    }

    package let participants: [CommitParticipant]
    private var parts: [Part]
    private var phase = Phase.ready
    private var abort: CommitAbort?
    /// A prepared participant was rolled back: the transaction did not commit.
    private var isProvenAborted = false
    /// Events that made no sense when they came.
    package private(set) var ignoredEvents = 0

    /// The transaction of `participants`, each idle inside its open transaction. Indices must differ: a repeated one is taken once.
    package init(_ participants: [CommitParticipant]) {
        var seen: Set<Int> = []
        self.participants = participants.filter { seen.insert($0.index).inserted }
        parts = self.participants.map { _ in .open }
    }

    /// The participant that keeps the decision; nil where none is needed.
    package var decider: Int? { deciderPosition.map { participants[$0].index } }
    package var isDone: Bool { phase == .done }
    /// Whether a two-phase commit is what it takes.
    package var needsPreparation: Bool { deciderPosition != nil }

    private var writers: [Int] { participants.indices.filter { participants[$0].wrote } }
    private var deciderPosition: Int? {
        let writers = self.writers
        return writers.count > 1 ? writers[0] : nil
    }

    /// The first actions. To be called once.
    package mutating func start() -> [CommitAction] {
        guard phase == .ready else { return ignore() }
        phase = .readers
        let readers = participants.indices.filter { !participants[$0].wrote }
        return readers.map { send($0, .committing) } + advance()
    }

    package mutating func receive(_ event: CommitEvent) -> [CommitAction] {
        guard phase != .ready, phase != .done else { return ignore() }
        return switch event {
        case .committed(let index): committed(index)
        case .prepared(let index): answered(index, [.preparing], becomes: .prepared)
        case .decisionRecorded(let index): answered(index, [.deciding], becomes: .done)
        case .rolledBack(let index): rolledBack(index)
        case .failed(let index, let sqlState): failed(index, sqlState)
        case .lost(let index): lost(index)
        case .decisionFound: lookedUp { $0.goForward() }
        case .decisionExcluded: lookedUp { $0.goBack(.excluded($0.decider ?? 0)) }
        case .decisionUnreachable: lookedUp { $0.stayInDoubt() }
        case .timeout: timedOut()
        }
    }

    // MARK: Events

    private mutating func answered(_ index: Int, _ expected: Set<Part>, becomes part: Part) -> [CommitAction] {
        guard let position = position(of: index), expected.contains(parts[position]) else { return ignore() }
        parts[position] = part
        return advance()
    }

    private mutating func committed(_ index: Int) -> [CommitAction] {
        // Asked on other connections: its own is gone.
        let isAnew = position(of: index).map { parts[$0] == .committingPreparedAnew } ?? false
        return isAnew ? answered(index, [.committingPreparedAnew], becomes: .lost) : answered(index, [.committing, .committingPrepared], becomes: .done)
    }

    private mutating func rolledBack(_ index: Int) -> [CommitAction] {
        if let position = position(of: index), parts[position] == .rollingBackPrepared { isProvenAborted = true }
        return answered(index, [.rollingBack, .rollingBackPrepared], becomes: .done)
    }

    private mutating func failed(_ index: Int, _ sqlState: String) -> [CommitAction] {
        guard let position = position(of: index) else { return ignore() }
        let abort = CommitAbort.failed(index, sqlState: sqlState)
        switch parts[position] {
        case .committing, .preparing, .deciding:
            // An error at one of these ends the participant's transaction.
            parts[position] = .done
            return goBack(abort)
        case .committingPrepared where sqlState != CommitStatements.undefinedObject:
            return [send(position, .committingPreparedAnew)]
        case .committingPrepared, .rollingBackPrepared:
            // Gone already: recovery was faster, and came to the same end.
            parts[position] = sqlState == CommitStatements.undefinedObject ? .done : .inDoubt
            return advance()
        case .rollingBack:
            parts[position] = .lost
            return [.abandon(index)] + advance()
        case .open, .prepared, .committingPreparedAnew, .done, .lost, .inDoubt: return ignore()
        }
    }

    private mutating func lost(_ index: Int) -> [CommitAction] {
        guard let position = position(of: index) else { return ignore() }
        switch parts[position] {
        case .committing where participants[position].wrote:
            parts[position] = .lost
            return finish(.unknown(lost: index))
        case .open, .committing:
            parts[position] = .lost
            return goBack(.lost(index))
        case .preparing, .prepared:
            parts[position] = .inDoubt
            // While the decision is under way there is no way back: what is prepared stays so until the decision is known.
            return phase == .deciding || phase == .lookingUp ? [] : goBack(.lost(index))
        case .deciding:
            parts[position] = .lost
            phase = .lookingUp
            return [.lookUpDecision(index)]
        case .committingPrepared:
            return [send(position, .committingPreparedAnew)]
        case .rollingBackPrepared:
            parts[position] = .inDoubt
            return advance()
        case .rollingBack:
            parts[position] = .lost
            return advance()
        case .done:
            // Its part has ended already; that the connection broke is the pool's business.
            parts[position] = .lost
            return []
        case .committingPreparedAnew, .lost, .inDoubt: return ignore()
        }
    }

    private mutating func lookedUp(_ then: (inout CommitMachine) -> [CommitAction]) -> [CommitAction] {
        phase == .lookingUp ? then(&self) : ignore()
    }

    private mutating func timedOut() -> [CommitAction] {
        switch phase {
        case .ready, .done: return ignore()
        case .readers, .preparing:
            let abandoned = abandonWaiting()
            return abandoned + goBack(.timedOut)
        case .single:
            let abandoned = abandonWaiting()
            return abandoned + finish(.unknown(lost: participants[writers[0]].index))
        case .deciding:
            let abandoned = abandonWaiting()
            phase = .lookingUp
            return abandoned + (decider.map { [.lookUpDecision($0)] } ?? [])
        case .lookingUp:
            return stayInDoubt()
        case .forward, .backward:
            let abandoned = abandonWaiting()
            return abandoned + advance()
        }
    }

    // MARK: Phases

    /// Goes on to the next phase when the present one has all of its answers.
    private mutating func advance() -> [CommitAction] {
        // A participant that was preparing when the transaction failed may have answered just now.
        let undone = phase == .backward ? undo() : []
        guard !parts.contains(where: Self.isWaiting) else { return undone }
        switch phase {
        case .readers:
            let writers = self.writers
            if writers.isEmpty { return finish(.committed) }
            if writers.count == 1 {
                phase = .single
                return [send(writers[0], .committing)]
            }
            phase = .preparing
            return writers.dropFirst().map { send($0, .preparing) }
        case .single:
            return finish(.committed)
        case .preparing:
            guard let position = deciderPosition else { return [] }
            phase = .deciding
            return [send(position, .deciding)]
        case .deciding:
            return goForward()
        case .forward:
            let isFinished = !parts.contains(.inDoubt)
            return finish(.committed) + (isFinished ? decider.map { [.forgetDecision($0)] } ?? [] : [])
        case .backward:
            if case .excluded(let index) = abort, !isProvenAborted { return finish(.unknown(lost: index)) }
            return finish(.aborted(abort ?? .timedOut))
        case .ready, .lookingUp, .done:
            return []
        }
    }

    private mutating func goForward() -> [CommitAction] {
        phase = .forward
        let commits: [CommitAction] = parts.indices.compactMap { position in
            switch parts[position] {
            case .prepared: send(position, .committingPrepared)
            // Its connection broke while the decision was under way.
            case .inDoubt: send(position, .committingPreparedAnew)
            default: nil
            }
        }
        return commits + advance()
    }

    /// Undoes what can be undone. Participants with a step under way follow when it is answered.
    private mutating func goBack(_ reason: CommitAbort) -> [CommitAction] {
        phase = .backward
        if abort == nil { abort = reason }
        return advance()
    }

    private mutating func undo() -> [CommitAction] {
        parts.indices.compactMap { position in
            switch parts[position] {
            case .open: send(position, .rollingBack)
            case .prepared: send(position, .rollingBackPrepared)
            default: nil
            }
        }
    }

    /// The decision cannot be learned now: what is prepared waits for recovery.
    private mutating func stayInDoubt() -> [CommitAction] {
        for position in parts.indices where parts[position] == .prepared { parts[position] = .inDoubt }
        return finish(.unknown(lost: decider ?? 0))
    }

    private mutating func finish(_ outcome: CommitOutcome) -> [CommitAction] {
        phase = .done
        let unfinished = parts.indices.filter { parts[$0] == .inDoubt }.map { participants[$0].index }
        return [.finish(outcome, unfinished: unfinished)]
    }

    // MARK: Parts

    private static func isWaiting(_ part: Part) -> Bool {
        switch part {
        case .committing, .preparing, .deciding, .committingPrepared, .committingPreparedAnew, .rollingBack, .rollingBackPrepared: true
        case .open, .prepared, .done, .lost, .inDoubt: false
        }
    }

    private mutating func send(_ position: Int, _ part: Part) -> CommitAction {
        parts[position] = part
        let index = participants[position].index
        return switch part {
        case .committing: .commit(index)
        case .preparing: .prepare(index)
        case .deciding: .decide(index)
        case .committingPrepared: .commitPrepared(index)
        case .committingPreparedAnew: .commitPreparedAnew(index)
        case .rollingBackPrepared: .rollBackPrepared(index)
        case .rollingBack, .open, .prepared, .done, .lost, .inDoubt: .rollBack(index)
        }
    }

    /// Gives up every participant with a step under way.
    private mutating func abandonWaiting() -> [CommitAction] {
        parts.indices.filter { Self.isWaiting(parts[$0]) }.map { position in
            switch parts[position] {
            case .preparing, .committingPrepared, .committingPreparedAnew, .rollingBackPrepared: parts[position] = .inDoubt
            default: parts[position] = .lost
            }
            return .abandon(participants[position].index)
        }
    }

    private func position(of index: Int) -> Int? { participants.firstIndex { $0.index == index } }

    private mutating func ignore() -> [CommitAction] {
        ignoredEvents += 1
        return []
    }
}
