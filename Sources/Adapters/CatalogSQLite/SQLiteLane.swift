internal import CatalogStore
internal import GRDB
internal import Synchronization

/// One connection to the catalog's file, and the thread that all its work runs on, one piece after the other.
///
/// Work that has begun is finished even when its caller is cancelled: a commit then still has an outcome that is known.
final class SQLiteLane: Sendable {
    private let path: String
    private let queue: DatabaseQueue
    private let isClosed = Atomic(false)

    /// Opens an existing file. Blocks.
    init(path: String, busyTimeout: Duration) throws(CatalogError) {
        self.path = path
        do {
            queue = try DatabaseQueue(path: path, configuration: Self.configuration(busyTimeout: busyTimeout))
        } catch {
            throw SQLiteFailure.catalogError(error, path: path)
        }
    }

    static func configuration(busyTimeout: Duration) -> Configuration {
        var configuration = Configuration()
        configuration.label = "pgmosaic.catalog"
        configuration.busyMode = .timeout(max(0, busyTimeout / .seconds(1)))
        // A rollback may fail with the disk; that must not end the process.
        configuration.allowsUnsafeTransactions = true
        configuration.prepareDatabase { db in
            // FULL: a commit that was acknowledged survives a power failure.
            try db.execute(sql: """
                PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 16777216
                """)
        }
        return configuration
    }

    func run<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws(CatalogError) -> Value {
        let result: Result<Value, any Error> = await withCheckedContinuation { continuation in
            queue.asyncWriteWithoutTransaction { [self] db in
                continuation.resume(returning: Result {
                    if isClosed.load(ordering: .acquiring) { throw CatalogError.unavailable("the catalog store is closed") }
                    return try work(db)
                })
            }
        }
        return try unwrap(result)
    }

    /// As `run`, in a transaction that holds the file's write lock from its start.
    func transaction<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws(CatalogError) -> Value {
        try await run { db in try Self.transaction(db) { try work(db) } }
    }

    static func transaction<Value>(_ db: Database, _ work: () throws -> Value) throws -> Value {
        // Only when an earlier rollback failed as well.
        if db.isInsideTransaction { try db.rollback() }
        try db.beginTransaction(.immediate)
        let value: Value
        do {
            value = try work()
        } catch {
            if db.isInsideTransaction { try? db.rollback() }
            throw error
        }
        do {
            try db.commit()
        } catch {
            if db.isInsideTransaction { try? db.rollback() }
            throw CommitStepFailure(cause: error)
        }
        return value
    }

    /// What is under way is finished first; what comes later is refused. Blocks: not to be called on the lane's own thread.
    func close() {
        isClosed.store(true, ordering: .releasing)
        try? queue.close()
    }

    private func unwrap<Value>(_ result: Result<Value, any Error>) throws(CatalogError) -> Value {
        do {
            return try result.get()
        } catch {
            throw SQLiteFailure.catalogError(error, path: path)
        }
    }
}
