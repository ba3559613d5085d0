internal import SQLSyntax

extension StatementPlanner {
    /// DDL, and every kind of statement that nothing else knows: `DDLPlanner` refuses what is none.
    static func planDefinition(_ request: PlanningRequest) throws(Refusal) -> StatementPlan {
        if let plan = try TemporaryPlanner.plan(request.statement.node, request) { return plan }
        if request.context.isPathUncertain { throw Refusal(.uncertainName, "a definition") }
        return try DDLPlanner.plan(request.statement, context: request.context)
    }
}
