/// The word that a statement begins with, behind blanks and comments.
package enum FirstWord {
    /// Whether it is `word`, which is in lower case.
    package static func isFirst(_ word: StaticString, in text: UnsafeRawBufferPointer) -> Bool {
        var lexer = SQLLexer(text)
        guard lexer.next() == .word else { return false }
        let found = text[lexer.start..<lexer.position]
        return found.count == word.utf8CodeUnitCount
            && zip(found, UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)).allSatisfy { $0 | 0x20 == $1 }
    }
}
