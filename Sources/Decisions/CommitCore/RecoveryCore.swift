package import ShardModel

/// Ends what coordinators left behind: says for each prepared transaction what to do next, and which records are of no more use.
///
/// Any number of routers may run it at the same time, and while the coordinators live: every step is safe at any moment and may be repeated.
///
/// **Commit** only when the record was read. **Roll back** only when the abort marker was read: it is committed under the record's
/// unique key, so that a decision that is still on its way fails at its insert and takes the decider's data with it. When neither
/// is there, the marker is set (`.exclude`) and the decision is read *again*; the insert alone says nothing, for it may have
/// met the record. When the decider cannot be asked, the transaction is left as it is, for as long as that takes.
///
/// `patience` is no part of the safety: it only keeps recovery from excluding the decision of a coordinator that is alive and at work.
package struct RecoveryCore: Hashable, Sendable {
    package let cluster: String
    /// The age below which a prepared transaction is presumed to have a living coordinator.
    package let patience: Duration

    package init(cluster: String, patience: Duration = .seconds(10)) {
        self.cluster = cluster
        self.patience = patience
    }

    /// What to do about one prepared transaction. `decision`: what is known of the transaction's; nil when nobody has asked yet.
    package func step(for prepared: InDoubt, decision: Decision?) -> RecoveryStep {
        guard let name = PreparedName(prepared.name), name.transaction.cluster == cluster else { return .leave(.foreign) }
        guard prepared.age >= patience else { return .leave(.young) }
        let id = name.transaction
        return switch decision {
        case nil: .lookUp(id)
        case .committed: .commit
        case .excluded: .rollBack
        case .absent: .exclude(id)
        case .unreachable: .leave(.deciderUnreachable(id.decider))
        }
    }

    /// How long to wait between two looks at the shards.
    ///
    /// - took: the last look; a cluster that is slow to look at is looked at less often.
    /// - young: the ages of the prepared transactions that it left alone for being younger than `patience`. The oldest of them decides when to look
    ///   again: what a crash left behind holds its locks no longer than it must.
    package func pause(after took: Duration, young: [Duration]) -> Duration {
        let usual = min(max(Self.interval.min, took * 4), Self.interval.max)
        guard let oldest = young.max() else { return usual }
        return min(usual, max(patience - oldest, Self.shortestPause))
    }

    /// Between two looks: at least the first, and four times what the last look took, but not longer than the second.
    private static let interval = (min: Duration.seconds(1), max: Duration.seconds(3))
    private static let shortestPause = Duration.milliseconds(100)

    /// The records of `decider` that may be deleted with `CommitStatements.forget`.
    ///
    /// - records: read from the decider **before** `inDoubt` was listed. In the other order a transaction could prepare and be
    ///   decided in between, and its record would be forgotten while its participants still need it.
    /// - inDoubt: the prepared transactions of every shard that could be listed completely (fewer than `CommitStatements.rowsMax`), each
    ///   shard an entry, empty ones included.
    /// - shards: all shards of the catalog. A participant that is not among them keeps its record: the shard may have left, and then the
    ///   row does no harm, but it may also be newer than this router's catalog.
    package func forgettable(
        _ records: [DecisionRecord], of decider: ShardID, inDoubt: [ShardID: [String]], shards: Set<ShardID>
    ) -> [GlobalTransactionID] {
        var needed: Set<GlobalTransactionID> = []
        for name in inDoubt.values.joined() {
            if let name = PreparedName(name) { needed.insert(name.transaction) }
        }
        return records.compactMap { record in
            guard let id = GlobalTransactionID(key: record.key), id.cluster == cluster, id.decider == decider, record.age >= patience,
                !needed.contains(id)
            else { return nil }
            // Who took part in an excluded transaction is not known, so that every shard has to be asked.
            let participants = record.isCommitted ? Set(record.participants) : shards
            return participants.allSatisfy { inDoubt[$0] != nil } ? id : nil
        }
    }
}

/// A prepared transaction as a shard lists it.
package struct InDoubt: Hashable, Sendable {
    package let name: String
    package let age: Duration

    package init(name: String, age: Duration) {
        self.name = name
        self.age = age
    }
}

/// What the decider's primary said about a transaction.
package enum Decision: Hashable, Sendable {
    case committed
    /// The abort marker is there.
    case excluded
    /// There is no record, which proves nothing.
    case absent
    case unreachable

    /// From the row that `CommitStatements.lookUp` gave for the transaction, if any.
    package init(committed: Bool?) {
        self = committed.map { $0 ? .committed : .excluded } ?? .absent
    }
}

/// A row of a decider's table.
package struct DecisionRecord: Hashable, Sendable {
    package let key: String
    package let isCommitted: Bool
    package let age: Duration
    package let participants: [ShardID]

    package init(key: String, isCommitted: Bool, age: Duration, participants: [ShardID]) {
        self.key = key
        self.isCommitted = isCommitted
        self.age = age
        self.participants = participants
    }
}

package enum RecoveryStep: Hashable, Sendable {
    /// Read the decision at `decider`, and ask again.
    case lookUp(GlobalTransactionID)
    /// Set the abort marker at `decider`, then read the decision, and ask again.
    case exclude(GlobalTransactionID)
    /// `COMMIT PREPARED` where the transaction lies; that it is gone already is no error.
    case commit
    /// `ROLLBACK PREPARED`; that it is gone already is no error.
    case rollBack
    case leave(Reason)

    package enum Reason: Hashable, Sendable {
        /// Not of this cluster.
        case foreign
        /// Its coordinator is presumed to be at work.
        case young
        case deciderUnreachable(ShardID)
    }
}
