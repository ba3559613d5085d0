/// The values of an INSERT … VALUES, or DEFAULT VALUES, as pieces of its text, so that a column can be given other values, or be given one at all.
///
/// Found by scanning tokens, because the parse tree does not say where an expression ends; whoever makes a statement of it looks at that statement's tree.
package struct InsertCells: Hashable, Sendable {
    private let text: [UInt8]
    /// The column list with its parentheses; nil: there is none.
    private let list: Range<Int>?
    /// Where a column list would stand: before OVERRIDING, or before `values`.
    private let listPlace: Int
    /// The word VALUES, or both of DEFAULT VALUES.
    private let values: Range<Int>
    private let rows: [Row]
    private let parameters: [Parameter]

    private struct Parameter: Hashable {
        var number: Int
        var place: Range<Int>
    }

    private struct Row: Hashable {
        var cells: [Range<Int>]
        /// Its closing parenthesis.
        var close: Int
    }

    /// What a column is given in one row.
    package struct Value: Hashable, Sendable {
        package var row: Int
        package var text: [UInt8]

        package init(row: Int, text: [UInt8]) { (self.row, self.text) = (row, text) }
    }

    /// - rows: how many the parse tree has; 0: DEFAULT VALUES.
    ///
    /// nil: the pieces cannot be told apart with certainty.
    package init?(_ text: [UInt8], rows count: Int, hasColumns: Bool) {
        guard let found = text.withUnsafeBytes({ Scan($0, rows: count) }), (found.groups.count == 1) == hasColumns, found.groups.count <= 1 else { return nil }
        self.text = text
        list = found.groups.first
        (listPlace, values, rows, parameters) = (found.listPlace, found.values, found.rows, found.parameters)
    }

    /// The highest number of a parameter; 0: there is none.
    package var parameterMax: Int { parameters.map(\.number).max() ?? 0 }

    /// Some parameter stands in more than one place.
    package func repeatsAParameter(among numbers: (Int) -> Bool) -> Bool {
        let found = parameters.map(\.number).filter(numbers)
        return Set(found).count < found.count
    }

    /// The numbers of a value's parameters, in its order.
    package func parameters(row: Int, place: Int) -> [Int] { within(rows[row].cells[place]).map(\.number) }

    /// A value's text, with other numbers for its parameters.
    package func text(row: Int, place: Int, numbering: (Int) -> Int) -> [UInt8] {
        let cell = rows[row].cells[place]
        var (result, copied): ([UInt8], Int) = ([], cell.lowerBound)
        for parameter in within(cell) {
            result += text[copied..<parameter.place.lowerBound]
            result += "$\(numbering(parameter.number))".utf8
            copied = parameter.place.upperBound
        }
        return result + text[copied..<cell.upperBound]
    }

    private func within(_ range: Range<Int>) -> [Parameter] { parameters.filter { range.contains($0.place.lowerBound) } }

    /// The statement with these values at `place`; nil: of a column more, in every row.
    ///
    /// - names: what the column list gets: the added column, or all of them where there is no list. nil: it stays as it is.
    package func statement(_ new: [Value], at place: Int?, names: [String]?, overridesIdentity: Bool) -> [UInt8] {
        var edits: [(place: Range<Int>, text: [UInt8])] = []
        let names = names.map { $0.map(quoteIdentifier).joined(separator: ", ") }
        if let names, let list {
            edits.append((list.upperBound - 1..<list.upperBound - 1, Array(", \(names)".utf8)))
        } else if let names {
            edits.append((listPlace..<listPlace, Array(" (\(names)) ".utf8)))
        }
        if overridesIdentity { edits.append((values.lowerBound..<values.lowerBound, Array(" OVERRIDING SYSTEM VALUE ".utf8))) }
        if rows.isEmpty {
            edits.append((values, Array("VALUES (".utf8) + new.flatMap(\.text) + Array(")".utf8)))
        } else {
            for value in new {
                if let place {
                    edits.append((rows[value.row].cells[place], value.text))
                } else {
                    edits.append((rows[value.row].close..<rows[value.row].close, Array(", ".utf8) + value.text))
                }
            }
        }
        var (result, copied): ([UInt8], Int) = ([], 0)
        for edit in edits.enumerated().sorted(by: { ($0.element.place.lowerBound, $0.offset) < ($1.element.place.lowerBound, $1.offset) }).map(\.element) {
            result += text[copied..<edit.place.lowerBound]
            result += edit.text
            copied = edit.place.upperBound
        }
        return result + text[copied...]
    }

    // MARK: Scanning

    private struct Scan {
        /// In parentheses before the values.
        var groups: [Range<Int>] = []
        var listPlace = 0
        var values = 0..<0
        var rows: [Row] = []
        var parameters: [Parameter] = []

        init?(_ bytes: UnsafeRawBufferPointer, rows count: Int) {
            var lexer = SQLLexer(bytes)
            var (depth, open, isFound) = (0, 0, false)
            // The words right before, one behind the other.
            var words: [Range<Int>] = []
            scanning: while true {
                let token = lexer.next()
                let place = lexer.start..<lexer.position
                switch token {
                case .end: break scanning
                case .doubtful: return nil
                case .open:
                    if depth == 0 { open = place.lowerBound }
                    depth += 1
                case .close:
                    depth -= 1
                    if depth == 0, !isFound { groups.append(open..<place.upperBound) }
                case .word where depth == 0 && SQLLexer.equal(bytes[place], "values"):
                    guard let found = count == 0 ? [] : Self.rows(lexer), found.count == count else { break }
                    // More than one place for the values: one of them is a name or a column.
                    if isFound { return nil }
                    var start = place.lowerBound
                    if count == 0 {
                        guard let word = words.popLast(), SQLLexer.equal(bytes[word], "default") else { break }
                        start = word.lowerBound
                    }
                    (isFound, rows, values) = (true, found, start..<place.upperBound)
                    listPlace = Self.overriding(words.suffix(3), bytes) ?? start
                case .parameter:
                    guard let number = Int(String(decoding: bytes[(place.lowerBound + 1)..<place.upperBound], as: UTF8.self)) else { return nil }
                    parameters.append(Parameter(number: number, place: place))
                default: break
                }
                if token == .word { words.append(place) } else { words.removeAll() }
            }
            guard isFound, depth == 0 else { return nil }
        }

        /// Where OVERRIDING SYSTEM VALUE begins, if these words are it.
        private static func overriding(_ words: ArraySlice<Range<Int>>, _ bytes: UnsafeRawBufferPointer) -> Int? {
            guard words.count == 3, let first = words.first, let last = words.last, SQLLexer.equal(bytes[first], "overriding"), SQLLexer.equal(bytes[last], "value") else { return nil }
            return first.lowerBound
        }

        /// The groups in parentheses that follow, separated by commas, each taken apart at its own commas.
        private static func rows(_ lexer: SQLLexer) -> [Row]? {
            var lexer = lexer
            var rows: [Row] = []
            repeat {
                guard lexer.next() == .open else { return nil }
                var row = Row(cells: [], close: 0)
                var (depth, start) = (1, lexer.position)
                while depth > 0 {
                    switch lexer.next() {
                    case .open: depth += 1
                    case .close: depth -= 1
                    case .comma where depth == 1:
                        row.cells.append(start..<lexer.start)
                        start = lexer.position
                    case .end, .doubtful: return nil
                    default: break
                    }
                }
                row.cells.append(start..<lexer.start)
                row.close = lexer.start
                rows.append(row)
            } while lexer.next() == .comma
            return rows
        }
    }
}
