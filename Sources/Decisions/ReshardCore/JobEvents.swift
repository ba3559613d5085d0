package import LogicalReplication
package import ShardModel

/// One run of a step's effect: the version of the record under which it was begun, and which of the steps that this record stands for.
///
/// Before a run changes something elsewhere, it asks the catalog whether this is still the record's version: a manager that was stopped and goes on later
/// can do nothing any more.
package struct EffectID: Hashable, Comparable, Sendable {
    package let version: UInt64
    /// 0: the step that is in the record. Later ones of a cutover are entered without being written.
    package let stage: Int
    package init(_ version: UInt64, stage: Int = 0) { (self.version, self.stage) = (version, stage) }
    package static func < (a: EffectID, b: EffectID) -> Bool { (a.version, a.stage) < (b.version, b.stage) }
}

/// What is to be done in a step. Each can be done again, by anybody, after any part of it was done.
package enum JobEffect: Hashable, Sendable {
    case check
    /// Answered by `done`; the objects are in the ledger.
    case prepare
    /// Waits until each live router knows of the job, raises the fence of the targets to an epoch that has it, and notes there which sessions were let in
    /// before.
    case shield
    /// First ends the noted sessions that no router announces: they belong to routers that may not know of the job.
    case copy
    /// Waits for `pause`, then until the targets are nearly up to date: `done`.
    case catchUp(pause: Duration)
    case verify
    case arm
    /// Writes the hold into the catalog and waits for the routers. `done`: each has acknowledged; `busy`: one that is known to be alive has not in time. One that nobody knows of is cut
    /// off by the fence.
    case hold
    /// Raises the fence of the old owners to the hold's epoch, and ends every session but those that the routers' acknowledgements name.
    case fence
    /// Answered by `ended`. Also ends or waits for prepared transactions: behind the fence, only these can still write.
    case measure
    case reach([ShardID: LSN])
    /// Writes the new owners, if the catalog still has the hold of this attempt.
    case switchOwners
    /// Takes the hold back, then the fence, if it still is the one of this attempt. `switched` where the owners are switched already: it does nothing
    /// then.
    case lift
    /// Reports only when the stream of the way back cannot go on.
    case mirror
    case clean([LedgerEntry])
}

package enum JobOutcome: Hashable, Sendable {
    case done
    case ended([ShardID: LSN])
    /// `lift`: the owners are the new ones.
    case switched
    /// The attempt must be given up, and may be made again: over the budget or the drain limit, too much held, prepared transactions in doubt, a lost
    /// compare-and-set.
    case busy(String)
    /// Did not work, and may work when it is done again: a server away, an answer lost.
    case unavailable(String)
    /// Will not work.
    case impossible(String)
}

package enum JobRequest: String, Hashable, Sendable, CaseIterable { case cancel, reverse, finish }

package enum JobEvent: Hashable, Sendable {
    /// The record with this version is the catalog's.
    case persisted(version: UInt64)
    /// Whether it is, is not known. The same write is asked for once more: it must count a record that is already there as written.
    case persistUnknown(version: UInt64)
    /// Somebody else has written the record, or leads.
    case superseded
    case outcome(EffectID, JobOutcome)
    case request(JobRequest)
}

package enum JobAction: Hashable, Sendable {
    /// Compare-and-set on `version - 1`.
    case persist(JobRecord)
    /// The next step, with what is known by now, under the record that is stored: `JobStep.isWritten`.
    case enter(JobRecord)
    /// Begins when the run before it has ended in this process.
    case run(EffectID, JobEffect)
    /// The run is to end soon; what it reports is not used.
    case interrupt(EffectID)
    /// The request is persisted. A request that is neither accepted nor rejected before `stop` is unknown to the caller.
    case accept(JobRequest)
    case reject(JobRequest)
    /// The job is over, or (nil) another manager's: nothing more is asked for.
    case stop(JobEnd?)
}
