internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import ShardModel

/// The fields of a line: CopyReadAttributesText and CopyReadAttributesCSV.
extension CopySplitter {
    /// The field that is the key.
    private struct KeyField {
        /// The raw field, as the null marker is compared with it.
        var raw: Range<Int>
        /// Some of it was quoted: it is not the null marker.
        var isQuoted = false
        /// The value, where it stands in the line as it is; nil: it has to be unescaped from `start`.
        var plain: Range<Int>?
        var start: Int
    }

    /// What the row that `line` is, without its line end, says about its shard.
    mutating func key(of line: UnsafeRawBufferPointer) throws(ServerError) -> CopyKey {
        let field = try unsafe plan.format == .text ? textKey(line) : csvKey(line)
        if plan.encoding != .utf8, unsafe hasHighBytes(line, field.raw) { return try unsafe foreignKey(of: line, field) }
        let isNull = unsafe !field.isQuoted && equals(line, field.raw, plan.null)
        if isNull {
            guard plan.format == .csv, plan.forceNotNullKey else { return try unsafe null(line) }
            return try key(plan.null.span.bytes)
        }
        if let plain = field.plain {
            if plan.format == .csv, plan.forceNullKey, unsafe equals(line, plain, plan.null) { return try unsafe null(line) }
            return try unsafe key(UnsafeRawBufferPointer(rebasing: line[plain]).bytes)
        }
        unsafe unescape(line, field.raw)
        if plan.format == .csv, plan.forceNullKey, scratch == plan.null { return try unsafe null(line) }
        return try key(scratch.span.bytes)
    }

    /// The key of a field with characters beyond ASCII in another encoding than the shards'. It is not the null marker, which is ASCII.
    private mutating func foreignKey(of line: UnsafeRawBufferPointer, _ field: KeyField) throws(ServerError) -> CopyKey {
        let raw = unsafe UnsafeRawBufferPointer(rebasing: line[field.raw])
        // Not even for the key of a number: what PostgreSQL makes of such characters is not known here.
        guard plan.encoding == .latin1 else {
            // What names the present is ASCII, and nothing else in the field can hide it.
            if plan.purpose == .clock { return try unsafe key(raw.bytes) }
            throw unsafe foreignKey(raw.bytes)
        }
        var converted: [UInt8] = []
        converted.reserveCapacity(raw.count * 2)
        for byte in unsafe raw {
            if byte < 0x80 { converted.append(byte) } else { converted += [0xc0 | byte >> 6, 0x80 | byte & 0x3f] }
        }
        try converted.span.bytes.withUnsafeBytes { (bytes) throws(ServerError) in unsafe unescape(bytes, 0..<bytes.count) }
        return try key(scratch.span.bytes)
    }

    private func hasHighBytes(_ line: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        unsafe line[range].contains { $0 >= 0x80 }
    }

    /// The value of a raw field, into `scratch`.
    private mutating func unescape(_ line: UnsafeRawBufferPointer, _ raw: Range<Int>) {
        scratch.removeAll(keepingCapacity: true)
        if plan.format == .csv { unsafe unescapeCSV(line, raw) } else { unsafe unescapeText(line, raw) }
    }

    private func null(_ line: UnsafeRawBufferPointer) throws(ServerError) -> CopyKey {
        if plan.purpose == .clock { return .none }
        throw unsafe keyIsNull(line)
    }

    private func key(_ value: RawSpan) throws(ServerError) -> CopyKey {
        switch plan.purpose {
        case .key: return .token(try token(value))
        case .clock:
            let text = value.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
            if ClockText.mayNameNow(text) { throw namesNow(value) }
            return .none
        }
    }

    private func token(_ value: RawSpan) throws(ServerError) -> Token {
        if let max = plan.keyLengthMax, value.byteCount > max, Self.characters(in: value) > max {
            throw keyTooLong(max, value)
        }
        do throws(KeyError) {
            return try plan.keyType.token(text: value)
        } catch {
            throw keyError(error, value)
        }
    }

