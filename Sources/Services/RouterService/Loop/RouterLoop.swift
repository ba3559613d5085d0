internal import Audit
internal import CommitCore
internal import Foundation
internal import Listening
internal import Logging
internal import NIOCore
internal import PGWire
internal import PoolCore
internal import Secrets
internal import ServerConfig
internal import SQLSyntax
internal import SessionCore
internal import ShardModel

/// Everything of the router that lives on one event loop: sessions, backends, caches. Nothing in it is shared with another loop.
final class RouterLoop {
    let eventLoop: any EventLoop
    let number: Int
    let shared: RouterShared
    let logger: Logger
    let metrics = LoopMetrics()
    /// nil: there is none.
    let audit: AuditTrail?
    /// Statements that may write are for the trail, too.
    let auditsWrites: Bool
    private(set) var limits: RouterLimits
    private(set) var admission: Admission
    var pendingLogins = PendingLogins()
    private var consoles: [ObjectIdentifier: ConsoleSession] = [:]

    private(set) var catalog: CatalogSnapshot
    private(set) var databases: [String: DatabaseState] = [:]
    private(set) var sessions: [Int32: ClientSession] = [:]
    /// Those whose transaction has come to a second shard, and when, in seconds since 1970; some of them are done with it (`DeadlockWatch`).
    var spanning: [Int32: Double] = [:]
    private var nextSession: Int32 = 0
    private var settingsTable = SettingsTable()
    /// Storage for the statement that is being looked up.
    var shape = ShapeBuffer()
    private var slots: StatementSlots
    private var scopeCount: UInt64 = 0
    private var transactionCount: UInt64 = 0
    private var lastSeed: UInt64
    private(set) var isDraining = false
    /// Pools that time can change, by identity; those that were retired are kept alive here until their last backend is closed.
    private var tickingPools: [UInt64: BackendPool] = [:]
    private var retiredPools: [UInt64: BackendPool] = [:]
    private var poolCount: UInt64 = 0
    private var ticker: Scheduled<Void>?
    /// Backends whose messages wait for the end of the tick.
    private var unflushed: [Backend] = []
    /// Sessions whose answers wait for others' a short time.
    private var delayed: [(ClientSession, Scatter)] = []
    private var delayedFlush: Scheduled<Void>?
    /// Backends that several sessions share.
    private var watched: [Backend] = []
    private let census = SessionCensus()
    private var watcher: Scheduled<Void>?
    private var sweep: Scheduled<Void>?
    /// Nothing is scheduled any more: the event loop is about to end.
    private(set) var isClosed = false
    /// Clients that are logging in.
    var logins = 0
    /// Connections that have been told goodbye and are not closed yet.
    private(set) var lingering = 0

    init(eventLoop: any EventLoop, number: Int, shared: RouterShared, admission: Admission, logger: Logger) {
        limits = RouterLimits(shared.settings, loops: shared.loopCount)
        self.admission = admission
        audit = shared.audit
        auditsWrites = shared.audit != nil && shared.settings.audit.auditsWrites
        self.eventLoop = eventLoop
        self.number = number
        self.shared = shared
        self.logger = logger
        catalog = CatalogSnapshot(clusterID: "")
        slots = StatementSlots(max: limits.statementSlotsMax)
        lastSeed = shared.start ^ UInt64(number) << 56
    }

    /// For what a pool leaves to chance; its generator mixes the bits.
    func nextSeed() -> UInt64 {
        lastSeed &+= 0x9E37_79B9_7F4A_7C15
        return lastSeed
    }

    // MARK: What the control plane tells it

