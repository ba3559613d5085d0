internal import CPGQuery
internal import SQLSyntax

/// Whether each shard can run a MERGE for its own keys: the source's rows are those of a table, the target is joined to them by the key, and what is inserted keeps it
/// (`WriteRule.rowsMerged`).
enum MergePlanner {
    /// nil: not so.
    static func plan(_ statement: SQLNode, _ analyzer: QueryAnalyzer) -> EveryKey? {
        let findings = analyzer.findings
        guard statement.kind == PG_QUERY__NODE__NODE_MERGE_STMT, findings.writesShardedOnly, analyzer.readsTablesOnly, WritingWith.onlyReads(statement.pointee.merge_stmt.pointee.with_clause),
            !findings.differsBesideMoments, (try? MomentReader(statement, analyzer).use()) != nil, !findings.usesRowsInOrderBelow || findings.references.isEmpty, findings.keyLengthMax == nil
        else { return nil }
        // Keys that the source shows in each of its rows.
        let anchors = findings.sharded.map(\.slot).filter { slot in
            analyzer.mergeSource.contains { entry in entry.columns.contains { $0.slot == slot && !$0.isNullable } }
        }
        guard anchors.contains(where: { KeyProof(analyzer).holds(for: $0) }) else { return nil }
        return EveryKey(rule: .rowsMerged, clockParameters: GatherPlanner.clockParameters(findings))
    }
}
