package import CatalogStore
internal import Dispatch
internal import Foundation
internal import GRDB
package import ShardModel
internal import Synchronization

/// A catalog in a SQLite file, for a cluster whose managers and routers run on one machine.
///
/// Any number of processes may open the file at once: a commit is compared and set while it holds the file's write lock. They must be on the machine
/// that has the file: SQLite's write-ahead log needs memory that all of them share, which no network file system offers.
///
/// A change writes the rows it touches, and a reader reads only the rows that changed since the snapshot it has. A commit of this process reaches
/// its watchers at once, one of another process within `pollInterval`.
package final class SQLiteCatalogStore: CatalogStore {
    package static let pollInterval = Duration.milliseconds(25)
    /// As long as a job moves rows.
    static let pollIntervalInJobs = Duration.milliseconds(3)

    let path: String
    private let identity: FileIdentity
    let clock: any LeaseClock
    /// Everything that writes; and what reads, which never waits for a writer.
    let writer: SQLiteLane
    let reader: SQLiteLane
    private let cache: Mutex<CatalogSnapshot>
    let broadcaster: WatchBroadcaster
    private let isClosed = Atomic(false)
    let poller = Mutex<CommitPoller?>(nil)

    /// Opens the catalog at `path`, after checking that it is one, whole, and writable; makes an empty one where there is no file.
    ///
    /// - `createIfMissing`: false makes a missing file an error.
    /// - `busyTimeout`: how long an operation waits for another process that holds the file's write lock.
    ///
    /// Throws `.foreign` when the file is not a catalog, or one of a newer format; it is left as it is.
    ///         `.invalid` when it is damaged.
    ///         `.unavailable` when it cannot be opened or written: a missing folder, no permission, a read-only or full disk, a lock.
    package init(
        path: String, createIfMissing: Bool = true, busyTimeout: Duration = .seconds(5), clock: any LeaseClock = SystemLeaseClock()
    ) async throws(CatalogError) {
        // A relative path would lead elsewhere when the process changes its folder.
        let path = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        let opened = try await Self.offTasks { () throws(CatalogError) in
            try Self.open(path, createIfMissing: createIfMissing, busyTimeout: busyTimeout)
        }
        self.path = path
        self.clock = clock
        identity = opened.identity
        writer = opened.writer
        reader = opened.reader
        let snapshot: CatalogSnapshot
        do {
            snapshot = try await writer.run { db in try Self.check(db, path) }
        } catch {
            await Self.close(opened)
            throw error
        }
        cache = Mutex(snapshot)
        broadcaster = WatchBroadcaster(newest: snapshot)
    }

    deinit {
        poller.withLock { $0?.stop() }
        broadcaster.finish()
    }

    /// Ends the watches and closes the file. Later calls throw `.unavailable`.
    package func close() async {
        poller.withLock { $0?.stop() }
        broadcaster.finish()
        if isClosed.exchange(true, ordering: .relaxed) { return }
        await Self.close(Opened(identity: identity, writer: writer, reader: reader))
    }

    package func load() async throws(CatalogError) -> CatalogSnapshot {
        let known = cache.withLock(\.self)
        let snapshot = try await reader.run { [self] db in
            try checkIdentity()
            if try CatalogTables.epoch(db) == known.epoch { return known }
            var snapshot = known
            try db.inTransaction(.deferred) {
                snapshot = try CatalogTables.snapshot(db, known: known)
                return .commit
            }
            return snapshot
        }
        remember(snapshot)
        return snapshot
    }

    package func commit(
        _ change: CatalogChange, expecting epoch: Epoch, fence: Lease?, keeping answer: KeptAnswer?
    ) async throws(CatalogError) -> CatalogSnapshot {
        // Most conflicts show here already, without the write lock.
        let current = try await load()
        guard current.epoch == epoch else { throw .staleEpoch(expected: epoch, current: current.epoch) }
        return try await writer.run { [self] db in
            try checkIdentity()
            let next = try SQLiteLane.transaction(db) {
                // Under the file's write lock, which whoever takes the lease needs as well.
                if let fence, try lease(fence.name, db)?.isStill(fence) != true { throw CatalogError.fenced(fence) }
                let next = try store(change, expecting: epoch, fence, db)
                if let answer { try CatalogTables.keep(answer, with: next.epoch, db) }
                return next
            }
            remember(next)
            return next
        }
    }

    private func store(_ change: CatalogChange, expecting epoch: Epoch, _ fence: Lease?, _ db: Database) throws -> CatalogSnapshot {
        let base = try CatalogTables.snapshot(db, known: cache.withLock(\.self))
        let next = try base.applying(change, expecting: epoch)
        try CatalogTables.store(next, change.touch, over: base, db)
        let entry = CatalogHistoryEntry(epoch: next.epoch, time: Date().timeIntervalSince1970, change: change, over: base, fence: fence)
        try CatalogTables.remember(entry, db)
        return next
    }

    package func replace(
        with snapshot: CatalogSnapshot, history: [CatalogHistoryEntry], author: String, expecting epoch: Epoch
    ) async throws(CatalogError) {
        try await writer.run { [self] db in
            try checkIdentity()
            try SQLiteLane.transaction(db) {
                try snapshot.checkReplacement(of: CatalogTables.snapshot(db, known: nil), expecting: epoch)
                try CatalogTables.clear(db, clusterID: snapshot.clusterID)
                try CatalogTables.store(snapshot, CatalogTouch(allOf: snapshot), over: nil, db)
                let own = CatalogHistoryEntry(
                    epoch: snapshot.epoch, time: Date().timeIntervalSince1970, change: CatalogChange([], author: author), over: nil)
                for entry in CatalogHistoryEntry.kept(history, below: snapshot.epoch) + [own] { try CatalogTables.remember(entry, db) }
            }
            remember(snapshot)
        }
    }

    package func keptAnswer(_ key: String) async throws(CatalogError) -> KeptAnswer? {
        try await reader.run { [self] db in
            try checkIdentity()
            return try CatalogTables.answer(key, db)
        }
    }

    package func history(limit: Int) async throws(CatalogError) -> [CatalogHistoryEntry] {
        try await reader.run { db in try CatalogTables.history(db, limit: limit) }
    }

    private func remember(_ snapshot: CatalogSnapshot) {
        cache.withLock { if snapshot.epoch > $0.epoch { $0 = snapshot } }
        broadcaster.publish(snapshot)
    }

    /// A file that was removed or replaced lives on for those who have it open: their commits would be lost with it.
    func checkIdentity() throws(CatalogError) {
        guard FileIdentity(path) == identity else { throw .unavailable("\(path) was removed or replaced since it was opened") }
    }
}

