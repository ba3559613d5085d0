internal import NIOCore
internal import PGWire
internal import PoolCore
internal import ServerConfig

/// Every bound of the data plane in one place, from the settings.
struct RouterLimits: Sendable {
    var wire = WireLimits()
    var pool: PoolLimits
    /// Connections of a loop that have not proved who they are.
    var loginsMax: Int
    var startupTimeout: TimeAmount
    var preparedStatementsMax: Int
    var shapeCacheMax: Int
    var textCacheMax: Int
    /// Statements of the extended protocol, per scope.
    var statementCacheMax: Int
    /// Names that a loop's statements have on backends.
    var statementSlotsMax = 1024
    /// Sets of settings that have plans of their own, per database and loop.
    var planScopesMax = 64
    var sessionSettingsMax = 64
    /// Bytes of a client's messages that wait while it is served.
    var clientBacklogMax = 256 << 10
    /// Statements of a batch that wait for a Bind to choose their shard; when there are more, they are prepared on the home shard.
    var heldMax = 256
    var heldBytesMax = 1 << 20
    /// Messages of a batch that a shard has not answered.
    var unansweredMax = 16_384
    /// Bytes of answers that a pipeline's other shards have given before their turn; beyond them these are not read.
    var keptAnswersMax = 256 << 10
    /// How long a shard may go on with a read of a pipeline that is over, before it is cancelled.
    static let leftReadTime = TimeAmount.milliseconds(50)
    var portalsMax = 65_536
    /// Savepoints and SET LOCAL statements of a transaction, which a shard that joins late has to be told.
    var transactionHistoryMax = 65_536
    /// Bytes of a statement's answer that runs on every shard.
    var coordinatedAnswerMax = 16 << 20
    /// Bytes of the rows that are brought to the home shard for one statement.
    var fetchedMax: Int
    /// Of a transaction that has several shards.
    var lockTimeoutMilliseconds: Int64
    /// Each phase of a two-phase commit.
    var commitPhaseTimeout = TimeAmount.seconds(20)
    /// Bytes of a row in a COPY that is split by key.
    var copyRowMax = 16 << 20
    var shutdownGrace: Duration
    /// How long a client that came in just before a shutdown, or during it, may take to send its first statement: on a busy machine, or over a slow line,
    /// seconds pass between a login and what follows it.
    static let shutdownCourtesy = Duration.seconds(5)
    /// How long statements may take to end that were cancelled when the grace was over.
    static let cutOffTime = Duration.seconds(2)
    /// How long a shard may take to answer what the router itself asks once no client waits for it; then the connection is closed.
    var abandonedTime: TimeAmount
    /// How long a statement waits while vnodes change their owner: longer than another manager takes to give up what a dead one has begun.
    var heldTime: PoolNanoseconds
    /// Of a loop: how many such statements there may be, and of how many bytes, with what their clients sent behind them. Beyond, the attempt is to be given up.
    var heldStatementsMax: Int
    var heldStatementBytesMax: Int
    /// Beyond so many times as much, further ones fail.
    static let heldExcess = 4
    /// How long reads go on at the old owner meanwhile: a router that is cut off from the catalog does not learn of the new one.
    var heldReadTime: PoolNanoseconds
    /// How long a client may take to hang up after the goodbye.
    static let lingerTime = Duration.seconds(2)
    /// nil: a transaction may wait for its client for ever.
    var idleTransactionTimeout: PoolNanoseconds?

    /// nil: a transaction may last for ever.
    var transactionTimeout: PoolNanoseconds?
    /// How long a wrong password waits for its answer. It holds no place of a client's meanwhile.
    static let loginFailureDelay = TimeAmount.milliseconds(500)

    init(_ settings: RouterSettings, loops: Int) {
        wire.messageMax = settings.messageMax
        pool = PoolLimits(settings)
        loginsMax = max(1, (settings.loginsMax + loops - 1) / loops)
        startupTimeout = TimeAmount(settings.startupTimeout)
        heldStatementsMax = (settings.heldStatementsMax + loops - 1) / loops
        fetchedMax = settings.fetchedMax
        heldStatementBytesMax = (settings.heldBytesMax + loops - 1) / loops
        preparedStatementsMax = settings.preparedStatementsMax
        shapeCacheMax = settings.shapeCacheMax
        textCacheMax = settings.textCacheMax
        statementCacheMax = settings.textCacheMax
        lockTimeoutMilliseconds = settings.lockTimeout.components.seconds * 1000 + settings.lockTimeout.components.attoseconds / 1_000_000_000_000_000
        shutdownGrace = settings.shutdownGrace
        abandonedTime = TimeAmount(settings.abandonedTime)
        heldTime = PoolNanoseconds(settings.heldTime)
        heldReadTime = PoolNanoseconds(settings.heldReadTime)
        transactionTimeout = settings.transactionTimeout == .zero ? nil : PoolNanoseconds(settings.transactionTimeout)
        idleTransactionTimeout = settings.idleTransactionTimeout == .zero ? nil : PoolNanoseconds(settings.idleTransactionTimeout)
    }
}
