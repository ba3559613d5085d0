/// An UPDATE or DELETE that names no key, an INSERT … SELECT, or a SELECT that locks: every shard runs its text for the rows of its own keys, as one transaction. The counts add up.
package struct EveryKey: Hashable, Sendable {
    package var rule: WriteRule
    /// Parameters (1-based) that may be read as a moment: a text such as 'now' in one of them would be another moment on each shard.
    package var clockParameters: [Int]
    /// Of `rowsSent` and `rowsMoved`: what is sent where.
    package var sent: SentRows?

    package init(rule: WriteRule, clockParameters: [Int] = [], sent: SentRows? = nil) {
        self.sent = sent
        self.rule = rule
        self.clockParameters = clockParameters
    }
}

/// Why a write on every shard does what one PostgreSQL would do. What no rule accepts is refused.
package enum WriteRule: String, Hashable, Sendable, CaseIterable {
    /// One table, and nothing beside it: what becomes of a row is said by the row alone.
    case rowsAlone = "rows-alone"
    /// Other tables too. Were the key of the rows that are written a value v, all of the statement would be about v's shard: so says the proof by a key that nobody
    /// names (`GatherRule`), for every v. What it reads of reference tables is the same on every shard.
    case rowsOfTarget = "rows-of-target"
    /// MERGE, whose source's rows are those of an anchor, joined to the target by the key, and keep it where they are inserted.
    case rowsMerged = "rows-merged"
    /// INSERT … SELECT, whose rows are those of an anchor, or groups of its keys, and keep their key.
    case rowsInserted = "rows-inserted"
    /// Any other INSERT … SELECT: its query is answered first, and its rows are inserted where they belong.
    case rowsSent = "rows-sent"
    /// UPDATE of the shard key: the rows leave their shard, and are inserted on the one of their new key.
    case rowsMoved = "rows-moved"
    /// SELECT … FOR UPDATE and its like, whose rows are those of an anchor (`GatherRule.rowsOfAnchor`), shard by shard.
    case rowsLocked = "rows-locked"
}
