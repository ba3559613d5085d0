/// Appends JSON to a growing byte array: the one place that escapes strings, for answers, logs and the OpenAPI document alike.
///
/// Every control character, quote and backslash is escaped, so that a string can never end its literal or its log line; so are
/// U+2028 and U+2029, which some readers treat as line ends.
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
            let isLineSeparator =
                byte == 0xE2 && position + 2 < input.count && input[position + 1] == 0x80
                && input[position + 2] & 0xFE == 0xA8
            guard byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F || isLineSeparator else { continue }
            bytes.append(contentsOf: input[start..<position])
            if isLineSeparator {
                raw(input[position + 2] == 0xA8 ? "\\u2028" : "\\u2029")
                start = position + 3
            } else {
                escape(byte)
                start = position + 1
            }
        }
        bytes.append(contentsOf: input[start...])
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
