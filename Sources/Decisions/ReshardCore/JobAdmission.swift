internal import ShardModel

/// Why a job is not begun. Nothing was written.
package enum JobRefusal: Error, Hashable, Sendable {
    case nothingToMove
    /// More vnodes than one record can hold.
    case tooMany(Int)
    case duplicate(vnode: UInt32)
    /// The vnode's source is its target.
    case noMove(vnode: UInt32)
    /// Another job that is not over has this vnode (409).
    case overlaps(JobID, vnode: UInt32)
    case duplicateID(JobID)
}

package enum JobAdmission {
    /// As many as a catalog's change carries without harm.
    package static let vnodesMax = 65_536

    /// nil: the job may begin beside `others`. Checked in the transaction that writes the record, so that two that begin at once see each other.
    package static func refusal(of job: JobRecord, beside others: [JobRecord]) -> JobRefusal? {
        if job.moves.isEmpty { return .nothingToMove }
        if job.moves.count > vnodesMax { return .tooMany(job.moves.count) }
        var ids: Set<UInt32> = []
        for move in job.moves {
            if !ids.insert(move.vnode.id).inserted { return .duplicate(vnode: move.vnode.id) }
            if move.source == move.target { return .noMove(vnode: move.vnode.id) }
        }
        for other in others {
            if other.id == job.id { return .duplicateID(other.id) }
            guard !other.isOver, other.database == job.database else { continue }
            // By range, for a vnode may have been cut under another id since.
            for move in job.moves {
                if other.moves.contains(where: { $0.vnode.id == move.vnode.id || $0.vnode.range.overlaps(move.vnode.range) }) {
                    return .overlaps(other.id, vnode: move.vnode.id)
                }
            }
        }
        return nil
    }
}

extension TokenRange {
    fileprivate func overlaps(_ other: TokenRange) -> Bool { start <= other.end && other.start <= end }
}
