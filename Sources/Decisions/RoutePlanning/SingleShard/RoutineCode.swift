/// The body of a function, a procedure or a DO block, judged by its words: whether running it may leave something in the server session that
/// lasts beyond the transaction, or tell of something that an earlier one has left.
///
/// All words count, those in comments and in strings too, so that no way of quoting hides one. What is called harmless is harmless; what is not may
/// be.
struct RoutineCode {
    /// In lower case.
    let words: Set<String>
    /// Apart from what it calls.
    let isSuspicious: Bool
    /// In lower case.
    private let text: String

    init(_ source: String) {
        text = source.lowercased()
        var words: Set<String> = []
        var isSuspicious = false
        let bytes = Array(source.utf8)
        var position = 0
        // Of the word before, its place; of the byte before, blanks left out, too.
        var previous = ("", end: 0)
        while position < bytes.count {
            guard Self.isLetter(bytes[position]) else {
                // A name may be written with escapes: U&"\0073et_config".
                if bytes[position] == UInt8(ascii: "&"), previous.0 == "u", previous.end == position { isSuspicious = true }
                position += 1
                continue
            }
            let start = position
            while position < bytes.count, Self.isLetter(bytes[position]) || Self.isDigit(bytes[position]) { position += 1 }
            let word = String(decoding: bytes[start..<position], as: UTF8.self).lowercased()
            if Self.marks.contains(word) || word.hasPrefix("pg_temp") { isSuspicious = true }
            if word == "set", Self.beginsStatement(bytes, at: start, after: previous) { isSuspicious = true }
            words.insert(word)
            previous = (word, position)
        }
        self.words = words
        self.isSuspicious = isSuspicious
    }

    /// Whether its text has an operator, or what looks like one.
    func mentions(operator name: String) -> Bool { text.contains(name) }
    func mentions(name: String) -> Bool { text.contains(name) }

    /// Text run as SQL; temporary objects; what LISTEN, PREPARE, LOAD, RESET, DISCARD and cursors WITH HOLD leave or tell of.
    private static let marks: Set<String> = [
        "execute", "temp", "temporary", "listen", "unlisten", "prepare", "deallocate", "load", "reset", "discard", "hold", "currval", "lastval",
        "pg_prepared_statements", "pg_settings",
    ]

    /// SET is a statement where it stands behind the end of another one, or behind what may begin a list of them; elsewhere it is UPDATE's. Where a
    /// comment comes between, it is taken for a statement.
    private static func beginsStatement(_ bytes: [UInt8], at start: Int, after previous: (String, end: Int)) -> Bool {
        let between = bytes[previous.end..<start]
        if between.contains(where: { !isBlank($0) && $0 != UInt8(ascii: "\"") }) || previous.end == 0 { return true }
        if ["begin", "then", "else", "loop", "atomic"].contains(previous.0) { return true }
        guard between.contains(where: { $0 == 10 || $0 == 13 }) else { return false }
        // The word before may stand in a comment that ends with its line.
        let line = bytes[..<previous.end].reversed().prefix { $0 != 10 && $0 != 13 }
        return zip(line, line.dropFirst()).contains { $0 == UInt8(ascii: "-") && $1 == UInt8(ascii: "-") }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z") || byte == UInt8(ascii: "_") || byte >= 0x80
    }
    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || byte == UInt8(ascii: "$") }
    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte >= 9 && byte <= 13 }
}
