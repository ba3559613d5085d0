internal import CatalogStore
internal import GRDB

/// An error of the statement that makes a transaction durable, told apart because what it leaves behind may be unknown.
struct CommitStepFailure: Error {
    var cause: any Error
}

/// What an error of SQLite means for the caller of a store.
enum SQLiteFailure {
    static func catalogError(_ error: any Error, path: String) -> CatalogError {
        switch error {
        case let error as CatalogError: error
        case let error as CommitStepFailure: catalogError(duringCommit: error.cause, path)
        case let error as DatabaseError: catalogError(error, path)
        default: .unavailable("\(path): \(error)")
        }
    }

    private static func catalogError(_ error: DatabaseError, _ path: String) -> CatalogError {
        let reason = error.message ?? "error \(error.extendedResultCode.rawValue)"
        return switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED: .unavailable("another process keeps \(path) locked")
        case .SQLITE_READONLY: .unavailable("\(path) or its folder is read-only")
        case .SQLITE_FULL: .unavailable("the disk of \(path) is full")
        case .SQLITE_CANTOPEN, .SQLITE_PERM: .unavailable("\(path) or a file beside it cannot be opened: \(reason)")
        case .SQLITE_NOTADB: .foreign("\(path) is not a SQLite database, or its head is damaged")
        case .SQLITE_CORRUPT: .invalid("\(path) is damaged: \(reason)")
        default: .unavailable("\(path): \(reason)")
        }
    }

    /// A full disk or a lock leaves the transaction without its last page, so it never counts. After an input or output error the last page may
    /// be in the log, though it could not be synced, and count after a crash.
    private static func catalogError(duringCommit error: any Error, _ path: String) -> CatalogError {
        let plain = catalogError(error, path: path)
        guard let error = error as? DatabaseError else { return .unknownOutcome("\(path): \(error)") }
        return switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_READONLY, .SQLITE_FULL: plain
        default: .unknownOutcome("\(path): \(error.message ?? "error \(error.extendedResultCode.rawValue)")")
        }
    }
}
