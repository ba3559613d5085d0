/// Where a job is. Each is persisted before anything of it is done (but for `isWritten`), and what is done in it can be done again from its start.
package enum JobStep: Hashable, Sendable, Codable {
    /// Whether the source, the targets and the tables allow it. Changes nothing.
    case checking
    /// Schema on the targets, the publication on the source.
    case preparing
    /// The targets refuse routers that do not know of the job, so that nobody reads rows there that come by the copy.
    case shielding
    /// A new slot, and the copy of what its snapshot shows. Done again, it begins with taking away what an earlier copy left.
    case copying
    /// The stream catches up.
    case streaming
    case verifying
    /// What the cutover needs and can be made before: the slots of the way back, connections.
    case arming

    // The cutover. `direction` says which way.
    /// Routers are told to hold statements for the moved vnodes, and acknowledge when theirs have drained.
    case holding
    /// The old owner refuses whoever has not acknowledged.
    case fencing
    /// Where the old owner's log ends: behind the fence, so that nothing comes after.
    case measuring
    /// The new owners reach the end.
    case catchingUp
    /// The compare-and-set of the owners: the point of no return.
    case switching
    /// The attempt is given up: the hold is taken back, unless the owners are found to be switched already.
    case abandoning

    /// Traffic is where it was to go, and a stream the other way keeps the way back open.
    case guarding
    /// What the job made elsewhere goes.
    case cleaning(JobEnd)
    case over(JobEnd)

    /// Crashed in one of these, the job does not know how far it came; whether the owners were switched is all that counts, and `abandoning` finds
    /// that out.
    package var isCutover: Bool {
        switch self {
        case .holding, .fencing, .measuring, .catchingUp, .switching: true
        default: false
        }
    }

    /// Whether the step is written before its effect. While clients wait each write counts, and from `fencing` on none of them would tell another manager anything: from
    /// wherever a cutover was left it goes on with `abandoning`, and whether the owners were switched is in the catalog. The switch itself is a compare-and-set on the record
    /// of `fencing`.
    package var isWritten: Bool {
        switch self {
        case .measuring, .catchingUp, .switching: false
        default: true
        }
    }

    /// A stream runs from the first copy to the switch, in the job's direction; and while guarding, the other way. It belongs to the step, not to its
    /// effect.
    package var isStreaming: Bool {
        switch self {
        case .checking, .preparing, .shielding, .copying, .cleaning, .over: false
        default: true
        }
    }
}

package enum JobEnd: String, Hashable, Sendable, Codable, CaseIterable {
    /// The targets have the vnodes.
    case completed
    /// The sources have the vnodes, and nothing of the job is left.
    case failed, cancelled
}

/// What the API shows.
package enum JobState: String, Hashable, Sendable, Codable, CaseIterable {
    case pending, precopy, deltasync, cutover, completed, failed, cancelled
}

extension JobStep {
    package var state: JobState {
        switch self {
        case .checking, .preparing, .shielding: .pending
        case .copying: .precopy
        case .streaming, .verifying, .arming: .deltasync
        case .holding, .fencing, .measuring, .catchingUp, .switching, .abandoning: .cutover
        case .guarding: .completed
        case .cleaning(let end), .over(let end):
            switch end {
            case .completed: .completed
            case .failed: .failed
            case .cancelled: .cancelled
            }
        }
    }
}
