/// Where the names of tables stand in a statement's text, from the places at which the parser saw them begin.
///
/// Found by scanning tokens, because the parse tree does not say where a name ends.
package struct TableNamePlaces: Hashable, Sendable {
    package struct Place: Hashable, Sendable {
        /// The name with its schema.
        package var range: Range<Int>
        /// `TABLE name`, behind which no alias may stand.
        package var isTableCommand: Bool
    }
    /// By the place where the name begins.
    package let places: [Int: Place]

    /// nil: one of them could not be told apart with certainty.
    package init?(_ text: [UInt8], starts: Set<Int>) {
        let found = text.withUnsafeBytes { Self.scan($0, starts) }
        guard let found, found.count == starts.count else { return nil }
        places = found
    }

    private static func scan(_ buffer: UnsafeRawBufferPointer, _ starts: Set<Int>) -> [Int: Place]? {
        var lexer = SQLLexer(buffer)
        var places: [Int: Place] = [:]
        var isBehindTable = false
        var token = lexer.next()
        while token != .end {
            guard token != .doubtful else { return nil }
            guard starts.contains(lexer.start) else {
                isBehindTable = token == .word && isTable(buffer[lexer.start..<lexer.position])
                token = lexer.next()
                continue
            }
            guard token == .word || token == .quotedIdentifier else { return nil }
            let start = lexer.start
            var end = lexer.position
            token = lexer.next()
            while token == .operation, lexer.position == lexer.start + 1, buffer[lexer.start] == 0x2e {
                token = lexer.next()
                guard token == .word || token == .quotedIdentifier else { return nil }
                end = lexer.position
                token = lexer.next()
            }
            // `name *` has no alias either.
            if token == .operation { return nil }
            places[start] = Place(range: start..<end, isTableCommand: isBehindTable)
            isBehindTable = false
        }
        return places
    }

    private static func isTable(_ word: Slice<UnsafeRawBufferPointer>) -> Bool {
        word.count == 5 && zip(word, "table".utf8).allSatisfy { $0 | 0x20 == $1 }
    }
}
