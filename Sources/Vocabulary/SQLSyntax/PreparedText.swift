/// The text of `PREPARE name (types) AS statement`, or `EXECUTE name (arguments)`, cut behind its head.
///
/// The grammar's tree does not say where the inner statement begins, so the tokens are counted; the parser has accepted the text before.
package enum PreparedText {
    /// Where the statement behind AS begins, in bytes of the query string; nil where the tokens are not what they should be.
    package static func statementStart(of statement: ParsedStatement) -> Int? {
        scan(statement) { lexer, bytes in
            var token = lexer.next()
            if token == .open {
                var depth = 1
                while depth > 0 {
                    token = lexer.next()
                    switch token {
                    case .open: depth += 1
                    case .close: depth -= 1
                    case .end, .doubtful: return nil
                    default: break
                    }
                }
                token = lexer.next()
            }
            guard token == .word, isWord(bytes, lexer, "as") else { return nil }
            return lexer.position
        }
    }

    /// Where the arguments, or what else stands behind the name, begin.
    package static func argumentsStart(of statement: ParsedStatement) -> Int? {
        scan(statement) { lexer, _ in lexer.position }
    }

    /// Of `EXPLAIN … EXECUTE name …`: where the name stands, in bytes of the query string.
    package static func explainedName(of statement: ParsedStatement) -> Range<Int>? {
        let bytes = Array(statement.owner.bytes[statement.range])
        return bytes.withUnsafeBytes { bytes in
            var lexer = SQLLexer(bytes)
            guard lexer.next() == .word, isWord(bytes, lexer, "explain") else { return nil }
            var depth = 0
            while true {
                switch lexer.next() {
                case .open: depth += 1
                case .close: depth -= 1
                case .end, .doubtful, .semicolon: return nil
                case .word where depth == 0 && isWord(bytes, lexer, "execute"):
                    let name = lexer.next()
                    guard name == .word || name == .quotedIdentifier else { return nil }
                    return lexer.start + statement.range.lowerBound..<lexer.position + statement.range.lowerBound
                default: break
                }
            }
        }
    }

    /// Of `DECLARE name CURSOR … FOR query`: where the query begins.
    package static func declaredStart(of statement: ParsedStatement) -> Int? {
        scan(statement) { lexer, bytes in
            var isBehindCursor = false
            while lexer.next() == .word {
                if isBehindCursor, isWord(bytes, lexer, "for") { return lexer.position }
                if isWord(bytes, lexer, "cursor") { isBehindCursor = true }
            }
            return nil
        }
    }

    /// `next` is called with the lexer behind the statement's name.
    private static func scan(_ statement: ParsedStatement, _ next: (inout SQLLexer, UnsafeRawBufferPointer) -> Int?) -> Int? {
        let bytes = Array(statement.owner.bytes[statement.range])
        return bytes.withUnsafeBytes { bytes in
            var lexer = SQLLexer(bytes)
            // PREPARE or EXECUTE.
            guard lexer.next() == .word else { return nil }
            switch lexer.next() {
            case .word, .quotedIdentifier: break
            // U&"…", with its escape character or without: rare enough to be refused.
            default: return nil
            }
            return next(&lexer, bytes).map { $0 + statement.range.lowerBound }
        }
    }

    private static func isWord(_ bytes: UnsafeRawBufferPointer, _ lexer: SQLLexer, _ word: String) -> Bool {
        bytes[lexer.start..<lexer.position].elementsEqual(word.utf8) { $0 | 0x20 == $1 }
    }
}
