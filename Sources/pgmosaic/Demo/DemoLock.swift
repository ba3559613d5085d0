import Foundation

/// Keeps two demos out of one folder. The kernel drops the lock when its holder ends, however it ends.
final class DemoLock {
    private let descriptor: Int32

    /// Throws when another process holds the lock.
    init(_ folder: DemoFolder) throws {
        descriptor = open(folder.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DemoError("\(folder.lock) cannot be opened (errno \(errno))") }
        guard Self.take(descriptor) else {
            close(descriptor)
            throw DemoError.otherRun(pid: Self.recordedPID(folder) ?? 0, folder: folder.path)
        }
        ftruncate(descriptor, 0)
        let text = Array("\(getpid())\n".utf8)
        _ = pwrite(descriptor, text, text.count, 0)
    }

    deinit { close(descriptor) }

    /// Tries for a moment: `demo status` holds the lock for as long as it takes to look.
    private static func take(_ descriptor: Int32) -> Bool {
        for _ in 0..<10 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
            usleep(20_000)
        }
        return false
    }

    /// The process that runs the demo of a folder; nil when none does.
    static func holder(of folder: DemoFolder) -> Int32? {
        let descriptor = open(folder.lock, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) != 0 else { return nil }
        return recordedPID(folder)
    }

    private static func recordedPID(_ folder: DemoFolder) -> Int32? {
        guard let text = try? String(contentsOfFile: folder.lock, encoding: .utf8) else { return nil }
        return Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
