internal import ShardModel

/// uuid as uuid_in of PostgreSQL 15 reads it: 32 digits of either case, a hyphen allowed after each group of four, braces allowed around.
enum UUIDText {
    static func token(_ text: RawSpan) throws(KeyError) -> Token {
        var position = 0
        let hasBraces = text.byteCount > 0 && text[0] == 0x7b
        if hasBraces { position = 1 }
        var bytes: (high: UInt64, low: UInt64) = (0, 0)
        for index in 0..<16 {
            guard position + 2 <= text.byteCount else { throw .malformed }
            let byte = UInt64(try digit(text[position]) << 4 | digit(text[position + 1]))
            if index < 8 { bytes.high = bytes.high << 8 | byte } else { bytes.low = bytes.low << 8 | byte }
            position += 2
            if index % 2 == 1, index < 15, position < text.byteCount, text[position] == 0x2d { position += 1 }
        }
        if hasBraces {
            guard position < text.byteCount, text[position] == 0x7d else { throw .malformed }
            position += 1
        }
        guard position == text.byteCount else { throw .malformed }
        return token(high: bytes.high, low: bytes.low)
    }

    /// The token of a uuid of these 16 bytes, in network order.
    static func token(high: UInt64, low: UInt64) -> Token {
        withUnsafeTemporaryAllocation(byteCount: 36, alignment: 8) { buffer in
            var position = 0
            for index in 0..<16 {
                if index == 4 || index == 6 || index == 8 || index == 10 {
                    unsafe buffer[position] = 0x2d
                    position += 1
                }
                let word = index < 8 ? high : low
                let byte = UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * (index % 8)))
                unsafe buffer[position] = character(byte >> 4)
                unsafe buffer[position + 1] = character(byte & 0x0f)
                position += 2
            }
            return unsafe Token(hashing: UnsafeRawBufferPointer(buffer).bytes)
        }
    }

    private static func character(_ digit: UInt8) -> UInt8 { digit < 10 ? 0x30 + digit : 0x57 + digit }

    private static func digit(_ character: UInt8) throws(KeyError) -> UInt8 {
        switch character {
        case 0x30...0x39: return character - 0x30
        case 0x41...0x46: return character - 0x37
        case 0x61...0x66: return character - 0x57
        default: throw .malformed
        }
    }
}
