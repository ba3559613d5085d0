/// Where a function call of the form `name(…)` stands in a statement's text.
package struct CallText: Hashable, Sendable {
    /// The function's name, with its schema.
    package let name: Range<Int>
    /// From the name to the closing parenthesis, or that of FILTER.
    package let whole: Range<Int>

    /// nil: no such call begins at `start`, or the text is doubtful.
    package init?(in text: [UInt8], at start: Int) {
        guard text.indices.contains(start) else { return nil }
        let found = text[start...].withUnsafeBytes { buffer -> (name: Int, whole: Int)? in
            var lexer = SQLLexer(buffer)
            guard let name = Self.skipName(&lexer, buffer), Self.skipParenthesis(&lexer) else { return nil }
            let whole = lexer.position
            let isFilter = lexer.next() == .word && buffer[lexer.start..<lexer.position].elementsEqual("filter".utf8) { $0 | 0x20 == $1 }
            guard isFilter, lexer.next() == .open else { return (name, whole) }
            return Self.skipParenthesis(&lexer) ? (name, lexer.position) : nil
        }
        guard let found else { return nil }
        name = start..<(start + found.name)
        whole = start..<(start + found.whole)
    }

    /// Up to and with the opening parenthesis; answers where the name ends.
    private static func skipName(_ lexer: inout SQLLexer, _ text: UnsafeRawBufferPointer) -> Int? {
        while true {
            let part = lexer.next()
            guard part == .word || part == .quotedIdentifier else { return nil }
            let end = lexer.position
            switch lexer.next() {
            case .open: return end
            case .operation where lexer.position - lexer.start == 1 && text[lexer.start] == 0x2e: continue
            default: return nil
            }
        }
    }

    /// Behind an opening parenthesis: to behind its closing one.
    private static func skipParenthesis(_ lexer: inout SQLLexer) -> Bool {
        var depth = 1
        while depth > 0 {
            switch lexer.next() {
            case .open: depth += 1
            case .close: depth -= 1
            case .end, .doubtful: return false
            default: break
            }
        }
        return true
    }
}
