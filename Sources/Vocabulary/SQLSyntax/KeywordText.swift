/// Where a keyword that is a value stands in a statement's text: CURRENT_TIMESTAMP, or with a precision CURRENT_TIMESTAMP(3).
package enum KeywordText {
    /// nil: no word begins at `start`, or what follows is not as the parser says.
    package static func place(in text: [UInt8], at start: Int, hasPrecision: Bool) -> Range<Int>? {
        guard text.indices.contains(start) else { return nil }
        let length = text[start...].withUnsafeBytes { buffer -> Int? in
            var lexer = SQLLexer(buffer)
            guard lexer.next() == .word else { return nil }
            guard hasPrecision else { return lexer.position }
            guard lexer.next() == .open, lexer.next() == .integer, lexer.next() == .close else { return nil }
            return lexer.position
        }
        return length.map { start..<(start + $0) }
    }
}
