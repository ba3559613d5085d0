internal import CPGQuery
package import SQLSyntax

extension StatementPlanner {
    /// How a SELECT is answered whose keys, as it turns out when their values are known, live on several shards: as one that names none. So is a COPY or an EXPLAIN of
    /// one. nil: it is not.
    ///
    /// - bytes: a text that has a plan, by its keys.
    package static func across(bytes: [UInt8], parameterTypes: [UInt32] = [], context: PlanningContext, limits: ParsedSQL.Limits = .init()) -> Route? {
        if let route = acrossAsIs(bytes, parameterTypes, context, limits) { return route }
        return ViewExpansion.expanded(bytes, context).flatMap { acrossAsIs($0, parameterTypes, context, limits) }
    }

    private static func acrossAsIs(_ bytes: [UInt8], _ parameterTypes: [UInt32], _ context: PlanningContext, _ limits: ParsedSQL.Limits) -> Route? {
        guard let statements = try? ParsedSQL.parse(bytes: bytes, limits: limits).statements, statements.count == 1, let statement = statements.first else { return nil }
        let gathered = { (query: SQLNode?) throws(Refusal) -> GatherRows? in
            guard let query, query.kind == PG_QUERY__NODE__NODE_SELECT_STMT else { return nil }
            let analyzer = QueryAnalyzer(context: context, literals: LiteralMap(ranges: nil, text: statement.owner.bytes), parameterTypes: parameterTypes)
            analyzer.topOutput = try analyzer.analyze(statement: query, parent: nil)
            return try across(query, analyzer)
        }
        do throws(Refusal) {
            switch statement.node.kind {
            case PG_QUERY__NODE__NODE_SELECT_STMT: return try gathered(statement.node).map { .gatherRows($0) }
            case PG_QUERY__NODE__NODE_COPY_STMT: return try gathered(statement.node.pointee.copy_stmt.pointee.query).flatMap(CopyPlanner.finished).map { .gatherRows($0) }
            case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
                let explain = statement.node.pointee.explain_stmt!
                guard let gather = try gathered(explain.pointee.query) else { return nil }
                return .explain(ExplainPlan(.rows(gather), try ExplainOptions(NodeList(explain.pointee.n_options, explain.pointee.options))))
            default: return nil
            }
        } catch { return nil }
    }

    /// nil: no shard can answer for its own keys, and the home shard cannot for all.
    static func across(_ statement: SQLNode, _ analyzer: QueryAnalyzer) throws(Refusal) -> GatherRows? {
        if var gather = GatherPlanner.plan(statement, analyzer) {
            gather.finish = try? FinishPlanner.plan(statement, analyzer)
            return gather
        }
        guard let finish = try FinishPlanner.plan(statement, analyzer) else { return nil }
        return GatherRows(finish: finish, clockParameters: GatherPlanner.clockParameters(analyzer.findings))
    }
}
