/// One JSON value whose numbers stay exact: nothing passes through a binary floating-point number.
///
/// SQL integers arrive and leave as JSON integers; anything else that is a number keeps its own text.
package enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    /// An integer without fraction or exponent that fits 64 bits.
    case integer(Int64)
    /// Any other number, in the text it was written in: "1.50", "18446744073709551615", "1e400".
    case number(String)
    case string(String)
    case array([JSONValue])
    /// Members in the order they were written; names are unique (`JSONParser` refuses a repeated one).
    case object([Member])

    package struct Member: Hashable, Sendable {
        package var name: String
        package var value: JSONValue
        package init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// The member called `name`; nil when there is none or this is not an object.
    package subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    package var stringValue: String? {
        if case .string(let text) = self { text } else { nil }
    }
    package var integerValue: Int64? {
        if case .integer(let number) = self { number } else { nil }
    }
    /// Also of "20.0", which is the same number to JSON, and which clients write whose language has one type of number.
    package var wholeNumber: Int64? {
        guard case .number(let text) = self else { return integerValue }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 2 && parts[1].utf8.allSatisfy { $0 == UInt8(ascii: "0") } ? Int64(parts[0]) : nil
    }
    package var boolValue: Bool? {
        if case .bool(let flag) = self { flag } else { nil }
    }
    package var arrayValue: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }
    package var members: [Member]? {
        if case .object(let members) = self { members } else { nil }
    }
    package var isNull: Bool { self == .null }

    /// What the value is called in an error message; never the value itself.
    package var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer: "an integer"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// Compact UTF-8 text.
    package func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.write(self)
        return writer.bytes
    }
    /// Compact text.
    package var text: String { String(decoding: encoded(), as: UTF8.self) }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
    package init(nilLiteral: ()) { self = .null }
}
