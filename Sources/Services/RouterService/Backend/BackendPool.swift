internal import Logging
internal import NIOCore
internal import PGChannel
internal import PGWire
internal import PoolCore
internal import ReplicaCore
internal import Secrets
internal import SessionCore
internal import ShardModel
internal import Telemetry

/// One event loop's connections to one shard: carries out what `ShardPool` decides.
final class BackendPool {
    /// Tells it from the other pools of its loop, the same way in every run of a simulation.
    let number: UInt64
    let shardID: ShardID
    let metricPosition: Int
    let logger: Logger
    private let database: String
    /// The replica that its backends are connected to; nil: the primary.
    let replica: ReplicaServer?
    /// Of a primary's pool: those of its replicas.
    var replicas: [BackendPool] = []
    /// What eventual reads of the shard became of; of a primary's pool.
    var eventualReads = EventualReadCounts()
    /// What `replica` was told of `core.outstanding`.
    private var toldWork = 0
    /// Held strongly, as a backend holds its pool: the loop lets go of its pools, and a pool of its backends, when they are closed. The hot path
    /// reads them several times a statement, and an unowned reference costs two more atomic operations each time.
    let loop: RouterLoop
    private(set) var core: ShardPool
    /// What its sequences give out; nil: not given out yet.
    private(set) var slice: SequenceSlice?
    private var endpointText: String
    private var endpoint: Result<PostgresEndpoint, any Error>
    /// By `BackendID.slot`.
    private var backends: [Backend?] = []
    private var waiters: [WaiterID: Waiter] = [:]
    private var nextWaiter: UInt64 = 0
    /// Backends that take further statements behind the one that they are at.
    var lines: [Backend] = []
    /// How many more statements are taken for those of several clients at the same time.
    var crowd = 0
    /// Statements that were sent behind others', and those of them that were then done elsewhere.
    var sharedReads: UInt64 = 0
    var movedReads: UInt64 = 0
    /// The server's default isolation is one at which a transaction's statements share a snapshot, as far as the newest connection knows.
    private(set) var isStrict = true
    /// Attempts to connect that the pool has given up: what comes of them is closed.
    private var abandoned: Set<BackendID> = []
    private var lastError = ""
    /// Vnodes of the shard change their owner: connections that would be opened wait until they have.
    private var isBarred = false
    private var barredConnects: [BackendID] = []
    /// Connections that are being opened: the shard may have let them in already.
    private(set) var connecting: Set<BackendID> = []
    private(set) var waitSeconds = LatencyHistogram()
    private(set) var failures: [String: UInt64] = [:]

    /// A request for a backend that has to wait.
    final class Waiter {
        fileprivate let id: WaiterID
        fileprivate let deliver: (Result<Backend, ServerError>) -> Void
        fileprivate let since: PoolInstant
        /// Held until the request has its answer.
        private let pool: BackendPool

        fileprivate init(_ id: WaiterID, _ pool: BackendPool, since: PoolInstant, _ deliver: @escaping (Result<Backend, ServerError>) -> Void) {
            self.id = id
            self.pool = pool
            self.since = since
            self.deliver = deliver
        }

        /// The request is withdrawn: `deliver` is not called any more.
        func cancel() { pool.withdraw(self) }
    }

    init(shard: ShardRecord, replica: ReplicaServer? = nil, database: String, loop: RouterLoop) {
        number = loop.nextPoolNumber()
        shardID = shard.id
        self.replica = replica
        self.database = database
        self.loop = loop
        logger = loop.logger
        metricPosition = loop.metrics.position(ofShard: shard.id.name)
        slice = shard.slice.flatMap(SequenceSlice.init(number:))
        endpointText = replica?.key.endpoint ?? shard.primaryEndpoint
        endpoint = Self.open(endpointText, loop)
        let limits = loop.limits.pool
        core = ShardPool(
            loop: LoopIndex(loop.number), limits: limits,
            budget: replica?.budget ?? loop.shared.budgets.budget(of: shard.id, slotsMax: limits.sizeMax, loops: loop.shared.loopCount),
            seed: loop.nextSeed())
    }

