/// A place in a server's write-ahead log, PostgreSQL's `pg_lsn`. Only positions of one server (and of its replicas, on one timeline) can be compared.
package struct LSN: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: UInt64

    package init(_ value: UInt64) { self.value = value }

    /// PostgreSQL's InvalidXLogRecPtr: no position. It is below every other one.
    package static let none = LSN(0)

    /// Reads `16/B374D848` as pg_lsn_in of PostgreSQL 15 does; nil where the text is none.
    package init?(text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let high = Self.half(parts[0]), let low = Self.half(parts[1]) else { return nil }
        value = UInt64(high) << 32 | UInt64(low)
    }

    private static func half(_ text: Substring) -> UInt32? {
        // `UInt32(_:radix:)` would take a sign.
        guard (1...8).contains(text.utf8.count), text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) else { return nil }
        return UInt32(text, radix: 16)
    }

    package static func < (a: LSN, b: LSN) -> Bool { a.value < b.value }

    package var description: String {
        String(value >> 32, radix: 16, uppercase: true) + "/" + String(value & 0xFFFF_FFFF, radix: 16, uppercase: true)
    }
}

extension LSN: Codable {
    /// The text form: a JSON number cannot hold every position exactly.
    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let position = LSN(text: text) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not a log position"))
        }
        self = position
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
