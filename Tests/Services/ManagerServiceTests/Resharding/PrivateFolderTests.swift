import Foundation
import ManagerService
import Testing

/// Folders with shards' definitions, which a manager that is killed leaves behind.
@Suite struct PrivateFolderTests {
    private func leave(locked isLocked: Bool, as name: String = "pgmosaic-job-\(UUID().uuidString)") throws -> String {
        let path = NSTemporaryDirectory() + name
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        if isLocked { try Data().write(to: URL(fileURLWithPath: path + "/lock")) }
        try Data("CREATE TABLE".utf8).write(to: URL(fileURLWithPath: path + "/definitions"))
        return path
    }

    private func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    @Test func onlyWhatADeadProcessHasLeftIsRemoved() throws {
        let mine = try PrivateFolder()
        let (stale, new) = (try leave(locked: true), try leave(locked: false))
        defer { try? FileManager.default.removeItem(atPath: new) }
        PrivateFolder.removeStale()
        #expect(isThere(mine.path) && !isThere(stale) && isThere(new))
        // Its process has ended before it could lock it.
        PrivateFolder.removeStale(now: Date() + 7200)
        #expect(isThere(mine.path) && !isThere(new))
    }

    /// Another process holds the lock, until it is killed.
    @Test func anothersFolderStaysUntilItIsKilled() async throws {
        // Under another name until it is locked: managers of other tests look for what is left, too.
        let name = UUID().uuidString
        let (made, path) = (try leave(locked: true, as: "folder-\(name)"), NSTemporaryDirectory() + "pgmosaic-job-\(name)")
        defer { for path in [made, path] { try? FileManager.default.removeItem(atPath: path) } }
        let (other, output) = (Process(), Pipe())
        other.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        // With the lock it becomes a program that waits, so that there is one process to kill.
        other.arguments = ["sh", "-c", "exec 9<>'\(made)/lock'; flock -n 9 && echo locked && exec sleep 600"]
        other.standardOutput = output
        try other.run()
        defer { if other.isRunning { kill(other.processIdentifier, SIGKILL) } }
        let said = try output.fileHandleForReading.read(upToCount: 7)
        try #require(said == Data("locked\n".utf8))
        try FileManager.default.moveItem(atPath: made, toPath: path)
        PrivateFolder.removeStale()
        #expect(isThere(path + "/definitions"))
        kill(other.processIdentifier, SIGKILL)
        let deadline = ContinuousClock.now + .seconds(60)
        while isThere(path), ContinuousClock.now < deadline {
            PrivateFolder.removeStale()
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(!isThere(path))
    }

    @Test func aFolderIsGoneWithItsLastReference() throws {
        var folder: PrivateFolder? = try PrivateFolder()
        let path = try #require(folder?.path)
        #expect(isThere(path + "/lock"))
        folder = nil
        #expect(!isThere(path))
    }
}
