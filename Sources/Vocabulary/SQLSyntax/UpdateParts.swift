/// The pieces of an UPDATE's text: the table with its alias, the values that are assigned, and what stands behind SET (WHERE, RETURNING).
///
/// Found by scanning tokens, because the parse tree does not say where an expression ends.
package struct UpdateParts: Hashable, Sendable {
    package let target: [UInt8]
    /// The expressions, in the order of SET.
    package let values: [[UInt8]]
    /// With its keyword; empty where there is none.
    package let condition: [UInt8]
    package let returning: [UInt8]

    /// - count, hasReturning: what the parse tree says; they decide whether what was found is right.
    ///
    /// nil: the pieces cannot be told apart with certainty.
    package init?(_ text: [UInt8], count: Int, hasReturning: Bool) {
        guard let found = text.withUnsafeBytes({ Self.scan($0) }), found.values.count == count, (found.returning != nil) == hasReturning else { return nil }
        target = Array(text[found.target])
        values = found.values.map { Array(text[$0]) }
        let behind = found.returning ?? found.end
        condition = found.condition.map { Array(text[$0..<behind]) } ?? []
        returning = Array(text[behind..<found.end])
    }

    private struct Found {
        var target = 0..<0
        var values: [Range<Int>] = []
        var condition: Int?
        var returning: Int?
        var end: Int
    }

    private static func scan(_ bytes: UnsafeRawBufferPointer) -> Found? {
        var lexer = SQLLexer(bytes)
        var found = Found(end: bytes.count)
        var depth = 0
        var (targetStart, valueStart): (Int?, Int?) = (nil, nil)
        var isInSet = false
        func endValue(_ end: Int) {
            if let start = valueStart { found.values.append(start..<end) }
            valueStart = nil
        }
        scanning: while true {
            switch lexer.next() {
            case .end: break scanning
            case .doubtful: return nil
            case .semicolon:
                found.end = lexer.start
                break scanning
            case .open: depth += 1
            case .close: depth -= 1
            case .comma where depth == 0 && isInSet: endValue(lexer.start)
            case .operation where depth == 0 && isInSet && valueStart == nil:
                // `k =-1` is one token here.
                guard bytes[lexer.start] == 0x3d else { return nil }
                valueStart = lexer.start + 1
            case .word where depth == 0:
                let word = bytes[lexer.start..<lexer.position]
                if targetStart == nil {
                    guard SQLLexer.equal(word, "update") else { return nil }
                    targetStart = lexer.position
                } else if !isInSet, found.values.isEmpty, valueStart == nil, SQLLexer.equal(word, "set"), let start = targetStart {
                    found.target = start..<lexer.start
                    isInSet = true
                } else if SQLLexer.equal(word, "where"), found.condition == nil {
                    endValue(lexer.start)
                    isInSet = false
                    found.condition = lexer.start
                } else if SQLLexer.equal(word, "returning"), found.returning == nil {
                    endValue(lexer.start)
                    isInSet = false
                    found.returning = lexer.start
                }
            default: break
            }
        }
        endValue(found.end)
        return depth == 0 ? found : nil
    }
}