    /// Replaces the catalog as a whole.
    func install(_ snapshot: CatalogSnapshot) {
        eventLoop.preconditionInEventLoop()
        guard snapshot.epoch >= catalog.epoch || snapshot.clusterID != catalog.clusterID else { return }
        let usersHaveChanged =
            snapshot.users != catalog.users || snapshot.settings[Revocations.setting] != catalog.settings[Revocations.setting]
        catalog = snapshot
        if usersHaveChanged { for session in Array(sessions.values) { session.usersChanged(snapshot) } }
        if sweep == nil { scheduleSweep() }
        for name in databases.keys where snapshot.databases[name] == nil { retire(name) }
        for name in snapshot.databases.keys {
            do {
                let topology = try Topology(database: name, in: snapshot, after: databases[name]?.topology)
                if let state = databases[name] {
                    state.install(topology)
                } else {
                    databases[name] = DatabaseState(topology, loop: self)
                }
            } catch {
                // A database without shards yet; it is refused at login.
                retire(name)
                logger.debug("A database cannot be served", metadata: ["database": "\(name)", "reason": "\(error)"])
            }
        }
        census.take(snapshot, in: self)
    }

    /// Unless it serves this epoch, or a later one, already.
    func catchUp(to snapshot: CatalogSnapshot) {
        if catalog.clusterID != snapshot.clusterID || catalog.epoch < snapshot.epoch { install(snapshot) }
    }

    /// Its sessions end like those of a router that ends.
    private func retire(_ database: String) {
        guard let state = databases.removeValue(forKey: database) else { return }
        state.retire()
        for session in sessions.values where session.database === state { session.cutOff(.databaseGone(database)) }
    }

    func install(_ schema: LoadedSchema, for database: String) {
        eventLoop.preconditionInEventLoop()
        databases[database]?.install(schema)
    }

    // MARK: Pools

    private static var tickInterval: TimeAmount { .milliseconds(50) }

    /// The event loop's own clock, which a test moves.
    var now: PoolInstant { PoolInstant(nanoseconds: eventLoop.now.uptimeNanoseconds) }

    /// When the last unit on this loop began or ended: near enough for what a pool wants to know, and without another look at the clock.
    private(set) var lately = PoolInstant(nanoseconds: 0)

    func readClock() -> PoolInstant {
        lately = now
        return lately
    }

    /// - replica: the endpoint of a replica of the shard; nil for its primary.
    func pool(of shard: ShardID, in database: String, replica: String? = nil) -> BackendPool? {
        let primary = databases[database]?.pools.first { $0.shardID == shard }
        guard let replica else { return primary }
        return primary?.replicas.first { $0.replica?.key.endpoint == replica }
    }

    /// Of these shards, those that are about to go among them.
    func primaries(of shards: Set<ShardID>) -> [BackendPool] {
        (databases.values.flatMap(\.pools) + retiredPools.values).filter { $0.replica == nil && shards.contains($0.shardID) }
    }

    /// The pool has something that time changes: a wait that ends, a backend that grows old.
    func needsTicks(_ pool: BackendPool) {
        guard !isClosed else { return }
        tickingPools[pool.number] = pool
        if ticker == nil { scheduleTick() }
    }

    /// Holds the loop until the tick, and with no weak reference: one would make every later retain and release of the loop a slow one.
    private func scheduleTick() {
        ticker = eventLoop.assumeIsolated().scheduleTask(in: Self.tickInterval) { self.tick() }
    }

    private func tick() {
        ticker = nil
        for (id, pool) in tickingPools where !pool.tick() { tickingPools[id] = nil }
        if !tickingPools.isEmpty, ticker == nil, !isClosed { scheduleTick() }
    }

    /// Looks for sessions that take too long, as often as limits of seconds need.
    private func scheduleSweep() {
        guard let limit = [limits.idleTransactionTimeout, limits.transactionTimeout].compactMap({ $0 }).min(), !isClosed else { return }
        let pause = TimeAmount.nanoseconds(Int64(min(max(limit.count / 4, 50_000_000), 1_000_000_000)))
        sweep = eventLoop.assumeIsolated().scheduleTask(in: pause) {
            let now = self.now
            let limits = self.limits
            for session in self.sessions.values {
                if let limit = limits.idleTransactionTimeout { session.endIfIdleInTransaction(for: limit, now: now) }
                if let limit = limits.transactionTimeout { session.endIfInTransaction(for: limit, now: now) }
            }
            self.scheduleSweep()
        }
    }

