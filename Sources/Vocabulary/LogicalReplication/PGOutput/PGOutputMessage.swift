package import NIOCore

/// A message of pgoutput, PostgreSQL's own output plugin of logical decoding (protocol versions 1 to 3, PostgreSQL 10 to 15; chapter 55.9 of
/// its documentation, and src/backend/replication/logical/proto.c).
package enum PGOutputMessage: Hashable, Sendable {
    // A transaction that has committed.
    case begin(TransactionBegin)
    case commit(TransactionCommit)
    /// The transaction came from another server; stands behind Begin.
    case origin(position: LSN, name: String)

    // What it did. `xid`: inside of a streamed block only, the transaction or subtransaction that the change belongs to.
    case relation(Relation, xid: TransactionID?)
    case type(DataType, xid: TransactionID?)
    case insert(RowInsert, xid: TransactionID?)
    case update(RowUpdate, xid: TransactionID?)
    case delete(RowDelete, xid: TransactionID?)
    case truncate(Truncate, xid: TransactionID?)
    case message(LogicalMessage, xid: TransactionID?)

    // A transaction that was still in progress when its changes were sent (version 2).
    case streamStart(StreamStart)
    case streamStop
    case streamCommit(TransactionCommit, xid: TransactionID)
    /// `subtransaction` equals `xid` where the whole transaction was rolled back.
    case streamAbort(xid: TransactionID, subtransaction: TransactionID)

    // Two-phase commit (version 3).
    case beginPrepare(PrepareBegin)
    case prepare(TransactionPrepare)
    case commitPrepared(CommitPrepared)
    case rollbackPrepared(RollbackPrepared)
    case streamPrepare(TransactionPrepare)
}

/// The changes up to the next Commit were made by one transaction.
package struct TransactionBegin: Hashable, Sendable {
    /// Where the transaction's commit record starts: below the end that its Commit will name.
    package var finalLSN: LSN
    package var committedAt: ServerTime
    package var xid: TransactionID

    package init(finalLSN: LSN, committedAt: ServerTime, xid: TransactionID) {
        self.finalLSN = finalLSN
        self.committedAt = committedAt
        self.xid = xid
    }
}

package struct TransactionCommit: Hashable, Sendable {
    /// Where the commit record starts.
    package var commitLSN: LSN
    /// Where it ends: what a target stores when it has the transaction.
    package var endLSN: LSN
    package var committedAt: ServerTime

    package init(commitLSN: LSN, endLSN: LSN, committedAt: ServerTime) {
        self.commitLSN = commitLSN
        self.endLSN = endLSN
        self.committedAt = committedAt
    }
}

package struct StreamStart: Hashable, Sendable {
    package var xid: TransactionID
    /// The first block of the transaction.
    package var isFirst: Bool

    package init(xid: TransactionID, isFirst: Bool) {
        self.xid = xid
        self.isFirst = isFirst
    }
}

package struct PrepareBegin: Hashable, Sendable {
    package var prepareLSN: LSN
    package var endLSN: LSN
    package var preparedAt: ServerTime
    package var xid: TransactionID
    package var gid: String

    package init(prepareLSN: LSN, endLSN: LSN, preparedAt: ServerTime, xid: TransactionID, gid: String) {
        self.prepareLSN = prepareLSN
        self.endLSN = endLSN
        self.preparedAt = preparedAt
        self.xid = xid
        self.gid = gid
    }
}

package struct TransactionPrepare: Hashable, Sendable {
    package var prepareLSN: LSN
    package var endLSN: LSN
    package var preparedAt: ServerTime
    package var xid: TransactionID
    package var gid: String

    package init(prepareLSN: LSN, endLSN: LSN, preparedAt: ServerTime, xid: TransactionID, gid: String) {
        self.prepareLSN = prepareLSN
        self.endLSN = endLSN
        self.preparedAt = preparedAt
        self.xid = xid
        self.gid = gid
    }
}

package struct CommitPrepared: Hashable, Sendable {
    package var commitLSN: LSN
    package var endLSN: LSN
    package var committedAt: ServerTime
    package var xid: TransactionID
    package var gid: String

    package init(commitLSN: LSN, endLSN: LSN, committedAt: ServerTime, xid: TransactionID, gid: String) {
        self.commitLSN = commitLSN
        self.endLSN = endLSN
        self.committedAt = committedAt
        self.xid = xid
        self.gid = gid
    }
}

package struct RollbackPrepared: Hashable, Sendable {
    /// Where the record of the PREPARE ended.
    package var prepareEndLSN: LSN
    package var rollbackEndLSN: LSN
    package var preparedAt: ServerTime
    package var rolledBackAt: ServerTime
    package var xid: TransactionID
    package var gid: String

    package init(prepareEndLSN: LSN, rollbackEndLSN: LSN, preparedAt: ServerTime, rolledBackAt: ServerTime, xid: TransactionID, gid: String) {
        self.prepareEndLSN = prepareEndLSN
        self.rollbackEndLSN = rollbackEndLSN
        self.preparedAt = preparedAt
        self.rolledBackAt = rolledBackAt
        self.xid = xid
        self.gid = gid
    }
}

/// What `pg_logical_emit_message` wrote.
package struct LogicalMessage: Hashable, Sendable {
    package var isTransactional: Bool
    package var position: LSN
    package var prefix: String
    package var content: ByteBuffer

    package init(isTransactional: Bool, position: LSN, prefix: String, content: ByteBuffer) {
        self.isTransactional = isTransactional
        self.position = position
        self.prefix = prefix
        self.content = content
    }
}
