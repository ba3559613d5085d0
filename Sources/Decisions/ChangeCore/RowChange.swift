package import LogicalReplication
package import ShardModel

/// How the values of a change are to be read: shared by all changes of a table until its definition is sent anew.
package struct RowLayout: Hashable, Sendable {
    package var table: QualifiedName
    /// One for each value of a row. Generated columns are not among them: the target computes its own.
    package var columns: [String]
    /// The source's types, by column.
    package var typeOIDs: [UInt32]
    /// Positions in `columns` of those that find a row's old state.
    package var identity: [Int]
    /// False: the identity is the whole row, and rows may equal each other. A change is then for exactly one of them, and NULL equals NULL.
    package var isIdentityUnique: Bool

    package init(table: QualifiedName, columns: [String], typeOIDs: [UInt32], identity: [Int], isIdentityUnique: Bool) {
        self.table = table
        self.columns = columns
        self.typeOIDs = typeOIDs
        self.identity = identity
        self.isIdentityUnique = isIdentityUnique
    }
}

/// What one target does. An insert that finds the row there, an update or delete that finds none: the target is not what it should be, and the job
/// fails.
package enum RowChange: Hashable, Sendable {
    /// A value for each column of the layout.
    case insert(RowLayout, row: [TupleValue])
    /// `identity`: a value for each column of the layout's identity. In `row`, `unchangedToast` leaves the column as it is.
    case update(RowLayout, identity: [TupleValue], row: [TupleValue])
    case delete(RowLayout, identity: [TupleValue])
    /// Every row of the tables with a key in the ranges goes. Not the table's other rows: they came from elsewhere. Of a reference table (alone, and with the
    /// whole ring) every row.
    case truncate([QualifiedName], ranges: [TokenRange])
}

package enum ChangeAction: Hashable, Sendable {
    /// In the target's open transaction; it is begun when there is none.
    case apply(ShardID, RowChange)
    /// The source's transaction has ended. Each of `targets` stores `position` in its open transaction and commits it; any order will do.
    /// Whoever is not among them has nothing to do, and is as far.
    case commit(position: LSN, targets: [ShardID])
}
