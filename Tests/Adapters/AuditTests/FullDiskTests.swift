import Audit
import ServerConfig
import ControlAPI
import Foundation
import Glibc
import Testing

/// On a real file system that is full: a small one in memory, which takes root to mount.
@Suite(.serialized, .enabled(if: SmallDisk.isPossible, "mounting a file system takes root and the right to mount")) struct FullDiskTests {
    @Test func whatCannotBeAuditedIsRefusedUntilThereIsRoomAndNoLineIsLost() async throws {
        let disk = try SmallDisk()
        let trail = try disk.open(.refuse)
        var count = 0
        while !trail.isClosed {
            try #require(count < 100_000)
            trail.record(AuditEvent("login", user: "user-\(count)"))
            count += 1
            await trail.settle()
        }
        // Those who had asked before it was closed.
        for _ in 0..<20 {
            trail.record(AuditEvent("login", user: "user-\(count)"))
            count += 1
        }
        #expect(trail.figures.isFailing && trail.figures.dropped == 0)
        try disk.makeRoom()
        try await eventually { !trail.isClosed && !trail.figures.isFailing }
        trail.close()
        let found = try AuditVerification.verify([disk.trail])
        #expect(found.problemCount == 0 && found.notes.isEmpty, "\(found.problems) \(found.notes)")
        #expect(disk.logins == count)
    }

    @Test func whatIsDroppedIsCountedAndSaid() async throws {
        let disk = try SmallDisk()
        let trail = try disk.open(.drop)
        var count = 0
        while !trail.figures.isFailing {
            try #require(count < 100_000)
            trail.record(AuditEvent("login", user: "user-\(count)"))
            count += 1
            await trail.settle()
        }
        for _ in 0..<50 {
            trail.record(AuditEvent("login", user: "user-\(count)"))
            count += 1
        }
        #expect(!trail.isClosed)
        try disk.makeRoom()
        try await eventually { !trail.figures.isFailing }
        let dropped = Int(trail.figures.dropped)
        #expect(dropped > 0)
        trail.close()
        let found = try AuditVerification.verify([disk.trail])
        #expect(found.problemCount == 0 && found.notes.contains { $0.text.hasPrefix("\(dropped) events have no line") }, "\(found.problems) \(found.notes)")
        #expect(disk.logins + dropped == count)
    }

    @Test func aTrailThatHasNoRoomAtTheStartIsAnErrorThen() throws {
        let disk = try SmallDisk()
        try disk.fill()
        #expect(throws: AuditError.self) { try disk.open(.refuse) }
        let trail = try disk.open(.drop)
        trail.close()
    }

    private func eventually(_ condition: () -> Bool) async throws {
        for _ in 0..<2000 where !condition() { try await Task.sleep(for: .milliseconds(10)) }
        #expect(condition())
    }
}

private final class SmallDisk {
    let folder: TrailFolder
    private var ballast: String { folder.path + "/ballast" }
    var trail: String { folder.trail }

    static var isPossible: Bool {
        guard geteuid() == 0, let disk = try? SmallDisk() else { return false }
        return FileManager.default.fileExists(atPath: disk.folder.path)
    }

    init() throws {
        folder = try TrailFolder()
        let result = mount("none", folder.path, "tmpfs", 0, "size=1m")
        guard result == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EPERM) }
        // So that a part of it can be given back.
        try Data(count: 300_000).write(to: URL(fileURLWithPath: ballast))
    }

    deinit { umount2(folder.path, Int32(MNT_DETACH)) }

    func open(_ whenFull: AuditSettings.WhenFull) throws -> AuditTrail {
        try folder.open {
            $0.whenFull = whenFull
            $0.queueMax = 1000
        }
    }

    func makeRoom() throws { try FileManager.default.removeItem(atPath: ballast) }

    func fill() throws {
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: ballast))
        try file.seekToEnd()
        for size in [65536, 4096] { while (try? file.write(contentsOf: Data(count: size))) != nil {} }
        try file.close()
    }

    var logins: Int { folder.lines.count { $0.contains(#""action":"login""#) } }
}
