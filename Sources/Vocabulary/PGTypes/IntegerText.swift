internal import ShardModel

/// Integers as int2in, int4in and int8in of PostgreSQL 15 read them: blanks around, one sign, decimal digits.
enum IntegerText {
    static func token(_ text: RawSpan) throws(KeyError) -> Token {
        var position = 0
        var end = text.byteCount
        while position < end, isBlank(text[position]) { position += 1 }
        while end > position, isBlank(text[end - 1]) { end -= 1 }
        guard position < end else { throw .malformed }
        let sign = text[position]
        let isNegative = sign == 0x2d
        if isNegative || sign == 0x2b { position += 1 }
        guard position < end else { throw .malformed }
        let digits = position
        let magnitude = try magnitude(text, digits..<end)
        guard magnitude <= (isNegative ? Int64.min.magnitude : Int64.max.magnitude) else { throw .outOfRange }
        if !isNegative || text[digits] != 0x30 {
            // The shortest decimal form stands in the text already, after a plus and zeros.
            while position < end - 1, text[position] == 0x30 { position += 1 }
            return Token(hashing: text.extracting(unchecked: (isNegative ? digits - 1 : position)..<end))
        }
        return token(Int64(truncatingIfNeeded: 0 &- magnitude))
    }

    /// The token of an integer of any width.
    static func token(_ value: Int64) -> Token {
        // 19 digits and a sign.
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 8) { buffer in
            var position = 20
            var rest = value.magnitude
            repeat {
                position -= 1
                unsafe buffer[position] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            if value < 0 {
                position -= 1
                unsafe buffer[position] = 0x2d
            }
            return unsafe Token(hashing: UnsafeRawBufferPointer(rebasing: buffer[position...]).bytes)
        }
    }

    private static func magnitude(_ text: RawSpan, _ digits: Range<Int>) throws(KeyError) -> UInt64 {
        var value: UInt64 = 0
        var overflows = false
        for position in digits {
            let digit = text[position] &- 0x30
            guard digit <= 9 else { throw .malformed }
            let (product, first) = value.multipliedReportingOverflow(by: 10)
            let (sum, second) = product.addingReportingOverflow(UInt64(digit))
            overflows = overflows || first || second
            value = sum
        }
        if overflows { throw .outOfRange }
        return value
    }

    /// `isspace` in the C locale.
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
}

extension RawSpan {
    subscript(_ position: Int) -> UInt8 {
        @inline(__always) get { unsafeLoad(fromByteOffset: position, as: UInt8.self) }
    }
}
