/// A Swift text taken apart, so that a rule about code finds no match in a comment or a string.
///
/// Each part is as long as the text, with blanks where another part stands. Everything here works on bytes: it reads the whole
/// of `Sources/` in a debug build.
struct SwiftCode {
    /// Without comments, and without what strings contain (interpolated expressions are code).
    let code: Text
    /// Comments alone.
    let comments: Text
    /// Code with its strings, without comments.
    let withoutComments: Text

    init(_ text: String) {
        var splitter = Splitter(Array(text.utf8))
        splitter.splitCode(insideParentheses: false)
        (code, comments, withoutComments) = (Text(splitter.code), Text(splitter.comments), Text(splitter.withStrings))
    }

    struct Text {
        private let bytes: [UInt8]
        /// The range of each line, without its newline.
        private let lines: [Range<Int>]

        fileprivate init(_ bytes: [UInt8]) {
            self.bytes = bytes
            var lines: [Range<Int>] = []
            var start = 0
            for index in bytes.indices where bytes[index] == 0x0A {
                lines.append(start..<index)
                start = index + 1
            }
            if start < bytes.count { lines.append(start..<bytes.count) }
            self.lines = lines
        }

        var string: String { String(decoding: bytes, as: UTF8.self) }
        var lineCount: Int { lines.count }

        /// `number` counts from 1.
        func line(_ number: Int) -> String { String(decoding: bytes[lines[number - 1]], as: UTF8.self) }

        /// The numbers of the lines that contain `word`, in order.
        func lines(containing word: String) -> [Int] {
            let word = Array(word.utf8)
            return lines.indices.filter { Self.contains(word, bytes, lines[$0]) }.map { $0 + 1 }
        }

        private static func contains(_ word: [UInt8], _ bytes: [UInt8], _ range: Range<Int>) -> Bool {
            var index = range.lowerBound
            while index + word.count <= range.upperBound {
                if bytes[index] == word[0], bytes[index..<(index + word.count)].elementsEqual(word) { return true }
                index += 1
            }
            return false
        }
    }
}

private struct Splitter {
    private let text: [UInt8]
    private var position = 0
    private(set) var code: [UInt8]
    private(set) var comments: [UInt8]
    private(set) var withStrings: [UInt8]

    init(_ text: [UInt8]) {
        self.text = text
        let blank = text.map { $0 == 0x0A ? $0 : 0x20 }
        (code, comments, withStrings) = (blank, blank, blank)
    }

    // MARK: Parts

    private mutating func keepCode(from start: Int) {
        code.replaceSubrange(start..<position, with: text[start..<position])
        keepString(from: start)
    }

    private mutating func keepString(from start: Int) {
        withStrings.replaceSubrange(start..<position, with: text[start..<position])
    }

    private mutating func keepComment(from start: Int) {
        comments.replaceSubrange(start..<position, with: text[start..<position])
    }

    // MARK: Scanning

    private func byte(_ offset: Int) -> Character? {
        position + offset < text.count ? Character(UnicodeScalar(text[position + offset])) : nil
    }

    private func areQuotes(_ count: Int) -> Bool { (0..<count).allSatisfy { byte($0) == "\"" } }

    private func areHashes(after offset: Int, _ count: Int) -> Bool { (0..<count).allSatisfy { byte(offset + $0) == "#" } }

    /// Up to the end, or up to the bracket that closes an interpolation.
    mutating func splitCode(insideParentheses: Bool) {
        var depth = 0
        var start = position
        while position < text.count {
            switch text[position] {
            case UInt8(ascii: "/") where byte(1) == "/" || byte(1) == "*":
                keepCode(from: start)
                if byte(1) == "/" { splitLineComment() } else { splitBlockComment() }
                start = position
            case UInt8(ascii: "\""):
                keepCode(from: start)
                splitString(hashes: text[start..<position].reversed().prefix { $0 == UInt8(ascii: "#") }.count)
                start = position
            case UInt8(ascii: "("):
                depth += 1
                position += 1
            case UInt8(ascii: ")"):
                position += 1
                depth -= 1
                if insideParentheses, depth < 0 { return keepCode(from: start) }
            default:
                position += 1
            }
        }
        keepCode(from: start)
    }

    private mutating func splitLineComment() {
        let start = position
        while position < text.count, text[position] != 0x0A { position += 1 }
        keepComment(from: start)
    }

    private mutating func splitBlockComment() {
        let start = position
        var depth = 0
        repeat {
            if byte(0) == "/", byte(1) == "*" {
                depth += 1
                position += 2
            } else if byte(0) == "*", byte(1) == "/" {
                depth -= 1
                position += 2
            } else {
                position += 1
            }
        } while depth > 0 && position < text.count
        keepComment(from: start)
    }

    /// From the opening quote on; `hashes` stand before it.
    private mutating func splitString(hashes: Int) {
        let quotes = areQuotes(3) ? 3 : 1
        var start = position
        position += quotes
        keepCode(from: start)
        start = position
        while position < text.count {
            switch text[position] {
            case UInt8(ascii: "\\") where areHashes(after: 1, hashes):
                position += 1 + hashes
                guard byte(0) == "(" else {
                    position = min(position + 1, text.count)
                    continue
                }
                position += 1
                keepString(from: start)
                splitCode(insideParentheses: true)
                start = position
            case UInt8(ascii: "\"") where areQuotes(quotes) && areHashes(after: quotes, hashes):
                keepString(from: start)
                start = position
                position += quotes + hashes
                return keepCode(from: start)
            case 0x0A where quotes == 1:
                return keepString(from: start)
            default:
                position += 1
            }
        }
        keepString(from: start)
    }
}
