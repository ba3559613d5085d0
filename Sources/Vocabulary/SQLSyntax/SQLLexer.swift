/// A cursor over the tokens of a SQL text, by the rules of PostgreSQL's `scan.l` with `standard_conforming_strings` on.
///
/// Not a parser and not the authority on meaning: it serves the two passes that must come before the parser
/// (`NestingBound`) or in its place (`StatementShape`). Whatever it is unsure of is `.doubtful`.
///
/// Holds an unsafe pointer because a struct that stores a span needs an experimental language feature; it never outlives the
/// `withUnsafeBytes` it is made in.
struct SQLLexer {
    enum Token: UInt8 {
        case end
        /// An identifier or keyword, quoted or not.
        case word
        case quotedIdentifier
        case parameter
        /// Digits only.
        case integer
        /// A decimal point or an exponent.
        case decimal
        /// `'…'` without prefix.
        case string
        /// E'', U&'', B'', X'', N'', $tag$…$tag$, U&"…"
        case prefixedString
        case open, close, comma, semicolon
        case operation
        /// Unterminated text, control characters, something the lexer does not know.
        case doubtful
    }

    private let bytes: UnsafePointer<UInt8>?
    private let count: Int
    private(set) var position = 0
    /// Start of the last token.
    private(set) var start = 0
    /// A comment was skipped, anywhere so far.
    private(set) var sawComment = false
    /// The last string token held a doubled quote.
    private(set) var sawDoubledQuote = false

    init(_ buffer: UnsafeRawBufferPointer) {
        bytes = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        count = buffer.count
    }

    @inline(__always)
    private func byte(_ index: Int) -> UInt8 {
        // 0 cannot occur in a statement, so it stands for the end.
        index < count ? bytes.unsafelyUnwrapped[index] : 0
    }

    mutating func next() -> Token {
        skipBlanks()
        start = position
        let first = byte(position)
        switch Self.classes[Int(first)] {
        case .identifier: return word(first)
        case .digit: return number()
        case .quote: return plainString()
        case .doubleQuote: return delimited(by: 0x22, as: .quotedIdentifier)
        case .dollar: return dollar()
        case .dot:
            if Self.isDigit(byte(position + 1)) { return number() }
            position += 1
            return .operation
        case .open: return single(.open)
        case .close: return single(.close)
        case .comma: return single(.comma)
        case .semicolon: return single(.semicolon)
        case .operation: return operation()
        case .other:
            if first == 0, position >= count { return .end }
            position += 1
            return .doubtful
        }
    }

    @inline(__always)
    private mutating func single(_ token: Token) -> Token {
        position += 1
        return token
    }

    private mutating func skipBlanks() {
        while true {
            switch byte(position) {
            case 0x20, 0x09, 0x0a, 0x0d, 0x0c:
                position += 1
            case 0x2d where byte(position + 1) == 0x2d:
                sawComment = true
                while position < count, byte(position) != 0x0a, byte(position) != 0x0d { position += 1 }
            case 0x2f where byte(position + 1) == 0x2a:
                sawComment = true
                skipBlockComment()
            default:
                return
            }
        }
    }

    /// Block comments nest. An unterminated one ends with the text; the parser then reports it.
    private mutating func skipBlockComment() {
        var depth = 0
        while position < count {
            if byte(position) == 0x2f, byte(position + 1) == 0x2a {
                depth += 1
                position += 2
            } else if byte(position) == 0x2a, byte(position + 1) == 0x2f {
                depth -= 1
                position += 2
                if depth == 0 { return }
            } else {
                position += 1
            }
        }
    }

    private mutating func word(_ first: UInt8) -> Token {
        let second = byte(position + 1)
        if second == 0x27 {
            switch first | 0x20 {
            case 0x65:  // e
                position += 1
                return escapeString()
            case 0x62, 0x78, 0x6e:  // b x n
                position += 1
                return delimited(by: 0x27, as: .prefixedString)
            default: break
            }
        } else if second == 0x26, first | 0x20 == 0x75, byte(position + 2) == 0x27 || byte(position + 2) == 0x22 {
            position += 2
            return delimited(by: byte(position), as: .prefixedString)
        }
        repeat { position += 1 } while Self.continuesIdentifier(byte(position))
        return .word
    }