    private static func open(_ endpoint: String, _ loop: RouterLoop) -> Result<PostgresEndpoint, any Error> {
        Result { try PostgresEndpoint.parse(EndpointSecrets.opened(endpoint, with: loop.shared.control.secrets)) }
    }

    var limits: WireLimits { loop.limits.wire }

    /// The catalog's present record of the shard.
    func update(_ shard: ShardRecord) {
        slice = shard.slice.flatMap(SequenceSlice.init(number:))
        guard replica == nil, shard.primaryEndpoint != endpointText else { return }
        endpointText = shard.primaryEndpoint
        endpoint = Self.open(endpointText, loop)
        perform { $0.retire(now: loop.now, actions: &$1) }
    }

    // MARK: Handing out

    /// An idle backend, when there is one that can be used as it is.
    func take() -> Backend? { take(at: loop.readClock()) }

    /// `now`: near enough to tell how long a backend has been idle.
    @inline(__always)
    func take(at now: PoolInstant) -> Backend? {
        guard let id = core.takeIdle(now: now) else { return nil }
        if replica != nil { tellWork() }
        return backends[Int(id.slot)]
    }

    /// Asks for a backend; `deliver` is called later, once, unless the request is withdrawn.
    func wait(_ deliver: @escaping (Result<Backend, ServerError>) -> Void) -> Waiter {
        nextWaiter += 1
        let waiter = Waiter(WaiterID(nextWaiter), self, since: loop.now, deliver)
        waiters[waiter.id] = waiter
        request(waiter)
        loop.needsTicks(self)
        return waiter
    }

    private func request(_ waiter: Waiter) {
        var actions: [PoolAction] = []
        switch core.acquire(waiter.id, now: loop.now, actions: &actions) {
        case .granted(let id, let needsHealthCheck):
            actions.append(.grant(waiter.id, id, needsHealthCheck: needsHealthCheck))
        case .refused(let refusal):
            actions.append(.refuse(waiter.id, refusal))
        case .queued:
            break
        }
        if replica != nil { tellWork() }
        // The caller is not ready for an answer before it has the waiter.
        if !actions.isEmpty { loop.eventLoop.assumeIsolated().execute { [self] in carryOut(actions) } }
    }

    private func withdraw(_ waiter: Waiter) {
        guard waiters.removeValue(forKey: waiter.id) != nil else { return }
        perform { _ = $0.waiterCancelled(waiter.id, now: loop.now, actions: &$1) }
    }

    func release(_ backend: Backend, isReusable: Bool = true) {
        guard backend.isOpen else { return }
        if backend.cancelsUnderWay > 0 {
            // A cancel request that is still on its way would hit the next statement.
            backend.onCancelsDelivered = { [self] in release(backend, isReusable: isReusable) }
            return
        }
        let isReusable = isReusable && !backend.mayBeCancelled
        if !core.releasedQuietly(backend.id, reusable: isReusable, now: loop.lately) {
            perform { $0.released(backend.id, reusable: isReusable, now: loop.now, actions: &$1) }
        } else if replica != nil {
            tellWork()
        }
    }

    /// Whoever chooses a replica, on any loop, sees how much it has to do.
    private func tellWork() {
        let work = core.outstanding
        replica?.addWork(work - toldWork)
        toldWork = work
    }

    /// A backend's connection is gone.
    func closed(_ backend: Backend) {
        if backends[Int(backend.id.slot)] === backend { backends[Int(backend.id.slot)] = nil }
        perform { $0.closed(backend.id, now: loop.now, actions: &$1) }
    }

    /// Stops what the backend is running.
    func cancel(_ backend: Backend) {
        guard case .success(let endpoint) = endpoint else { return }
        backend.cancelsUnderWay += 1
        loop.shared.connector.sendCancel(
            to: endpoint, CancelRequest(processID: backend.processID, secret: backend.secretKey), on: loop.eventLoop
        ).assumeIsolated().whenComplete { result in
            backend.cancelsUnderWay -= 1
            // The server may take the request from its queue much later.
            if case .failure = result { backend.mayBeCancelled = true }
            guard backend.cancelsUnderWay == 0, let next = backend.onCancelsDelivered else { return }
            backend.onCancelsDelivered = nil
            next()
        }
    }

