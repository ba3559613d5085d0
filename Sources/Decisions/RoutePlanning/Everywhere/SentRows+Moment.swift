internal import SQLSyntax

/// now() in an INSERT … SELECT whose rows are sent: in its query, and behind it.
package struct SentMoments: Hashable, Sendable {
    let query: MomentUse
    let rest: MomentUse
}

extension SentRows {
    /// nil: it does not ask for the moment. Throws where the moment is hidden.
    package func moments(parameterTypes: [UInt32], context: PlanningContext) throws(Refusal) -> SentMoments? {
        let query = try StatementPlanner.moment(bytes: parts.query, parameterTypes: parameterTypes, context: context)
        let rest = try StatementPlanner.moment(bytes: parts.statement(rows: 1, width: width), context: context)
        return query.isEmpty && rest.isEmpty ? nil : SentMoments(query: query, rest: rest)
    }

    /// The same with the moments in its text.
    package func stating(_ moments: SentMoments, transaction: String, statement: String) -> SentRows {
        let insert = parts.statement(rows: 1, width: width)
        let tail = moments.rest.text(insert, transaction: transaction, statement: statement).dropFirst(insert.count - parts.tail.count)
        var new = self
        new.parts = parts.replacing(query: moments.query.text(parts.query, transaction: transaction, statement: statement), tail: Array(tail))
        return new
    }
}
