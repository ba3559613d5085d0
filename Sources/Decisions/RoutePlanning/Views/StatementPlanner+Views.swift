internal import SQLSyntax

/// Queries over views that nobody has declared, or whose key is not named: they are planned by what the views stand for.
extension StatementPlanner {
    /// The plan of the statement with its views expanded, for the statement as it is: each shard has the views and runs the client's text, but where the plan has a
    /// text of its own. nil: there is none.
    ///
    /// - refused: why there is no plan by the views' names.
    static func planExpanded(_ request: PlanningRequest, refused: Refusal) throws(Refusal) -> StatementPlan? {
        guard refused.code == .view || refused.code == .noKey, let text = ViewExpansion.expanded(request.statement.owner.bytes, request.context),
            let statements = try? ParsedSQL.parse(bytes: text).statements, statements.count == 1
        else { return nil }
        let expanded = PlanningRequest(
            statement: statements[0], literals: LiteralMap(ranges: nil, text: statements[0].owner.bytes), parameterTypes: request.parameterTypes, context: request.context)
        var plan: StatementPlan
        do throws(Refusal) {
            plan = try self.plan(statements[0].node, expanded)
        } catch {
            // Of a declared view the first reason is the better one. A place would be one in another text.
            throw refused.code == .view ? Refusal(error.code, error.subject) : refused
        }
        plan.mayReadReplica = false
        if plan.reuse == .shape { plan.reuse = .text }
        plan.route.hidePlaces()
        return plan
    }
}

extension Route {
    /// Places in the shards' errors are not those of the client's text.
    fileprivate mutating func hidePlaces() {
        switch self {
        case .gatherRows(var gather):
            gather.combination?.isOfOtherText = true
            self = .gatherRows(gather)
        case .explain(var explain):
            explain.hidePlaces()
            self = .explain(explain)
        default: break
        }
    }
}
