internal import CPGQuery
internal import SQLSyntax
internal import ShardModel

/// Whether each shard can run an INSERT … SELECT for its own keys: its rows keep the key of the table that they come from (`WriteRule.rowsInserted`).
struct InsertedRowsPlanner {
    private let analyzer: QueryAnalyzer
    private let insert: UnsafeMutablePointer<PgQuery__InsertStmt>
    private let source: GatherPlanner

    /// nil: not so.
    static func plan(_ statement: SQLNode, _ analyzer: QueryAnalyzer) -> EveryKey? {
        guard statement.kind == PG_QUERY__NODE__NODE_INSERT_STMT, let select = analyzer.sourceSelect, let scope = analyzer.sourceScope else { return nil }
        let planner = InsertedRowsPlanner(analyzer: analyzer, insert: statement.pointee.insert_stmt, source: GatherPlanner(analyzer: analyzer, select: select, scope: scope))
        guard planner.hasNoOtherEffect, planner.isTheSameEverywhere, planner.staysOnItsShard, (try? MomentReader(statement, analyzer).use()) != nil else { return nil }
        return EveryKey(rule: .rowsInserted, clockParameters: source(analyzer))
    }

    private static func source(_ analyzer: QueryAnalyzer) -> [Int] { GatherPlanner.clockParameters(analyzer.findings) }

    private var hasNoOtherEffect: Bool {
        analyzer.findings.writesShardedOnly && analyzer.readsTablesOnly && WritingWith(analyzer).isForEachKey(insert.pointee.with_clause)
            && WritingWith.onlyReads(source.select.pointee.with_clause)
    }

    /// Values of the moment and of chance are a row's own where nothing but the rows of one table is looked at. A subquery's, or those of a function in FROM, one PostgreSQL
    /// makes once for all rows. The defaults of columns are made for each row.
    private var isTheSameEverywhere: Bool {
        let findings = analyzer.findings
        guard !findings.usesRowsInOrderBelow || findings.references.isEmpty else { return false }
        guard findings.differsBesideMoments else { return true }
        let from = NodeList(source.select.pointee.n_from_clause, source.select.pointee.from_clause)
        return !findings.differsByServer && !findings.callsSetFunction && analyzer.queries == 2 && from.count == 1 && from[0].kind == PG_QUERY__NODE__NODE_RANGE_VAR
    }

    /// The rows are those of a table, or groups of its keys, and go into another under the same key; a longer text could be cut to another key.
    private var staysOnItsShard: Bool {
        guard analyzer.findings.keyLengthMax == nil, source.select.pointee.n_locking_clause == 0, source.isPlainButForLocks, !source.isOrdered else { return false }
        return source.anchors.filter(source.holdsForEachKey).contains { source.rules(for: $0) != nil }
    }
}
