package import NIOCore
package import PGWire

/// A parameter's value for `PGClient.query`.
package struct PGParameter: Hashable, Sendable {
    /// nil is NULL.
    package let value: ByteBuffer?
    package let format: WireFormat
    /// 0: the server infers the type.
    package let typeOID: UInt32

    package init(value: ByteBuffer?, format: WireFormat = .text, typeOID: UInt32 = 0) {
        self.value = value
        self.format = format
        self.typeOID = typeOID
    }

    package static var null: PGParameter { PGParameter(value: nil) }
    package static func text(_ text: String, typeOID: UInt32 = 0) -> PGParameter {
        PGParameter(value: ByteBuffer(string: text), typeOID: typeOID)
    }
    package static func integer(_ value: some FixedWidthInteger) -> PGParameter { .text(String(value)) }
    package static func bool(_ value: Bool) -> PGParameter { .text(value ? "t" : "f") }
    package static func binary(_ bytes: ByteBuffer, typeOID: UInt32) -> PGParameter {
        PGParameter(value: bytes, format: .binary, typeOID: typeOID)
    }
}

extension PGParameter: ExpressibleByStringLiteral, ExpressibleByNilLiteral {
    package init(stringLiteral value: String) { self = .text(value) }
    package init(nilLiteral: ()) { self = .null }
}

extension PGParameter: CustomStringConvertible {
    /// Values never reach a log.
    package var description: String { "parameter of type \(typeOID)" }
}
