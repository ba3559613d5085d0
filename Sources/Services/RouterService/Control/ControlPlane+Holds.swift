internal import CatalogStore
internal import Logging
internal import ShardModel

/// The holds for which this router has nothing under way any more: collected from its event loops, and told to the manager with the router's announcement.
struct HoldAcknowledgements {
    private struct Key: Hashable {
        let job: String
        let attempt: UInt64
    }
    private var byHold: [Key: [Int: HoldAcknowledgement]] = [:]

    /// A loop has drained.
    mutating func add(_ acknowledgement: HoldAcknowledgement, loop: Int) {
        byHold[Key(job: acknowledgement.job, attempt: acknowledgement.attempt), default: [:]][loop] = acknowledgement
    }

    /// Forgets holds that the catalog has no more.
    mutating func keep(_ holds: some Sequence<HoldRecord>) {
        guard !byHold.isEmpty else { return }
        let keys = Set(holds.map { Key(job: $0.job, attempt: $0.attempt) })
        byHold = byHold.filter { keys.contains($0.key) }
    }

    /// Those that all loops have drained, with the sessions of all.
    func complete(loops: Int) -> [HoldAcknowledgement] {
        byHold.filter { $0.value.count == loops }.sorted { ($0.key.job, $0.key.attempt) < ($1.key.job, $1.key.attempt) }.map { key, parts in
            var sessions: [ShardID: [Int32]] = [:]
            for part in parts.values { sessions.merge(part.sessions, uniquingKeysWith: +) }
            return HoldAcknowledgement(job: key.job, attempt: key.attempt, sessions: sessions.mapValues { $0.sorted() })
        }
    }
}

extension ControlPlane {
    /// Every session of the loop has let go of what the hold is for. Once all loops have said so the manager is told at once: clients wait for it.
    func drained(_ acknowledgement: HoldAcknowledgement, loop: Int) {
        if noteDrained(acknowledgement, loop: loop) { announcementBell.ring() }
    }

    /// The manager is told at once: statements go on when it has given the attempt up.
    func overfull(_ attempt: HoldAttempt) {
        noteOverfull(attempt)
        logger.warning("More statements wait for a cutover than are to: the manager is asked to give the attempt up", metadata: ["job": "\(attempt.job)"])
        announcementBell.ring()
    }
}
