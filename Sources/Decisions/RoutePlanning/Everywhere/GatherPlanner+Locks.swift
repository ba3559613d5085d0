internal import CPGQuery
internal import SQLSyntax

/// SELECT that does something: FOR UPDATE and its like, and over WITH queries that write.
extension GatherPlanner {
    /// nil: no rule accepts the statement. With ORDER BY or LIMIT each shard would lock rows that are not of the answer.
    static func effects(_ statement: SQLNode, _ analyzer: QueryAnalyzer) -> EveryKey? {
        guard statement.kind == PG_QUERY__NODE__NODE_SELECT_STMT, let select = statement.pointee.select_stmt, let scope = analyzer.topScope else { return nil }
        let planner = GatherPlanner(analyzer: analyzer, select: select, scope: scope)
        guard planner.doesNothingButLock || planner.writesInWithOnly, planner.readsTheSameEverywhere, planner.isPlainButForLocks, !planner.isOrdered,
            planner.anchors.filter(planner.holdsForEachKey).contains(where: { planner.rules(for: $0) == [.rowsOfAnchor] })
        else { return nil }
        return EveryKey(rule: analyzer.findings.locksRows ? .rowsLocked : .rowsOfTarget, clockParameters: planner.clockParameters)
    }

    private var writesInWithOnly: Bool {
        analyzer.findings.writesShardedOnly && select.pointee.n_locking_clause == 0 && WritingWith(analyzer).isForEachKey(select.pointee.with_clause)
    }

    private var doesNothingButLock: Bool {
        let findings = analyzer.findings
        return select.pointee.n_locking_clause > 0 && !findings.writesSharded && findings.writtenReferences.isEmpty && findings.writtenLocals.isEmpty
            && !findings.hasSideEffect
    }
}
