internal import PGChannel
internal import RoutePlanning
internal import ShardModel

/// What the planner needs to know of one database: read from its home shard, or from another one where that does not answer, when it is first needed, when a
/// shard tells of a change, and every few seconds while it is used.
///
/// Tables have the same columns on every shard; local tables are on the home shard only, and statements about them are not the client's to send anyway.
actor SchemaReader {
    private static let checkInterval = Duration.seconds(5)

    private let database: String
    private let connect: @Sendable (ShardRecord) async throws -> PGClient
    private var schema: SchemaSnapshot?
    private var fingerprint: String?
    private var generation: UInt64 = 0
    private var client: PGClient?
    /// Where the schema was read.
    private var shard: ShardID?
    private var checked = ContinuousClock.now
    private var isStale = false
    private var reading: Task<SchemaSnapshot, any Error>?
    private var isStopped = false

    init(database: String, connect: @escaping @Sendable (ShardRecord) async throws -> PGClient) {
        (self.database, self.connect) = (database, connect)
    }

    /// - fresh: as it is at some moment after this call.
    func current(_ topology: Topology, fresh: Bool) async throws(MosaicError) -> SchemaSnapshot {
        if isStopped { throw .shutDown }
        if let schema, !fresh, !isStale {
            // Behind the caller's back: what it is told may be a few seconds old, as with routers.
            if ContinuousClock.now - checked > Self.checkInterval { _ = begin(topology) }
            return schema
        }
        // A reading under way may have begun before this call.
        if let reading, fresh || isStale { _ = try? await reading.value }
        do {
            return try await begin(topology).value
        } catch {
            // A schema that cannot be read anew is the best there is, as the catalog is.
            if let schema, !fresh { return schema }
            throw MosaicError.from(error)
        }
    }

    func stop() async {
        isStopped = true
        reading?.cancel()
        _ = try? await reading?.value
        await client?.close()
        client = nil
    }

    private func begin(_ topology: Topology) -> Task<SchemaSnapshot, any Error> {
        if let reading { return reading }
        checked = .now
        isStale = false
        let task = Task {
            defer { reading = nil }
            return try await read(topology)
        }
        reading = task
        return task
    }

    private func read(_ topology: Topology) async throws -> SchemaSnapshot {
        let home = topology.shards[topology.homeShard.value]
        if let client, client.isOpen, let snapshot = try? await read(client) { return snapshot }
        var failure: (any Error)?
        for record in [home] + topology.shards.filter({ $0.id != home.id }) {
            do {
                await client?.close()
                client = nil
                let connected = try await connect(record)
                client = connected
                if shard != record.id { fingerprint = nil }
                shard = record.id
                try await connected.query("LISTEN \(SchemaQueries.channel)")
                listen(to: connected)
                return try await read(connected)
            } catch {
                try Task.checkCancellation()
                failure = failure ?? error
            }
        }
        throw failure ?? MosaicError(.serverUnavailable, "no shard of \"\(database)\" tells its schema")
    }

    private func read(_ client: PGClient) async throws -> SchemaSnapshot {
        let mark = try await client.query(SchemaQueries.fingerprint).rows.first?.text(0)
        if let schema, let mark, mark == fingerprint { return schema }
        var rows: [[[String?]]] = []
        for query in SchemaQueries.all {
            let result = try await client.query(query)
            rows.append(result.rows.map { row in (0..<row.count).map { row.text($0) } })
        }
        let snapshot = try SchemaDecoder.snapshot(rows, generation: .committed(generation + 1))
        generation += 1
        (schema, fingerprint) = (snapshot, mark)
        return snapshot
    }

    private func listen(to client: PGClient) {
        let notifications = client.notifications
        Task { [weak self] in
            for await _ in notifications { await self?.changed() }
        }
    }

    private func changed() { isStale = true }
}
