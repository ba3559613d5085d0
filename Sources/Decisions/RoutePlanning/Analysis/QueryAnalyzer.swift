internal import CPGQuery
internal import PGTypes
internal import ShardModel
internal import SQLSyntax

typealias SelectNode = UnsafeMutablePointer<PgQuery__SelectStmt>
typealias RangeVarNode = UnsafeMutablePointer<PgQuery__RangeVar>

/// Walks one SELECT, INSERT, UPDATE or DELETE and collects what decides its route: the tables it names, what binds their keys,
/// and everything in it that one shard alone could not answer.
///
/// Default deny: a kind of node that no case below understands is refused.
final class QueryAnalyzer {
    /// Bounds the work on one statement: CTE bodies are analysed once a reference, so their number can double with each.
    static let levelsMax = 1000

    let context: PlanningContext
    let literals: LiteralMap
    let parameterTypes: [UInt32]

    var bindings = Bindings()
    var findings = Findings()
    /// Outputs of `x IN (SELECT …)`, for the conditions that are looked at after their subqueries.
    var sublinkOutputs: [SQLNode: (output: QueryOutput, own: Range<Slot>)] = [:]
    /// Parameters whose type the place they stand in settles.
    var settledParameters: [SQLNode: KeyType] = [:]
    /// The SELECT whose INTO the caller sees to.
    var storing: SelectNode?
    /// What the statement itself sees, where it is a SELECT, and gives.
    var topScope: Scope?
    var topOutput: QueryOutput?
    /// The SELECT of an INSERT at the top, and what it sees.
    var sourceSelect: SelectNode?
    var sourceScope: Scope?
    /// What a MERGE takes its rows of.
    var mergeSource: [RangeEntry] = []
    private var levels = 0
    /// Queries in the statement, itself included.
    private(set) var queries = 0

    init(context: PlanningContext, literals: LiteralMap, parameterTypes: [UInt32]) {
        self.context = context
        self.literals = literals
        self.parameterTypes = parameterTypes
    }

    func enterLevel() throws(Refusal) {
        levels += 1
        if levels > Self.levelsMax { throw Refusal(.tooComplex) }
    }

    func enterQuery() throws(Refusal) {
        queries += 1
        try enterLevel()
    }

    /// Analyses any of the four kinds of statement, at the top or in a WITH list.
    func analyze(statement node: SQLNode, parent: Scope?) throws(Refusal) -> QueryOutput {
        switch node.kind {
        case PG_QUERY__NODE__NODE_SELECT_STMT: try analyze(select: node.pointee.select_stmt, parent: parent)
        case PG_QUERY__NODE__NODE_INSERT_STMT: try analyze(insert: node.pointee.insert_stmt, parent: parent)
        case PG_QUERY__NODE__NODE_UPDATE_STMT: try analyze(update: node.pointee.update_stmt, parent: parent)
        case PG_QUERY__NODE__NODE_DELETE_STMT: try analyze(delete: node.pointee.delete_stmt, parent: parent)
        case PG_QUERY__NODE__NODE_MERGE_STMT where parent == nil: try analyze(merge: node.pointee.merge_stmt)
        case PG_QUERY__NODE__NODE_MERGE_STMT: throw Refusal(.merge)
        default: throw Refusal(.unsupported, node.kindName)
        }
    }
}

/// What an analysis found besides bindings.
struct Findings {
    struct ShardedTable {
        var name: QualifiedName
        var key: String
        var slot: Slot
        var location: Int?
        var isInsertTarget = false
        /// Mentioned in a WITH query that writes, which runs once, whatever reads it.
        var isInWritingWith = false
    }
    /// Each mention is an entry of its own.
    var sharded: [ShardedTable] = []
    var references: Set<QualifiedName> = []
    /// Each mention of a reference table.
    var referenceMentions: [(name: QualifiedName, location: Int)] = []
    var locals: Set<QualifiedName> = []
    var catalogs: Set<QualifiedName> = []
    var tables: [QualifiedName] = []

