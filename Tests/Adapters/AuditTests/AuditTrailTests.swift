import Audit
import ControlAPI
import Crypto
import Foundation
import ServerConfig
import Testing

@Suite struct AuditTrailTests {
    private func hash(_ line: String) -> String { SHA256.hash(data: Array(line.utf8)).map { String(format: "%02x", $0) }.joined() }

    @Test func eachLineHasTheHashOfTheLineBeforeAlsoOverRestarts() throws {
        let folder = try TrailFolder()
        for _ in 1...3 { try folder.written(5) }
        let lines = folder.lines
        // Opened, five, closed.
        #expect(lines.count == 21)
        var previous = String(repeating: "0", count: 64)
        for (index, line) in lines.enumerated() {
            let value = try JSONParser.parse(line)
            #expect(value["prev"]?.stringValue == previous && value["seq"]?.integerValue == Int64(index + 1))
            previous = hash(line)
        }
        let found = try AuditVerification.verify([folder.trail])
        #expect(found.problemCount == 0 && found.notes.isEmpty && found.lines == 21 && found.lastHash == previous)
    }

    @Test func aLineSaysWhoDidWhatFromWhereAndWhen() throws {
        let folder = try TrailFolder()
        let trail = try folder.open()
        trail.record(
            AuditEvent(
                "user.add", .failed, user: "ada", address: "10.0.0.1", object: "/api/v1/users bob", code: "ALREADY_EXISTS", requestID: "r1", traceID: "t1", statement: "UPDATE t SET a = ?",
                count: 3))
        trail.close()
        let value = try JSONParser.parse(folder.lines[1])
        let shown = (value.members ?? []).filter { $0.name != "prev" }.map { "\($0.name)=\($0.value.text)" }.joined(separator: " ")
        let expected =
            #"seq=2 time="2025-10-09T08:53:20.000Z" server="manager-1" action="user.add" outcome="failed" user="ada" address="10.0.0.1" "#
                + #"object="/api/v1/users bob" code="ALREADY_EXISTS" request_id="r1" trace_id="t1" statement="UPDATE t SET a = ?" count=3"#
        #expect(shown == expected)
    }

    @Test func theFilesAreTheirOwnersOnly() throws {
        let folder = try TrailFolder()
        _ = FileManager.default.createFile(atPath: folder.trail, contents: nil, attributes: [.posixPermissions: 0o644])
        try folder.written(1)
        for path in [folder.trail, folder.trail + ".head"] {
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
            #expect(mode?.intValue == 0o600, "\(path)")
        }
    }

    @Test func aFullFileIsFollowedByAnotherAndTheOldestGo() throws {
        let folder = try TrailFolder()
        let trail = try folder.open {
            $0.fileMax = 64 << 10
            $0.filesMax = 3
            $0.queueMax = 100_000
        }
        for number in 1...3000 { trail.record(AuditEvent("login", user: "user-\(number)", object: String(repeating: "x", count: 200))) }
        trail.close()
        #expect(folder.files.count == 4)
        for file in folder.files {
            let size = try FileManager.default.attributesOfItem(atPath: file)[.size] as? NSNumber
            // A batch more at most.
            #expect((size?.intValue ?? 0) < 200_000)
        }
        let found = try AuditVerification.verify(folder.files)
        #expect(found.problemCount == 0 && found.last == 3002, "\(found.problems)")
        // The order of the arguments does not matter; a file that is left out does.
        #expect(try AuditVerification.verify(folder.files.reversed()).problemCount == 0)
        var some = folder.files
        some.remove(at: 1)
        #expect(try AuditVerification.verify(some).problems.contains { $0.text.contains("missing before line") })
    }

    @Test func anOldFileIsFollowedByAnotherAndTheChainGoesOnBehindIt() throws {
        let folder = try TrailFolder()
        try folder.written(2)
        let trail = try folder.open(now: { 1_760_000_000 + 90_000 })
        trail.close()
        #expect(folder.files.count == 2)
        // Also where the new file was not made any more.
        try FileManager.default.removeItem(atPath: folder.trail)
        try FileManager.default.removeItem(atPath: folder.trail + ".head")
        try folder.written(1)
        #expect(try AuditVerification.verify(folder.files).problemCount == 0)
    }

