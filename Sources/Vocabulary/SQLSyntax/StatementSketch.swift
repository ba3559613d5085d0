/// A statement's text for people to read, with `?` for each literal and without comments, which may hold values, too: what an audit trail keeps.
///
/// Unlike `StatementShape` it takes any text. Where the lexer is not sure what is a literal, the sketch ends with "…".
package enum StatementSketch {
    /// At most so many bytes, and "…" where there were more.
    package static func sketch(of text: UnsafeRawBufferPointer, bytesMax: Int = 1000) -> String {
        var lexer = SQLLexer(text)
        var result: [UInt8] = []
        var end = 0
        let ellipsis = Array("…".utf8)
        while true {
            let token = lexer.next()
            if token == .end { break }
            if lexer.start > end, !result.isEmpty { result.append(UInt8(ascii: " ")) }
            let bytes = text[lexer.start..<lexer.position]
            switch token {
            case .integer, .decimal, .prefixedString: result.append(UInt8(ascii: "?"))
            case .string:
                result.append(UInt8(ascii: "?"))
                // With standard_conforming_strings off it would not end here, and what follows would be a part of it.
                if bytes.count > 2, bytes[bytes.endIndex - 2] == UInt8(ascii: "\\") { return String(decoding: result + ellipsis, as: UTF8.self) }
            case .doubtful: return String(decoding: result + ellipsis, as: UTF8.self)
            default: result += bytes
            }
            end = lexer.position
            guard result.count <= bytesMax else {
                // Whole characters only.
                var length = bytesMax
                while length > 0, result[length] & 0xC0 == 0x80 { length -= 1 }
                return String(decoding: result[..<length] + ellipsis, as: UTF8.self)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
