package import ControlAPI
internal import Crypto
internal import Foundation

/// One line of the trail: a JSON object whose `prev` is the SHA-256 of the line before, so that no line can be changed, removed, put in or moved without the
/// line behind it telling. With a key each line also has a `mac`, which only its owner can make.
package struct AuditLine: Hashable, Sendable {
    package let sequence: UInt64
    package let time: String
    package let action: String
    package let user: String?
    package let count: UInt64?
    /// The hash of the line before, in hexadecimal.
    package let previous: String
    package let value: JSONValue

    /// `prev` of the first line of all.
    package static let noHash = String(repeating: "0", count: 64)
    /// No line is longer, whatever its parts are.
    package static let bytesMax = 16 << 10

    /// nil: not a line of ours.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count <= Self.bytesMax, let value = try? JSONParser.parse(bytes), let sequence = value["seq"]?.integerValue, sequence > 0,
            let time = value["time"]?.stringValue, let action = value["action"]?.stringValue, let previous = value["prev"]?.stringValue
        else { return nil }
        self.sequence = UInt64(sequence)
        self.time = time
        self.action = action
        self.previous = previous
        self.value = value
        user = value["user"]?.stringValue
        count = value["count"]?.integerValue.flatMap { UInt64(exactly: $0) }
    }

    /// Without its end of line.
    static func encode(_ event: AuditEvent, at time: Timestamp, _ sequence: UInt64, server: String, previous: String, key: SymmetricKey?) -> [UInt8] {
        let parts: [(AuditEntry.CodingKeys, text: String?, bytesMax: Int)] = [
            (.time, time.description, 64), (.server, server, 64), (.action, event.action, 96), (.outcome, event.outcome.rawValue, 64), (.user, event.user, 128),
            (.address, event.address, 64), (.object, event.object, 256), (.code, event.code, 64), (.requestID, event.requestID, 64),
            (.traceID, event.traceID, 64),
            (.statement, event.statement, 1024),
        ]
        var members: [JSONValue.Member] = [.init(AuditEntry.CodingKeys.sequence.rawValue, .integer(Int64(clamping: sequence)))]
        for (name, text, bytesMax) in parts {
            if let text { members.append(.init(name.rawValue, .string(clipped(text, bytesMax)))) }
        }
        if let count = event.count { members.append(.init(AuditEntry.CodingKeys.count.rawValue, .integer(Int64(clamping: count)))) }
        members.append(.init(AuditEntry.CodingKeys.previous.rawValue, .string(previous)))
        let line = JSONValue.object(members).encoded()
        guard let key else { return line }
        return line.dropLast() + Array("\(macPrefix)\(mac(line, key))\(macSuffix)".utf8)
    }

    /// In hexadecimal.
    package static func hash(_ line: [UInt8]) -> String { hexadecimal(SHA256.hash(data: line)) }

    private static let macPrefix = #","mac":""#
    private static let macSuffix = #""}"#
    private static let macLength = macPrefix.utf8.count + 64 + macSuffix.utf8.count

    private static func mac(_ line: [UInt8], _ key: SymmetricKey) -> String { hexadecimal(HMAC<SHA256>.authenticationCode(for: line, using: key)) }

    /// Whether the owner of `key` has made the line.
    static func isAuthentic(_ line: [UInt8], key: SymmetricKey) -> Bool {
        guard line.count > macLength else { return false }
        let unsigned = line.dropLast(macLength) + [UInt8(ascii: "}")]
        let made = Array("\(macPrefix)\(mac(Array(unsigned), key))\(macSuffix)".utf8)
        // As long as each other; whoever has the file may try for as long as it likes, so there is nothing to be learnt from the time.
        return Array(line.suffix(macLength)) == made
    }

    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// At most so many bytes, whole characters.
    private static func clipped(_ text: String, _ bytesMax: Int) -> String {
        guard text.utf8.count > bytesMax else { return text }
        var end = text.startIndex
        var count = 0
        while end < text.endIndex {
            let length = text.unicodeScalars[end].utf8.count
            guard count + length <= bytesMax - 3 else { break }
            count += length
            end = text.unicodeScalars.index(after: end)
        }
        return text[..<end] + "…"
    }
}
