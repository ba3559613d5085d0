/// One shard's part in the transaction that is to be ended.
package struct CommitParticipant: Hashable, Sendable {
    /// The caller's number for it; unique in the transaction.
    package let index: Int
    /// False only when the part provably changed nothing: its plans were reads, or the transaction is READ ONLY.
    package let wrote: Bool

    package init(index: Int, wrote: Bool) {
        self.index = index
        self.wrote = wrote
    }
}

/// What happened to a participant, or to the decision.
///
/// Two traps for whoever reports: COMMIT and PREPARE TRANSACTION of a failed transaction answer without an error, with the
/// command tag ROLLBACK (`CommitStatements.rollbackTag`): that is `failed`. And an error of severity FATAL or PANIC may come after the
/// server has made its commit durable: that is `lost`, never `failed`.
package enum CommitEvent: Hashable, Sendable {
    /// COMMIT or COMMIT PREPARED took effect.
    case committed(Int)
    /// PREPARE TRANSACTION took effect.
    case prepared(Int)
    /// The decider committed its data together with the record.
    case decisionRecorded(Int)
    /// ROLLBACK or ROLLBACK PREPARED took effect.
    case rolledBack(Int)
    /// The step was answered by an error and did not take effect; nothing of the step's transaction is left but what was prepared before.
    case failed(Int, sqlState: String)
    /// The connection is gone; whether a step that was under way took effect is not known.
    case lost(Int)
    /// `.lookUpDecision`: the record is there and says commit.
    case decisionFound
    /// `.lookUpDecision`: the abort marker is there, so that no commit can be recorded any more (one may have been, and forgotten).
    case decisionExcluded
    /// `.lookUpDecision`: neither could be learned.
    case decisionUnreachable
    /// The time for the present phase is over.
    case timeout
}

/// What the shell has to do, in order. Each step is answered by one of the events named.
package enum CommitAction: Hashable, Sendable {
    /// `COMMIT`. Answer: `committed`, `failed`, `lost`.
    case commit(Int)
    /// `PREPARE TRANSACTION`. Answer: `prepared`, `failed`, `lost`.
    case prepare(Int)
    /// The record of the decision and `COMMIT`, in the participant's own transaction. Answer: `decisionRecorded`, `failed`, `lost`.
    case decide(Int)
    /// `COMMIT PREPARED`. Answer: `committed`, `failed`, `lost`.
    case commitPrepared(Int)
    /// `COMMIT PREPARED` on new connections to this participant's primary, until it has taken effect: the server may be on its way back. That the
    /// transaction is gone already is the same. Answer: `committed`, or none before `abandon`.
    case commitPreparedAnew(Int)
    /// `ROLLBACK`. Answer: `rolledBack`, `failed`, `lost`.
    case rollBack(Int)
    /// `ROLLBACK PREPARED`. Answer: `rolledBack`, `failed`, `lost`.
    case rollBackPrepared(Int)
    /// On a new connection to this participant's primary: exclude the decision if it is not there, then read it
    /// (`CommitStatements.exclude` and `lookUp`). Answer: `decisionFound`, `decisionExcluded`, `decisionUnreachable`.
    case lookUpDecision(Int)
    /// Close the connection: its answer is not waited for any longer. No answer.
    case abandon(Int)
    /// Tell the client; the machine is done. `unfinished`: participants with a prepared transaction that recovery has to end, so that what a committed
    /// one has written is not seen yet. The
    /// connections that were neither lost nor abandoned are outside of a transaction.
    case finish(CommitOutcome, unfinished: [Int])
    /// Every participant has finished: the record on this one is of no more use. May be put off, done for many at once, or left to recovery.
    case forgetDecision(Int)
}

/// What the client is told.
package enum CommitOutcome: Hashable, Sendable {
    case committed
    /// Nothing took effect, or will.
    case aborted(CommitAbort)
    /// Not known: SQLSTATE 08007. Either all of it took effect, or will, or nothing.
    case unknown(lost: Int)
}

/// Why a transaction was rolled back.
package enum CommitAbort: Hashable, Sendable {
    /// This participant's error, which the shell has kept.
    case failed(Int, sqlState: String)
    case lost(Int)
    case timedOut
    /// The connection to the decider was lost, and its commit was found not to have happened.
    case excluded(Int)
}