    /// The number of slots is the budget's: `SlotBudgets.resize` comes first.
    func reconfigure(_ limits: PoolLimits) { perform { $0.reconfigure(limits, now: loop.now, actions: &$1) } }

    func pause() { perform { $0.pause(now: loop.now, actions: &$1) } }
    func resume() {
        perform { $0.resume(now: loop.now, actions: &$1) }
        loop.needsTicks(self)
    }

    var statistics: PoolStatistics { core.statistics }

    /// For the console.
    func serverRows(_ loop: Int) -> [[ConsoleTable.Value]] {
        let (host, port) = (try? endpoint.get())?.shown ?? (.null, .null)
        return backends.compactMap { backend in
            guard let backend, backend.isOpen else { return nil }
            let client = backend.session.map { ConsoleTable.Value.number(Int64($0.processID)) } ?? .null
            let state = backend.session != nil ? "active" : backend.hasExchange ? "used" : "idle"
            return [
                .text(database), .text(shardID.name), .text(state), host, port, .number(Int64(backend.processID)), client, .number(loop),
            ]
        }
    }

    /// Every backend is replaced: now where nobody uses it, or when it becomes free.
    func reconnect() { perform { $0.retire(now: loop.now, actions: &$1) } }

    func retire() {
        perform { $0.drain(now: loop.now, actions: &$1) }
        isBarred = false
        for id in exchange(&barredConnects, with: []) {
            abandoned.remove(id)
            perform { $0.connectFailed(id, ConnectFailure(.lost), now: loop.now, actions: &$1) }
        }
    }

    /// Its shard is the owner of what statements were planned for no more: none of them may get there, and no transaction may go on on a connection of
    /// the pool while its next statement finds another pool.
    ///
    /// Precondition: it was retired.
    func cutOff() {
        for case let backend? in backends { backend.cutOff() }
    }

    /// The replica is not to be used any more: who waits for it, or reads there and can still be answered by the primary, goes there. Its
    /// connections are not used again, for another server may answer at the address next.
    func abandon() {
        for waiter in Array(waiters.values) where waiters[waiter.id] != nil {
            perform { _ = $0.waiterCancelled(waiter.id, now: loop.now, actions: &$1) }
            deliver(.failure(.shardUnavailable(shardID, "The replica does not answer, or is none any more.")), to: waiter)
        }
        perform { $0.retire(now: loop.now, actions: &$1) }
        for case let backend? in backends { backend.session?.replicaAbandoned(backend) }
    }

    // MARK: Time, and other loops

    /// True while there is something that time could change.
    func tick() -> Bool {
        perform { $0.tick(now: loop.now, actions: &$1) }
        let statistics = core.statistics
        return statistics.live > 0 || statistics.waiting > 0 || core.limits.sizeMin > 0
    }

    func slotWanted() { perform { $0.slotWanted(now: loop.now, actions: &$1) } }
    func slotGranted() { perform { $0.slotGranted(now: loop.now, actions: &$1) } }

    // MARK: Actions

    private func perform(_ event: (inout ShardPool, inout [PoolAction]) -> Void) {
        var actions: [PoolAction] = []
        event(&core, &actions)
        if replica != nil { tellWork() }
        carryOut(actions)
    }

    private func carryOut(_ actions: [PoolAction]) {
        for action in actions {
            switch action {
            case .connect(let id): connect(id)
            case .close(let id, _): closeBackend(id)
            case .grant(let waiter, let id, let needsHealthCheck): grant(waiter, id, needsHealthCheck)
            case .refuse(let waiter, let refusal): refuse(waiter, refusal)
            case .askOtherLoops: onOtherLoops { $0.slotWanted() }
            case .passSlot(let target): on(target) { $0.slotGranted() }
            case .drained: loop.poolDrained(self)
            }
        }
    }

