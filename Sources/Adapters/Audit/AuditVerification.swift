internal import ControlAPI
internal import Crypto
internal import Foundation

/// What is wrong with a trail: each changed, removed, inserted, moved or cut-off line by its place.
package struct AuditVerification: Sendable {
    package struct Finding: Hashable, Sendable, CustomStringConvertible {
        package var file: String
        /// From 1; nil: it is about the end of the file, or all of it.
        package var line: Int?
        package var text: String

        package var description: String { line.map { "\(file):\($0): \(text)" } ?? "\(file): \(text)" }
    }

    /// A line that somebody remembers.
    package struct Expectation: Hashable, Sendable {
        package var sequence: UInt64
        package var hash: String

        package init(sequence: UInt64, hash: String) {
            self.sequence = sequence
            self.hash = hash
        }
    }

    /// More are counted and not kept: one changed file gives one for each of its lines.
    package static let problemsMax = 1000

    package private(set) var problems: [Finding] = []
    package private(set) var problemCount = 0
    /// What is in order, and worth knowing: torn lines, events without a line.
    package private(set) var notes: [Finding] = []
    package private(set) var lines = 0
    package private(set) var first: UInt64?
    package private(set) var last: UInt64?
    /// Of the last line. Kept elsewhere it proves later that the trail up to it is the same.
    package private(set) var lastHash: String?

    private let key: SymmetricKey?
    private var expected: [UInt64: String]
    private var previous: String?
    private var beforePrevious: String?
    private var previousPlace: Finding?
    /// A line that could not be read, and is torn if the next one says so.
    private var unread: (place: Finding, hash: String, count: Int)?

    /// Throws an `AuditError` for a file that cannot be opened.
    ///
    /// - paths: files of one trail, in any order; their heads among them are passed over.
    /// - key: nil: `mac`s are not looked at.
    /// - expecting: lines that must be there.
    package static func verify(
        _ paths: [String], key: [UInt8]? = nil, expecting: [Expectation] = []
    ) throws(AuditError) -> AuditVerification {
        var verification = AuditVerification(
            key: key.map { SymmetricKey(data: $0) }, expected: Dictionary(expecting.map { ($0.sequence, $0.hash) }) { first, _ in first })
        var files: [(path: String, first: UInt64)] = []
        for path in paths where !path.hasSuffix(".head") {
            guard let reader = LineReader(path) else { throw AuditError(.cannotOpen(SystemError.last), path: path) }
            var first: UInt64?
            while first == nil, let line = reader.next() { first = AuditLine(line.bytes)?.sequence }
            files.append((path, first ?? .max))
        }
        // A server may be writing: what its head says now is there when the lines are read.
        let heads = files.map { head(of: $0.path) }
        let order = files.indices.sorted { (files[$0].first, files[$0].path) < (files[$1].first, files[$1].path) }
        for index in order { try verification.read(files[index].path) }
        for index in order { verification.compare(files[index].path, heads[index], isLast: index == order.last) }
        for (sequence, _) in verification.expected.sorted(by: { $0.key < $1.key }) {
            verification.problem(Finding(file: paths.last ?? "", line: nil, text: ""), "line \(sequence), which was expected, is not there")
        }
        return verification
    }

    private init(key: SymmetricKey?, expected: [UInt64: String]) {
        self.key = key
        self.expected = expected
    }

    private static func head(of path: String) -> AuditHead? {
        guard let data = FileManager.default.contents(atPath: AuditHead.path(of: path)) else { return nil }
        return AuditHead(Array(data))
    }

    // MARK: Lines

    private mutating func read(_ path: String) throws(AuditError) {
        guard let reader = LineReader(path) else { throw AuditError(.cannotOpen(SystemError.last), path: path) }
        while let line = reader.next() {
            lines += 1
            let place = Finding(file: path, line: line.number, text: "")
            settleUnread(before: AuditLine(line.bytes))
            if line.isCutOff { problem(place, "the line is cut off") }
            if let parsed = AuditLine(line.bytes) {
                check(parsed, line.bytes, place)
            } else if !line.isCutOff {
                unread = (place, AuditLine.hash(line.bytes), line.bytes.count)
            }
            beforePrevious = previous
            previous = AuditLine.hash(line.bytes)
            previousPlace = place
            lastHash = previous
        }
        settleUnread(before: nil)
    }

    /// What was not readable is torn, if `next` says so, or was changed.
    private mutating func settleUnread(before next: AuditLine?) {
        guard let (place, hash, count) = unread else { return }
        unread = nil
        if let next, next.action == AuditEvent.Own.torn, next.previous == hash, next.count == UInt64(count) {
            last = (last ?? 0) + 1
            note(place, "the line was not written to its end, and the server noted that when it started again")
            // A torn line has no hash of the one before it; the note has.
            if let beforePrevious, next.value["object"]?.stringValue != beforePrevious {
                problem(place, "the line before this one, number \((last ?? 1) - 1), was changed")
            }
        } else {
            problem(place, "the line was changed: it cannot be read")
            last = last.map { $0 + 1 }
        }
    }

    private mutating func check(_ line: AuditLine, _ bytes: [UInt8], _ place: Finding) {
        defer { last = line.sequence }
        if let key, !AuditLine.isAuthentic(bytes, key: key) { problem(place, "line \(line.sequence) was not made with this key, or changed since") }
        if let hash = expected.removeValue(forKey: line.sequence), hash != AuditLine.hash(bytes) {
            problem(place, "line \(line.sequence) is another one than expected")
        }
        if line.action == AuditEvent.Own.dropped { note(place, "\(line.count ?? 0) events have no line: there was no room for them") }
        guard let previous, let last else {
            first = line.sequence
            if line.sequence == 1, line.previous != AuditLine.noHash { problem(place, "line 1 was changed: it has no line before it") }
            if line.sequence > 1 { note(place, "the trail begins with line \(line.sequence): earlier files are not here") }
            return
        }
        let expected = last + 1
        if line.previous == previous {
            guard line.sequence != expected else { return }
            if line.sequence > expected, [AuditEvent.Own.torn, AuditEvent.Own.missing].contains(line.action) {
                problem(place, "\(Self.range(expected, line.sequence - 1)) missing: they had been written, and were gone when the server started")
            } else {
                problem(place, "the number is \(line.sequence) where \(expected) was due")
            }
        } else if line.sequence > expected {
            problem(place, "\(Self.range(expected, line.sequence - 1)) missing before line \(line.sequence)")
        } else if line.previous == beforePrevious, let previousPlace {
            problem(previousPlace, "the line was inserted")
        } else if line.sequence < expected {
            problem(place, "line \(line.sequence) is not in its place: it was moved or inserted")
        } else if let previousPlace {
            problem(previousPlace, "line \(last) was changed: line \(line.sequence) has the hash of another one")
        }
    }

    private static func range(_ first: UInt64, _ last: UInt64) -> String { first == last ? "line \(first) is" : "lines \(first) to \(last) are" }

    // MARK: The end

    /// - head: of the file, as it was before the lines were read.
    private mutating func compare(_ path: String, _ head: AuditHead?, isLast: Bool) {
        let place = Finding(file: path, line: nil, text: "")
        guard let head else {
            if isLast { note(place, "there is no \(AuditHead.path(of: path)), so lines that are missing at the end cannot be told") }
            return
        }
        let last = last ?? 0
        if head.sequence > last {
            problem(place, "\(Self.range(last + 1, head.sequence)) missing at the end")
        } else if head.sequence == last, head.hash != lastHash, let previousPlace {
            problem(previousPlace, "line \(last) was changed: \(AuditHead.path(of: path)) has another hash of it")
        }
    }

    private mutating func problem(_ place: Finding, _ text: String) {
        problemCount += 1
        guard problems.count < Self.problemsMax else { return }
        problems.append(Finding(file: place.file, line: place.line, text: text))
    }

    private mutating func note(_ place: Finding, _ text: String) {
        guard notes.count < Self.problemsMax else { return }
        notes.append(Finding(file: place.file, line: place.line, text: text))
    }
}
