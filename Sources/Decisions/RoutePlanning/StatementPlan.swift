package import PGTypes
package import ShardModel

/// What the router does with one statement, decided from its parse tree, the schema and the placements alone.
///
/// A plan is valid for one `PlanningContext` (schema, placements, search_path) and, when `reuse` allows it, for every statement of the same
/// shape: nothing in it depends on the value of a literal except through `KeySource`.
package struct StatementPlan: Hashable, Sendable {
    package var kind: StatementKind
    package var route: Route
    /// False only when the statement provably cannot write.
    package var writes: Bool
    /// A query that a replica can answer as its primary would: true only when it provably neither writes, nor locks, nor asks for anything that
    /// one server has for itself.
    package var mayReadReplica: Bool
    package var reuse: Reuse
    /// The tables it names, for `route` explanations and invalidation.
    package var tables: [QualifiedName]
    /// The key column is varchar(n) and the statement inserts: a value of more than n characters must be refused (22001). PostgreSQL cuts
    /// trailing blanks off silently, and would store another key than the one that chose the shard.
    package var keyLengthMax: Int?
    /// The text holds several statements.
    package var isList = false
    /// How it runs when its keys live on several shards; nil: it does not.
    package var spread: Spread?
    /// One sentence for `pgmosaic route`: why it goes where it goes ("orders.customer_id = $1").
    package var reason: String
    /// It asks for the moment, with now() or its like (`MomentUse`).
    package var readsMoment = false
    /// What it leaves behind in the server session.
    package var traces = SessionTraces.none
    package var cursor: CursorUse?
    /// The query of a DECLARE for every shard.
    package var declaredQuery: [UInt8]?
    /// Of FETCH and MOVE; nil: in another direction than forward.
    package var fetch: FetchStep?
    /// It names something that the schema does not have: a look at the shard as it is now may give a better plan.
    package var lacksSchema = false
    /// PostgreSQL runs it in a transaction block only; the blocks that the router opens for itself are none.
    package var requiresBlock = false
    /// `writes` is true for want of a closer look, which has found a query without any effect (`SingleShardPlanner`).
    package var readsOnly = false

    package init(
        kind: StatementKind, route: Route, writes: Bool, mayReadReplica: Bool = false, reuse: Reuse, tables: [QualifiedName] = [],
        keyLengthMax: Int? = nil, spread: Spread? = nil, reason: String
    ) {
        self.kind = kind
        self.route = route
        self.writes = writes
        self.mayReadReplica = mayReadReplica
        self.reuse = reuse
        self.tables = tables
        self.keyLengthMax = keyLengthMax
        self.spread = spread
        self.reason = reason
    }

    package enum Reuse: Hashable, Sendable {
        /// For every statement with the same shape (only literals differ).
        case shape
        /// Only for the identical text.
        case text
        /// Not at all (it has an effect on the planning context, or depends on something outside it).
        case never
    }
}

/// The label of metrics and logs; a closed set.
package enum StatementKind: String, Hashable, Sendable, CaseIterable {
    case select, insert, update, delete, merge, copy, ddl, transaction, session, utility, mosaic
}

/// Where a statement goes.
package enum Route: Hashable, Sendable {
    /// To the one shard that owns every key of the list. Keys of several are for `StatementPlan.spread`, and refused where there is none
    /// (`RefusalCode.manyShards`). Never empty.
    case keyed([KeySource])
    /// Any shard gives the same answer (reads of reference tables); the transaction's own shard is preferred.
    case anyShard
    /// The database's home shard (local tables, pg_catalog).
    case homeShard
    /// The transaction's shard where there is one, else the home shard: no table at all, no state of a shard.
    case currentShard
    /// The same text on every shard, committed atomically; the answer is the first shard's.
    case everyShard(EveryShard)
    /// COPY table FROM STDIN of a sharded table: rows are split by key.
    case splitCopy(SplitCopy)
    /// COPY table FROM STDIN of a reference table: the client's data go to every shard as they are, all or nothing.
    case broadcastCopy(BroadcastCopy)
    /// COPY table TO STDOUT of a sharded table: the rows of every shard, one after the other.
    case gatherCopy(GatherCopy)
    /// SELECT without a key: the rows of every shard.
    case gatherRows(GatherRows)
    /// UPDATE and DELETE without a key, SELECT … FOR UPDATE: every shard, for its own rows.
    case everyKey(EveryKey)
    /// INSERT … VALUES: to the shards of its rows' keys, which one shard works out before.
    case keysFirst(KeysFirst)
    /// EXPLAIN of one of these two: the plan of every shard.
    case explain(ExplainPlan)
    /// Several statements, one after another.
    case statements
    case transaction(TransactionStatement)
    case session(SessionStatement)
    /// Answered by the router itself.
    case mosaic(MosaicStatement)
    /// The empty query string (EmptyQueryResponse).
    case empty
}

