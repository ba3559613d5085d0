internal import CPGQuery
internal import SQLSyntax
internal import ShardModel

/// Whether an UPDATE or DELETE of a sharded table can be run by each shard for its own keys: see `WriteRule`.
struct EveryKeyPlanner {
    private let analyzer: QueryAnalyzer
    private let statement: SQLNode
    private let shape: Shape

    /// nil: no rule accepts the statement.
    static func plan(_ statement: SQLNode, _ analyzer: QueryAnalyzer) -> EveryKey? {
        guard let planner = EveryKeyPlanner(statement, analyzer), let rule = planner.rule else { return nil }
        return EveryKey(rule: rule, clockParameters: GatherPlanner.clockParameters(analyzer.findings))
    }

    /// It has FROM or USING.
    static func hasSources(_ statement: SQLNode) -> Bool { Shape(statement).map { !$0.sources.isEmpty } ?? false }

    /// What the two statements have in common.
    private struct Shape {
        var target: RangeVarNode
        /// FROM or USING.
        var sources: NodeList
        var with: UnsafeMutablePointer<PgQuery__WithClause>?

        init?(_ statement: SQLNode) {
            switch statement.kind {
            case PG_QUERY__NODE__NODE_UPDATE_STMT:
                let update = statement.pointee.update_stmt!
                (target, with) = (update.pointee.relation, update.pointee.with_clause)
                sources = NodeList(update.pointee.n_from_clause, update.pointee.from_clause)
            case PG_QUERY__NODE__NODE_DELETE_STMT:
                let delete = statement.pointee.delete_stmt!
                (target, with) = (delete.pointee.relation, delete.pointee.with_clause)
                sources = NodeList(delete.pointee.n_using_clause, delete.pointee.using_clause)
            default: return nil
            }
        }
    }

    private init?(_ statement: SQLNode, _ analyzer: QueryAnalyzer) {
        guard let shape = Shape(statement) else { return nil }
        self.analyzer = analyzer
        self.statement = statement
        self.shape = shape
    }

    private var rule: WriteRule? {
        let findings = analyzer.findings
        guard hasNoOtherEffect, isReadable, hasOneMoment, !findings.defaultsDiffer else { return nil }
        if isAlone { return findings.differsByServer ? nil : .rowsAlone }
        guard !findings.differsBesideMoments else { return nil }
        // Of a reference table's rows without an order two shards may pick different ones. Those of a key come from one shard in any case.
        guard !findings.usesRowsInOrderBelow || findings.references.isEmpty, holdsForEachKey else { return nil }
        return .rowsOfTarget
    }

    /// All shards can be given the same.
    private var hasOneMoment: Bool { (try? MomentReader(statement, analyzer).use()) != nil }

    /// It writes the one table, and does nothing else that could be seen.
    private var hasNoOtherEffect: Bool {
        analyzer.findings.writesShardedOnly && WritingWith(analyzer).isForEachKey(shape.with)
    }

    private var isReadable: Bool { analyzer.readsTablesOnly }

    /// Nothing is evaluated but for a row of the table: each row has a random value of its own, on whatever shard.
    private var isAlone: Bool {
        analyzer.queries == 1 && shape.sources.isEmpty && analyzer.findings.sharded.count == 1 && analyzer.findings.references.isEmpty
    }

    /// With the written row's key known, that of every sharded table is the same.
    private var holdsForEachKey: Bool {
        let location = Int(shape.target.pointee.location)
        guard let target = analyzer.findings.sharded.first(where: { $0.location == location }) else { return false }
        return KeyProof(analyzer).holds(for: target.slot)
    }
}

extension QueryAnalyzer {
    /// What is in a view's body is not seen here.
    var readsTablesOnly: Bool {
        findings.tables.allSatisfy { name in
            guard let kind = context.schema.relations[name]?.kind else { return false }
            return kind == .table || kind == .partitioned
        }
    }
}

extension Findings {
    /// It writes sharded tables, and does nothing else that could be seen.
    var writesShardedOnly: Bool {
        writesSharded && writtenReferences.isEmpty && writtenLocals.isEmpty && locals.isEmpty && catalogs.isEmpty && !locksRows && !hasSideEffect
            && homeFunction == nil && traces == .none && defaultOfDrawn == nil
    }
}
