package import ShardModel

extension KeyType {
    /// The token of a parameter's value as Bind carries it.
    ///
    /// `oid` is the type that the client declared for the parameter; 0 and 705 (unknown) leave it to the place where it stands, which is the
    /// key column's type: the width of a binary integer decides then. A type whose equality with the column is not equality of canonical
    /// bytes (numeric, bpchar, citext, …) is refused. Allocates nothing.
    package func token(parameter value: RawSpan, isBinary: Bool, oid: UInt32) throws(KeyError) -> Token {
        guard accepts(oid) else { throw .unsupportedType(oid) }
        return isBinary ? try token(binary: value, oid: oid) : try token(text: value)
    }

    private func accepts(_ oid: UInt32) -> Bool {
        KeyOID.isUndeclared(oid) || KeyType(typeOID: oid) == self
    }

    /// The token of a value in the type's binary form.
    ///
    /// Precondition: `oid` is one that the key type accepts.
    func token(binary value: RawSpan, oid: UInt32) throws(KeyError) -> Token {
        switch self {
        case .integer:
            if let width = KeyOID.integerWidth(oid), width != value.byteCount { throw .malformed }
            switch value.byteCount {
            case 2: return IntegerText.token(Int64(value.bigEndian(at: 0, as: Int16.self)))
            case 4: return IntegerText.token(Int64(value.bigEndian(at: 0, as: Int32.self)))
            case 8: return IntegerText.token(value.bigEndian(at: 0, as: Int64.self))
            default: throw .malformed
            }
        case .uuid:
            guard value.byteCount == 16 else { throw .malformed }
            return UUIDText.token(high: value.bigEndian(at: 0, as: UInt64.self), low: value.bigEndian(at: 8, as: UInt64.self))
        case .text:
            return Token(hashing: value)
        }
    }
}

/// The object ids of `pg_type` that keys have to do with; they are fixed (`src/include/catalog/pg_type.dat`).
enum KeyOID {
    static func isUndeclared(_ oid: UInt32) -> Bool { oid == 0 || oid == 705 }

    static func integerWidth(_ oid: UInt32) -> Int? {
        switch oid {
        case 21: 2
        case 23: 4
        case 20: 8
        default: nil
        }
    }

    /// The element type of an array type whose elements can be keys.
    static func element(ofArray oid: UInt32) -> UInt32? {
        switch oid {
        case 1005: 21
        case 1007: 23
        case 1016: 20
        case 2951: 2950
        case 1009: 25
        case 1015: 1043
        default: nil
        }
    }
}

extension RawSpan {
    /// Precondition: the bytes are there.
    @inline(__always)
    func bigEndian<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Number.Type) -> Number {
        Number(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}
