internal import NIOCore

extension MessageReader {
    mutating func begin() throws(ReplicationError) -> TransactionBegin {
        TransactionBegin(finalLSN: try knownLSN(), committedAt: try time(), xid: try transactionID())
    }

    mutating func commit() throws(ReplicationError) -> TransactionCommit {
        try noFlags()
        return TransactionCommit(commitLSN: try knownLSN(), endLSN: try knownLSN(), committedAt: try time())
    }

    mutating func prepare() throws(ReplicationError) -> TransactionPrepare {
        try noFlags()
        return TransactionPrepare(
            prepareLSN: try knownLSN(), endLSN: try knownLSN(), preparedAt: try time(), xid: try transactionID(), gid: try text())
    }

    mutating func commitPrepared() throws(ReplicationError) -> CommitPrepared {
        try noFlags()
        return CommitPrepared(
            commitLSN: try knownLSN(), endLSN: try knownLSN(), committedAt: try time(), xid: try transactionID(), gid: try text())
    }

    mutating func rollbackPrepared() throws(ReplicationError) -> RollbackPrepared {
        try noFlags()
        return RollbackPrepared(
            prepareEndLSN: try knownLSN(), rollbackEndLSN: try knownLSN(), preparedAt: try time(), rolledBackAt: try time(),
            xid: try transactionID(), gid: try text())
    }

    mutating func logicalMessage() throws(ReplicationError) -> LogicalMessage {
        let isTransactional = try bool()
        let position = try lsn()
        let prefix = try text()
        return LogicalMessage(isTransactional: isTransactional, position: position, prefix: prefix, content: try counted())
    }
}
