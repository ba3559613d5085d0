/// Why a text is not JSON: a constant reason and where; never a piece of the text, which may hold values.
package struct JSONError: Error, Hashable, Sendable {
    package enum Reason: String, Hashable, Sendable {
        case unexpectedEnd = "the text ends too early"
        case unexpectedByte = "unexpected character"
        case invalidNumber = "not a number"
        case invalidString = "unescaped control character or bad escape in a string"
        case invalidUTF8 = "not valid UTF-8"
        case loneSurrogate = "half of a surrogate pair"
        case duplicateName = "a member name is repeated in one object"
        case tooDeep = "nested deeper than 64 levels"
        case trailingBytes = "more text after the value"
    }
    package var reason: Reason
    /// Byte offset.
    package var offset: Int
}

/// Reads RFC 8259 JSON strictly and exactly.
///
/// Nesting is bounded (64), a repeated member name is refused (two readers could disagree on which counts), and the length is bounded by the
/// caller's body limit, so memory is a small multiple of the input.
package struct JSONParser {
    package static let depthMax = 64

    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    package static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        var parser = JSONParser(bytes: bytes)
        let value = try parser.value()
        parser.skipSpace()
        guard parser.position == bytes.count else { throw parser.error(.trailingBytes) }
        return value
    }

    package static func parse(_ text: String) throws(JSONError) -> JSONValue { try parse(Array(text.utf8)) }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func error(_ reason: JSONError.Reason) -> JSONError { JSONError(reason: reason, offset: position) }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func next() throws(JSONError) -> UInt8 {
        guard position < bytes.count else { throw error(.unexpectedEnd) }
        return bytes[position]
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        skipSpace()
        switch try next() {
        case UInt8(ascii: "{"): return try nested { (parser) throws(JSONError) in try parser.object() }
        case UInt8(ascii: "["): return try nested { (parser) throws(JSONError) in try parser.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw error(.unexpectedByte)
        }
    }

    private mutating func nested(
        _ body: (inout JSONParser) throws(JSONError) -> JSONValue
    ) throws(JSONError) -> JSONValue {
        guard depth < Self.depthMax else { throw error(.tooDeep) }
        depth += 1
        position += 1
        let value = try body(&self)
        depth -= 1
        return value
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for offset in 0..<text.utf8CodeUnitCount {
            guard try next() == text.utf8Start[offset] else { throw error(.unexpectedByte) }
            position += 1
        }
        return value
    }

    private mutating func array() throws(JSONError) -> JSONValue {
        var elements: [JSONValue] = []
        skipSpace()
        if try next() == UInt8(ascii: "]") {
            position += 1
            return .array([])
        }
        while true {
            elements.append(try value())
            skipSpace()
            switch try next() {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "]"):
                position += 1
                return .array(elements)
            default: throw error(.unexpectedByte)
            }
        }
    }

    private mutating func object() throws(JSONError) -> JSONValue {
        var members: [JSONValue.Member] = []
        var names: Set<String> = []
        skipSpace()
        if try next() == UInt8(ascii: "}") {
            position += 1
            return .object([])
        }
        while true {
            skipSpace()
            guard try next() == UInt8(ascii: "\"") else { throw error(.unexpectedByte) }
            let name = try string()
            guard names.insert(name).inserted else { throw error(.duplicateName) }
            skipSpace()
            guard try next() == UInt8(ascii: ":") else { throw error(.unexpectedByte) }
            position += 1
            members.append(.init(name, try value()))
            skipSpace()
            switch try next() {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "}"):
                position += 1
                return .object(members)
            default: throw error(.unexpectedByte)
            }
        }
    }

    private mutating func digits() throws(JSONError) {
        let start = position
        while position < bytes.count, bytes[position] &- 0x30 < 10 { position += 1 }
        if position == start { throw error(.invalidNumber) }
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        let first = position
        try digits()
        if bytes[first] == UInt8(ascii: "0"), position > first + 1 { throw error(.invalidNumber) }
        var isInteger = true
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            try digits()
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if position < bytes.count, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(bytes[position]) { position += 1 }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, text != "-0", let integer = Int64(text) { return .integer(integer) }
        return .number(text)
    }

    /// A string from its opening quote on.
    private mutating func string() throws(JSONError) -> String {
        position += 1
        var out: [UInt8] = []
        var start = position
        while true {
            switch try next() {
            case UInt8(ascii: "\""):
                out.append(contentsOf: bytes[start..<position])
                position += 1
                guard let text = String(validating: out, as: UTF8.self) else { throw error(.invalidUTF8) }
                return text
            case UInt8(ascii: "\\"):
                out.append(contentsOf: bytes[start..<position])
                position += 1
                try escape(into: &out)
                start = position
            case 0..<0x20: throw error(.invalidString)
            default: position += 1
            }
        }
    }

    private mutating func escape(into out: inout [UInt8]) throws(JSONError) {
        let letter = try next()
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(letter)
        case UInt8(ascii: "b"): out.append(0x08)
        case UInt8(ascii: "f"): out.append(0x0C)
        case UInt8(ascii: "n"): out.append(0x0A)
        case UInt8(ascii: "r"): out.append(0x0D)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "u"): out.append(contentsOf: String(try unicodeEscape()).utf8)
        default: throw error(.invalidString)
        }
    }

    private mutating func unicodeEscape() throws(JSONError) -> Character {
        var code = UInt32(try fourHexDigits())
        if (0xD800..<0xDC00).contains(code) {
            guard try next() == UInt8(ascii: "\\") else { throw error(.loneSurrogate) }
            position += 1
            guard try next() == UInt8(ascii: "u") else { throw error(.loneSurrogate) }
            position += 1
            let low = UInt32(try fourHexDigits())
            guard (0xDC00..<0xE000).contains(low) else { throw error(.loneSurrogate) }
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw error(.loneSurrogate) }
        return Character(scalar)
    }

    private mutating func fourHexDigits() throws(JSONError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(try next())).hexDigitValue else { throw error(.invalidString) }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }
}
