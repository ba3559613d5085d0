package import LogicalReplication
package import ShardModel

package struct JobID: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package let text: String
    package init(_ text: String) { self.text = text }
    package static func < (a: JobID, b: JobID) -> Bool { a.text < b.text }
    package var description: String { text }
}

package enum JobKind: String, Hashable, Sendable, Codable, CaseIterable { case split, merge, move }

package struct VNodeMove: Hashable, Sendable, Codable {
    package var vnode: VNode
    package var source: ShardID
    package var target: ShardID

    package init(vnode: VNode, source: ShardID, target: ShardID) {
        self.vnode = vnode
        self.source = source
        self.target = target
    }
}

/// Something that a job makes outside of the catalog. It is in the record before it is made; whoever cleans up finds it there, made or not.
package enum LedgerEntry: Hashable, Sendable, Codable {
    case publication(ShardID, name: String)
    case slot(ShardID, name: String)
    /// Schemas, tables and what belongs to them, where they were not before.
    case schema(ShardID, name: String)
    /// The rows of the moved vnodes on a shard that does not own them.
    case rows(ShardID)
}

package enum JobDirection: String, Hashable, Sendable, Codable { case forward, back }

/// What is persisted of a job. All that another manager needs to go on.
package struct JobRecord: Hashable, Sendable, Codable {
    package var id: JobID
    package var kind: JobKind
    package var database: String
    package var moves: [VNodeMove]
    package var step = JobStep.checking
    package var direction = JobDirection.forward
    /// Attempts of the cutover that were given up, in this direction.
    package var abandoned = 0
    /// How often the present step was begun again after a failure.
    package var retries = 0
    package var isVerified = false
    /// Written by `preparing` and `arming`, before they make anything.
    package var ledger: [LedgerEntry] = []
    /// Of the present attempt: where each old owner's log ended behind its fence.
    package var ends: [ShardID: LSN] = [:]
    /// An operator has cancelled the job in its cutover.
    package var isCancelling = false
    /// Whether transactions that are open on the moved vnodes are ended at the drain limit. nil: as the manager's settings say at the time.
    package var endsTransactions: Bool?
    /// Behind the switch: a stream keeps the old owners up to date.
    package var hasWayBack = false
    /// Why the job failed, why the last attempt was given up, or why there is no way back any more.
    package var reason: String?
    /// Grows by one with each change; the compare-and-set of the record, and the number of the step's effect.
    package var version: UInt64 = 0

    package init(id: JobID, kind: JobKind, database: String, moves: [VNodeMove]) {
        self.id = id
        self.kind = kind
        self.database = database
        self.moves = moves
    }

    package var sources: [ShardID] { Set(moves.map(\.source)).sorted() }
    package var targets: [ShardID] { Set(moves.map(\.target)).sorted() }
    /// Who is fenced in the cutover of this direction.
    package var oldOwners: [ShardID] { direction == .forward ? sources : targets }

    package var isOver: Bool {
        if case .over = step { true } else { false }
    }

    /// What has to go: everything that was made but what the new owners live on, and the rows of who does not own them.
    package func remains(after end: JobEnd) -> [LedgerEntry] {
        // Slots first: a slot keeps the log of its server.
        let order: [(LedgerEntry) -> Bool] = [
            { if case .slot = $0 { true } else { false } }, { if case .publication = $0 { true } else { false } },
            { if case .rows = $0 { true } else { false } }, { if case .schema = $0 { true } else { false } },
        ]
        let all = end == .completed ? ledger.filter { !$0.isOfNewOwner } + sources.map(LedgerEntry.rows) : ledger
        return order.flatMap { isOfKind in all.filter(isOfKind) }
    }
}

extension LedgerEntry {
    /// What the targets need when they own the vnodes.
    fileprivate var isOfNewOwner: Bool {
        switch self {
        case .schema, .rows: true
        case .publication, .slot: false
        }
    }
}
