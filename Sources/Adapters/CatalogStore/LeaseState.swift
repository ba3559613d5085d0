/// What a store remembers of one lease, and the rules by which it changes hands. Pure: the moment is passed in.
///
/// It outlives its holders, so that the fencing token never starts again.
package struct LeaseState: Hashable, Sendable {
    /// nil after a release, and before the first holder.
    package var holder: String?
    package var fencingToken: UInt64
    package var end: LeaseInstant

    package init(holder: String?, fencingToken: UInt64, end: LeaseInstant) {
        self.holder = holder
        self.fencingToken = fencingToken
        self.end = end
    }

    /// Takes the lease when it is free or has expired, renews it when `holder` has it; false while somebody else holds it.
    ///
    /// A holder that comes back after its lease expired gets a new token: it cannot know that nobody acted in between.
    package mutating func acquire(holder newHolder: String, ttl: Duration, now: LeaseInstant) -> Bool {
        let isFree = holder == nil || end.hasPassed(at: now)
        guard isFree || holder == newHolder else { return false }
        if isFree { fencingToken += 1 }
        holder = newHolder
        end = now.adding(ttl)
        return true
    }

    /// Who holds it now.
    package func current(_ name: String, now: LeaseInstant) -> Lease? {
        guard let holder, !end.hasPassed(at: now) else { return nil }
        return Lease(name: name, holder: holder, fencingToken: fencingToken)
    }

    /// Whether nobody has had it since `lease` was taken. It may have expired: then nobody else has acted under it.
    package func isStill(_ lease: Lease) -> Bool { holder == lease.holder && fencingToken == lease.fencingToken }

    /// False when the lease is another's by now, or was taken anew.
    package mutating func release(_ lease: Lease) -> Bool {
        guard isStill(lease) else { return false }
        holder = nil
        return true
    }
}
