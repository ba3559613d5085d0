/// A statement's text with its literals taken out: two texts of one shape differ in literals only.
///
/// Statement caches look plans up by shape, so that `… WHERE id = 1` and `… WHERE id = 2` are parsed once. The scan is no parser: what it is
/// not sure of (comments, escape strings, dollar quotes, adjacent strings, control characters) it does not shape, and
/// such a text is cached as it stands.
///
/// A placeholder is one control byte that names the literal's kind, so literals of two kinds make two shapes: the kind decides the type
/// that PostgreSQL gives the literal. Everything else is kept byte by byte, blanks included.
package enum StatementShape {
    /// Integers of up to this many digits fit int8 whatever they are; longer ones are `.longInteger`.
    package static let plainDigitsMax = 18

    /// Fills `buffer` with the shape of `bytes`. False: not shapeable, and the buffer's content means nothing.
    ///
    /// Allocates only while the buffer grows to the largest statement it has seen.
    package static func scan(_ bytes: RawSpan, into buffer: inout ShapeBuffer) -> Bool {
        bytes.withUnsafeBytes { scan($0, into: &buffer) }
    }

    private static func scan(_ bytes: UnsafeRawBufferPointer, into buffer: inout ShapeBuffer) -> Bool {
        buffer.reset()
        var lexer = SQLLexer(bytes)
        var copied = 0
        var previousWasString = false
        while true {
            let token = lexer.next()
            let kind: LiteralRange.Kind
            switch token {
            case .end:
                guard !lexer.sawComment else { return false }
                buffer.append(bytes, copied..<bytes.count)
                return true
            case .doubtful, .prefixedString:
                return false
            case .integer:
                kind = lexer.position - lexer.start <= plainDigitsMax ? .integer : .longInteger
            case .decimal:
                kind = .decimal
            case .string:
                // 'a' <newline> 'b' is one literal.
                guard !previousWasString else { return false }
                kind = lexer.sawDoubledQuote ? .quotedString : .string
            default:
                previousWasString = false
                continue
            }
            previousWasString = token == .string
            buffer.append(bytes, copied..<lexer.start)
            buffer.append(LiteralRange(kind: kind, start: lexer.start, end: lexer.position))
            copied = lexer.position
        }
    }
}

/// Where a literal stands in the text, and what it is.
package struct LiteralRange: Hashable, Sendable {
    package enum Kind: UInt8, Hashable, Sendable {
        // Control bytes that no shapeable text contains.
        /// At most 18 digits.
        case integer = 1
        /// More digits: int8 or numeric.
        case longInteger = 2
        /// With a decimal point or an exponent.
        case decimal = 3
        /// `'…'` whose content stands for itself.
        case string = 4
        /// `'…'` with doubled quotes in it. The same shape as `.string`.
        case quotedString = 5

        var placeholder: UInt8 { self == .quotedString ? Self.string.rawValue : rawValue }
    }
    package var kind: Kind
    /// Byte offsets in the text; quotes included.
    package var start: Int
    package var end: Int

    @inlinable
    package init(kind: Kind, start: Int, end: Int) {
        self.kind = kind
        self.start = start
        self.end = end
    }

    /// The literal's value without quotes, doubled ones still doubled (`.quotedString`).
    package var content: Range<Int> {
        switch kind {
        case .string, .quotedString: (start + 1)..<(end - 1)
        default: start..<end
        }
    }

    /// The literal's value as text, doubled quotes made single.
    package func value(in bytes: RawSpan) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(content.count)
        var index = content.lowerBound
        while index < content.upperBound {
            let byte = bytes.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
            result.append(byte)
            index += kind == .quotedString && byte == 0x27 ? 2 : 1
        }
        return result
    }
}

/// The literals of one text, in text order.
package typealias LiteralRanges = [LiteralRange]
