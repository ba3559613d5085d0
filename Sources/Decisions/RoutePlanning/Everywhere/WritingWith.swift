internal import CPGQuery
internal import SQLSyntax

/// WITH queries that write, as part of a statement that each shard runs for its own keys.
///
/// Such a query runs once, whether or not and however often it is read. So it is proven as a statement of its own, and each mention of it in the statement
/// as that of a sharded table, with the key of what it wrote (docs/decisions/0096-with-queries-that-write.md).
struct WritingWith {
    private let analyzer: QueryAnalyzer

    init(_ analyzer: QueryAnalyzer) { self.analyzer = analyzer }

    /// Each of them only reads, or can be run by each shard for its own keys.
    func isForEachKey(_ with: UnsafeMutablePointer<PgQuery__WithClause>?) -> Bool {
        if Self.onlyReads(with) { return true }
        guard let with, with.pointee.recursive == 0, !analyzer.findings.readsKeylessWrites else { return false }
        return Self.queries(with).allSatisfy { $0.kind == PG_QUERY__NODE__NODE_SELECT_STMT || isForEachKey($0) }
    }

    static func onlyReads(_ with: UnsafeMutablePointer<PgQuery__WithClause>?) -> Bool {
        guard let with else { return true }
        return with.pointee.recursive == 0 && queries(with).allSatisfy { $0.kind == PG_QUERY__NODE__NODE_SELECT_STMT }
    }

    private static func queries(_ with: UnsafeMutablePointer<PgQuery__WithClause>) -> [SQLNode] {
        NodeList(with.pointee.n_ctes, with.pointee.ctes).compactMap { $0.kind == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR ? $0.pointee.common_table_expr.pointee.ctequery : nil }
    }

    /// By itself: one that names a WITH query before it names no table, and is not understood.
    private func isForEachKey(_ query: SQLNode) -> Bool {
        let apart = QueryAnalyzer(context: analyzer.context, literals: analyzer.literals, parameterTypes: analyzer.parameterTypes)
        guard (try? apart.analyze(statement: query, parent: nil)) != nil else { return false }
        return EveryKeyPlanner.plan(query, apart) != nil || InsertedRowsPlanner.plan(query, apart) != nil
    }
}