    @Test func aTornLastLineIsKeptAndNoted() throws {
        for cut in [1, 2, 40, 150] {
            let folder = try TrailFolder()
            try folder.written(3)
            var bytes = Array(FileManager.default.contents(atPath: folder.trail) ?? Data())
            // As after a kill in the middle of the write: the head still is that of the line before.
            let lines = folder.lines
            bytes.removeLast(cut)
            try Data(bytes).write(to: URL(fileURLWithPath: folder.trail))
            try Data(#"{"seq":"00000000000000000004","hash":"\#(hash(lines[3]))"}"#.utf8).write(to: URL(fileURLWithPath: folder.trail + ".head"))
            try folder.written(2)
            let found = try AuditVerification.verify([folder.trail])
            #expect(found.problemCount == 0, "\(cut): \(found.problems)")
            // Without its end of line only it is whole.
            #expect(found.notes.map(\.line) == (cut == 1 ? [] : [5]), "\(cut): \(found.notes)")
            #expect(folder.lines[4] == String(lines[4].dropLast(cut - 1)))
            if cut > 1 { #expect(try JSONParser.parse(folder.lines[5])["action"]?.stringValue == "audit.torn") }
        }
    }

    @Test func whatWasGoneWhenAServerStartedIsSaidForGood() throws {
        let folder = try TrailFolder()
        try folder.written(5)
        try folder.replace(Array(folder.lines.prefix(4)))
        try folder.written(5)
        let found = try AuditVerification.verify([folder.trail])
        #expect(found.problems.map(\.description) == ["\(folder.trail):5: lines 5 to 7 are missing: they had been written, and were gone when the server started"])
        // A trail that is taken away as a whole leaves its head.
        try FileManager.default.removeItem(atPath: folder.trail)
        try folder.written(1)
        #expect(try JSONParser.parse(folder.lines[0])["action"]?.stringValue == "audit.missing")
    }

    @Test func whileOneServerHasATrailAnotherTakesTheNextName() throws {
        let folder = try TrailFolder()
        let one = try folder.open()
        let other = try folder.open()
        #expect(one.path == folder.trail && other.path == folder.path + "/audit-2.jsonl")
        one.close()
        let third = try folder.open()
        #expect(third.path == folder.trail)
        third.close()
        other.close()
        for path in [folder.trail, other.path] { #expect(try AuditVerification.verify([path]).problemCount == 0) }
    }

    @Test func eventsOfManyThreadsAllHaveALine() async throws {
        let folder = try TrailFolder()
        let trail = try folder.open { $0.queueMax = 100_000 }
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 { group.addTask { for number in 0..<500 { trail.record(AuditEvent("login", user: "\(task)-\(number)")) } } }
        }
        await trail.settle()
        #expect(trail.figures.written >= 4001 && trail.figures.dropped == 0)
        trail.close()
        let users = folder.lines.compactMap { try? JSONParser.parse($0)["user"]?.stringValue }
        #expect(Set(users).count == 4000 && users.count == 4000)
        #expect(try AuditVerification.verify([folder.trail]).problemCount == 0)
    }

    @Test func aLongFieldIsCutAndALineHasABound() throws {
        let folder = try TrailFolder()
        let trail = try folder.open()
        let nasty = String(repeating: "\u{1}ß\"\\\n", count: 5000)
        trail.record(AuditEvent("login", user: nasty, address: nasty, object: nasty, code: nasty, requestID: nasty, traceID: nasty, statement: nasty))
        trail.close()
        #expect(folder.lines.count == 3 && folder.lines[1].utf8.count < AuditLine.bytesMax)
        #expect(try AuditVerification.verify([folder.trail]).problemCount == 0)
    }

    @Test func linesAreReadPageByPage() throws {
        let folder = try TrailFolder()
        let trail = try folder.open {
            $0.fileMax = 64 << 10
            $0.queueMax = 100_000
        }
        for number in 1...2000 { trail.record(AuditEvent(number % 2 == 0 ? "login" : "user.add", user: "user-\(number % 10)")) }
        trail.close()
        var (seen, after): ([Int64], UInt64?) = ([], 0)
        while let next = after {
            let page = trail.lines(AuditQuery(user: "user-4", action: "login", after: next, limit: 30))
            #expect(page.lines.count <= 30)
            seen += page.lines.compactMap { $0["seq"]?.integerValue }
            after = page.next
        }
        // The first line is "opened".
        let expected: [Int64] = (1...2000).filter { $0 % 10 == 4 }.map { Int64($0 + 1) }
        #expect(seen == expected)
        #expect(trail.lines(AuditQuery(since: Timestamp(seconds: 1_760_000_001), limit: 10)).lines.isEmpty)
        #expect(trail.lines(AuditQuery(since: Timestamp(seconds: 1_760_000_000), limit: 10)).lines.count == 10)
    }
}
