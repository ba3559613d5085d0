package import LogicalReplication
package import ShardModel

/// The SQL by which a target does a change: the same text for all changes of one kind, so that it is prepared once.
package struct TargetStatement: Hashable, Sendable {
    package var text: String
    /// Text values and NULLs; the server takes the types from where they stand.
    package var parameters: [TupleValue]
    /// Each changes one row: another number means that the target does not have what the source had.
    package static let rowsExpected = 1

    /// - alwaysIdentity: the columns of the table that are GENERATED ALWAYS AS IDENTITY: an UPDATE may not set them. One that was changed all the same, to a
    ///   new DEFAULT, finds no row, and is an error.
    ///
    /// nil: a truncation, which is no single statement.
    package init?(_ change: RowChange, alwaysIdentity: Set<String> = []) {
        switch change {
        case .insert(let layout, let row):
            let values = (1...max(1, row.count)).map { "$\($0)" }.joined(separator: ", ")
            text = "INSERT INTO \(layout.table.quoted) (\(Self.list(layout.columns))) OVERRIDING SYSTEM VALUE VALUES (\(values))"
            parameters = row
        case .update(let layout, let identity, let row):
            var statement = TargetStatement(text: "", parameters: [])
            let set = layout.columns.indices.filter { row[$0] != .unchangedToast && !alwaysIdentity.contains(layout.columns[$0]) }
            let assignments = set.map { "\(quote(layout.columns[$0])) = \(statement.add(row[$0]))" }
            var condition = statement.condition(layout, identity)
            for position in layout.columns.indices where alwaysIdentity.contains(layout.columns[position]) && row[position] != .unchangedToast {
                condition += " AND \(quote(layout.columns[position])) = \(statement.add(row[position]))"
            }
            // Where nothing is to be set, the row must be there all the same.
            text = assignments.isEmpty ? "SELECT FROM \(layout.table.quoted) WHERE \(condition)"
                : "UPDATE \(layout.table.quoted) SET \(assignments.joined(separator: ", ")) WHERE \(condition)"
            parameters = statement.parameters
        case .delete(let layout, let identity):
            var statement = TargetStatement(text: "", parameters: [])
            let condition = statement.condition(layout, identity)
            text = "DELETE FROM \(layout.table.quoted) WHERE \(condition)"
            parameters = statement.parameters
        case .truncate: return nil
        }
    }

    private init(text: String, parameters: [TupleValue]) {
        self.text = text
        self.parameters = parameters
    }

    private mutating func add(_ value: TupleValue) -> String {
        parameters.append(value)
        return "$\(parameters.count)"
    }

    private mutating func condition(_ layout: RowLayout, _ identity: [TupleValue]) -> String {
        let pairs = zip(layout.identity, identity)
        if layout.isIdentityUnique {
            return pairs.map { "\(quote(layout.columns[$0])) = \(add($1))" }.joined(separator: " AND ")
        }
        // Compared as they are written: some types have no operator for it, and 0 would equal -0. One of the rows that are alike.
        let alike = pairs.map { position, value in
            let column = quote(layout.columns[position])
            return value == .null ? "\(column) IS NULL" : "\(column) IS NOT NULL AND pg_catalog.format('%s', \(column)) = \(add(value))"
        }
        return "ctid = (SELECT ctid FROM ONLY \(layout.table.quoted) WHERE \(alike.joined(separator: " AND ")) LIMIT 1)"
    }

    private static func list(_ names: [String]) -> String { names.map(quote).joined(separator: ", ") }
}

/// By scalars: a quote and a combining mark behind it are one `Character`, which is no quote.
func quote(_ name: String) -> String { "\"" + name.unicodeScalars.split(separator: "\"", omittingEmptySubsequences: false).map { String($0) }.joined(separator: "\"\"") + "\"" }

extension QualifiedName {
    /// As SQL text.
    package var quoted: String { "\(quote(schema)).\(quote(name))" }
}
