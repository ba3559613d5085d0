internal import NIOCore
internal import PGWire
internal import PoolCore
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// A shard's part in the session's transaction, or in the one statement that is running.
struct Participant {
    let backend: Backend
    /// A statement that may write ran here.
    var wrote: Bool
    /// What it has been needed for.
    var role: Role
    /// How much of the transaction's history it has seen.
    var historyApplied: Int
    /// BEGIN was sent to it.
    var hasBegun = true
    /// Its waits for locks are bounded, as those of a transaction of several shards must be.
    var hasLockBound = false
    /// It ran what PostgreSQL does not let be prepared: of several writers it must be the one that decides.
    var cannotPrepare = false
    /// The session keeps the backend.
    var isKept = false
    /// In effect now, and in effect again should the transaction be rolled back.
    var settingsInside: SettingsRef
    var settingsOutside: SettingsRef
}

/// What a statement needs of the shard that it goes to.
enum Role: Int, Comparable {
    /// Nothing: it reads no table.
    case passing
    /// Rows that other shards have, too, or the catalog's.
    case reader
    /// Rows that this shard alone has.
    case bound

    static func < (a: Role, b: Role) -> Bool { a.rawValue < b.rawValue }
}

/// What a completed statement changes in the session.
enum Effect {
    case set(name: String, statement: String, searchPath: [String]?)
    case setLocal(statement: String)
    /// SET TRANSACTION.
    case setCharacteristic(statement: String)
    case reset(name: String?)
    case begin(options: String)
    case commit(chain: Bool)
    case rollback(chain: Bool)
    case savepoint(String)
    case release(String)
    case rollbackTo(String)
    /// It has made, changed or taken away temporary relations.
    case temporary
    case sequencesDiscarded
}

/// What follows a Bind of the unnamed portal, as most drivers send it: perhaps Describe, Execute, Sync.
struct RestOfUnit {
    let describes: Bool
    let length: Int
}

/// A batch of the extended protocol.
struct Batch {
    /// A message of a batch that no shard has been chosen for yet.
    enum Held {
        case parse(Statement, frame: ByteBuffer, isUnnamed: Bool)
        case describe(Statement)
        case answer(ByteBuffer, as: ResponseScript.Expectation)
        /// PREPARE: a shard must accept it; the client's answer comes later.
        case prepare(Statement)
        /// The session itself asks what the statement gives.
        case capture(Statement)
        /// Describe of an EXECUTE of this statement.
        case describeExecution(Statement, ExecuteStatement, tail: ByteBuffer)
    }
    var isOpen = false
    /// After an error: everything up to Sync is passed over.
    var isSkipping = false
    /// What is held is on its way to a shard, which answers it: an error of the router's on that way is its answer.
    var isPreparing = false
    /// Its Sync was taken, and waits for something: no other follows, so an error in the meantime must answer it, too.
    var isSyncTaken = false
    var held: [Held] = []
    /// Of the statements among them.
    var heldBytes = 0
    /// Messages went to the speaker that no Sync has followed.
    var needsSync = false
    /// A statement has been executed in the transaction that is under way without a block: PostgreSQL's XACT_FLAGS_PIPELINING.
    var isPipelining = false
    /// What was bound so far cannot write, and leaves nothing behind.
    var hasOnlyRead = true
    /// The unnamed statement that the speaker got just as the client sent it.
    var rawUnnamed: Statement?
    /// Statements that the speaker was asked to prepare.
    var unvalidated: [Statement] = []
    /// What Parse and Close changed, to be undone where an error made the shard pass over them.
    var definitions: [(name: String, previous: Statement?)] = []
    /// What Bind changed in a transaction block, likewise.
    var binds: [(name: String, previous: Portal?)] = []
    /// Statements ran on several shards outside of a transaction block: Sync commits them.
    var isImplicitlyCoordinated = false
    /// The session's settings before the first that the batch changed outside of a transaction block: an error brings them back.
    var settingsBefore: SettingsRef?
    /// What those statements mean for the catalog once they are committed.
    var changesSchema = false
    var schemaChanges: [PlacementChange] = []

