import PGTypes
import ShardModel

/// The token of these canonical bytes.
func token(_ canonical: String) -> Token { Token(hashing: Array(canonical.utf8).span.bytes) }

func token(_ type: KeyType, text: String) throws(KeyError) -> Token {
    let bytes = Array(text.utf8)
    return try type.token(text: bytes.span.bytes)
}

func token(_ type: KeyType, _ bytes: [UInt8], isBinary: Bool, oid: UInt32) throws(KeyError) -> Token {
    try type.token(parameter: bytes.span.bytes, isBinary: isBinary, oid: oid)
}

func tokens(_ type: KeyType, text: String, oid: UInt32 = 0) throws(KeyError) -> [Token] {
    let bytes = Array(text.utf8)
    return try type.tokens(array: bytes.span.bytes, isBinary: false, oid: oid)
}

func tokens(_ type: KeyType, binary bytes: [UInt8], oid: UInt32 = 0) throws(KeyError) -> [Token] {
    try type.tokens(array: bytes.span.bytes, isBinary: true, oid: oid)
}

/// In network order.
func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

/// array_send's form of one dimension.
func binaryArray(oid: UInt32, _ elements: [[UInt8]?]) -> [UInt8] {
    var bytes = bigEndian(Int32(1)) + bigEndian(Int32(elements.contains { $0 == nil } ? 1 : 0)) + bigEndian(oid)
    bytes += bigEndian(Int32(elements.count)) + bigEndian(Int32(1))
    for element in elements {
        bytes += bigEndian(Int32(element?.count ?? -1))
        bytes += element ?? []
    }
    return bytes
}
