/// Appends JSON to a growing byte array: the one place that escapes strings, for answers, logs and the OpenAPI document alike.
///
/// Every control character, quote and backslash is escaped, so that a string can never end its literal or its log line; so are
/// U+0085, U+2028 and U+2029, which some readers treat as line ends.
package struct JSONWriter {
    package var bytes: [UInt8] = []

    package init() {}

    package mutating func write(_ value: JSONValue) {
        switch value {
        case .null: raw("null")
        case .bool(let flag): raw(flag ? "true" : "false")
        case .integer(let integer): raw(String(integer))
        case .number(let text): raw(text)
        case .string(let text): write(text)
        case .array(let elements):
            byte("[")
            for (position, element) in elements.enumerated() {
                if position > 0 { byte(",") }
                write(element)
            }
            byte("]")
        case .object(let members):
            byte("{")
            for (position, member) in members.enumerated() {
                if position > 0 { byte(",") }
                write(member.name)
                byte(":")
                write(member.value)
            }
            byte("}")
        }
    }

    package mutating func write(_ text: String) {
        byte("\"")
        var text = text
        text.withUTF8 { escape($0) }
        byte("\"")
    }

    /// Appends text that is JSON already.
    package mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func byte(_ scalar: Unicode.Scalar) { bytes.append(UInt8(ascii: scalar)) }

    /// UTF-8 in, escaped UTF-8 out; runs without anything to escape are copied whole.
    private mutating func escape(_ input: UnsafeBufferPointer<UInt8>) {
        var start = 0
        for position in input.indices {
            let byte = input[position]
            if byte >= 0x80 {
                guard let lineEnd = Self.lineEnd(UnsafeRawBufferPointer(input)[position...]) else { continue }
                bytes.append(contentsOf: input[start..<position])
                raw(lineEnd.escape)
                start = position + lineEnd.count
                continue
            }
            guard byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F else { continue }
            bytes.append(contentsOf: input[start..<position])
            escape(byte)
            start = position + 1
        }
        bytes.append(contentsOf: input[start...])
    }

    /// The line end beyond ASCII that the bytes begin with, as an escape, and how many bytes it has.
    private static func lineEnd(_ bytes: Slice<UnsafeRawBufferPointer>) -> (escape: String, count: Int)? {
        let start = bytes.startIndex
        switch bytes[start] {
        case 0xC2 where bytes.count > 1 && bytes[start + 1] == 0x85: return ("\\u0085", 2)
        case 0xE2 where bytes.count > 2 && bytes[start + 1] == 0x80 && bytes[start + 2] & 0xFE == 0xA8:
            return (bytes[start + 2] == 0xA8 ? "\\u2028" : "\\u2029", 3)
        default: return nil
        }
    }

    /// Appends JSON as PostgreSQL holds it, on one line. White space between its parts may hold line ends; in its strings there can only be those
    /// beyond ASCII, and nowhere else can there be these.
    package mutating func rawOnOneLine(_ json: UnsafeRawBufferPointer) {
        var start = 0
        for position in json.indices {
            let byte = json[position]
            if byte == 0x0A || byte == 0x0D {
                bytes.append(contentsOf: json[start..<position])
                bytes.append(0x20)
                start = position + 1
            } else if byte >= 0x80, let lineEnd = Self.lineEnd(json[position...]) {
                bytes.append(contentsOf: json[start..<position])
                raw(lineEnd.escape)
                start = position + lineEnd.count
            }
        }
        bytes.append(contentsOf: json[start...])
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case 0x22: raw("\\\"")
        case 0x5C: raw("\\\\")
        case 0x0A: raw("\\n")
        case 0x0D: raw("\\r")
        case 0x09: raw("\\t")
        default:
            let digits = Array("0123456789abcdef".utf8)
            raw("\\u00")
            bytes.append(digits[Int(byte >> 4)])
            bytes.append(digits[Int(byte & 15)])
        }
    }
}