    /// Settings were read anew.
    func reconfigure(_ settings: RouterSettings, _ admission: Admission) {
        eventLoop.preconditionInEventLoop()
        let old = limits
        limits = RouterLimits(settings, loops: shared.loopCount)
        self.admission = admission
        for database in databases.values {
            for pool in database.allPools {
                pool.reconfigure(limits.pool)
                needsTicks(pool)
            }
            if old.shapeCacheMax != limits.shapeCacheMax || old.textCacheMax != limits.textCacheMax { database.forgetPlans() }
        }
        // Nobody has measured how long they have been idle.
        if old.idleTransactionTimeout == nil { for session in sessions.values { session.restartIdleClock() } }
        sweep?.cancel()
        scheduleSweep()
    }

    /// The pool serves nobody any more, and is let go of when its backends are closed.
    func retire(_ pool: BackendPool) {
        retiredPools[pool.number] = pool
        pool.retire()
    }

    func poolDrained(_ pool: BackendPool) { retiredPools[pool.number] = nil }

    // MARK: Shared connections

    /// Several statements of this tick are for the backend, perhaps: they go out with one write.
    func flushSoon(_ backend: Backend) {
        if unflushed.isEmpty { eventLoop.assumeIsolated().execute { self.flushDue() } }
        unflushed.append(backend)
    }

    private func flushDue() {
        while let backend = unflushed.popLast() { backend.flushNow() }
    }

    /// One timer for all: it costs less than the writes that it saves.
    func flushLater(_ session: ClientSession, _ scatter: Scatter) {
        guard !isClosed else { return session.flushClient() }
        delayed.append((session, scatter))
        if delayedFlush != nil { return }
        delayedFlush = eventLoop.assumeIsolated().scheduleTask(in: Self.answerDelay) {
            self.delayedFlush = nil
            for (session, scatter) in exchange(&self.delayed, with: []) where session.scatter === scatter {
                scatter.isFlushDue = false
                session.flushClient()
            }
        }
    }

    private static var answerDelay: TimeAmount { .milliseconds(2) }

    /// Looks whether the line on the backend moves, until it is gone.
    func watch(_ backend: Backend) {
        watched.append(backend)
        if watcher == nil, !isClosed { scheduleWatch() }
    }

    private func scheduleWatch() {
        watcher = eventLoop.assumeIsolated().scheduleTask(in: Self.watchInterval) {
            self.watcher = nil
            let backends = exchange(&self.watched, with: [])
            self.watched += backends.filter { $0.watchTurn() }
            if !self.watched.isEmpty, self.watcher == nil, !self.isClosed { self.scheduleWatch() }
        }
    }

    /// A statement has so long, or twice as long at most, before those behind it are done elsewhere.
    private static var watchInterval: TimeAmount { .milliseconds(5) }

    // MARK: Sessions

    /// Process ids of a router name the loop in their high bits, so that a cancel request finds it.
    func register(_ session: ClientSession) -> Int32 {
        repeat {
            nextSession = (nextSession + 1) & 0x00FF_FFFF
        } while sessions[nextSession] != nil || nextSession == 0
        sessions[nextSession] = session
        if isDraining, !session.isInternal { session.drain() }
        return Int32(number) << 24 | nextSession
    }

    func unregister(processID: Int32) {
        sessions[processID & 0x00FF_FFFF] = nil
        spanning[processID & 0x00FF_FFFF] = nil
    }

    func spans(_ session: ClientSession) { spanning[session.processID & 0x00FF_FFFF] = Date().timeIntervalSince1970 }

    func session(processID: Int32) -> ClientSession? { sessions[processID & 0x00FF_FFFF] }

    func add(_ console: ConsoleSession) { consoles[ObjectIdentifier(console)] = console }

