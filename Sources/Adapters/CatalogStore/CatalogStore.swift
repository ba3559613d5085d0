package import ShardModel

/// The one source of truth of a cluster: who owns what, as a sequence of epochs.
///
/// Implementations differ in where they keep it; the conformance suite (`Tests/Support/CatalogConformance`) is the
/// definition of what they must do, and runs on every one of them.
package protocol CatalogStore: Sendable {
    /// The newest committed snapshot.
    func load() async throws(CatalogError) -> CatalogSnapshot

    /// Applies `change` as epoch `expecting + 1` and returns the snapshot of that epoch.
    ///
    /// Throws `.conflict` when the catalog is at another epoch or a record at another version: nothing was written; load and decide anew.
    ///         `.invalid` when the result would break an invariant (a gap in a ring): nothing was written.
    ///         `.unknownOutcome` when the store failed after the change may have been stored: load and look.
    ///         `.fenced` when `fence` is given and that lease was released or taken anew since: nothing was written, now or later. Checked with the
    ///         commit, so that whoever has the lease next sees all commits of this one.
    ///
    /// - answer: kept together with the change, or not at all.
    func commit(
        _ change: CatalogChange, expecting epoch: Epoch, fence: Lease?, keeping answer: KeptAnswer?
    ) async throws(CatalogError) -> CatalogSnapshot

    /// The answer that was kept under `key` with one of the last `KeptAnswer.keptMax` epochs, every commit that has ended included.
    func keptAnswer(_ key: String) async throws(CatalogError) -> KeptAnswer?

    /// Puts `snapshot` in the place of everything, and `history`, newest first, before it: for a catalog that is moved or restored. Its epoch, above
    /// `epoch`, gets an entry of its own in the history. The cluster's id becomes the snapshot's.
    ///
    /// Throws as `commit` does; `.invalid` also when the epoch would not grow.
    func replace(
        with snapshot: CatalogSnapshot, history: [CatalogHistoryEntry], author: String, expecting epoch: Epoch
    ) async throws(CatalogError)

    /// Every snapshot with an epoch above `epoch`, in order; epochs in between may be folded into a newer snapshot,
    /// but none is delivered twice or out of order, and the newest is always delivered. Reconnects by itself; ends when the task is cancelled.
    func watch(after epoch: Epoch) -> AsyncStream<CatalogSnapshot>

    /// The newest changes, newest first, at most `limit`; a store keeps at least the last `CatalogHistoryEntry.keptMin` of them.
    func history(limit: Int) async throws(CatalogError) -> [CatalogHistoryEntry]

    /// Takes or renews the lease `name` for `holder` until `ttl` from now.
    ///
    /// Returns the lease with its fencing token, which grows each time the lease is taken anew (not when it is renewed in time);
    /// nil while somebody else holds it.
    func acquireLease(_ name: String, holder: String, ttl: Duration) async throws(CatalogError) -> Lease?
    /// Who holds the lease; nil while it is free or has expired.
    func lease(_ name: String) async throws(CatalogError) -> Lease?
    /// Gives the lease back at once. Nothing happens when it has expired or been taken anew since.
    func releaseLease(_ lease: Lease) async throws(CatalogError)

    /// Announces a live router (or renews it) until `ttl` from now; not part of the epochs.
    func announce(_ member: MemberRecord, ttl: Duration) async throws(CatalogError)
    /// Ends the announcement at once; an unknown one is no error.
    func withdraw(memberID: String) async throws(CatalogError)
    /// The members whose announcement has not expired, ordered by id.
    func members() async throws(CatalogError) -> [MemberRecord]
}

extension CatalogStore {
    /// A commit of somebody who needs no lease for it.
    package func commit(_ change: CatalogChange, expecting epoch: Epoch) async throws(CatalogError) -> CatalogSnapshot {
        try await commit(change, expecting: epoch, fence: nil, keeping: nil)
    }

    /// For stores that are never the target of a move.
    package func replace(
        with snapshot: CatalogSnapshot, history: [CatalogHistoryEntry], author: String, expecting epoch: Epoch
    ) async throws(CatalogError) {
        throw .invalid("this store takes no catalog from elsewhere")
    }
}

package struct Lease: Hashable, Sendable {
    package var name: String
    package var holder: String
    package var fencingToken: UInt64
    package init(name: String, holder: String, fencingToken: UInt64) {
        self.name = name
        self.holder = holder
        self.fencingToken = fencingToken
    }
}

/// A router that is alive, as `GET /api/v1/routers` shows it.
package struct MemberRecord: Hashable, Sendable, Codable {
    package var id: String
    /// "router" or "manager"
    package var kind: String
    /// The REST address, `http://host:port`, or `https://host:port`.
    package var url: String
    /// The wire address, `host:port`; empty for a manager.
    package var wireAddress: String
    package var epoch: Epoch
    package var startedAt: Double
    package var version: String
    /// Of a manager that leads: since when, in seconds since 1970.
    package var leadsSince: Double?
    /// Of a router: the holds for which it has nothing under way. nil: none.
    package var acknowledgements: [HoldAcknowledgement]?
    /// Of a router: the holds for which more waits than it is to keep: their attempts are to be given up. nil: none.
    package var overfull: [HoldAttempt]?
    /// Of a router, while there is a job: see `SessionReport`.
    package var sessions: SessionReport?
    /// Of a router: its transactions of several shards that wait for locks. nil: none.
    package var waiting: [SpanningTransaction]?

    package init(
        id: String, kind: String, url: String, wireAddress: String, epoch: Epoch, startedAt: Double, version: String, leadsSince: Double? = nil,
        acknowledgements: [HoldAcknowledgement]? = nil, overfull: [HoldAttempt]? = nil, sessions: SessionReport? = nil,
        waiting: [SpanningTransaction]? = nil
    ) {
        self.waiting = waiting
        self.sessions = sessions
        self.leadsSince = leadsSince
        self.overfull = overfull
        self.acknowledgements = acknowledgements
        self.id = id
        self.kind = kind
        self.url = url
        self.wireAddress = wireAddress
        self.epoch = epoch
        self.startedAt = startedAt
        self.version = version
    }
}

package enum CatalogError: Error, Hashable, Sendable {
    /// Somebody else was faster; `current` is the catalog's epoch now.
    case conflict(current: Epoch, detail: String)
    /// The change, or the stored catalog, breaks an invariant.
    case invalid(String)
    /// Nothing was written; a retry is safe.
    case unavailable(String)
    /// It may or may not have been written.
    case unknownOutcome(String)
    /// The lease under which it was to be written is another's by now. Nothing was written.
    case fenced(String)
    /// The file or server holds something that is not a PGMosaic catalog, or one of a newer format.
    case foreign(String)
}
