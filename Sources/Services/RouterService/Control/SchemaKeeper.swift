internal import Logging
internal import NIOCore
internal import PGChannel
internal import PGWire
internal import RoutePlanning
internal import Secrets
internal import ShardModel

/// Keeps what the router knows of one database's schema: reads it from the home shard at the start, when a shard reports a change, when its
/// fingerprint has changed, and when somebody asks.
actor SchemaKeeper {
    /// How often the fingerprint is compared, for changes that no notification told of (no event trigger, a lost connection).
    static let pollInterval = Duration.seconds(5)
    private static let retryInterval = Duration.seconds(1)

    private let database: String
    private unowned let control: ControlPlane
    private var endpoint = ""
    private var client: PGClient?
    private var fingerprint: String?
    private var loaded: LoadedSchema?
    private var generation: UInt64 = 0
    private var task: Task<Void, Never>?
    private var isStopped = false
    /// The reading under way, and the one that will follow it: a request joins the one that begins after it.
    private var current: Task<Void, any Error>?
    private var following: Task<Void, any Error>?

    init(database: String, control: ControlPlane) {
        self.database = database
        self.control = control
    }

    func setHome(_ endpoint: String) async {
        guard endpoint != self.endpoint else { return }
        self.endpoint = endpoint
        await drop()
    }

    func start() async {
        try? await refresh()
        guard !isStopped else { return }
        task = Task { await follow() }
    }

    /// Afterwards nothing of it is under way, and nothing begins: its connections must not outlive the event loops.
    func stop() async {
        isStopped = true
        task?.cancel()
        await drop()
        while let running = following ?? current { _ = try? await running.value }
        await task?.value
        await drop()
    }

    private func drop() async {
        let old = client
        client = nil
        await old?.close()
    }

    /// Reads the schema as it is at some moment after this call, and gives it to every loop.
    func refresh() async throws {
        if let following { return try await following.value }
        if let running = current {
            let next = Task {
                _ = try? await running.value
                self.promote()
                try await self.read()
            }
            following = next
            return try await next.value
        }
        let now = Task { try await self.read() }
        current = now
        defer { if current == now { current = nil } }
        try await now.value
    }

    /// Tells the other routers that a schema change of this one is committed.
    func announceChange() async {
        _ = try? await client?.query("SELECT pg_catalog.pg_notify('\(SchemaQueries.channel)', '')")
    }

    private func promote() {
        current = following
        following = nil
    }

    private func read() async throws {
        defer { if following == nil { current = nil } }
        do {
            let client = try await connection()
            let before = try await client.query(SchemaQueries.fingerprint).rows.first?.text(0)
            var rows: [[[String?]]] = []
            for query in SchemaQueries.all { rows.append(try await Self.rows(client, query)) }
            generation += 1
            let schema = try SchemaDecoder.snapshot(rows, generation: .committed(generation))
            let loaded = LoadedSchema(schema: schema, parameters: Self.reported(client.parameterStatuses))
            self.loaded = loaded
            fingerprint = before
            await control.schemaLoaded(loaded, database: database)
        } catch {
            await drop()
            if isStopped { throw error }
            control.logger.warning(
                "The schema could not be read", metadata: ["database": "\(database)", "error": "\(error)"])
            throw error
        }
    }

    private static func rows(_ client: PGClient, _ query: String) async throws -> [[String?]] {
        let result = try await client.query(query)
        return result.rows.map { row in (0..<row.count).map { row.text($0) } }
    }

    /// What a client may be told of a shard: not who the router is there.
    private static func reported(_ parameters: [String: String]) -> [String: String] {
        parameters.filter { !["application_name", "session_authorization", "is_superuser"].contains($0.key) }
    }

    private func connection() async throws -> PGClient {
        guard !isStopped else { throw CancellationError() }
        if let client, client.isOpen { return client }
        let client = try await control.connect(endpoint)
        self.client = client
        _ = try await client.query("LISTEN \(SchemaQueries.channel)")
        listen(to: client)
        return client
    }

    /// Whether a table that exists may be placed so.
    func check(_ table: QualifiedName, _ placement: Placement) throws {
        guard let schema = loaded?.schema, schema.relations[table] != nil else { return }
        try PlacementRules.check(placement, for: table, in: schema, placements: placements)
    }

    private var placements: [QualifiedName: Placement] {
        guard let catalog = control.catalog, let topology = try? Topology(database: database, in: catalog) else { return [:] }
        return topology.placements
    }

    // MARK: Following

    private func follow() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: loaded == nil ? Self.retryInterval : Self.pollInterval)
            guard !Task.isCancelled else { return }
            await look()
        }
    }

    /// Looks whenever the shard tells of a change, for as long as the connection lives.
    ///
    /// In one iteration: a stream whose iteration was cancelled has ended for good, and would seem to tell of changes without a pause.
    private func listen(to client: PGClient) {
        Task { [weak self] in
            for await _ in client.notifications { await self?.look() }
        }
    }

    private func look() async {
        if await hasChanged() { try? await refresh() }
    }

    private func hasChanged() async -> Bool {
        guard loaded != nil, let client, client.isOpen else { return true }
        do {
            return try await client.query(SchemaQueries.fingerprint).rows.first?.text(0) != fingerprint
        } catch {
            return true
        }
    }
}

extension ControlPlane {
    /// A connection of the control plane's own to a shard.
    func connect(_ endpoint: String) async throws -> PGClient {
        let opened = try EndpointSecrets.opened(endpoint, with: secrets)
        var options = PGClient.Options()
        options.overrides.parameters = [.init(name: "application_name", value: "pgmosaic-\(routerID)")]
        return try await PGClient.connect(to: try PostgresEndpoint.parse(opened), on: group, options: options)
    }

    /// As `connect`, for the length of `body`.
    func withClient<Value: Sendable>(_ endpoint: String, _ body: (PGClient) async throws -> Value) async throws -> Value {
        let client = try await connect(endpoint)
        do {
            let value = try await body(client)
            await client.close()
            return value
        } catch {
            await client.close()
            throw error
        }
    }
}
