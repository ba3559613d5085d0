package import Foundation
internal import Glibc

/// A folder that nobody else can look into; gone with the last reference.
///
/// A process that is killed leaves its own: `removeStale` finds those by a lock that a process holds on each of its folders, and that ends with the process.
package final class PrivateFolder: Sendable {
    private static let prefix = "pgmosaic-job-"
    private static let lockName = "lock"
    /// Between making a folder and locking it lie microseconds: one that nobody has locked for so long never will be.
    private static let unlockedMax: TimeInterval = 3600

    package let path: String
    /// Open, and locked, for as long as this is there.
    private let lock: CInt

    package init() throws {
        // Another manager may look for stale ones just before this one is locked, and take it for one of them.
        var made: (path: String, lock: CInt)?
        for _ in 0..<10 where made == nil { made = Self.make() }
        guard let made else { throw EffectFailure.unavailable("the manager cannot make a temporary folder for a shard's definitions") }
        (path, lock) = made
    }

    private static func make() -> (path: String, lock: CInt)? {
        let path = NSTemporaryDirectory() + prefix + UUID().uuidString
        guard mkdir(path, 0o700) == 0 else { return nil }
        let lock = open("\(path)/\(lockName)", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        var status = stat()
        if lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0, fstat(lock, &status) == 0, status.st_nlink > 0 { return (path, lock) }
        if lock >= 0 { close(lock) }
        try? FileManager.default.removeItem(atPath: path)
        return nil
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
        close(lock)
    }

    /// Removes what processes of this user have left that are no more. Of those of another machine on a shared file system it depends on that system's locks.
    package static func removeStale(now: Date = Date()) {
        let parent = NSTemporaryDirectory()
        for name in (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? [] where name.hasPrefix(prefix) {
            let path = parent + name
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid() else { continue }
            let lock = open("\(path)/\(lockName)", O_RDWR | O_NOFOLLOW | O_CLOEXEC)
            defer { if lock >= 0 { close(lock) } }
            let isStale = lock >= 0 ? flock(lock, LOCK_EX | LOCK_NB) == 0 : now.timeIntervalSince1970 - TimeInterval(status.st_mtim.tv_sec) > unlockedMax
            if isStale { try? FileManager.default.removeItem(atPath: path) }
        }
    }
}
