/// A SELECT whose rows come from every shard.
///
/// Each shard runs the statement's own text, over its own rows. `rules` say why that is what one PostgreSQL with all the rows would answer.
package struct GatherRows: Hashable, Sendable {
    package var rules: [GatherRule]
    /// Parameters (1-based) that may be read as a moment: a text such as 'now' in one of them would be another moment on each shard.
    package var clockParameters: [Int]
    /// nil: the shards' rows are the answer's.
    package var combination: GatherCombination?
    /// The home shard makes the answer of rows that are brought to it: with other rules only where the columns' types, which the shards tell, are none for them.
    package var finish: FinishPlan?
    package var isFinished: Bool { rules == [.finished] }
    /// The rows that the client gets are the shards' own.
    package var givesWholeRows: Bool { !isFinished && (combination == nil || combination?.merge != nil) }
    /// The plan is that of all statements of this shape, whatever numbers are in them: `finish`, which holds a text, is to be planned when it is needed.
    package var isOfShape = false

    /// Without what is of one text only; nil: the numbers in it may matter.
    func ofShape(_ literals: LiteralMap) -> GatherRows? {
        guard rules == [.rowsOfAnchor], combination == nil, literals.hasOnlyNumbers else { return nil }
        var gather = self
        (gather.finish, gather.isOfShape) = (nil, true)
        return gather
    }

    init(finish: FinishPlan, clockParameters: [Int]) {
        self.init(rules: [.finished], clockParameters: clockParameters)
        self.finish = finish
    }

    package init(rules: [GatherRule], clockParameters: [Int] = [], combination: GatherCombination? = nil) {
        self.rules = rules
        self.combination = combination
        self.clockParameters = clockParameters
    }
}

/// Why a statement over all shards gives what one PostgreSQL would give. A plan that no rule accepts is refused.
///
/// Rows of a sharded table are told apart by their key, and a shard has all rows of the keys that it owns. The *anchor* of a statement is a sharded table
/// in its FROM, on no side of a join that is filled up with NULLs. Were the anchor's key compared with a value v, the statement would be for v's shard: that is
/// what the planner proves for every statement with a key. It proves the same here for a v that it does not know, and so for all. What is left is that the
/// answer is made of one part for each v, and that is what a rule says.
package enum GatherRule: String, Hashable, Sendable, CaseIterable {
    /// Every row of the answer comes of one row of the anchor: a plain select list, no grouping. The shards' rows, one after the other, are the answer.
    case rowsOfAnchor = "rows-of-anchor"
    /// The rows are grouped by the anchor's key, and perhaps by more: no group has rows on two shards.
    case groupsByKey = "groups-by-key"
    /// DISTINCT over rows that hold the anchor's key: no two shards have equal ones.
    case distinctWithKey = "distinct-with-key"
    /// Aggregates of all rows, each of them one of the values of its parts: counts and sums add up, the least of all is the least of each shard's least.
    case aggregatesCombined = "aggregates-combined"
    /// Likewise for each group, whose key is among the columns, so that its parts are found.
    case groupsCombined = "groups-combined"
    /// DISTINCT over the distinct rows of each shard.
    case distinctCombined = "distinct-combined"
    /// ORDER BY, LIMIT and OFFSET over rows of which each shard gives those that may be among the first.
    case ordered = "ordered"
    /// The same, where the router knows how PostgreSQL compares the keys, so that it can tell by itself whose row comes next.
    case mergeOrdered = "merge-ordered"
    /// None of these, and none is needed: PostgreSQL runs the statement over all rows of the tables that it names (`FinishPlan`).
    case finished = "finished"
}