    private func on(_ target: LoopIndex, _ work: @escaping @Sendable (BackendPool) -> Void) {
        let (database, shardID, replica) = (database, shardID, replica?.key.endpoint)
        loop.shared.allLoops.first { $0.number == target.value }?.run { loop in
            if let pool = loop.pool(of: shardID, in: database, replica: replica) { work(pool) }
        }
    }

    private func onOtherLoops(_ work: @escaping @Sendable (BackendPool) -> Void) {
        for reference in loop.shared.allLoops where reference.number != loop.number { on(LoopIndex(reference.number), work) }
    }

    private func grant(_ id: WaiterID, _ backendID: BackendID, _ needsHealthCheck: Bool) {
        guard let backend = backends[Int(backendID.slot)], backend.id == backendID else {
            // It broke between the decision and now: the request waits anew.
            if let waiter = waiters[id] { request(waiter) }
            return
        }
        guard let waiter = waiters[id] else {
            return perform { $0.released(backendID, reusable: true, now: loop.now, actions: &$1) }
        }
        guard needsHealthCheck else { return deliver(.success(backend), to: waiter) }
        // The cheapest question that every PostgreSQL answers: the empty query.
        backend.run(
            Exchange { [self] exchange, result in
                guard result == .done, exchange.error == nil else {
                    let waiting = waiters[id] == nil ? nil : id
                    perform { $0.healthCheckFailed(backendID, waiter: waiting, now: loop.now, actions: &$1) }
                    return
                }
                guard let waiter = waiters[id] else {
                    return perform { $0.released(backendID, reusable: true, now: loop.now, actions: &$1) }
                }
                deliver(.success(backend), to: waiter)
            }
        ) { $0.writeQuery("") }
        // A server that was stopped, or a network that lost the connection, does not even refuse.
        backend.boundExchange(to: TimeAmount(core.limits.connectTimeout))
    }

    private func deliver(_ result: Result<Backend, ServerError>, to waiter: Waiter) {
        waiters[waiter.id] = nil
        waitSeconds.record(nanoseconds: loop.now.elapsed(since: waiter.since).count)
        waiter.deliver(result)
    }

    private func refuse(_ id: WaiterID, _ refusal: PoolRefusal) {
        guard let waiter = waiters[id] else { return }
        let (reason, error): (String, ServerError) =
            switch refusal {
            case .queueFull: ("queue_full", .poolExhausted(shardID, "Too many statements wait for one already."))
            case .timedOut: ("timeout", .poolExhausted(shardID, "None became free in time."))
            case .draining: ("closed", .shardUnavailable(shardID, "The router is letting go of this shard."))
            case .unavailable: ("connect", .shardUnavailable(shardID, lastError))
            }
        failures[reason, default: 0] += 1
        deliver(.failure(error), to: waiter)
    }

    private func closeBackend(_ id: BackendID) {
        guard backends.indices.contains(Int(id.slot)), let backend = backends[Int(id.slot)], backend.id == id else {
            abandoned.insert(id)
            return
        }
        backend.close()
    }

    // MARK: While vnodes change their owner

    /// No connection is opened until `admitConnects`: the fence spares those alone that the router has named.
    func barConnects() { isBarred = true }

    func admitConnects() {
        guard isBarred else { return }
        isBarred = false
        for id in exchange(&barredConnects, with: []) { connect(id) }
    }

    /// As the server knows its sessions.
    var processIDs: [Int32] { backends.compactMap { $0.flatMap { $0.isOpen ? $0.processID : nil } } }

    /// Run something that no client waits for any more.
    var orphans: [Backend] { backends.compactMap { $0.flatMap { $0.isOrphan ? $0 : nil } } }

    // MARK: Connecting

