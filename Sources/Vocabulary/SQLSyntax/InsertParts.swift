/// The pieces of an INSERT … SELECT's text: what stands before the query, the query, and what stands behind it (ON CONFLICT, RETURNING).
///
/// Found by scanning tokens, because the parse tree does not say where the query begins and ends.
package struct InsertParts: Hashable, Sendable {
    package let head: [UInt8]
    package let query: [UInt8]
    package let tail: [UInt8]

    /// - hasConflict, hasReturning: what the parse tree says; they decide whether what was found is right.
    ///
    /// nil: the pieces cannot be told apart with certainty.
    package init?(_ text: [UInt8], hasConflict: Bool, hasReturning: Bool) {
        guard let found = text.withUnsafeBytes({ Self.scan($0, hasConflict: hasConflict, hasReturning: hasReturning) }) else { return nil }
        head = Array(text[..<found.query.lowerBound])
        query = Array(text[found.query])
        tail = Array(text[found.query.upperBound..<found.end])
    }

    /// The same with other pieces.
    package func replacing(query: [UInt8], tail: [UInt8]) -> InsertParts { InsertParts(head: head, query: query, tail: tail) }

    package init(head: [UInt8], query: [UInt8], tail: [UInt8]) { (self.head, self.query, self.tail) = (head, query, tail) }

    /// The statement with rows of parameters in place of the query: `count` rows of `width` values.
    package func statement(rows count: Int, width: Int) -> [UInt8] {
        var text = head
        text += "VALUES ".utf8
        for row in 0..<count {
            text += (row == 0 ? "(" : ", (").utf8
            for column in 0..<width { text += "\(column == 0 ? "" : ",")$\(row * width + column + 1)".utf8 }
            text += ")".utf8
        }
        text += " ".utf8
        return text + tail
    }

    private static func scan(_ bytes: UnsafeRawBufferPointer, hasConflict: Bool, hasReturning: Bool) -> (query: Range<Int>, end: Int)? {
        var lexer = SQLLexer(bytes)
        var depth = 0
        var (isInsert, start): (Bool, Int?) = (false, nil)
        var (conflict, returning): (Int?, Int?) = (nil, nil)
        // Where an ON stands, if it was the last token.
        var on: Int?
        var end = bytes.count
        scanning: while true {
            let token = lexer.next()
            let isBehindOn = on
            on = nil
            switch token {
            case .end: break scanning
            case .doubtful: return nil
            case .semicolon:
                end = lexer.start
                break scanning
            case .open:
                // `INSERT INTO t (SELECT …)`: where its parenthesis ends the query ends, which is of no use to anybody.
                depth += 1
            case .close: depth -= 1
            case .word where depth == 0:
                let word = bytes[lexer.start..<lexer.position]
                if start == nil {
                    if isInsert, ["select", "with", "table", "values"].contains(where: { SQLLexer.equal(word, $0) }) { start = lexer.start }
                    if SQLLexer.equal(word, "insert") { isInsert = true }
                } else if SQLLexer.equal(word, "on") {
                    on = lexer.start
                } else if SQLLexer.equal(word, "conflict"), let isBehindOn, returning == nil {
                    conflict = isBehindOn
                } else if SQLLexer.equal(word, "returning") {
                    returning = returning ?? lexer.start
                }
            default: break
            }
        }
        guard depth == 0, let start, hasReturning == (returning != nil), !hasConflict || conflict != nil else { return nil }
        let close = (hasConflict ? conflict : nil) ?? returning ?? end
        return (start..<close, end)
    }
}
