public import Foundation

/// A type that a column's value can be read as.
///
/// Conformances of one's own read PostgreSQL's text form:
///
///     extension Colour: MosaicDecodable {
///         init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) { … }
///     }
public protocol MosaicDecodable: Sendable {
    /// - text: the value in PostgreSQL's text form under DateStyle ISO and `bytea_output = hex`; nil is NULL.
    /// - typeOID: the column's type in `pg_type`.
    init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure)
}

/// Why a value is not of the type that was asked for.
public struct MosaicDecodingFailure: Error, Sendable, Hashable {
    /// Completed by the type's name: "is NULL, which is no", "does not fit", …
    public var reason: String
    public init(_ reason: String) { self.reason = reason }

    static let null = MosaicDecodingFailure("is NULL, which is no")
    static let otherType = MosaicDecodingFailure("is of a type that is not read as")
    static let outOfRange = MosaicDecodingFailure("does not fit")
    static let malformed = MosaicDecodingFailure("is not in the form of")
}

extension Optional: MosaicDecodable where Wrapped: MosaicDecodable {
    public init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) {
        self = text == nil ? nil : try Wrapped(mosaicText: text, typeOID: typeOID)
    }
}

// What each type is read from, by the oids of `pg_type`, which are fixed.
private enum TypeOID {
    static let bool: Set<UInt32> = [16]
    static let bytea: Set<UInt32> = [17]
    static let integer: Set<UInt32> = [20, 21, 23, 26]
    static let float: Set<UInt32> = [700, 701]
    static let numeric: Set<UInt32> = [1700]
    static let uuid: Set<UInt32> = [2950]
    static let timestamptz: Set<UInt32> = [1184]
}

private func required(_ text: String?, _ oid: UInt32, _ accepted: Set<UInt32>) throws(MosaicDecodingFailure) -> String {
    guard let text else { throw .null }
    guard accepted.contains(oid) else { throw .otherType }
    return text
}

extension MosaicDecodable where Self: FixedWidthInteger {
    /// From smallint, integer, bigint and oid; a value that does not fit is an error.
    public init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) {
        guard let value = Self(try required(text, typeOID, TypeOID.integer)) else { throw .outOfRange }
        self = value
    }
}
extension Int: MosaicDecodable {}
extension Int16: MosaicDecodable {}
extension Int32: MosaicDecodable {}
extension Int64: MosaicDecodable {}
extension UInt32: MosaicDecodable {}
extension UInt64: MosaicDecodable {}

extension String: MosaicDecodable {
    /// From every type: PostgreSQL's own text of it.
    public init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) {
        guard let text else { throw .null }
        self = text
    }
}

extension Bool: MosaicDecodable {
    public init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) {
        switch try required(text, typeOID, TypeOID.bool) {
        case "t": self = true
        case "f": self = false
        default: throw .malformed
        }
    }
}

extension Double: MosaicDecodable {
    /// From real and double precision; of numeric it would not be exact.
    public init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) {
        guard let value = Double(try required(text, typeOID, TypeOID.float)) else { throw .malformed }
        self = value
    }
}

extension Decimal: MosaicDecodable {
    /// From numeric and the integers; more digits than a Decimal holds are an error, as are NaN and the infinities.
    public init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) {
        let text = try required(text, typeOID, TypeOID.numeric.union(TypeOID.integer))
        let digits = text.filter(\.isNumber).drop { $0 == "0" }
        guard digits.count <= 38, text.allSatisfy({ $0.isNumber || $0 == "-" || $0 == "." }) else { throw .outOfRange }
        guard let value = Decimal(string: text, locale: Locale(identifier: "en_US_POSIX")) else { throw .malformed }
        self = value
    }
}

extension UUID: MosaicDecodable {
    public init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) {
        guard let value = UUID(uuidString: try required(text, typeOID, TypeOID.uuid)) else { throw .malformed }
        self = value
    }
}

extension Date: MosaicDecodable {
    /// From timestamptz; `infinity` is an error. Other times and dates are no moments: read them as String.
    public init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) {
        guard let value = TimestampText.date(try required(text, typeOID, TypeOID.timestamptz)) else { throw .malformed }
        self = value
    }
}

extension Data: MosaicDecodable {
    public init(mosaicText text: String?, typeOID: UInt32) throws(MosaicDecodingFailure) {
        let digits = Array(try required(text, typeOID, TypeOID.bytea).utf8)
        guard digits.count.isMultiple(of: 2), digits.starts(with: [0x5C, 0x78]) else { throw .malformed }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 2, to: digits.count, by: 2) {
            guard let high = Self.value(digits[index]), let low = Self.value(digits[index + 1]) else { throw .malformed }
            bytes.append(high << 4 | low)
        }
        self.init(bytes)
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }
}
