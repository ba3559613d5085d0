/// Rows as aligned text for a terminal.
struct TextTable {
    enum Alignment { case left, right }

    var headers: [String]
    var alignments: [Alignment]
    var rows: [[String]] = []

    init(_ headers: [String], right: Set<Int> = []) {
        self.headers = headers
        alignments = headers.indices.map { right.contains($0) ? .right : .left }
    }

    mutating func add(_ row: [String]) { rows.append(row) }

    var text: String {
        let cells = ([headers] + rows).map { $0.map(Self.printable) }
        let widths = headers.indices.map { column in cells.map { Self.width($0[column]) }.max() ?? 0 }
        return cells.map { row in
            let line = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - Self.width(cell))
                return alignments[column] == .right ? padding + cell : cell + padding
            }
            var text = line.joined(separator: "  ")
            while text.hasSuffix(" ") { text.removeLast() }
            return text
        }.joined(separator: "\n")
    }

    /// Control characters made visible: a terminal must not be driven by a row's values.
    static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where isControl(scalar):
                let digits = String(scalar.value, radix: 16)
                result += "\\x" + (digits.count == 1 ? "0" : "") + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar.properties.generalCategory == .format
    }

    /// Columns of a terminal: East Asian wide characters take two.
    static func width(_ text: String) -> Int {
        text.reduce(0) { sum, character in
            guard let first = character.unicodeScalars.first else { return sum }
            let isWide = wide.contains { $0.contains(first.value) } || first.properties.isEmojiPresentation
            return sum + (isWide ? 2 : 1)
        }
    }

    /// The wide blocks of Unicode's East Asian Width, coarsely.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
        0xFFE0...0xFFE6, 0x20000...0x3FFFD,
    ]
}

/// A list of names with a value each, for one thing.
enum TextFields {
    static func text(_ fields: [(name: String, value: String)]) -> String {
        let width = fields.map(\.name.count).max() ?? 0
        return fields.map { field in
            "\(field.name)\(String(repeating: " ", count: width - field.name.count))  \(TextTable.printable(field.value))"
        }.joined(separator: "\n")
    }
}
