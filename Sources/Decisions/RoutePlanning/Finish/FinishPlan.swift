package import PGTypes
internal import SQLSyntax
package import ShardModel

/// A SELECT whose answer the home shard makes of rows that are brought to it.
///
/// The rows of the sharded tables that it names come from every shard into temporary tables of one session of the home shard's; there PostgreSQL runs the statement's own
/// text, in which those tables are named instead. So whatever it says, it is said of all rows.
package struct FinishPlan: Hashable, Sendable {
    /// In the order of their numbers, which are those of the temporary tables.
    package var sharded: [FetchedTable]
    /// Reference tables, numbered behind them. They are read where they are, but in a transaction, which may have written them in another session.
    package var references: [FetchedTable]
    /// The statement's text with the sharded tables replaced.
    package var text: [UInt8]
    /// With the reference tables replaced, too.
    package var textInTransaction: [UInt8]
    /// It asks for the transaction's time: it cannot run in another session than the transaction's.
    package var readsClock: Bool
    package var output = Output.rows

    /// What the client gets of the home shard.
    package enum Output: Hashable, Sendable {
        case rows
        /// `COPY (query) TO STDOUT`: what PostgreSQL makes of them.
        case copy
        /// EXPLAIN. `runs`: of the statement as it has run over the rows; else over empty tables.
        case plan(runs: Bool)
    }
    /// Rows are brought at all.
    package var fetches: Bool { output != .plan(runs: false) }

    /// The same with the key among what is brought of each sharded table. A column that is not named cannot be meant.
    package var withKeys: FinishPlan {
        var plan = self
        for (number, table) in plan.sharded.enumerated() {
            if let key = table.key, !table.columns.contains(key.column) { plan.sharded[number].columns.append(key.column) }
        }
        return plan
    }

    /// The temporary tables that there are.
    package func tables(inTransaction: Bool) -> [FetchedTable] { inTransaction ? sharded + references : sharded }
    package func text(inTransaction: Bool) -> [UInt8] { inTransaction ? textInTransaction : text }
}

/// A table whose rows are brought to the home shard.
package struct FetchedTable: Hashable, Sendable {
    package var name: QualifiedName
    /// Those that the statement may name, in the table's order; never none.
    package var columns: [String]
    /// By which the statement may group, so that other columns depend on it.
    package var primaryKey: [String] = []
    /// In the words of SQL, about the columns of `t`: rows that do not meet all of them are not needed.
    package var conditions: [String] = []
    /// Of a sharded table: its key.
    package var key: (column: String, type: KeyType)? {
        get { keyColumn.flatMap { column in keyType.map { (column, $0) } } }
        set { (keyColumn, keyType) = (newValue?.column, newValue?.type) }
    }
    private var keyColumn: String?
    private var keyType: KeyType?
    /// Some column's binary form holds numbers of types that each shard has for itself: its rows go as text.
    package var isText = false

    init(name: QualifiedName, columns: [String]) {
        self.name = name
        self.columns = columns
    }

    /// Its name in the home shard's session.
    static func temporary(_ number: Int) -> String { "pgmosaic_f\(number + 1)" }
    static let temporaryPrefix = "pgmosaic_f"

    /// Behind SELECT and its list.
    var source: String { "FROM \(quotedName) AS t" + (conditions.isEmpty ? "" : " WHERE \(conditions.joined(separator: " AND "))") }

    var quotedName: String { "\(quoteIdentifier(name.schema)).\(quoteIdentifier(name.name))" }
}

// MARK: The statements of the router's own

extension FinishPlan {
    /// Makes the temporary tables, with the rows that the session itself sees or none.
    package func definitions(inTransaction: Bool, fillsThem: Bool) -> String {
        tables(inTransaction: inTransaction).enumerated().map { number, table in
            let columns = table.columns.map { "t.\(quoteIdentifier($0))" }.joined(separator: ", ")
            return "CREATE TEMPORARY TABLE \(FetchedTable.temporary(number)) ON COMMIT DROP AS SELECT \(columns) \(table.source) WITH \(fillsThem ? "" : "NO ")DATA"
        }.joined(separator: "; ")
    }

    /// How many bytes they take up on the home shard.
    package func sizeQuery(inTransaction: Bool) -> String {
        let sizes = tables(inTransaction: inTransaction).indices.map { "pg_catalog.pg_table_size('pg_temp.\(FetchedTable.temporary($0))')" }
        return "SELECT \(sizes.joined(separator: " OPERATOR(pg_catalog.+) "))"
    }

    /// Takes rows into one of the tables.
    package func copy(into number: Int, isText: Bool) -> String {
        "COPY pg_temp.\(FetchedTable.temporary(number)) FROM STDIN (FORMAT \(isText ? "text, ENCODING 'UTF8'" : "binary"))"
    }

    /// What the tables still need before they are read.
    package func preparations(inTransaction: Bool) -> [String] {
        var statements: [String] = []
        for (number, table) in tables(inTransaction: inTransaction).enumerated() {
            if !table.primaryKey.isEmpty {
                statements.append("ALTER TABLE pg_temp.\(FetchedTable.temporary(number)) ADD PRIMARY KEY (\(table.primaryKey.map(quoteIdentifier).joined(separator: ", ")))")
            }
            // PostgreSQL plans for a table that has grown since, where it is not told that it is empty.
            if fetches { statements.append("ANALYZE pg_temp.\(FetchedTable.temporary(number))") }
        }
        return statements + ["SET TRANSACTION READ ONLY"]
    }

    /// Gives all rows of these tables (numbers among `tables(inTransaction:)`) as one snapshot has them: the number of the row's table as int2, and the
    /// columns of every table, those of the others being NULL.
    package func fetch(_ numbers: [Int], inTransaction: Bool) -> String {
        let tables = tables(inTransaction: inTransaction)
        let arms = numbers.map { number in
            let columns = numbers.flatMap { other in
                // A NULL of the column's type, whatever that is.
                tables[other].columns.map { other == number ? "t.\(quoteIdentifier($0))" : "(NULL::\(tables[other].quotedName)).\(quoteIdentifier($0))" }
            }
            return "SELECT \((["\(number)::pg_catalog.int2"] + columns).joined(separator: ", ")) \(tables[number].source)"
        }
        return arms.joined(separator: " UNION ALL ")
    }
}
