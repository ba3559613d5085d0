internal import ShardModel
package import SQLSyntax

extension StatementPlanner {
    /// Why a text has no plan.
    package enum TextError: Error, Hashable, Sendable {
        case syntax(SyntaxError)
        case refused(Refusal)
    }

    /// The plan of a text that holds one statement, or none, or where it is allowed several.
    package static func plan(
        sql: String, parameterTypes: [UInt32] = [], allowsSeveral: Bool = false, context: PlanningContext, limits: ParsedSQL.Limits = .init()
    ) throws(TextError) -> StatementPlan {
        try plan(
            bytes: Array(sql.utf8), literals: nil, parameterTypes: parameterTypes, allowsSeveral: allowsSeveral, context: context, limits: limits)
    }

    /// - literals: those that `StatementShape.scan` found in `bytes`; nil where the text is not shapeable.
    /// - allowsSeveral: the text is a simple query, which may hold several statements.
    package static func plan(
        bytes: [UInt8], literals: LiteralRanges?, parameterTypes: [UInt32] = [], allowsSeveral: Bool = false, context: PlanningContext,
        limits: ParsedSQL.Limits = .init()
    ) throws(TextError) -> StatementPlan {
        let parsed: ParsedSQL
        do throws(SyntaxError) { parsed = try ParsedSQL.parse(bytes: bytes, limits: limits) } catch { throw .syntax(error) }
        if let name = parsed.firstName(where: { !$0.isNormalized }) { throw .refused(Refusal(.nameForm, name.text, at: name.location)) }
        let statements = parsed.statements
        guard let statement = statements.first else { return .empty }
        do throws(Refusal) {
            guard statements.count == 1 else {
                guard allowsSeveral else { throw Refusal(.multipleStatements) }
                return plan(several: statements, literals: literals, context: context)
            }
            return try plan(statement, literals: literals, parameterTypes: parameterTypes, context: context)
        } catch { throw .refused(error) }
    }
}

extension StatementPlan {
    /// Of a text without a statement.
    package static let empty = StatementPlan(
        kind: .utility, route: .empty, writes: false, reuse: .text, reason: "no statement")
}
