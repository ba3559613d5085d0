/// An upper bound on the depth of the tree that a SQL text can parse to, found without parsing it.
///
/// A token adds at most one level to the expression it stands in, and what brackets enclose hangs below it. Commas, AND, OR and the arms of CASE
/// separate siblings: the grammar keeps them as flat lists, so counting starts again there. Set operations and joins
/// nest to the left across such separators, so these words are counted per bracket and never start again.
package enum NestingBound {
    package static func estimate(_ bytes: RawSpan) -> Int {
        bytes.withUnsafeBytes { estimate($0) }
    }

    private static func estimate(_ bytes: UnsafeRawBufferPointer) -> Int {
        var lexer = SQLLexer(bytes)
        var levels: [Level] = [Level(closesWithEnd: false)]
        while true {
            switch lexer.next() {
            case .end:
                while levels.count > 1 { close(&levels) }
                return levels[0].depth
            case .comma, .semicolon:
                levels[levels.count - 1].separate()
            case .open:
                levels.append(Level(closesWithEnd: false))
            case .close:
                // A CASE without END inside brackets does not parse; close it all the same.
                while levels.count > 1, levels.last!.closesWithEnd { close(&levels) }
                if levels.count > 1 { close(&levels) }
            case .word:
                word(Word(bytes, lexer.start..<lexer.position), &levels)
            default:
                levels[levels.count - 1].tokens += 1
            }
        }
    }

    private static func word(_ word: Word, _ levels: inout [Level]) {
        switch word {
        case .separator: levels[levels.count - 1].separate()
        case .chain: levels[levels.count - 1].chained += 1
        case .caseKeyword: levels.append(Level(closesWithEnd: true))
        case .endKeyword where levels.last!.closesWithEnd: close(&levels)
        case .endKeyword, .other: levels[levels.count - 1].tokens += 1
        }
    }

    private static func close(_ levels: inout [Level]) {
        let inner = levels.removeLast().depth
        levels[levels.count - 1].tokens += 1
        levels[levels.count - 1].inner = max(levels[levels.count - 1].inner, inner)
    }

    /// What stands between one pair of brackets.
    private struct Level {
        var closesWithEnd: Bool
        /// Tokens since the last separator.
        var tokens = 0
        /// The deepest bracket since the last separator.
        var inner = 0
        /// The deepest element so far.
        var element = 0
        var chained = 0

        init(closesWithEnd: Bool) { self.closesWithEnd = closesWithEnd }

        mutating func separate() {
            element = max(element, tokens + inner)
            tokens = 0
            inner = 0
        }

        var depth: Int { max(element, tokens + inner) + chained }
    }

    private enum Word {
        case other, separator, chain, caseKeyword, endKeyword

        init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
            // All words of interest have 2 to 9 ASCII letters; folded into one number they compare fast.
            guard (2...9).contains(range.count) else { self = .other; return }
            var folded: UInt64 = 0
            for index in range.prefix(8) { folded = folded << 8 | UInt64(bytes[index] | 0x20) }
            self = Self.known[folded] ?? .other
        }

        private static let known: [UInt64: Word] = {
            var result: [UInt64: Word] = [:]
            for word in ["and", "or", "when", "then", "else"] { result[fold(word)] = .separator }
            for word in ["union", "except", "join", "intersec"] { result[fold(word)] = .chain }
            result[fold("case")] = .caseKeyword
            result[fold("end")] = .endKeyword
            return result
        }()

        private static func fold(_ word: String) -> UInt64 { word.utf8.reduce(0) { $0 << 8 | UInt64($1) } }
    }
}
