internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import ShardModel

/// The plans of one database for one set of session settings, on one event loop.
///
/// Settings are part of it because they decide what a statement's text means (search_path, DateStyle). Dropped as a whole when the schema
/// or the topology changes.
final class PlanScope {
    let id: UInt64
    let context: PlanningContext
    /// That of the `DatabaseState` it was made from.
    let generation: UInt64
    /// Of sessions that may only read: what is not known to do so has no plan here.
    private let isForReaders: Bool
    private let loop: RouterLoop
    private var shapes: ByteKeyedCache<PlannedStatement>
    private var texts: ByteKeyedCache<PlannedStatement>
    private var prepared: ByteKeyedCache<Statement>

    /// `privateCapacity`: for one session or transaction only, so its caches are small.
    init(context: PlanningContext, generation: UInt64, loop: RouterLoop, isForReaders: Bool, privateCapacity: Int? = nil) {
        id = loop.nextScopeID()
        self.isForReaders = isForReaders
        self.context = context
        self.generation = generation
        self.loop = loop
        let limits = loop.limits
        shapes = ByteKeyedCache(capacity: privateCapacity ?? limits.shapeCacheMax)
        texts = ByteKeyedCache(capacity: privateCapacity ?? limits.textCacheMax)
        prepared = ByteKeyedCache(capacity: privateCapacity ?? limits.statementCacheMax)
    }

    /// The plan of a simple query; afterwards `loop.shape` holds the literals that the plan's key sources name.
    func plan(simple text: ByteBuffer) -> PlannedStatement {
        let hasShape = StatementShape.scan(text.readableBytesSpan, into: &loop.shape)
        let shape = loop.shape.bytes
        if hasShape, let known = shapes.find(shape.span.bytes) {
            loop.metrics.shapeHits &+= 1
            return known
        }
        if let known = texts.find(text.readableBytesSpan) {
            loop.metrics.textHits &+= 1
            return known
        }
        loop.metrics.planMisses &+= 1
        let planned = PlannedStatement(
            Array(buffer: text), literals: hasShape ? loop.shape.literals : nil, parameterTypes: [], allowsSeveral: true, context: context,
            isForReaders: isForReaders)
        switch planned.plan?.value.reuse {
        case .shape where hasShape: shapes.insert(shape.span.bytes, planned)
        case .shape, .text: texts.insert(text.readableBytesSpan, planned)
        // Refusals are cheap to make again, and hostile texts must not push out good plans.
        case .never, nil: break
        }
        return planned
    }

    /// The statement of a Parse message, shared by all sessions of the loop that prepare the same one.
    ///
    /// - hinted: the session names a key, which may place a statement that has no plan.
    func statement(_ parse: ParseMessage, hinted: Bool = false) -> Statement {
        if let known = prepared.find(parse.tail.readableBytesSpan) {
            loop.metrics.statementHits &+= 1
            known.uses &+= 1
            return known
        }
        loop.metrics.planMisses &+= 1
        let planned = PlannedStatement(
            Array(buffer: parse.query), literals: nil, parameterTypes: parse.parameterTypes.array, allowsSeveral: false, context: context,
            isForReaders: isForReaders)
        let statement = Statement(parse, planned, scope: self)
        let isReusable = if let plan = planned.plan { plan.value.reuse != .never } else { planned.isPlacedByHint && (hinted || planned.hint != nil) }
        if isReusable { prepared.insert(parse.tail.readableBytesSpan, statement) }
        return statement
    }
}

/// The outcome of planning one text: a plan, or why there is none.
final class PlannedStatement {
    let plan: CachedPlan?
    /// The key that a comment of the text names.
    let hint: String?
    /// It may be prepared and described, though not run: drivers ask so for the columns of a table that they will COPY into.
    let isDescribable: Bool
    /// A hint may say where it runs: the planner could not, or the text is newer than the parser; and it is a single query, as far as tokens tell.
    let isPlacedByHint: Bool
    private let refusal: Refusal?
    private let syntaxError: SyntaxError?

