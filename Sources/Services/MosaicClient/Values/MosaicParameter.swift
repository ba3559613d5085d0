public import Foundation
internal import PGChannel

/// A parameter of a statement (`$1`, `$2`, …). Its type is what the place in the statement asks for, as for an untyped literal.
public struct MosaicParameter: Sendable, Hashable {
    /// PostgreSQL's text form; nil is NULL.
    let text: String?

    public static var null: MosaicParameter { MosaicParameter(text: nil) }
    public static func int(_ value: some BinaryInteger) -> MosaicParameter { MosaicParameter(text: String(value)) }
    public static func text(_ value: String) -> MosaicParameter { MosaicParameter(text: value) }
    public static func bool(_ value: Bool) -> MosaicParameter { MosaicParameter(text: value ? "true" : "false") }
    /// NaN and the infinities as PostgreSQL writes them.
    public static func double(_ value: Double) -> MosaicParameter {
        MosaicParameter(text: value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : "\(value)")
    }
    public static func decimal(_ value: Decimal) -> MosaicParameter { MosaicParameter(text: "\(value)") }
    public static func uuid(_ value: UUID) -> MosaicParameter { MosaicParameter(text: value.uuidString.lowercased()) }
    /// bytea
    public static func bytes(_ value: some Sequence<UInt8>) -> MosaicParameter {
        var text = "\\x"
        for byte in value { text += (byte < 16 ? "0" : "") + String(byte, radix: 16) }
        return MosaicParameter(text: text)
    }
    /// timestamptz, to the microsecond.
    public static func date(_ value: Date) -> MosaicParameter { MosaicParameter(text: TimestampText.text(value)) }
    /// `optional(id) { .int($0) }`: NULL for nil.
    public static func optional<Value>(_ value: Value?, _ make: (Value) -> MosaicParameter) -> MosaicParameter { value.map(make) ?? .null }

    var wire: PGParameter { text.map { PGParameter.text($0) } ?? .null }
}

extension MosaicParameter: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByFloatLiteral,
    ExpressibleByNilLiteral
{
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(stringLiteral value: String) { self = .text(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(nilLiteral: ()) { self = .null }
}

extension MosaicParameter: CustomStringConvertible, CustomReflectable {
    /// Values never reach a log.
    public var description: String { "a parameter" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
