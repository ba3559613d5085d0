package import ControlAPI
package import Logging

/// The last line of defence against secrets in logs: callers must not log them in the first place.
package enum Redaction {
    package static let mark = "[redacted]"

    /// Parts of field names whose values are never written.
    private static let secretNames = ["password", "passwd", "secret", "authorization", "verifier", "private_key", "api_key"].map { Array($0.utf8) }

    package static func field(_ name: String, _ value: Logger.MetadataValue) -> JSONValue {
        let lowered = Array(name.lowercased().utf8)
        if secretNames.contains(where: lowered.holds) { return .string(mark) }
        switch value {
        case .string(let text): return .string(clean(text))
        case .stringConvertible(let convertible):
            if let integer = convertible as? any BinaryInteger, let exact = Int64(exactly: integer) { return .integer(exact) }
            if let flag = convertible as? Bool { return .bool(flag) }
            return .string(clean(convertible.description))
        case .array(let elements): return .array(elements.map { field(name, $0) })
        case .dictionary(let members):
            return .object(members.sorted { $0.key < $1.key }.map { .init($0.key, field($0.key, $0.value)) })
        }
    }

    /// Without any of them there is no password in a text.
    private static let secretMarks = ["://", "password="].map { Array($0.utf8) }

    /// Takes passwords out of URLs: `scheme://user:PASSWORD@host` and `?password=PASSWORD`. Up to the last '@' before a blank: a password that its writer did not
    /// encode may hold one.
    package static func clean(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard secretMarks.contains(where: bytes.holds) else { return text }
        // Regex literals are not Sendable, so not static.
        return text.replacing(/(:\/\/[^:@\/\s]*):[^\s]*@/) { "\($0.1):\(mark)@" }
            .replacing(/(password=)[^&\s"]+/) { "\($0.1)\(mark)" }
    }
}

extension [UInt8] {
    /// Every field of every line of the log is looked through: the standard library's search for a string in a string is much slower.
    fileprivate func holds(_ part: [UInt8]) -> Bool {
        guard count >= part.count, let first = part.first else { return part.isEmpty }
        return (0...(count - part.count)).contains { self[$0] == first && self[$0..<$0 + part.count].elementsEqual(part) }
    }
}
