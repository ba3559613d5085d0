import ArgumentParser
import Audit
import ControlAPI
import Secrets

/// `pgmosaic audit verify`
struct AuditVerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Find lines of an audit trail that were changed, removed, inserted, moved or cut off.",
        discussion: """
            Needs no server. All files of one trail, in any order:
              pgmosaic audit verify /var/log/pgmosaic/audit.jsonl*
            The hash that is printed, kept where others keep it, proves later that nothing up to that line is another one. Exit status 1: something is wrong.
            """)

    @Argument(help: "Files of one trail.") var files: [String]
    @Option(help: ArgumentHelp("The key of audit.key_file: each line must have been made with it.", valueName: "file")) var keyFile: String?
    @Option(help: ArgumentHelp("A line as it was printed before, which must still be there.", valueName: "seq:hash")) var expect: [String] = []
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let found: AuditVerification
        do {
            let key = try keyFile.map { try SecretBox.load(path: $0).auditKey }
            found = try AuditVerification.verify(files, key: key, expecting: try expect.map(Self.expectation))
        } catch {
            Console.complain("pgmosaic audit verify: \(error)")
            throw ExitStatus.failed
        }
        Console.line(json ? JSONText(Self.value(found)).indented : Self.text(found))
        if found.problemCount > 0 { throw ExitStatus.failed }
    }

    private static func expectation(_ text: String) throws -> AuditVerification.Expectation {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let sequence = UInt64(parts[0]), parts[1].utf8.count == 64 else {
            throw ValidationError("--expect needs a line's number and hash, as 120:9f86…")
        }
        return .init(sequence: sequence, hash: String(parts[1]))
    }

    private static func text(_ found: AuditVerification) -> String {
        var lines = found.problems.map { "\($0)" } + found.notes.map { "note: \($0)" }
        if found.problemCount > found.problems.count { lines.append("and \(found.problemCount - found.problems.count) more") }
        let range = found.first.flatMap { first in found.last.map { ", numbers \(first) to \($0)" } } ?? ""
        lines.append("\(found.lines) lines\(range): \(found.problemCount == 0 ? "whole" : "\(found.problemCount) problems")")
        if let last = found.last, let hash = found.lastHash { lines.append("last line \(last):\(hash)") }
        return lines.joined(separator: "\n")
    }

    private static func value(_ found: AuditVerification) -> JSONValue {
        func findings(_ findings: [AuditVerification.Finding]) -> JSONValue {
            .array(
                findings.map { finding in
                    .object([
                        .init("file", .string(finding.file)), .init("line", finding.line.map { .integer(Int64($0)) } ?? .null), .init("text", .string(finding.text)),
                    ])
                })
        }
        return .object([
            .init("whole", .bool(found.problemCount == 0)), .init("lines", .integer(Int64(found.lines))),
            .init("first", found.first.map { .integer(Int64(clamping: $0)) } ?? .null), .init("last", found.last.map { .integer(Int64(clamping: $0)) } ?? .null),
            .init("last_hash", found.lastHash.map { .string($0) } ?? .null), .init("problem_count", .integer(Int64(found.problemCount))),
            .init("problems", findings(found.problems)), .init("notes", findings(found.notes)),
        ])
    }
}
