internal import ControlAPI
internal import Crypto
internal import Foundation

/// The trail's files as its one writer has them: the chain goes on over restarts, torn lines and new files.
struct AuditFile: Sendable {
    /// Room that is taken on the disk ahead of the lines, so that what was let in while there was room finds some.
    static let headroom = 64 << 10
    /// So much is looked at for the last line.
    private static let tailMax = 1 << 20

    struct Limits: Sendable {
        var fileMax: Int
        var ageMax: Duration
        /// Files that are kept besides the one that is written to.
        var filesMax: Int
    }

    let names: AuditFileNames
    private let server: String
    private let key: SymmetricKey?
    private let limits: Limits
    private var file: OpenFile
    /// Also the lock of the trail.
    private let headFile: OpenFile
    private var size: Int
    /// When the file's first line was written, as far as that is known.
    private var begun: Double
    private var reservedTo = 0
    private var canReserve = true
    private var sequence: UInt64 = 0
    private var previous = AuditLine.noHash
    /// Part of a line may be behind `size`.
    private var isUneven = false
    /// Renaming failed: not tried again with each line.
    private var rotatesAfter = 0.0
    /// What must be said of the trail as it was found.
    private(set) var findings: [AuditEvent] = []

    /// Throws where the trail cannot be gone on with.
    init(path: String, server: String, key: [UInt8]?, limits: Limits, now: Double) throws(AuditError) {
        self.server = server
        self.key = key.map { SymmetricKey(data: $0) }
        self.limits = limits
        var found: (AuditFileNames, OpenFile)?
        for candidate in AuditFileNames.candidates(path) where found == nil {
            let head: OpenFile
            do { head = try OpenFile(AuditHead.path(of: candidate), appends: false) } catch { throw AuditError(.cannotOpen(error.code), path: candidate) }
            if head.lock() { found = (AuditFileNames(path: candidate), head) } else { head.close() }
        }
        guard let found else { throw AuditError(.inUse, path: path) }
        (names, headFile) = found
        do { file = try OpenFile(names.path, appends: true) } catch {
            headFile.close()
            throw AuditError(.cannotOpen(error.code), path: found.0.path)
        }
        size = file.size
        begun = now
        do throws(AuditError) { try goOn() } catch {
            close()
            throw error
        }
    }

    func close() {
        file.close()
        headFile.close()
    }

    // MARK: Opening

    /// Finds the end of the chain.
    private mutating func goOn() throws(AuditError) {
        var last = try endOfFile()
        if size > 0, let first = AuditLine(Self.firstLine(of: file)), let time = AuditTime.seconds(first.time) { begun = time }
        if last.before == nil, let rotated = names.rotated.last, let file = try? OpenFile(rotated.path, appends: true) {
            // The line before the file's first one.
            let line = Self.lines(of: Self.tail(of: file, size: file.size)).last
            file.close()
            sequence = max(sequence, rotated.last)
            last.before = line
            if last.line == nil { last.line = line }
        }
        if let line = last.line {
            previous = AuditLine.hash(line)
            if let parsed = AuditLine(line) { sequence = max(sequence, parsed.sequence) }
        }
        if last.tornBytes > 0 {
            // The torn line had a number, too.
            sequence += 1
            // It carries no hash of the line before it, so that the line behind it must.
            let before = last.before.map(AuditLine.hash) ?? AuditLine.noHash
            findings.append(AuditEvent(AuditEvent.Own.torn, .failed, object: before, count: UInt64(last.tornBytes)))
        }
        if let head = AuditHead(headFile.read(from: 0, count: 256)), head.sequence > sequence {
            findings.append(AuditEvent(AuditEvent.Own.missing, .failed, object: names.path, count: head.sequence - sequence))
            sequence = head.sequence
        } else if last.line == nil, let head = AuditHead(headFile.read(from: 0, count: 256)), head.sequence == sequence, sequence > 0 {
            // The line itself is gone, and its hash is known.
            previous = head.hash
        }
    }