    mutating func reset() {
        guard isOpen else { return }
        isOpen = false
        isSkipping = false
        isPreparing = false
        isSyncTaken = false
        needsSync = false
        isPipelining = false
        hasOnlyRead = true
        rawUnnamed = nil
        isImplicitlyCoordinated = false
        settingsBefore = nil
        changesSchema = false
        heldBytes = 0
        if !schemaChanges.isEmpty { schemaChanges.removeAll() }
        if !held.isEmpty { held.removeAll(keepingCapacity: true) }
        if !unvalidated.isEmpty { unvalidated.removeAll(keepingCapacity: true) }
        if !binds.isEmpty { binds.removeAll(keepingCapacity: true) }
        if !definitions.isEmpty { definitions.removeAll(keepingCapacity: true) }
    }
}

/// What a portal's Execute does.
struct Portal {
    enum Target {
        /// It exists on this backend.
        case backend(Backend)
        /// The same, of a statement that changes the session. What is rare is indirect, so that a portal is small.
        indirect case effect(Backend, Effect)
        /// The router answers.
        case router
        /// Runs on every shard, with these parameters.
        indirect case everyShard(EveryShard, BindMessage)
        /// Runs on several shards, on each for its own rows.
        indirect case spread(SpreadWork)
        indirect case copy(CopyWork)
        /// Reads the rows of every shard, with these parameters.
        indirect case gather(GatherRows, BindMessage)
        /// Explains a statement for every shard, with these parameters.
        indirect case explained(ExplainPlan, BindMessage)
        /// The same; some of the rows may have been given.
        indirect case parts(PartlyFetched)
        /// Does something with a cursor over several shards.
        indirect case cursor(CursorStep)
        /// Runs on the shard of its hint.
        indirect case hinted(HintedWork)
        /// The plan is told instead.
        indirect case explanation([String?])
        /// What EXECUTE names cannot be run: PostgreSQL says so when it is executed.
        indirect case failing(ServerError)
    }
    let statement: Statement
    let target: Target
    /// Of an EXECUTE: the plan of what it names.
    var executed: CachedPlan?
    /// It has run, where the router itself runs it.
    var isUsedUp = false
    /// How long the transaction's history was when it was made: ROLLBACK TO a savepoint before it takes it away.
    var madeAfter = 0

    /// The backend that it exists on.
    var owner: Backend? {
        switch target {
        case .backend(let backend), .effect(let backend, _): backend
        case .router, .everyShard, .spread, .copy, .gather, .explained, .parts, .cursor, .hinted, .explanation, .failing: nil
        }
    }
}

/// The session's `pgmosaic.…` settings.
struct MosaicVariables {
    /// The text form of a key. The statements' own keys must not contradict it; it places those that the planner cannot.
    var shardKey: String?
    /// Statements are explained instead of run.
    var explains = false
    /// nil: the database's default.
    var consistency: Consistency?
    /// currval() and lastval() may be asked: the session keeps the server session that it draws from.
    var keepsSequences = false
}

/// What metrics and logs learn of one unit.
struct UnitRecord {
    enum Outcome {
        case ok
        case failed(ServerError)
        /// The shard answered an error.
        case shardError
    }
    var isRunning = false
    var started = PoolInstant(nanoseconds: 0)
    var kind = StatementKind.utility
    /// The one shard that ran it; nil: none, or every one.
    var shard: BackendPool?
    var ranEverywhere = false
    var outcome = Outcome.ok
    /// Does what the session waits for (`ClientSession+Concurrently`).
    var task: Task<Void, Never>?
    /// An error was already passed on for this unit.
    var hasFailed = false
    /// A COMMIT of the client's succeeded in it.
    var hasCommitted = false
    /// It shares no connection.
    var isAlone = false
    /// A simple query in the place of a pipeline's Sync: what the pipeline executed is of the same transaction.
    var continuesPipeline = false
    /// The plan whose pace is measured by it, and from when on.
    var pacer: CachedPlan?
    var turnBegan = PoolInstant(nanoseconds: 0)
    /// What must be added to the positions in a shard's errors, behind `from` characters of the text that it was sent.
    var positionShift = 0
    var positionsFrom = 0
    /// A text of the router's own was run in the place of the client's: positions in it say nothing.
    var hidesPositions = false
    /// nil: none of its statements is for the audit trail.
    var audited: AuditedUnit?
    /// What EXECUTE named, where several names have one text.
    var executedName: String?

    mutating func begin(at now: PoolInstant) {
        isRunning = true
        started = now
    }
}