    /// - isForReaders: without the right to write.
    init(_ text: [UInt8], literals: LiteralRanges?, parameterTypes: [UInt32], allowsSeveral: Bool, context: PlanningContext, isForReaders: Bool) {
        hint = StatementHint.shardKey(in: text)
        do throws(StatementPlanner.TextError) {
            let made = try StatementPlanner.plan(
                bytes: text, literals: literals, parameterTypes: parameterTypes, allowsSeveral: allowsSeveral, context: context)
            guard !isForReaders || made.isForReaders else { throw .refused(Refusal(.readOnlyUser)) }
            let isGather = if case .gatherRows = made.route { true } else { false }
            // Whose hints place nothing.
            if isGather, isForReaders, hint != nil { throw .refused(Refusal(.noKey)) }
            plan = CachedPlan(made, hint: hint)
            refusal = nil
            syntaxError = nil
            isDescribable = false
            // It can run on every shard; a hint wants it on one.
            isPlacedByHint = isGather && !isForReaders && context.temporary.isEmpty && StatementHint.isOneQuery(text)
        } catch {
            plan = nil
            isDescribable =
                if case .refused(let reason) = error { reason.code == .noKey && text.withUnsafeBytes { FirstWord.isFirst("select", in: $0) } } else { false }
            switch error {
            case .refused(let reason): (refusal, syntaxError) = (reason, nil)
            case .syntax(let reason): (refusal, syntaxError) = (nil, reason)
            }
            // What a hint places nobody has understood; and its shard would take the name of a temporary table for another one.
            isPlacedByHint =
                !isForReaders && (refusal?.code.isCuredByHint ?? true) && context.temporary.isEmpty && StatementHint.isOneQuery(text)
        }
    }

    /// A look at the shards as they are now may give a plan: the schema could be older than the table.
    var isCuredByReload: Bool { refusal?.code.isCuredByReload ?? false }

    /// Precondition: there is no plan. In a failed transaction PostgreSQL sees syntax errors, and nothing else.
    func error(inFailedTransaction: Bool) -> ServerError {
        if let syntaxError { return .syntax(syntaxError) }
        if inFailedTransaction { return .failedTransaction }
        guard let refusal else { preconditionFailure("a planned statement has no error") }
        return .refusal(refusal)
    }
}

/// A statement of the extended protocol.
final class Statement {
    let parse: ParseMessage
    let planned: PlannedStatement
    let parameterTypes: [UInt32]
    let scopeID: UInt64
    let schemaGeneration: SchemaGeneration
    let temporaryGeneration: UInt64
    let searchPath: [String]
    /// What a shard said that it takes and gives; nil while none was asked.
    var result: PreparedResult?
    /// The columns of its rows as the home shard has described them, where every shard is asked for rows as they are; nil: not yet.
    var gathered: [RowDescription.Column]?
    /// How often it was parsed, by any client of this loop.
    var uses = 1
    /// Some backend has prepared it without an error, so that a ParseComplete may be given without asking.
    var isValidated = false
    /// How many parameters EXECUTE must give; a Bind's are counted by the shard.
    private(set) lazy var parameterCount = StatementPlanner.parameterCount(ofPrepared: Array(buffer: parse.query), declared: parameterTypes.count)
    /// Its name on backends; nil until it is first used under a name.
    var slot: StatementSlot?
    /// The keys that its text names, where it has no plan that would say.
    private(set) lazy var namedKeys = StatementPlanner.namedKeys(bytes: Array(buffer: parse.query), parameterTypes: parameterTypes, context: context)
    /// How all shards answer it where its keys turn out to live on several; nil: they do not.
    private(set) lazy var across = StatementPlanner.across(bytes: Array(buffer: parse.query), parameterTypes: parameterTypes, context: context)
    private let context: PlanningContext
    /// Executing it adds nothing to a pipeline's transaction: the statement ends it, is a transaction of its own, or is none.
    var endsPipeline: Bool {
        switch planned.plan?.route {
        case .transaction, .session(.discardAll), .empty: true
        case .everyShard(let everyShard): everyShard.concurrentIndex != nil
        default: false
        }
    }

    init(_ parse: ParseMessage, _ planned: PlannedStatement, scope: PlanScope) {
        self.parse = parse
        self.planned = planned
        parameterTypes = parse.parameterTypes.array
        scopeID = scope.id
        context = scope.context
        schemaGeneration = scope.context.schema.generation
        temporaryGeneration = scope.context.temporary.generation
        searchPath = scope.context.searchPath
    }
}