    /// Characters of UTF-8: bytes that do not continue one.
    static func characters(in value: RawSpan) -> Int {
        value.withUnsafeBytes { unsafe $0.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) } }
    }

    private func equals(_ line: UnsafeRawBufferPointer, _ range: Range<Int>, _ bytes: [UInt8]) -> Bool {
        unsafe range.count == bytes.count && line[range].elementsEqual(bytes)
    }

    private func checkCount(_ count: Int, _ line: UnsafeRawBufferPointer) throws(ServerError) {
        if count > plan.columnCount { throw unsafe extraData(line) }
        if count < plan.columnCount { throw unsafe missingData(column: count, line) }
    }

    // MARK: Text

    private func textKey(_ line: UnsafeRawBufferPointer) throws(ServerError) -> KeyField {
        var key = KeyField(raw: 0..<0, start: 0)
        var (count, start, position, isEscaped) = (0, 0, 0, false)
        while true {
            position = unsafe scans.textField.next(in: line, from: position, to: line.count)
            var end = position
            if position < line.count, unsafe line[position] == 0x5c {
                isEscaped = true
                if position + 1 < line.count {
                    position = unsafe escapeEnd(line, position)
                    continue
                }
                // A backslash at the very end of the data stands for nothing.
                position = line.count
                end = line.count - 1
            }
            if count == plan.keyColumn {
                key = KeyField(raw: start..<end, plain: isEscaped ? nil : start..<end, start: start)
            }
            count += 1
            if position >= line.count { break }
            if count > plan.columnCount { break }
            position += 1
            start = position
            isEscaped = false
        }
        try unsafe checkCount(count, line)
        return key
    }

    /// Behind the escape sequence whose backslash stands at `position`, which is not the last byte.
    ///
    /// Only a hexadecimal number can be followed by a byte that is the delimiter outside of it: `A` to `F` are allowed as delimiters.
    private func escapeEnd(_ line: UnsafeRawBufferPointer, _ position: Int) -> Int {
        var next = position + 2
        guard unsafe line[position + 1] == UInt8(ascii: "x") else { return next }
        while next < min(line.count, position + 4), unsafe Self.hexValue(line[next]) != nil { next += 1 }
        return next
    }

    private mutating func unescapeText(_ line: UnsafeRawBufferPointer, _ range: Range<Int>) {
        var position = range.lowerBound
        while position < range.upperBound {
            let byte = unsafe line[position]
            position += 1
            guard byte == 0x5c, position < range.upperBound else {
                scratch.append(byte)
                continue
            }
            let escaped = unsafe line[position]
            position += 1
            switch escaped {
            case UInt8(ascii: "b"): scratch.append(0x08)
            case UInt8(ascii: "f"): scratch.append(0x0c)
            case UInt8(ascii: "n"): scratch.append(0x0a)
            case UInt8(ascii: "r"): scratch.append(0x0d)
            case UInt8(ascii: "t"): scratch.append(0x09)
            case UInt8(ascii: "v"): scratch.append(0x0b)
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                var value = escaped - 0x30
                unsafe Self.digits(line, &position, range.upperBound, Self.octalValue) { value = value << 3 | $0 }
                scratch.append(value)
            case UInt8(ascii: "x"):
                var value: UInt8 = 0
                let found = unsafe Self.digits(line, &position, range.upperBound, Self.hexValue) { value = value << 4 | $0 }
                scratch.append(found ? value : escaped)
            default: scratch.append(escaped)
            }
        }
    }

    /// Up to two more digits; whether there was one.
    @discardableResult
    private static func digits(
        _ line: UnsafeRawBufferPointer, _ position: inout Int, _ end: Int, _ value: (UInt8) -> UInt8?, _ take: (UInt8) -> Void
    ) -> Bool {
        var found = false
        for _ in 0..<2 {
            guard position < end, let digit = unsafe value(line[position]) else { break }
            take(digit)
            position += 1
            found = true
        }
        return found
    }

    private static func octalValue(_ byte: UInt8) -> UInt8? { (0x30...0x37).contains(byte) ? byte - 0x30 : nil }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    // MARK: CSV

    private func csvKey(_ line: UnsafeRawBufferPointer) throws(ServerError) -> KeyField {
        var key = KeyField(raw: 0..<0, start: 0)
        var (count, position) = (0, 0)
        while true {
            let field = try unsafe csvField(line, from: position)
            if count == plan.keyColumn { key = field }
            count += 1
            position = field.raw.upperBound
            // To the end, even of a line with too many: PostgreSQL complains of an open quote first.
            if position >= line.count { break }
            position += 1
        }
        try unsafe checkCount(count, line)
        return key
    }

    private func csvField(_ line: UnsafeRawBufferPointer, from start: Int) throws(ServerError) -> KeyField {
        var field = KeyField(raw: start..<start, start: start)
        var position = unsafe scans.csvField.next(in: line, from: start, to: line.count)
        guard position < line.count, unsafe line[position] == plan.quote else {
            field.raw = start..<position
            field.plain = field.raw
            return field
        }
        field.isQuoted = true
        let opening = position
        var (isPlain, sections, closing) = (opening == start, 0, opening)
        while position < line.count, unsafe line[position] == plan.quote {
            sections += 1
            (closing, isPlain) = try unsafe quoteEnd(line, from: position + 1, isPlain)
            position = unsafe scans.csvField.next(in: line, from: closing + 1, to: line.count)
        }
        field.raw = start..<position
        if isPlain, sections == 1, closing + 1 == position { field.plain = (opening + 1)..<closing }
        return field
    }

    /// The quote that ends the quoted section, and whether nothing in it is escaped (and was not before).
    private func quoteEnd(
        _ line: UnsafeRawBufferPointer, from start: Int, _ wasPlain: Bool
    ) throws(ServerError) -> (Int, Bool) {
        var (position, isPlain) = (start, wasPlain)
        while true {
            position = unsafe scans.csvQuotedField.next(in: line, from: position, to: line.count)
            guard position < line.count else { throw unsafe unterminatedQuote(line) }
            let byte = unsafe line[position]
            if byte == plan.escape, position + 1 < line.count, unsafe isEscapable(line[position + 1]) {
                isPlain = false
                position += 2
            } else if byte == plan.quote {
                return (position, isPlain)
            } else {
                position += 1
            }
        }
    }

    private func isEscapable(_ byte: UInt8) -> Bool { byte == plan.escape || byte == plan.quote }

    /// The field has been read before: its quotes are in order.
    private mutating func unescapeCSV(_ line: UnsafeRawBufferPointer, _ range: Range<Int>) {
        var (position, isQuoted) = (range.lowerBound, false)
        while position < range.upperBound {
            let byte = unsafe line[position]
            position += 1
            if !isQuoted {
                if byte == plan.quote { isQuoted = true } else { scratch.append(byte) }
            } else if byte == plan.escape, position < range.upperBound, unsafe isEscapable(line[position]) {
                unsafe scratch.append(line[position])
                position += 1
            } else if byte == plan.quote {
                isQuoted = false
            } else {
                scratch.append(byte)
            }
        }
    }
}