    func remove(_ console: ConsoleSession) { consoles[ObjectIdentifier(console)] = nil }

    func settings(_ settings: SessionSettings) -> SettingsRef { settingsTable.intern(settings) }

    /// The name that backends of this loop know the statement by.
    func slot(of statement: Statement) -> StatementSlot { statement.slot ?? slots.assign(to: statement) }

    /// Never the same twice: `RouterShared.start` tells apart the runs of the router, the high bits its loops.
    func nextTransactionID(decider: ShardID) throws(GlobalTransactionIDError) -> GlobalTransactionID {
        transactionCount += 1
        return try GlobalTransactionID(
            cluster: catalog.clusterID, router: shared.routerID, start: shared.start, number: UInt64(number) << 48 | transactionCount,
            decider: decider)
    }

    /// What a new session with a shard says first: who it is, and which epoch it knows. A shard that is another one, or that is fenced
    /// against so old an epoch, refuses it. It answers with its default isolation level.
    func hello(to shard: ShardID) -> String {
        let arguments = [catalog.clusterID, shard.name, shared.routerID].map(quoteLiteral) + [catalog.epoch.description]
        return "SELECT pgmosaic.hello(\(arguments.joined(separator: ", "))), pg_catalog.current_setting('default_transaction_isolation')"
    }

    func nextPoolNumber() -> UInt64 {
        poolCount += 1
        return poolCount
    }

    func nextScopeID() -> UInt64 {
        scopeCount += 1
        return scopeCount
    }

    // MARK: The end

    /// Lets clients' sessions end with their transactions. REST's own go on: its requests end by themselves.
    func drain() {
        isDraining = true
        for session in sessions.values where !session.isInternal { session.drain() }
        for console in consoles.values { console.end() }
    }

    /// Clients that are served, or are about to be.
    var clients: Int { sessions.values.reduce(0) { $0 + ($1.isInternal ? 0 : 1) } }

    /// Rolls back and cancels what is under way.
    func cutOff() {
        for session in sessions.values { session.cutOff(.shuttingDown) }
    }

    func closeAll() {
        isDraining = true
        isClosed = true
        ticker?.cancel()
        sweep?.cancel()
        watcher?.cancel()
        census.stop()
        delayedFlush?.cancel()
        delayed.removeAll()
        for session in sessions.values { session.abort() }
        for database in databases.values { database.retire() }
        databases.removeAll()
        // What is left in these holds the loop.
        tickingPools.removeAll()
        watched.removeAll()
        slots = StatementSlots(max: limits.statementSlotsMax)
    }

    /// Ends a connection whose peer must read what it was sent last.
    func linger(_ context: ChannelHandlerContext, before handler: some ChannelHandler) {
        lingering += 1
        let end = LingeringClose(limit: TimeAmount(RouterLimits.lingerTime)) { self.lingering -= 1 }
        do {
            try context.pipeline.syncOperations.addHandler(end, position: .before(handler))
        } catch {
            lingering -= 1
            context.close(promise: nil)
        }
    }
}

/// A session's settings, interned: equal ones are identical.
final class SettingsRef {
    let settings: SessionSettings
    let namesIsolation: Bool
    init(_ settings: SessionSettings) {
        self.settings = settings
        namesIsolation = settings.namesIsolation
    }
}

private struct SettingsTable {
    private static let sweepAt = 1024
    private var table: [SessionSettings: SettingsRef] = [:]
    private var sweepThreshold = sweepAt

    mutating func intern(_ settings: SessionSettings) -> SettingsRef {
        if let known = table[settings] { return known }
        if table.count >= sweepThreshold {
            for key in Array(table.keys) where isKnownUniquelyReferenced(&table[key]!) { table[key] = nil }
            sweepThreshold = max(Self.sweepAt, table.count * 2)
        }
        let new = SettingsRef(settings)
        table[settings] = new
        return new
    }
}