/// How a write over the keys of several shards runs: on each for its own rows, as one transaction.
package enum Spread: Hashable, Sendable {
    /// UPDATE and DELETE: the same text on each shard that owns a key of the list. The counts add up.
    case sameText
    /// INSERT … VALUES: each row goes to the shard of its key; the keys are given row by row. `areIndependent`: no row waits for a
    /// row of another transaction, but for unique keys.
    case rows([KeySource], areIndependent: Bool)
}

package struct EveryShard: Hashable, Sendable {
    package enum Reason: Hashable, Sendable { case referenceWrite, ddl, maintenance }
    package var reason: Reason
    /// False for statements that PostgreSQL does not run inside a transaction block and that are harmless to repeat (VACUUM).
    package var transactional: Bool
    /// Whether the schema and plan caches must be dropped when it commits.
    package var changesSchema: Bool
    /// What a committed CREATE TABLE / DROP / RENAME means for the catalog's placements.
    package var placementChanges: [PlacementChange]
    /// Parameters (1-based) that may go to a date/time column: a text such as 'now' in one of them (`ClockText.mayNameNow`) would
    /// give another value on each shard and must be refused (`RefusalCode.volatileReferenceWrite`) when it is bound.
    package var clockParameters: [Int]
    /// Reference tables that the statement reads beside the rows it writes. Their writers commit on one shard after the other, so the statement keeps
    /// them out, or two shards could read different rows.
    package var readTables: [QualifiedName] = []
    /// nil: it is none.
    package var concurrentIndex: ConcurrentIndex?
    /// Whether it may have made a sequence, whose values the shards must share out (`SequenceSlicing`).
    package var sequences = Sequences.untouched
    package enum Sequences: Hashable, Sendable {
        case untouched
        /// There may be one that a sharded table does not use.
        case possible
        /// A sharded table uses one: without slices the statement must fail.
        case needed
    }
    package init(
        reason: Reason, transactional: Bool = true, changesSchema: Bool = false, placementChanges: [PlacementChange] = [],
        clockParameters: [Int] = []
    ) {
        self.reason = reason
        self.transactional = transactional
        self.changesSchema = changesSchema
        self.placementChanges = placementChanges
        self.clockParameters = clockParameters
    }
}

package enum PlacementChange: Hashable, Sendable {
    case declare(QualifiedName, Placement)
    case forget(QualifiedName)
    case rename(from: QualifiedName, to: QualifiedName)
}

/// Where one key value of a statement comes from, and as which type PostgreSQL would compare it.
package enum KeySource: Hashable, Sendable {
    /// Known when the plan was made.
    case token(Token)
    /// The n-th literal of the statement text (0-based, in text order, as `StatementShape` counts them); `negated` when a unary
    /// minus stands before it.
    case literal(ordinal: Int, negated: Bool, type: KeyType)
    /// A value known when the plan was made, as text that the type's input function takes. Such a plan fits one text only.
    case constant([UInt8], type: KeyType)
    /// `$number` (1-based).
    case parameter(number: Int, type: KeyType)
    /// `= ANY($number)`: an array parameter; every element is a key. NULL elements never match and are skipped.
    case parameterArray(number: Int, type: KeyType)
}

package enum TransactionStatement: Hashable, Sendable {
    /// BEGIN / START TRANSACTION, with its options as SQL text to repeat on each shard ("ISOLATION LEVEL SERIALIZABLE READ ONLY"), possibly empty.
    case begin(options: String)
    case commit(chain: Bool)
    case rollback(chain: Bool)
    case savepoint(String)
    case release(String)
    case rollbackTo(String)
}

package enum SessionStatement: Hashable, Sendable {
    /// SET [SESSION] name = …; the statement's own text is replayed on other backends.
    case set(name: String)
    case setLocal(name: String)
    /// set_config() with a parameter for the value.
    case setParameter(SetParameter)
    /// RESET name; nil: RESET ALL.
    case reset(name: String?)
    case show(name: String)
    /// SET TRANSACTION … inside a transaction.
    case setTransaction
    /// SET SESSION CHARACTERISTICS AS TRANSACTION …
    case setCharacteristics
    case discardAll
    /// DISCARD PLANS / TEMP
    case discard
    case discardSequences
    /// DEALLOCATE name; nil: ALL.
    case deallocate(name: String?)
    /// PREPARE: defines a statement of the session's.
    case prepare(PrepareStatement)
    /// EXECUTE: goes where the prepared statement goes.
    case execute(ExecuteStatement)
    /// SET/SHOW of a `pgmosaic.…` setting, kept by the router.
    case setMosaic(name: String, value: String?)
    case showMosaic(name: String)
}

/// `SELECT set_config('name', $number, is_local)`: what is set is known at Bind.
package struct SetParameter: Hashable, Sendable {
    /// In lower case.
    package var name: String
    /// From 1.
    package var number: Int
    package var isLocal: Bool
}

package enum MosaicStatement: Hashable, Sendable {
    /// `SELECT pgmosaic.shard_table('orders', 'customer_id')` and its two siblings.
    case declare(QualifiedName, Placement)
    /// `SELECT pgmosaic.forget_table('orders')`
    case forget(QualifiedName)
}