    var writtenReferences: Set<QualifiedName> = []
    var writtenLocals: Set<QualifiedName> = []
    var writesSharded = false
    /// A WITH query that writes is read, and does not show the key of what it wrote.
    var readsKeylessWrites = false
    var locksRows = false
    var lockedReference: Int?
    /// What functions leave behind in the server session.
    var traces = SessionTraces.none
    /// It may draw from a sequence: by nextval(), a column's default, a trigger.
    var drawsSequences = false
    /// A column's default that asks what the session has drawn.
    var defaultOfDrawn: String?
    /// Something else that may write or leave a mark (nextval, pg_notify).
    var hasSideEffect = false
    /// Something that a replica may not answer as its primary would: a volatile function, a view, an unlogged table.
    var needsPrimary = false
    /// A function that must run on the home shard: its name.
    var homeFunction: String?
    /// An INSERT leaves a column of a sharded table to its sequence.
    var shardedSequence: String?
    /// nextval() anywhere.
    var usesSequence: Int?
    /// Why the statement might give other rows on another shard, for writes to reference tables.
    var nondeterminism: (code: RefusalCode, subject: String, location: Int?)?
    /// Something else in it does than the calls of `moments`.
    var differsBesideMoments = false
    /// A column's default does, for each row.
    var defaultsDiffer = false
    /// now(), CURRENT_DATE and their like.
    var moments: [MomentCall] = []
    /// A moment that nothing can be written in the place of: age() of one value, which counts from today; a call in FROM.
    var hiddenMoment: (subject: String, location: Int)?
    /// Some of that is a server's own for all rows: its system columns, its numbers for names. The rest is of the moment, or another value for each row.
    var differsByServer = false
    var usesRowsInOrder: (subject: String, location: Int?)?
    /// Something else does than LIMIT of the statement itself.
    var usesRowsInOrderBelow = false
    /// String literals that a date/time input function might read as "now".
    var temporalLiterals: [SQLNode] = []
    /// Literals and parameters assigned to columns of which we know that they hold no date or time.
    var timelessNodes: Set<SQLNode> = []
    var parameters: [SQLNode] = []

    /// A literal other than a key's decides something: the plan fits this text only.
    var dependsOnText = false
    /// A function that returns a set may be called.
    var callsSetFunction = false
    /// The key of each row of an INSERT … VALUES at the top.
    var insertedKeys: [KeySource] = []
    /// INSERT cuts blanks off a longer key of type varchar(n).
    var keyLengthMax: Int?
    /// The first comparison of a key that had the wrong type, or was with NULL: a better reason than "no key".
    var keyProblem: Refusal?

    mutating func note(_ table: QualifiedName) {
        if !tables.contains(table) { tables.append(table) }
    }
    /// - moment: the call gives the moment of the transaction or of the statement, and nothing else.
    mutating func noteNondeterminism(_ code: RefusalCode, _ subject: String, at location: Int?, isOfTheMoment: Bool = false, moment: MomentCall? = nil) {
        if !isOfTheMoment { differsByServer = true }
        if let moment { moments.append(moment) } else { differsBesideMoments = true }
        noteFirst(code, subject, at: location)
    }
    mutating func noteDifferingDefault(_ subject: String) {
        defaultsDiffer = true
        noteFirst(.volatileReferenceWrite, subject, at: nil)
    }
    private mutating func noteFirst(_ code: RefusalCode, _ subject: String, at location: Int?) {
        if nondeterminism == nil { nondeterminism = (code, subject, location) }
    }
    mutating func noteOrder(_ subject: String, at location: Int? = nil, isOnTop: Bool = false) {
        if !isOnTop { usesRowsInOrderBelow = true }
        if usesRowsInOrder == nil { usesRowsInOrder = (subject, location) }
    }
}
