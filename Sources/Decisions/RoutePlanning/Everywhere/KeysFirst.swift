package import PGTypes
package import SQLSyntax

/// An INSERT … VALUES whose shard keys are not given as values: one shard works them out, and the statement is made anew with them in their place
/// (docs/decisions/0094-keys-are-worked-out-first.md).
///
/// It names places and not texts, so that it fits every statement of the shape, but for what its keys' own expressions hold.
package struct KeysFirst: Hashable, Sendable {
    /// The key of one row.
    package struct Key: Hashable, Sendable {
        package var row: Int
        /// The column's default; nil: what stands in the row.
        package var standard: [UInt8]?
    }

    /// Of VALUES; 0: DEFAULT VALUES.
    package var rowCount: Int
    package var hasColumns: Bool
    /// The key's among the values of a row; nil: it is not among them.
    package var place: Int?
    /// Columns that the statement must name besides.
    package var names: [String]?
    package var overridesIdentity: Bool
    /// Those that are worked out, row by row.
    package var keys: [Key]
    package var type: KeyType
    package var typeOID: UInt32
    /// The client's, one for each parameter of its statement.
    package var parameterTypes: [UInt32]

    private func cells(_ text: [UInt8]) -> InsertCells? { InsertCells(text, rows: rowCount, hasColumns: hasColumns) }

    /// What gives the keys, a row each, and which of the client's parameters it takes, by their numbers. nil: the text is another one than it was planned for.
    package func question(_ text: [UInt8]) -> (text: [UInt8], parameters: [Int])? {
        guard let cells = cells(text) else { return nil }
        var numbers: [Int] = []
        var question = Array("VALUES ".utf8)
        for (index, key) in keys.enumerated() {
            let expression =
                key.standard
                ?? cells.text(row: key.row, place: place ?? 0) { old in
                    if let known = numbers.firstIndex(of: old) { return known + 1 }
                    numbers.append(old)
                    return numbers.count
                }
            // A comment may end the expression.
            question += Array(index == 0 ? "(".utf8 : ", (".utf8) + expression + Array("\n)".utf8)
        }
        return (question, numbers)
    }

    /// The statement with the keys, in the order of `keys`, as they are to stand in its text.
    package func statement(_ text: [UInt8], _ values: [[UInt8]]) -> [UInt8]? {
        guard values.count == keys.count, let cells = cells(text) else { return nil }
        return cells.statement(zip(keys, values).map { InsertCells.Value(row: $0.row, text: $1) }, at: place, names: names, overridesIdentity: overridesIdentity)
    }

    /// The same with parameters behind the client's own.
    package func statement(withParameters text: [UInt8]) -> [UInt8]? {
        statement(text, keys.indices.map { Array("$\(parameterTypes.count + $0 + 1)".utf8) })
    }

    /// The types of that statement's parameters.
    package var typesWithKeys: [UInt32] { parameterTypes + Array(repeating: typeOID, count: keys.count) }
}
