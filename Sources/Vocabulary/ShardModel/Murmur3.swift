// Murmur3 was placed in the public domain by Austin Appleby (https://github.com/aappleby/smhasher, MurmurHash3.cpp, x64 128-bit). This is our
// own writing of it, checked against an independent implementation in Murmur3Tests.

extension Token {
    /// The token of a key's canonical bytes: h1 of Murmur3 x64 128-bit, seed 0.
    ///
    /// Allocates nothing and reads each byte once or twice. Canonical bytes come from `KeyType.token(…)` in PGTypes; hashing any other
    /// form of a key would find another shard.
    @inlinable
    package init(hashing bytes: RawSpan) {
        var state = Murmur3()
        let count = bytes.byteCount
        var offset = 0
        while offset &+ 16 <= count {
            state.mix(Murmur3.load(bytes, offset), Murmur3.load(bytes, offset &+ 8))
            offset &+= 16
        }
        let rest = count &- offset
        if rest > 8 {
            state.mixTail(Murmur3.load(bytes, offset), Murmur3.load(bytes, offset &+ 8, count: rest &- 8))
        } else if rest == 8 {
            state.mixTail(Murmur3.load(bytes, offset))
        } else if rest > 0 {
            state.mixTail(Murmur3.load(bytes, offset, count: rest))
        }
        self.init(state.finish(count: count))
    }
}

/// The state between two blocks of 16 bytes.
@usableFromInline
struct Murmur3 {
    @usableFromInline var h1: UInt64 = 0
    @usableFromInline var h2: UInt64 = 0

    @inlinable
    init() {}

    @inlinable
    mutating func mix(_ k1: UInt64, _ k2: UInt64) {
        h1 ^= Self.scramble1(k1)
        h1 = Self.rotate(h1, 27) &+ h2
        h1 = h1 &* 5 &+ 0x52dc_e729
        h2 ^= Self.scramble2(k2)
        h2 = Self.rotate(h2, 31) &+ h1
        h2 = h2 &* 5 &+ 0x3849_5ab5
    }

    /// What is left after the last block: 1 to 8 bytes.
    @inlinable
    mutating func mixTail(_ k1: UInt64) { h1 ^= Self.scramble1(k1) }

    /// What is left after the last block: 9 to 15 bytes.
    @inlinable
    mutating func mixTail(_ k1: UInt64, _ k2: UInt64) {
        h1 ^= Self.scramble1(k1)
        h2 ^= Self.scramble2(k2)
    }

    @inlinable
    consuming func finish(count: Int) -> UInt64 {
        let length = UInt64(truncatingIfNeeded: count)
        var a = h1 ^ length
        var b = h2 ^ length
        a = a &+ b
        b = b &+ a
        return Self.avalanche(a) &+ Self.avalanche(b)
    }

    @inlinable
    static func scramble1(_ k: UInt64) -> UInt64 { rotate(k &* 0x87c3_7b91_1142_53d5, 31) &* 0x4cf5_ad43_2745_937f }

    @inlinable
    static func scramble2(_ k: UInt64) -> UInt64 { rotate(k &* 0x4cf5_ad43_2745_937f, 33) &* 0x87c3_7b91_1142_53d5 }

    @inlinable
    static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 { value &<< bits | value &>> (64 &- bits) }

    /// Every bit of the input changes about half of the bits of the result.
    @inlinable
    static func avalanche(_ value: UInt64) -> UInt64 {
        var k = value
        k = (k ^ k &>> 33) &* 0xff51_afd7_ed55_8ccd
        k = (k ^ k &>> 33) &* 0xc4ce_b9fe_1a85_ec53
        return k ^ k &>> 33
    }

    /// Eight bytes as a little-endian number. The caller has checked that they are there.
    @inlinable
    static func load(_ bytes: RawSpan, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }

    /// The last 1 to 7 bytes of `bytes`, from `offset` on, as a little-endian number.
    ///
    /// In few wide reads that overlap instead of a read for each byte: a byte read twice lands on itself.
    @inlinable
    static func load(_ bytes: RawSpan, _ offset: Int, count: Int) -> UInt64 {
        if bytes.byteCount >= 8 {
            return load(bytes, offset &+ count &- 8) &>> UInt64(truncatingIfNeeded: 64 &- 8 &* count)
        }
        if count >= 4 {
            let low = UInt64(half(bytes, offset))
            let high = UInt64(half(bytes, offset &+ count &- 4))
            return low | high &<< UInt64(truncatingIfNeeded: 8 &* (count &- 4))
        }
        let middle = count &>> 1
        let last = count &- 1
        return UInt64(byte(bytes, offset))
            | UInt64(byte(bytes, offset &+ middle)) &<< UInt64(truncatingIfNeeded: 8 &* middle)
            | UInt64(byte(bytes, offset &+ last)) &<< UInt64(truncatingIfNeeded: 8 &* last)
    }

    @inlinable
    static func half(_ bytes: RawSpan, _ offset: Int) -> UInt32 {
        UInt32(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
    }

    @inlinable
    static func byte(_ bytes: RawSpan, _ offset: Int) -> UInt8 {
        unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt8.self)
    }
}