    /// The file's last line, made whole where it was torn; and how much of it there was then.
    private mutating func endOfFile() throws(AuditError) -> (line: [UInt8]?, before: [UInt8]?, tornBytes: Int) {
        guard size > 0 else { return (nil, nil, 0) }
        let tail = Self.tail(of: file, size: size)
        guard tail.count < Self.tailMax || tail.contains(Self.newline) else { throw AuditError(.notATrail, path: names.path) }
        let lines = Self.lines(of: tail)
        let before = lines.dropLast().last
        guard tail.last != Self.newline, let torn = lines.last else { return (lines.last, before, 0) }
        do { try file.append([Self.newline]) } catch { throw AuditError(.cannotWrite(error.code), path: names.path) }
        size += 1
        // All of it but its end.
        if AuditLine(torn) != nil { return (torn, before, 0) }
        if let before = before.flatMap(AuditLine.init) { sequence = before.sequence }
        return (torn, before, torn.count)
    }

    private static let newline = UInt8(ascii: "\n")

    private static func tail(of file: OpenFile, size: Int) -> [UInt8] { file.read(from: max(0, size - tailMax), count: min(size, tailMax)) }

    private static func lines(of tail: [UInt8]) -> [[UInt8]] { tail.split(separator: newline).map(Array.init) }

    private static func firstLine(of file: OpenFile) -> [UInt8] { Array(file.read(from: 0, count: AuditLine.bytesMax).prefix { $0 != newline }) }

    // MARK: Writing

    /// All of them, or none. What was written stands at the end, whole.
    mutating func append(_ events: [(event: AuditEvent, time: Double)], now: Double) throws(AuditError) {
        try mend()
        rotateIfDue(now: now)
        var (sequence, previous) = (sequence, previous)
        var bytes: [UInt8] = []
        for (event, time) in events {
            sequence += 1
            let line = AuditLine.encode(event, at: Timestamp(seconds: time), sequence, server: server, previous: previous, key: key)
            previous = AuditLine.hash(line)
            bytes += line
            bytes.append(Self.newline)
        }
        do throws(OpenFile.Failure) {
            try file.append(bytes)
        } catch {
            isUneven = true
            try? mend()
            throw AuditError(.cannotWrite(error.code), path: names.path)
        }
        size += bytes.count
        (self.sequence, self.previous) = (sequence, previous)
        // Whether or not that works the line is written: the trail may be ahead of its head.
        try? headFile.overwrite(AuditHead(sequence: sequence, hash: previous).bytes)
    }

    /// Takes part of a line away that had no room.
    private mutating func mend() throws(AuditError) {
        guard isUneven else { return }
        do { try file.truncate(to: size) } catch { throw AuditError(.cannotWrite(error.code), path: names.path) }
        isUneven = false
        reservedTo = 0
    }

    /// Makes sure of room for lines to come. Throws where there is none.
    mutating func reserve() throws(AuditError) {
        guard canReserve, reservedTo - size < Self.headroom else { return }
        do throws(OpenFile.Failure) {
            canReserve = try file.reserve(from: size, count: 2 * Self.headroom)
            reservedTo = size + 2 * Self.headroom
        } catch {
            throw AuditError(.noRoom(error.code), path: names.path)
        }
    }

    func sync() throws(AuditError) {
        do { try file.sync() } catch { throw AuditError(.cannotWrite(error.code), path: names.path) }
    }

    // MARK: Further files

    private mutating func rotateIfDue(now: Double) {
        guard size > 0, now >= rotatesAfter, size >= limits.fileMax || now - begun >= limits.ageMax / .seconds(1) else { return }
        rotatesAfter = now + 1
        // What was reserved and not used.
        try? file.truncate(to: size)
        try? file.sync()
        let rotated = names.rotated(upTo: sequence)
        guard FileNames.rename(names.path, to: rotated) else { return }
        guard let next = try? OpenFile(names.path, appends: true) else {
            _ = FileNames.rename(rotated, to: names.path)
            return
        }
        file.close()
        file = next
        (size, begun, reservedTo, rotatesAfter) = (0, now, 0, 0)
        FileNames.syncFolder(of: names.path)
        for old in names.rotated.dropLast(limits.filesMax) { FileNames.remove(old.path) }
    }
}

/// Times of lines, read.
package enum AuditTime {
    /// Seconds since 1970 of an RFC 3339 time; nil: not one.
    package static func seconds(_ text: String) -> Double? {
        let date =
            (try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))) ?? (try? Date(text, strategy: .iso8601))
        return date?.timeIntervalSince1970
    }
}