    private func connect(_ id: BackendID) {
        if isBarred { return barredConnects.append(id) }
        while backends.count <= Int(id.slot) { backends.append(nil) }
        loop.needsTicks(self)
        connecting.insert(id)
        let target: PostgresEndpoint
        switch endpoint {
        case .success(let endpoint): target = endpoint
        case .failure(let error):
            // Off the stack of the event that asked for the connection.
            loop.eventLoop.assumeIsolated().execute { [self] in connectFailed(id, "\(error)", ConnectFailure(.rejected)) }
            return
        }
        var overrides = BackendConnector.Overrides()
        overrides.parameters = [
            .init(name: "client_encoding", value: "UTF8"), .init(name: "application_name", value: "pgmosaic"),
            // What the router's parser takes for granted.
            .init(name: "standard_conforming_strings", value: "on"),
            // Keeps the shard's event trigger from notifying, which no prepared transaction may: `SchemaQueries.eventTrigger`.
            .init(name: "pgmosaic.session", value: "router"),
        ]
        loop.shared.connector.connect(
            to: target, overrides: overrides, on: loop.eventLoop, timeout: TimeAmount(core.limits.connectTimeout)
        ).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let established): greet(id, established)
            case .failure(let error as BackendConnectError): connectFailed(id, error.description, ConnectFailure(error))
            case .failure(let error): connectFailed(id, "\(error)", ConnectFailure(.lost))
            }
        }
    }

    /// Tells the shard who comes, and makes sure that it is the shard it should be.
    private func greet(_ id: BackendID, _ established: EstablishedBackend) {
        let backend = Backend(
            id: id, channel: established.channel, processID: established.processID, secretKey: established.secretKey,
            unread: established.unread, pool: self, settings: loop.settings(.init()))
        do {
            try established.channel.pipeline.syncOperations.addHandler(backend)
        } catch {
            established.channel.close(promise: nil)
            return connectFailed(id, "\(error)", ConnectFailure(.lost))
        }
        backend.setReading(true)
        let hello = replica == nil ? loop.hello(to: shardID) : "\(loop.hello(to: shardID)); \(ReplicaQueries.greeting)"
        backend.run(
            Exchange(.simpleQuery) { [self] exchange, result in
                if let problem = result == .done && exchange.error == nil ? misgiving(exchange) : nil {
                    backend.close()
                    connectFailed(id, problem, ConnectFailure(.rejected))
                } else if result == .done, exchange.error == nil, isBarred {
                    connecting.remove(id)
                    backend.close()
                    barredConnects.append(id)
                } else if result == .done, exchange.error == nil {
                    connecting.remove(id)
                    backends[Int(id.slot)] = backend
                    backend.isAdmitted = true
                    let isolation = exchange.textResults.first?.first?.last ?? nil
                    isStrict = !["read committed", "read uncommitted"].contains(isolation)
                    perform { $0.connected(id, now: loop.now, actions: &$1) }
                    if abandoned.remove(id) != nil { backend.close() }
                } else if backend.isOverdue {
                    connectFailed(id, "it did not answer the greeting in time", ConnectFailure(.timedOut))
                } else {
                    backend.close()
                    let reason = exchange.error.map { "\($0.sqlState.code) \($0.message)" } ?? "the connection broke"
                    connectFailed(id, reason, ConnectFailure(exchange.error == nil ? .lost : .rejected, sqlState: exchange.error?.sqlState.code))
                }
            }
        ) { $0.writeQuery(hello) }
        // The time to connect is over with the handshake, and a server may fall silent right behind it.
        backend.boundExchange(to: TimeAmount(core.limits.connectTimeout))
    }

    /// Why the server that greeted is not the replica it should be; nil: it is, or need not be one.
    private func misgiving(_ exchange: Exchange) -> String? {
        guard let replica else { return nil }
        guard let facts = exchange.textResults.last?.first, facts.count == 2, let system = facts[1] else { return "it did not say what it is" }
        if facts[0] != "t" { return "it is not in recovery: it was promoted, or never was a replica" }
        return system == replica.expectedSystem ? nil : "its system identifier is not the primary's"
    }

    private func connectFailed(_ id: BackendID, _ reason: String, _ failure: ConnectFailure) {
        connecting.remove(id)
        abandoned.remove(id)
        lastError = reason
        failures["connect", default: 0] += 1
        var metadata: Logger.Metadata = ["shard": "\(shardID)", "reason": "\(reason)"]
        if let replica { metadata["replica"] = "\(replica.label)" }
        logger.warning("A shard does not take connections", metadata: metadata)
        perform { $0.connectFailed(id, failure, now: loop.now, actions: &$1) }
    }
}
