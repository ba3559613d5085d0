package import NIOCore

/// One value of a row. The bytes are a slice of the message that they came in, and keep it in memory.
package enum TupleValue: Hashable, Sendable {
    case null
    /// A value stored out of line that the UPDATE did not change: the log does not hold it.
    case unchangedToast
    /// In the type's text form, in the session's encoding.
    case text(ByteBuffer)
    /// In the type's binary form; only where it was asked for.
    case binary(ByteBuffer)
}

package struct RowInsert: Hashable, Sendable {
    package var relation: RelationID
    package var row: [TupleValue]

    package init(relation: RelationID, row: [TupleValue]) {
        self.relation = relation
        self.row = row
    }
}

/// A row's old state, as much as the replica identity tells.
package enum OldRow: Hashable, Sendable {
    /// The columns of the identity; the others are null here, whatever they were.
    case key([TupleValue])
    /// All columns (replica identity full).
    case full([TupleValue])

    package var values: [TupleValue] {
        switch self {
        case .key(let values), .full(let values): values
        }
    }
}

package struct RowUpdate: Hashable, Sendable {
    package var relation: RelationID
    /// nil: no column of the replica identity was changed.
    package var old: OldRow?
    package var row: [TupleValue]

    package init(relation: RelationID, old: OldRow?, row: [TupleValue]) {
        self.relation = relation
        self.old = old
        self.row = row
    }
}

package struct RowDelete: Hashable, Sendable {
    package var relation: RelationID
    package var old: OldRow

    package init(relation: RelationID, old: OldRow) {
        self.relation = relation
        self.old = old
    }
}

package struct Truncate: Hashable, Sendable {
    package var relations: [RelationID]
    package var isCascade: Bool
    package var restartsIdentity: Bool

    package init(relations: [RelationID], isCascade: Bool, restartsIdentity: Bool) {
        self.relations = relations
        self.isCascade = isCascade
        self.restartsIdentity = restartsIdentity
    }
}
