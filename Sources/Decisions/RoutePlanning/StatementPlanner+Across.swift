internal import CPGQuery
package import SQLSyntax

extension StatementPlanner {
    /// How a SELECT is answered whose keys, as it turns out when their values are known, live on several shards: as one that names none. nil: it is not.
    ///
    /// - bytes: a text that has a plan, by its keys.
    package static func across(bytes: [UInt8], parameterTypes: [UInt32] = [], context: PlanningContext, limits: ParsedSQL.Limits = .init()) -> GatherRows? {
        guard let statements = try? ParsedSQL.parse(bytes: bytes, limits: limits).statements, statements.count == 1, let statement = statements.first,
            statement.node.kind == PG_QUERY__NODE__NODE_SELECT_STMT
        else { return nil }
        let analyzer = QueryAnalyzer(context: context, literals: LiteralMap(ranges: nil, text: statement.owner.bytes), parameterTypes: parameterTypes)
        do throws(Refusal) {
            analyzer.topOutput = try analyzer.analyze(statement: statement.node, parent: nil)
            return try across(statement.node, analyzer)
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
