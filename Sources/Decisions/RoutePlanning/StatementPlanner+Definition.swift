extension StatementPlanner {
    /// DDL, and every kind of statement that nothing else knows: `DDLPlanner` refuses what is none.
    static func planDefinition(_ request: PlanningRequest) throws(Refusal) -> StatementPlan {
        try DDLPlanner.plan(request.statement, context: request.context)
    }
}