// MARK: opening

extension SQLiteCatalogStore {
    private struct Opened: Sendable {
        var identity: FileIdentity
        var writer: SQLiteLane
        var reader: SQLiteLane
    }

    private static func open(_ path: String, createIfMissing: Bool, busyTimeout: Duration) throws(CatalogError) -> Opened {
        let identity = try CatalogFile.prepare(path, createIfMissing: createIfMissing)
        var writer: SQLiteLane?
        do throws(CatalogError) {
            let first = try SQLiteLane(path: path, busyTimeout: busyTimeout)
            writer = first
            return Opened(identity: identity, writer: first, reader: try SQLiteLane(path: path, busyTimeout: busyTimeout))
        } catch {
            writer?.close()
            CatalogFile.release(identity)
            throw error
        }
    }

    /// Everything that could make the first use fail, now.
    private static func check(_ db: Database, _ path: String) throws -> CatalogSnapshot {
        let applicationID = UInt32(truncatingIfNeeded: try Int64.fetchOne(db, sql: "PRAGMA application_id") ?? 0)
        let version = UInt32(truncatingIfNeeded: try Int64.fetchOne(db, sql: "PRAGMA user_version") ?? 0)
        try CatalogFile.check(applicationID: applicationID, version: version, path)
        guard try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL") == "wal" else {
            throw CatalogError.unavailable("\(path) cannot have a write-ahead log where it is")
        }
        if let problem = try String.fetchOne(db, sql: "PRAGMA quick_check(1)"), problem != "ok" {
            throw CatalogError.invalid("\(path) is damaged: \(problem)")
        }
        try db.beginTransaction(.immediate)
        defer { if db.isInsideTransaction { try? db.rollback() } }
        // SQLite opens a file that it may not write for reading, and begins any transaction on it: only a write tells.
        try db.execute(sql: "UPDATE catalog SET epoch = epoch")
        let snapshot = try CatalogTables.snapshot(db, known: nil)
        if try !db.tableExists("answer") {
            try db.execute(sql: CatalogSchema.answers)
            try db.commit()
        }
        return snapshot
    }

    private static func close(_ opened: Opened) async {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                opened.writer.close()
                opened.reader.close()
                CatalogFile.release(opened.identity)
                continuation.resume()
            }
        }
    }

    /// Runs work that blocks where it holds up no task.
    private static func offTasks<Value: Sendable>(
        _ work: @escaping @Sendable () throws(CatalogError) -> Value
    ) async throws(CatalogError) -> Value {
        let result: Result<Value, CatalogError> = await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                do throws(CatalogError) {
                    continuation.resume(returning: .success(try work()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }
}
