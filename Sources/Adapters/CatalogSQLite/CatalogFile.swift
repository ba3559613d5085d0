#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif
internal import CatalogStore
internal import Foundation
internal import GRDB
internal import Synchronization

/// The catalog's file, seen from outside: whether it is ours, and how it comes into being.
enum CatalogFile {
    /// How often this process has each file open. Such a file must not be opened with `open` as well: closing that descriptor would give up the
    /// locks of every SQLite connection that the process has on the file ("How To Corrupt An SQLite Database File", 2.2).
    private static let opened = Mutex<[FileIdentity: Int]>([:])

    /// Makes sure that `path` is a catalog of our format, making a new one where there is no file and `createIfMissing`.
    ///
    /// The file counts as open from now on, until `release`.
    ///
    /// A file that is not ours is only read: SQLite would already replay and remove the write-ahead log of a database it opens.
    static func prepare(_ path: String, createIfMissing: Bool) throws(CatalogError) -> FileIdentity {
        if FileIdentity(path) == nil {
            guard errno == ENOENT || errno == ENOTDIR else { throw .unavailable("\(path): \(systemText())") }
            try create(path, isAllowed: createIfMissing)
        }
        guard let identity = FileIdentity(path) else { throw .unavailable("\(path): \(systemText())") }
        guard identity.isRegularFile else { throw .foreign("\(path) is not a file") }
        try opened.withLock { (opened) throws(CatalogError) in
            if opened[identity] == nil { try checkHead(path) }
            opened[identity, default: 0] += 1
        }
        return identity
    }

    /// Only after all connections of that opening are closed. Left out, the file counts as open for the life of the process, which is safe.
    static func release(_ identity: FileIdentity) {
        opened.withLock { opened in
            let count = (opened[identity] ?? 0) - 1
            opened[identity] = count > 0 ? count : nil
        }
    }

    static func systemText() -> String { String(cString: strerror(errno)) }

    // MARK: the first hundred bytes

    private static let magic = Array("SQLite format 3\0".utf8)

    private static func checkHead(_ path: String) throws(CatalogError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .unavailable("\(path): \(systemText())") }
        defer { close(file) }
        var head = [UInt8](repeating: 0, count: 100)
        var count = 0
        while count < head.count {
            let more = head.withUnsafeMutableBytes { bytes in read(file, bytes.baseAddress! + count, bytes.count - count) }
            if more < 0 && errno == EINTR { continue }
            guard more >= 0 else { throw .unavailable("\(path): \(systemText())") }
            if more == 0 { break }
            count += more
        }
        guard count > 0 else { throw .foreign("\(path) is empty; remove it to start a new catalog there") }
        guard count == head.count, Array(head[..<16]) == magic else { throw .foreign("\(path) is not a SQLite database, or is cut off") }
        // Offsets 60 and 68: "Database File Format", section 1.3.
        try check(applicationID: number(head, at: 68), version: number(head, at: 60), path)
        // Offset 16. SQLite reads what is missing of the last page as zeros. While there is a log, it makes up for a page that a crash cut off.
        let pageSize = max(512, Int(head[16]) << 8 | Int(head[17]) << 16)
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .unavailable("\(path): \(systemText())") }
        guard Int(status.st_size).isMultiple(of: pageSize) || FileIdentity(path + "-wal") != nil else {
            throw .invalid("\(path) is damaged: it is cut off in a page")
        }
    }

    static func check(applicationID: UInt32, version: UInt32, _ path: String) throws(CatalogError) {
        guard applicationID == CatalogSchema.applicationID else { throw .foreign("\(path) is a SQLite database of another program") }
        guard version <= CatalogSchema.version else {
            throw .foreign("\(path) has format \(version); this version knows formats up to \(CatalogSchema.version)")
        }
        guard version == CatalogSchema.version else { throw .foreign("\(path) has no format that was ever released: \(version)") }
    }

    private static func number(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    // MARK: creation

    /// The file appears complete, with mode 0600, or not at all: it is made beside its place and linked into it. When two processes do so
    /// at once, one file wins and both use it.
    private static func create(_ path: String, isAllowed: Bool) throws(CatalogError) {
        let folder = (path as NSString).deletingLastPathComponent
        guard folder.isEmpty || FileManager.default.fileExists(atPath: folder) else { throw .unavailable("the folder \(folder) does not exist") }
        guard isAllowed else { throw .unavailable("\(path) does not exist") }
        for suffix in ["-wal", "-journal"] where FileIdentity(path + suffix) != nil {
            // Another process has made both since the file was looked for: it comes before what belongs to it.
            if FileIdentity(path) != nil { return }
            // SQLite would replay it into the new file.
            throw .foreign("\(path)\(suffix) is there without its catalog; restore the catalog, or remove it")
        }
        let draft = "\(path).\(UUID().uuidString.lowercased()).new"
        defer { for suffix in ["", "-wal", "-shm", "-journal"] { unlink(draft + suffix) } }
        let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .unavailable("a catalog cannot be made in the folder of \(path): \(systemText())") }
        close(file)
        do {
            try fill(draft)
        } catch {
            throw SQLiteFailure.catalogError(error, path: path)
        }
        guard link(draft, path) == 0 || errno == EEXIST else { throw .unavailable("\(path): \(systemText())") }
        try sync(folder: folder.isEmpty ? "." : folder)
    }

    private static func fill(_ draft: String) throws {
        let queue = try DatabaseQueue(path: draft, configuration: SQLiteLane.configuration(busyTimeout: .seconds(5)))
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA journal_mode = WAL")
            try db.inTransaction(.immediate) {
                try CatalogSchema.create(db, clusterID: UUID().uuidString.lowercased())
                return .commit
            }
        }
        // Closing moves everything from the log into the file, and syncs it.
        try queue.close()
        guard FileIdentity(draft + "-wal") == nil else { throw CatalogError.unavailable("the new catalog could not be completed") }
    }

    private static func sync(folder: String) throws(CatalogError) {
        let file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw .unavailable("\(folder): \(systemText())") }
        defer { close(file) }
        guard fsync(file) == 0 else { throw .unavailable("\(folder): \(systemText())") }
    }
}

/// Which file a path leads to: the same path may lead to another one later.
struct FileIdentity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
    var isRegularFile: Bool

    /// nil when there is none, or it cannot be reached; `errno` says which.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(truncatingIfNeeded: status.st_dev)
        inode = UInt64(truncatingIfNeeded: status.st_ino)
        isRegularFile = status.st_mode & S_IFMT == S_IFREG
    }
}
