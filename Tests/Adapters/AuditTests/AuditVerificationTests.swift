import Audit
import Foundation
import Testing

/// Whatever is done to a trail is found, and the place is named.
@Suite struct AuditVerificationTests {
    /// What was done to nine lines ("opened", seven logins, "closed"), and the lines that a finding must name.
    struct Tampering: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var names: Set<Int?>
        var change: @Sendable (inout [String]) -> Void

        init(_ what: String, names: Set<Int?>, _ change: @escaping @Sendable (inout [String]) -> Void) {
            (testDescription, self.names, self.change) = (what, names, change)
        }
    }

    static let tamperings: [Tampering] = [
        Tampering("a changed line", names: [4]) { $0[3] = $0[3].replacing("user-3", with: "user-9") },
        Tampering("a changed first line", names: [1]) { $0[0] = $0[0].replacing("manager-1", with: "manager-2") },
        Tampering("a changed last line", names: [9]) { $0[8] = $0[8].replacing("manager-1", with: "manager-2") },
        Tampering("a line that is no JSON any more", names: [4]) { $0[3] = String($0[3].dropLast(10)) },
        Tampering("an emptied line", names: [4]) { $0[3] = "{}" },
        Tampering("a blank in a line", names: [4]) { $0[3] = $0[3].replacing(":", with: ": ") },
        Tampering("a removed line", names: [4]) { $0.remove(at: 3) },
        Tampering("removed lines", names: [3]) { $0.removeSubrange(2..<6) },
        Tampering("a removed first line", names: [1]) { $0.removeFirst() },
        Tampering("a removed last line", names: [nil]) { $0.removeLast() },
        Tampering("removed last lines", names: [nil]) { $0.removeLast(4) },
        Tampering("a line twice", names: [4]) { $0.insert($0[3], at: 3) },
        Tampering("a line of another trail", names: [5]) { $0.insert($0[4].replacing("user-4", with: "user-9"), at: 4) },
        Tampering("two lines the other way round", names: [4, 5]) { $0.swapAt(3, 4) },
        Tampering("the last line first", names: [2]) { $0.insert($0.removeLast(), at: 0) },
        Tampering("all lines the other way round", names: [2]) { $0.reverse() },
    ]

    @Test(arguments: tamperings) func itIsFoundAndNamed(_ tampering: Tampering) throws {
        let folder = try TrailFolder()
        try folder.written(7)
        var lines = folder.lines
        #expect(lines.count == 9)
        tampering.change(&lines)
        try folder.replace(lines)
        // A line that is gone from the beginning is one that older files may have.
        let found = try AuditVerification.verify([folder.trail])
        if tampering.testDescription == "a removed first line" {
            #expect(found.problemCount == 0 && found.notes.first?.text.contains("begins with line 2") == true)
        } else {
            #expect(!tampering.names.isDisjoint(with: found.problems.map(\.line)), "\(found.problems)")
        }
    }

    @Test func aLineThatIsCutOffIsNamed() throws {
        for cut in 1...100 {
            let folder = try TrailFolder()
            try folder.written(2)
            var bytes = Array(FileManager.default.contents(atPath: folder.trail) ?? Data())
            bytes.removeLast(cut)
            try Data(bytes).write(to: URL(fileURLWithPath: folder.trail))
            #expect(try AuditVerification.verify([folder.trail]).problems.contains { $0.line == 4 }, "\(cut)")
        }
    }

    /// Who can write the file can make another chain; without the key its lines have no `mac`.
    @Test func aChainThatIsMadeAnewDoesNotPassForOneOfTheKey() throws {
        let key = [UInt8](repeating: 7, count: 32)
        let folder = try TrailFolder()
        try folder.written(7, key: key)
        #expect(try AuditVerification.verify([folder.trail], key: key).problemCount == 0)
        #expect(try AuditVerification.verify([folder.trail]).problemCount == 0)
        for other in [nil, [UInt8](repeating: 8, count: 32)] {
            let forged = try TrailFolder()
            try forged.written(7, key: other)
            #expect(try AuditVerification.verify([forged.trail]).problemCount == 0)
            #expect(try AuditVerification.verify([forged.trail], key: key).problemCount == 9)
        }
    }

    @Test func aLineThatSomebodyRemembersMustStillBeThere() throws {
        let folder = try TrailFolder()
        try folder.written(3)
        let seen = try AuditVerification.verify([folder.trail])
        let expected = AuditVerification.Expectation(sequence: try #require(seen.last), hash: try #require(seen.lastHash))
        try folder.written(3)
        #expect(try AuditVerification.verify([folder.trail], expecting: [expected]).problemCount == 0)
        // The whole trail is made anew, its head too.
        let other = try TrailFolder()
        try other.written(20)
        #expect(try AuditVerification.verify([other.trail]).problemCount == 0)
        #expect(try AuditVerification.verify([other.trail], expecting: [expected]).problemCount == 1)
        try FileManager.default.removeItem(atPath: other.trail)
        try FileManager.default.removeItem(atPath: other.trail + ".head")
        try other.written(1)
        #expect(try AuditVerification.verify([other.trail], expecting: [expected]).problemCount == 1)
    }

    @Test(arguments: [[UInt8](), Array("\n\n\n".utf8), [UInt8](repeating: 0, count: 100_000), Array("[[[[".utf8), [UInt8](repeating: 0xFF, count: 3_000_000)])
    func aFileOfAnythingElseIsNoTrail(_ bytes: [UInt8]) throws {
        let folder = try TrailFolder()
        try Data(bytes).write(to: URL(fileURLWithPath: folder.trail))
        let found = try AuditVerification.verify([folder.trail])
        #expect((found.problemCount > 0) == !bytes.isEmpty)
    }
}
