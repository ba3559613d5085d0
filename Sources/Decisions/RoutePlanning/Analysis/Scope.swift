internal import ShardModel
internal import SQLSyntax

/// A column as a query level shows it to the ones around it.
struct OutputColumn {
    var name: String
    /// nil: an expression, or a type without a rule.
    var slot: Slot?
    /// 0: not known.
    var typeOID: UInt32 = 0
    /// From the side of an outer join that is filled up with NULLs: in the rows that come out it may have no value at all.
    var isNullable = false
}

/// One entry of a FROM list.
struct RangeEntry {
    /// The name by which columns are qualified: the alias, else the table's name.
    var name: String
    /// The table, where it was named without an alias: `schema.table.column` is then allowed.
    var table: QualifiedName?
    var columns: [OutputColumn]
    /// False: it may have columns that are not listed (functions, expressions without a name).
    var isComplete = true
    var isReference = false
    /// A subquery or WITH query.
    var isDerived = false
    /// The alias of a USING clause: its columns are those of the join, which are found without it.
    var isMergedOnly = false

    /// Applies `AS t(a, b)`.
    mutating func rename(_ names: [String]) {
        guard !names.isEmpty else { return }
        guard isComplete else {
            // Positions are not known, so neither is which column gets which name.
            columns = names.map { OutputColumn(name: $0, slot: nil) }
            return
        }
        for (index, name) in names.enumerated() where index < columns.count { columns[index].name = name }
    }
}

/// The names one query level can see: its FROM list, its CTEs, and the levels around it.
final class Scope {
    let parent: Scope?
    /// A subquery in FROM without LATERAL sees the CTEs of the level around it, not its tables.
    let skipsParentEntries: Bool
    /// The left side of a JOIN, which only LATERAL items on its right see.
    let isJoin: Bool
    /// The recursive WITH query whose body's scope is just below.
    var recursiveCandidate: CommonTable?
    var entries: [RangeEntry] = []
    /// What `*` stands for.
    var star: [OutputColumn] = []
    /// Columns merged by USING and NATURAL; they hide the two they are made of.
    var merged: [String: OutputColumn] = [:]
    var ctes: [String: CommonTable] = [:]

    init(parent: Scope?, skipsParentEntries: Bool = false, isJoin: Bool = false) {
        self.parent = parent
        self.isJoin = isJoin
        self.skipsParentEntries = skipsParentEntries
    }

    func commonTable(_ name: String) -> CommonTable? {
        var scope: Scope? = self
        while let current = scope {
            if let found = current.ctes[name] { return found }
            scope = current.parent
        }
        return nil
    }

    private var next: Scope? {
        guard skipsParentEntries else { return parent }
        var skipped = parent
        while let join = skipped, join.isJoin { skipped = join.parent }
        return skipped?.next
    }

    /// The column that `fields` names, as PostgreSQL would find it; nil where that is not certain.
    func column(_ fields: [String]) -> OutputColumn? {
        var scope: Scope? = self
        while let current = scope {
            switch fields.count {
            case 1:
                switch current.unqualified(fields[0]) {
                case .found(let column): return column
                case .uncertain: return nil
                case .absent: break
                }
            case 2:
                if let entry = current.entries.first(where: { $0.name == fields[0] }) {
                    return entry.columns.first { $0.name == fields[1] }
                }
            case 3:
                let table = QualifiedName(schema: fields[0], name: fields[1])
                if let entry = current.entries.first(where: { $0.table == table }) {
                    return entry.columns.first { $0.name == fields[2] }
                }
            default:
                return nil
            }
            scope = current.next
        }
        return nil
    }

    private enum Lookup { case found(OutputColumn), uncertain, absent }

    private func unqualified(_ name: String) -> Lookup {
        if let column = merged[name] { return .found(column) }
        var found: OutputColumn?
        for entry in entries where !entry.isMergedOnly {
            for column in entry.columns where column.name == name {
                guard found == nil else { return .uncertain }
                found = column
            }
        }
        // Were the column one of those not listed, PostgreSQL would call the name ambiguous, or take that one.
        if let found { return .found(found) }
        return entries.contains { !$0.isComplete } ? .uncertain : .absent
    }
}

/// A WITH query. Its body is analysed once for each reference, as if written there: what binds one reference must not bind another.
final class CommonTable {
    let name: String
    let query: SQLNode
    let columnNames: [String]
    /// Where the body is looked at from.
    let scope: Scope
    let isRecursive: Bool
    var references = 0
    /// Set while the body of a recursive query is analysed, and for ever for a data-modifying one, whose body runs once.
    var output: QueryOutput?
    var isInProgress = false

    init(name: String, query: SQLNode, columnNames: [String], scope: Scope, isRecursive: Bool) {
        self.name = name
        self.query = query
        self.columnNames = columnNames
        self.scope = scope
        self.isRecursive = isRecursive
    }
}

/// What a query level gives to the one around it.
struct QueryOutput {
    var columns: [OutputColumn]
    /// Every column has its name.
    var isComplete = true
    /// Every column stands at its place (false after the `*` of something unknown).
    var isPositional = true
    /// A condition of the level around it on an output column is as good as a condition inside (no LIMIT, window, DISTINCT ON).
    var isTransparent = true
    /// The expressions behind the columns, where there is one each; empty otherwise.
    var expressions: [SQLNode?] = []
}
