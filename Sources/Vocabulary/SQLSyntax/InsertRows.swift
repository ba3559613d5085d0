/// The rows of an INSERT … VALUES as pieces of its text, so that some of them can be inserted without the others.
///
/// Found by scanning tokens, because the parse tree does not say where a row ends; the number of rows, which the tree knows, decides whether what was
/// found is right.
package struct InsertRows: Hashable, Sendable {
    private let text: [UInt8]
    /// Each with its parentheses.
    private let rows: [Range<Int>]
    private let parameters: [Parameter]

    private struct Parameter: Hashable {
        var number: Int
        var place: Range<Int>
    }

    /// nil: the rows cannot be told apart with certainty.
    package init?(_ text: [UInt8], count: Int) {
        let found = text.withUnsafeBytes { Self.scan($0, count: count) }
        guard let found else { return nil }
        self.text = text
        (rows, parameters) = found
    }

    /// Some parameter stands in more than one place, so that the first of them to stand in a part may have another type.
    package func repeatsAParameter(among numbers: (Int) -> Bool) -> Bool {
        var seen: Set<Int> = []
        for parameter in parameters where numbers(parameter.number) {
            if !seen.insert(parameter.number).inserted { return true }
        }
        return false
    }

    /// The statement with the chosen rows only, in the given order, and the numbers (from 1) of the parameters that it still needs: its
    /// own are numbered anew in that order.
    package func statement(with chosen: [Int]) -> (text: [UInt8], parameters: [Int]) {
        var result = Renumbering()
        result.append(text, 0..<rows[0].lowerBound, parameters)
        for (position, row) in chosen.enumerated() {
            if position > 0 { result.text.append(0x2c) }
            result.append(text, rows[row], parameters)
        }
        result.append(text, rows[rows.count - 1].upperBound..<text.count, parameters)
        return (result.text, result.numbers)
    }

    private struct Renumbering {
        var text: [UInt8] = []
        var numbers: [Int] = []
        private var new: [Int: Int] = [:]

        mutating func append(_ source: [UInt8], _ range: Range<Int>, _ parameters: [Parameter]) {
            var copied = range.lowerBound
            // In text order, so that the first one inside is found by halves.
            var index = parameters.partitioningIndex { $0.place.lowerBound >= range.lowerBound }
            while index < parameters.count, parameters[index].place.lowerBound < range.upperBound {
                let parameter = parameters[index]
                text += source[copied..<parameter.place.lowerBound]
                text += Array("$\(number(parameter.number))".utf8)
                copied = parameter.place.upperBound
                index += 1
            }
            text += source[copied..<range.upperBound]
        }

        private mutating func number(_ old: Int) -> Int {
            if let known = new[old] { return known }
            numbers.append(old)
            new[old] = numbers.count
            return numbers.count
        }
    }

    // MARK: Scanning

    private static func scan(_ bytes: UnsafeRawBufferPointer, count: Int) -> (rows: [Range<Int>], parameters: [Parameter])? {
        var lexer = SQLLexer(bytes)
        var depth = 0
        var found: [[Range<Int>]] = []
        var parameters: [Parameter] = []
        while true {
            switch lexer.next() {
            case .end:
                // More than one place for the rows: one of them is a name or a column.
                guard found.count == 1, let rows = found.first else { return nil }
                return (rows, parameters)
            case .doubtful: return nil
            case .open: depth += 1
            case .close: depth -= 1
            case .word where depth == 0 && isValues(bytes, lexer):
                if let rows = rowsAhead(lexer), rows.count == count { found.append(rows) }
            case .parameter:
                let digits = bytes[(lexer.start + 1)..<lexer.position]
                guard let number = Int(String(decoding: digits, as: UTF8.self)) else { return nil }
                parameters.append(Parameter(number: number, place: lexer.start..<lexer.position))
            default: break
            }
        }
    }

    private static func isValues(_ bytes: UnsafeRawBufferPointer, _ lexer: SQLLexer) -> Bool {
        SQLLexer.equal(bytes[lexer.start..<lexer.position], "values")
    }

    /// The groups in parentheses that follow, separated by commas.
    private static func rowsAhead(_ lexer: SQLLexer) -> [Range<Int>]? {
        var lexer = lexer
        var rows: [Range<Int>] = []
        repeat {
            guard lexer.next() == .open else { return nil }
            let start = lexer.start
            var depth = 1
            while depth > 0 {
                switch lexer.next() {
                case .open: depth += 1
                case .close: depth -= 1
                case .end, .doubtful: return nil
                default: break
                }
            }
            rows.append(start..<lexer.position)
        } while lexer.next() == .comma
        return rows
    }
}

extension Array {
    /// The first index whose element is in the second part; the elements are sorted so that those of the first part come first.
    fileprivate func partitioningIndex(where isInSecond: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isInSecond(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
