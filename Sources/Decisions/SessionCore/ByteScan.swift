/// Up to four bytes to look for, eight places at a time.
struct ByteScan {
    private let a, b, c, d: UInt64
    private let bytes: (UInt8, UInt8, UInt8, UInt8)

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    init(_ first: UInt8, _ second: UInt8, _ third: UInt8? = nil, _ fourth: UInt8? = nil) {
        bytes = (first, second, third ?? first, fourth ?? first)
        a = Self.ones &* UInt64(bytes.0)
        b = Self.ones &* UInt64(bytes.1)
        c = Self.ones &* UInt64(bytes.2)
        d = Self.ones &* UInt64(bytes.3)
    }

    /// The first of the bytes at or behind `position`, `end` when there is none before it.
    @inline(__always)
    func next(in data: UnsafeRawBufferPointer, from position: Int, to end: Int) -> Int {
        var position = position
        while position &+ 8 <= end {
            let word = UInt64(littleEndian: unsafe data.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            let found = Self.zeros(word ^ a) | Self.zeros(word ^ b) | Self.zeros(word ^ c) | Self.zeros(word ^ d)
            if found != 0 { return position &+ found.trailingZeroBitCount >> 3 }
            position &+= 8
        }
        while position < end {
            let byte = unsafe data[position]
            if byte == bytes.0 || byte == bytes.1 || byte == bytes.2 || byte == bytes.3 { return position }
            position &+= 1
        }
        return end
    }

    /// The high bit of each byte that is zero; the lowest such bit is exact, those above it may follow from a borrow.
    @inline(__always)
    private static func zeros(_ word: UInt64) -> UInt64 { (word &- ones) & ~word & highs }
}
