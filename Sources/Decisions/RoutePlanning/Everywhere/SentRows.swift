package import PGTypes
package import SQLSyntax

/// An INSERT … SELECT whose rows come to the router, and go from there to the shards that own them (docs/decisions/0082-rows-that-are-sent.md).
package struct SentRows: Hashable, Sendable {
    package enum Target: Hashable, Sendable {
        /// Each row to the shard of its key, the value at this place; a text of more than `lengthMax` characters is refused.
        case owners(key: Int, type: KeyType, lengthMax: Int?)
        /// A reference table.
        case everyShard
        /// A local table.
        case home
    }

    package var parts: InsertParts
    package var target: Target
    /// Columns of the query.
    package var width: Int
    /// Those that PostgreSQL reads as the target's type: bare literals, NULLs and parameters without a type.
    package var untyped: [Int]
    /// The types of the columns that the values go to; 0 where it is not known.
    package var columnTypes: [UInt32]
    /// Of ON CONFLICT DO UPDATE one statement may not meet a row twice, so that its rows cannot be sent in several.
    package var isWhole: Bool
    package var returnsRows: Bool
    /// False: the rows come of expressions, as those of `unnest($1)`, and nothing of them is lost or met twice while vnodes move.
    package var readsTables = true
    /// Of an UPDATE that changes the shard key: the query is the DELETE that takes the rows from their old shard.
    package var move: Move?

    /// It may run while vnodes move: what it reads is on no shard, and each row goes to the one that owns its key then. Not into a reference table, which a shard that is joining has not yet.
    package var followsOwners: Bool { !readsTables && move == nil && target != .everyShard }

    package struct Move: Hashable, Sendable {
        package var old: KeySource
        package var new: KeySource
    }
}