    private mutating func number() -> Token {
        while Self.isDigit(byte(position)) { position += 1 }
        var isDecimal = false
        // "1..2" is an integer, two dots and an integer.
        if byte(position) == 0x2e, byte(position + 1) != 0x2e {
            isDecimal = true
            position += 1
            while Self.isDigit(byte(position)) { position += 1 }
        }
        if byte(position) | 0x20 == 0x65 {
            isDecimal = true
            position += 1
            if byte(position) == 0x2b || byte(position) == 0x2d { position += 1 }
            guard Self.isDigit(byte(position)) else { return .doubtful }
            while Self.isDigit(byte(position)) { position += 1 }
        }
        if Self.continuesIdentifier(byte(position)) { return .doubtful }
        return isDecimal ? .decimal : .integer
    }

    private mutating func plainString() -> Token {
        sawDoubledQuote = false
        return delimited(by: 0x27, as: .string)
    }

    /// Text up to the closing delimiter; a doubled delimiter stands for one.
    private mutating func delimited(by quote: UInt8, as token: Token) -> Token {
        position += 1
        while position < count {
            let current = byte(position)
            position += 1
            if current == quote {
                guard byte(position) == quote else { return token }
                sawDoubledQuote = true
                position += 1
            }
        }
        return .doubtful
    }

    private mutating func escapeString() -> Token {
        position += 1
        while position < count {
            let current = byte(position)
            position += 1
            if current == 0x5c {
                position += 1
            } else if current == 0x27 {
                guard byte(position) == 0x27 else { return .prefixedString }
                position += 1
            }
        }
        return .doubtful
    }

    private mutating func dollar() -> Token {
        position += 1
        if Self.isDigit(byte(position)) {
            while Self.isDigit(byte(position)) { position += 1 }
            return Self.continuesIdentifier(byte(position)) ? .doubtful : .parameter
        }
        while Self.continuesIdentifier(byte(position)), byte(position) != 0x24 { position += 1 }
        guard byte(position) == 0x24 else { return .doubtful }
        position += 1
        let length = position - start
        while position + length <= count {
            if byte(position) == 0x24, delimiterStands(at: position, length: length) {
                position += length
                return .prefixedString
            }
            position += 1
        }
        position = count
        return .doubtful
    }

    private func delimiterStands(at place: Int, length: Int) -> Bool {
        for offset in 0..<length where byte(place + offset) != byte(start + offset) { return false }
        return true
    }

    private mutating func operation() -> Token {
        position += 1
        while Self.classes[Int(byte(position))] == .operation {
            let pair = (byte(position), byte(position + 1))
            if pair == (0x2d, 0x2d) || pair == (0x2f, 0x2a) { break }
            position += 1
        }
        return .operation
    }

    /// Whether a word is this keyword, which is given in lower case.
    static func equal(_ word: Slice<UnsafeRawBufferPointer>, _ keyword: String) -> Bool { word.elementsEqual(keyword.utf8) { $0 | 0x20 == $1 } }

    // MARK: classes of bytes

    private enum Class: UInt8 {
        case other, identifier, digit, quote, doubleQuote, dollar, dot, open, close, comma, semicolon, operation
    }

    @inline(__always) static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
    @inline(__always) static func continuesIdentifier(_ byte: UInt8) -> Bool {
        switch classes[Int(byte)] {
        case .identifier, .digit, .dollar: true
        default: false
        }
    }

    private static let classes: InlineArray<256, Class> = {
        var table = InlineArray<256, Class>(repeating: .other)
        for byte in 0..<256 {
            switch UInt8(byte) {
            case 0x41...0x5a, 0x61...0x7a, 0x5f, 0x80...0xff: table[byte] = .identifier
            case 0x30...0x39: table[byte] = .digit
            case 0x27: table[byte] = .quote
            case 0x22: table[byte] = .doubleQuote
            case 0x24: table[byte] = .dollar
            case 0x2e: table[byte] = .dot
            case 0x28, 0x5b: table[byte] = .open
            case 0x29, 0x5d: table[byte] = .close
            case 0x2c: table[byte] = .comma
            case 0x3b: table[byte] = .semicolon
            case 0x21, 0x23, 0x25, 0x26, 0x2a, 0x2b, 0x2d, 0x2f, 0x3a, 0x3c...0x40, 0x5e, 0x60, 0x7c, 0x7e:
                table[byte] = .operation
            default: break
            }
        }
        return table
    }()
}
