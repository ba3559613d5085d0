internal import RoutePlanning

/// A row's keys as bytes whose order, byte by byte, is that of PostgreSQL's ORDER BY.
///
/// Each key is a byte that tells NULL from a value, and the value in a form that ends by itself, so that the next key stands behind it; with DESC the form's
/// bytes are turned into their complements. Values that PostgreSQL takes for equal (0 and -0, 1.0 and 1.00) have the same form.
struct SortKey {
    private(set) var bytes: [UInt8] = []

    mutating func clear() { bytes.removeAll(keepingCapacity: true) }

    /// - value: nil for NULL.
    /// - isBinary: in the binary form, else in the text form, which then must be one that says all (`MergedType.isReadAsText`).
    ///
    /// Answers false for what PostgreSQL does not send.
    mutating func append(_ value: RawSpan?, _ key: GatherMerge.Key, isBinary: Bool) -> Bool {
        guard let value else {
            bytes.append(key.nullsFirst ? 0 : 2)
            return true
        }
        bytes.append(1)
        let start = bytes.count
        guard isBinary ? appendBinary(value, key.type) : appendText(value, key.type) else { return false }
        if key.isDescending { invert(from: start) }
        return true
    }

    private mutating func invert(from start: Int) {
        for index in start..<bytes.count { bytes[index] = ~bytes[index] }
    }

    // MARK: The two forms

    private mutating func appendBinary(_ value: RawSpan, _ type: MergedType) -> Bool {
        switch type {
        case .bool: return value.byteCount == 1 && append(raw: value)
        case .int2: return value.byteCount == 2 && append(Int64(Int16(truncatingIfNeeded: value.integer(2))))
        case .int4, .date: return value.byteCount == 4 && append(Int64(Int32(truncatingIfNeeded: value.integer(4))))
        case .oid: return value.byteCount == 4 && append(Int64(value.integer(4)))
        case .int8, .time, .timestamp, .timestamptz: return value.byteCount == 8 && append(Int64(bitPattern: value.integer(8)))
        case .float4: return value.byteCount == 4 && append(Double(Float(bitPattern: UInt32(truncatingIfNeeded: value.integer(4)))))
        case .float8: return value.byteCount == 8 && append(Double(bitPattern: value.integer(8)))
        case .uuid: return value.byteCount == 16 && append(raw: value)
        case .text, .varchar: return append(text: value)
        case .bytea:
            append(bytea: value)
            return true
        case .numeric: return append(binaryNumeric: value)
        }
    }

    private mutating func appendText(_ value: RawSpan, _ type: MergedType) -> Bool {
        switch type {
        // "t" comes after "f", and hexadecimal digits in their order.
        case .bool: return value.byteCount == 1 && append(raw: value)
        case .uuid: return value.byteCount == 36 && append(raw: value)
        case .int2, .int4, .int8, .oid: return value.decimal.map { append($0) } ?? false
        case .text, .varchar: return append(text: value)
        case .numeric: return append(textNumeric: value)
        case .float4, .float8, .date, .time, .timestamp, .timestamptz, .bytea: return false
        }
    }

    // MARK: Values

    private mutating func append(raw value: RawSpan) -> Bool {
        for index in 0..<value.byteCount { bytes.append(value[at: index]) }
        return true
    }

    private mutating func append(_ value: Int64) -> Bool {
        append(big: UInt64(bitPattern: value) ^ (1 << 63), bytes: 8)
        return true
    }

    private mutating func append(_ value: Double) -> Bool {
        let bits: UInt64
        if value.isNaN {
            bits = .max
        } else if value == 0 {
            bits = 1 << 63
        } else {
            bits = value.sign == .minus ? ~value.bitPattern : value.bitPattern | 1 << 63
        }
        append(big: bits, bytes: 8)
        return true
    }

    /// No text has a zero in it.
    private mutating func append(text value: RawSpan) -> Bool {
        for index in 0..<value.byteCount {
            let byte = value[at: index]
            if byte == 0 { return false }
            bytes.append(byte)
        }
        bytes.append(0)
        return true
    }

    private mutating func append(bytea value: RawSpan) {
        for index in 0..<value.byteCount {
            let byte = value[at: index]
            bytes.append(byte)
            if byte == 0 { bytes.append(0xff) }
        }
        bytes.append(0)
        bytes.append(0)
    }

