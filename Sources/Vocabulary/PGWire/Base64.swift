/// Base 64 with padding (RFC 4648, section 4), strict in what it takes: SCRAM compares the texts.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word: UInt32 = 0
            for (offset, byte) in group.enumerated() { word |= UInt32(byte) << (16 - 8 * offset) }
            for place in 0..<4 {
                output.append(place <= group.count ? alphabet[Int(word >> (18 - 6 * place)) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// nil for characters outside the alphabet, wrong padding, and bits left over that are not zero.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let input = Array(text.utf8)
        guard input.count % 4 == 0 else { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(input.count / 4 * 3)
        for start in stride(from: 0, to: input.count, by: 4) {
            let isLast = start + 4 == input.count
            let padding = isLast ? input[start..<start + 4].reversed().prefix { $0 == UInt8(ascii: "=") }.count : 0
            guard padding <= 2 else { return nil }
            var word: UInt32 = 0
            for place in 0..<(4 - padding) {
                guard let value = value(of: input[start + place]) else { return nil }
                word |= value << (18 - 6 * UInt32(place))
            }
            let count = 3 - padding
            guard word & (UInt32(0xFF_FFFF) >> (8 * UInt32(count))) == 0 else { return nil }
            for offset in 0..<count { output.append(UInt8(truncatingIfNeeded: word >> (16 - 8 * offset))) }
        }
        return output
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character) - 97 + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character) - 48 + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
