/// A hint in a comment: `/* pgmosaic: shard_key=42 */` before a statement or behind it.
package enum StatementHint {
    private static let mark = Array("pgmosaic:".utf8)
    private static let name = "shard_key"

    /// The key that the text's first or last comment names; nil where there is none.
    package static func shardKey(in text: [UInt8]) -> String? {
        // Nearly no text has one.
        guard let first = text.firstIndex(of: 0x2F), text[first...].contains(0x70) else { return nil }
        let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0d).contains(byte) }
        let trimmed = text.drop(while: isBlank)
        if trimmed.starts(with: [0x2F, 0x2A]), let key = key(inComment: trimmed.dropFirst(2)) { return key }
        var end = text[...]
        while let last = end.last, isBlank(last) || last == 0x3B { end.removeLast() }
        guard end.count >= 4, end.suffix(2).elementsEqual([0x2A, 0x2F]) else { return nil }
        let inside = end.dropLast(2)
        guard let start = inside.indices.dropLast().last(where: { inside[$0] == 0x2F && inside[$0 + 1] == 0x2A }) else { return nil }
        return key(inComment: inside[(start + 2)...] + [0x2A, 0x2F])
    }

    /// The comment that names this key; nil where no comment can hold it.
    package static func comment(shardKey key: String) -> String? {
        // By scalars, as PostgreSQL reads it: with a combining mark behind it the end of a comment is another character.
        let scalars = key.unicodeScalars
        guard !zip(scalars, scalars.dropFirst()).contains(where: { ($0, $1) == ("/", "*") || ($0, $1) == ("*", "/") }) else { return nil }
        return "/* pgmosaic: \(name)='\(doubling("'", in: key))' */ "
    }

    /// `bytes` begin behind the comment's opening.
    private static func key(inComment bytes: ArraySlice<UInt8>) -> String? {
        guard let close = bytes.indices.dropLast().first(where: { bytes[$0] == 0x2A && bytes[$0 + 1] == 0x2F }) else { return nil }
        let content = String(decoding: bytes[..<close], as: UTF8.self)
        let blanks: (Character) -> Bool = { $0.isWhitespace }
        var rest = content.drop(while: blanks)
        guard rest.utf8.starts(with: mark) else { return nil }
        rest = rest.dropFirst("pgmosaic:".count).drop(while: blanks)
        guard rest.hasPrefix(name) else { return nil }
        rest = rest.dropFirst(name.count).drop(while: blanks)
        guard rest.first == "=" else { return nil }
        var value = rest.dropFirst().drop(while: blanks)
        while let last = value.last, last.isWhitespace { value.removeLast() }
        let scalars = value.unicodeScalars
        if scalars.count >= 2, scalars.first == "'", scalars.last == "'" { return undoubled(scalars.dropFirst().dropLast()) }
        return value.isEmpty || value.contains(where: blanks) ? nil : String(value)
    }

    private static func undoubled(_ scalars: Substring.UnicodeScalarView) -> String {
        var text = String.UnicodeScalarView()
        var isFirst = false
        for scalar in scalars {
            isFirst = scalar == "'" && !isFirst
            if isFirst || scalar != "'" { text.append(scalar) }
        }
        return String(text)
    }

    /// Whether the text is one statement that begins as a query does, as far as tokens tell: it may be newer than the parser.
    package static func isOneQuery(_ text: [UInt8]) -> Bool {
        text.withUnsafeBytes { bytes in
            var lexer = SQLLexer(bytes)
            var token = lexer.next()
            while token == .open { token = lexer.next() }
            let word = String(decoding: bytes[lexer.start..<lexer.position], as: UTF8.self).lowercased()
            guard token == .word, ["select", "with", "values", "table"].contains(word) else { return false }
            var hasEnded = false
            while true {
                switch lexer.next() {
                case .end: return true
                case .doubtful: return false
                case .semicolon: hasEnded = true
                default: if hasEnded { return false }
                }
            }
        }
    }
}