    private mutating func append(big value: UInt64, bytes count: Int) {
        for place in stride(from: (count - 1) * 8, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(place))) }
    }

    // MARK: numeric

    /// What is compared first.
    private enum NumericClass: UInt8 { case minusInfinity, negative, zero, positive, infinity, notANumber }

    /// The weight of the first digit, and digits of base 10,000 (src/backend/utils/adt/numeric.c, numeric_send).
    private mutating func append(binaryNumeric value: RawSpan) -> Bool {
        guard value.byteCount >= 8 else { return false }
        let count = Int(value.integer(2)), sign = value.integer(2, at: 4)
        var weight = Int(Int16(truncatingIfNeeded: value.integer(2, at: 2)))
        guard value.byteCount == 8 + count * 2 else { return false }
        switch sign {
        case 0xc000: return append(kind: .notANumber)
        case 0xd000: return append(kind: .infinity)
        case 0xf000: return append(kind: .minusInfinity)
        case 0, 0x4000: break
        default: return false
        }
        var first = 0, last = count
        while first < last, value.integer(2, at: 8 + first * 2) == 0 { (first, weight) = (first + 1, weight - 1) }
        while last > first, value.integer(2, at: 6 + last * 2) == 0 { last -= 1 }
        guard first < last else { return append(kind: .zero) }
        _ = append(kind: sign == 0 ? .positive : .negative)
        let start = bytes.count
        append(big: UInt64(weight + 1 << 20), bytes: 4)
        for digit in first..<last { append(big: value.integer(2, at: 8 + digit * 2) + 1, bytes: 2) }
        append(big: 0, bytes: 2)
        if sign != 0 { invert(from: start) }
        return true
    }

    /// The place of the first digit that counts, and decimal digits. All rows of a merge have one form, so the two need not agree.
    private mutating func append(textNumeric value: RawSpan) -> Bool {
        if value.isWord("NaN") { return append(kind: .notANumber) }
        if value.isWord("Infinity") { return append(kind: .infinity) }
        if value.isWord("-Infinity") { return append(kind: .minusInfinity) }
        let isNegative = value.byteCount > 0 && value[at: 0] == 0x2d
        let start = isNegative ? 1 : 0
        var point = value.byteCount, first: Int?, last = start
        for index in start..<value.byteCount {
            switch value[at: index] {
            case 0x2e:
                guard point == value.byteCount else { return false }
                point = index
            case 0x30: break
            case 0x31...0x39: (first, last) = (first ?? index, index)
            default: return false
            }
        }
        guard value.byteCount > start else { return false }
        guard let first else { return append(kind: .zero) }
        _ = append(kind: isNegative ? .negative : .positive)
        let form = bytes.count
        append(big: UInt64((first < point ? point - first : point + 1 - first) + 1 << 20), bytes: 4)
        for index in first...last where index != point { bytes.append(value[at: index]) }
        bytes.append(0)
        if isNegative { invert(from: form) }
        return true
    }

    private mutating func append(kind: NumericClass) -> Bool {
        bytes.append(kind.rawValue)
        return true
    }
}

extension RawSpan {
    @inline(__always)
    fileprivate subscript(at place: Int) -> UInt8 { unsafeLoad(fromByteOffset: place, as: UInt8.self) }

    /// Of so many bytes, the first one highest.
    fileprivate func integer(_ bytes: Int, at start: Int = 0) -> UInt64 {
        var value: UInt64 = 0
        for place in start..<(start + bytes) { value = value << 8 | UInt64(self[at: place]) }
        return value
    }

    /// An integer as PostgreSQL writes it.
    fileprivate var decimal: Int64? {
        let isNegative = byteCount > 0 && self[at: 0] == 0x2d
        var value: Int64 = 0
        guard byteCount > (isNegative ? 1 : 0) else { return nil }
        for place in (isNegative ? 1 : 0)..<byteCount {
            let digit = Int64(self[at: place]) - 0x30
            guard (0...9).contains(digit) else { return nil }
            let (product, first) = value.multipliedReportingOverflow(by: 10)
            let (sum, second) = isNegative ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
            guard !first, !second else { return nil }
            value = sum
        }
        return value
    }

    fileprivate func isWord(_ word: StaticString) -> Bool {
        guard byteCount == word.utf8CodeUnitCount else { return false }
        return word.withUTF8Buffer { letters in letters.indices.allSatisfy { letters[$0] == self[at: $0] } }
    }
}
