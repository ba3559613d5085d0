/// Reusable storage for one statement's shape.
package struct ShapeBuffer {
    /// The text with placeholders: the key of a cache.
    package private(set) var bytes: [UInt8] = []
    package private(set) var literals: LiteralRanges = []

    package init() {
        bytes.reserveCapacity(512)
        literals.reserveCapacity(32)
    }

    mutating func reset() {
        bytes.removeAll(keepingCapacity: true)
        literals.removeAll(keepingCapacity: true)
    }

    mutating func append(_ source: UnsafeRawBufferPointer, _ range: Range<Int>) {
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: source[range]))
    }

    mutating func append(_ literal: LiteralRange) {
        bytes.append(literal.kind.placeholder)
        literals.append(literal)
    }

    /// A fast hash of the shape, for tables that a peer's choice of texts must not be able to attack beyond a bounded size.
    package var hash: UInt64 {
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15 ^ UInt64(bytes.count)
        bytes.withUnsafeBytes { raw in
            var offset = 0
            while offset + 8 <= raw.count {
                state = Self.mix(state ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                offset += 8
            }
            var tail: UInt64 = 0
            while offset < raw.count {
                tail = tail << 8 | UInt64(raw[offset])
                offset += 1
            }
            state = Self.mix(state ^ tail)
        }
        return state
    }

    @inline(__always)
    private static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0xd6e8_feb8_6659_fd93)
        return product.low ^ product.high
    }
}
