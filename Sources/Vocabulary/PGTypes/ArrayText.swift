internal import ShardModel

/// An array literal of one dimension as array_in of PostgreSQL 15 reads it: `{1, 2}`, `{"a \" b",c\,d,NULL}`, `[0:1]={1,2}`.
///
/// It holds the place that it has read up to; the text itself is handed to each step, for a span cannot be kept in a field.
struct ArrayText {
    private var position = 0

    /// The tokens of the elements that are not NULL.
    static func tokens(_ text: RawSpan, _ type: KeyType) throws(KeyError) -> [Token] {
        var parser = ArrayText()
        return try parser.tokens(text, type)
    }

    private mutating func tokens(_ text: RawSpan, _ type: KeyType) throws(KeyError) -> [Token] {
        skipBlanks(text)
        try skipBounds(text)
        try expect(text, UInt8(ascii: "{"))
        var tokens: [Token] = []
        skipBlanks(text)
        if peek(text) == UInt8(ascii: "}") {
            position += 1
        } else {
            repeat {
                skipBlanks(text)
                if let token = try element(text, type) { tokens.append(token) }
            } while try !isLast(text)
        }
        skipBlanks(text)
        guard position == text.byteCount else { throw .malformed }
        return tokens
    }

    private func peek(_ text: RawSpan) -> UInt8? { position < text.byteCount ? text[position] : nil }

    private mutating func skipBlanks(_ text: RawSpan) {
        while let byte = peek(text), IntegerText.isBlank(byte) { position += 1 }
    }

    private mutating func expect(_ text: RawSpan, _ byte: UInt8) throws(KeyError) {
        guard peek(text) == byte else { throw .malformed }
        position += 1
    }

    /// `[lower:upper]=` or `[upper]=`. The server compares them with the elements.
    private mutating func skipBounds(_ text: RawSpan) throws(KeyError) {
        guard peek(text) == UInt8(ascii: "[") else { return }
        position += 1
        try skipNumber(text)
        if peek(text) == UInt8(ascii: ":") {
            position += 1
            try skipNumber(text)
        }
        try expect(text, UInt8(ascii: "]"))
        skipBlanks(text)
        if peek(text) == UInt8(ascii: "[") { throw .manyDimensions }
        try expect(text, UInt8(ascii: "="))
        skipBlanks(text)
    }

    private mutating func skipNumber(_ text: RawSpan) throws(KeyError) {
        let start = position
        while let byte = peek(text), (0x30...0x39).contains(byte) || byte == 0x2d || byte == 0x2b { position += 1 }
        guard position > start else { throw .malformed }
    }

    /// Passes what follows an element: true after the closing brace.
    private mutating func isLast(_ text: RawSpan) throws(KeyError) -> Bool {
        skipBlanks(text)
        guard let byte = peek(text) else { throw .malformed }
        position += 1
        switch byte {
        case UInt8(ascii: ","): return false
        case UInt8(ascii: "}"): return true
        default: throw .malformed
        }
    }

    /// nil: a NULL element.
    private mutating func element(_ text: RawSpan, _ type: KeyType) throws(KeyError) -> Token? {
        switch peek(text) {
        case UInt8(ascii: "{"): throw .manyDimensions
        case UInt8(ascii: "\""):
            position += 1
            return try quoted(text, type)
        default: return try bare(text, type)
        }
    }

    private mutating func quoted(_ text: RawSpan, _ type: KeyType) throws(KeyError) -> Token {
        let start = position
        while let byte = peek(text), byte != UInt8(ascii: "\"") {
            if byte == UInt8(ascii: "\\") {
                let copy = try unescapedQuoted(text, from: start)
                return try type.token(text: copy.span.bytes)
            }
            position += 1
        }
        let end = position
        try expect(text, UInt8(ascii: "\""))
        return try type.token(text: text.extracting(start..<end))
    }

    /// The element without its backslashes, which shield any byte; its closing quote is passed.
    private mutating func unescapedQuoted(_ text: RawSpan, from start: Int) throws(KeyError) -> [UInt8] {
        position = start
        var bytes: [UInt8] = []
        while let byte = peek(text), byte != UInt8(ascii: "\"") {
            bytes.append(try shieldedByte(text, byte))
        }
        try expect(text, UInt8(ascii: "\""))
        return bytes
    }

    private mutating func bare(_ text: RawSpan, _ type: KeyType) throws(KeyError) -> Token? {
        let start = position
        var end = start
        while let byte = peek(text), !Self.endsBare(byte) {
            if byte == UInt8(ascii: "\\") {
                let copy = try unescapedBare(text, from: start)
                return try type.token(text: copy.span.bytes)
            }
            try Self.checkBare(byte)
            position += 1
            if !IntegerText.isBlank(byte) { end = position }
        }
        guard end > start else { throw .malformed }
        let value = text.extracting(start..<end)
        return Self.isNull(value) ? nil : try type.token(text: value)
    }

    /// As `unescapedQuoted`; blanks at its end go, unless a backslash shields them.
    private mutating func unescapedBare(_ text: RawSpan, from start: Int) throws(KeyError) -> [UInt8] {
        position = start
        var bytes: [UInt8] = []
        var kept = 0
        while let byte = peek(text), !Self.endsBare(byte) {
            try Self.checkBare(byte)
            bytes.append(try shieldedByte(text, byte))
            if byte == UInt8(ascii: "\\") || !IntegerText.isBlank(byte) { kept = bytes.count }
        }
        bytes.removeLast(bytes.count - kept)
        return bytes
    }

    /// Passes `byte`, or the one that it shields when it is a backslash.
    private mutating func shieldedByte(_ text: RawSpan, _ byte: UInt8) throws(KeyError) -> UInt8 {
        position += 1
        guard byte == UInt8(ascii: "\\") else { return byte }
        guard let next = peek(text) else { throw .malformed }
        position += 1
        return next
    }

    private static func endsBare(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") }

    private static func checkBare(_ byte: UInt8) throws(KeyError) {
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "{") { throw .malformed }
    }

    private static func isNull(_ value: RawSpan) -> Bool {
        guard value.byteCount == 4 else { return false }
        return value.bigEndian(at: 0, as: UInt32.self) | 0x2020_2020 == 0x6e75_6c6c
    }
}
