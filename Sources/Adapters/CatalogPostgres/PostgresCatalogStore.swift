package import CatalogStore
internal import Foundation
package import NIOCore
package import PGChannel
internal import PGWire
package import ShardModel
internal import Synchronization

/// A catalog in a database of a PostgreSQL server, for a cluster whose managers and routers run on several machines.
///
/// A change is one statement that compares the epoch and writes the rows it touches; a reader reads only the rows that changed since the snapshot it
/// has. A commit reaches watchers by a notification, or within `CatalogTiming.pollInterval` where that was lost. Every call ends within
/// `CatalogTiming.call`; a commit that got no answer takes up to `resolution` and one `call` more. The connections come back by themselves.
package final class PostgresCatalogStore: CatalogStore {
    /// Where it is, without the password.
    package let place: String
    let timing: CatalogTiming
    let schema: CatalogSchema
    /// What commits and what holds leases; and what reads, which never waits for a commit, and hears of others' commits.
    let writer: CatalogLane
    let reader: CatalogLane
    private let cache: Mutex<StoredCatalog>
    /// When the catalog was read or written last.
    private let lastAnswer = Mutex(ContinuousClock.now)
    let broadcaster: WatchBroadcaster
    /// Rings for each notification, and when the connection that brings them is lost or new.
    let news: Bell
    private let isClosed = Atomic(false)
    let follower = Mutex<Task<Void, Never>?>(nil)

    /// Opens the catalog, making an empty one, or bringing one to the format of this version, when `isManager`.
    ///
    /// Throws `.foreign` when the database holds something else under the catalog's name, or a catalog of a newer format; it is left as it is.
    ///         `.invalid` when it is damaged.
    ///         `.unavailable` when the server cannot be used: it is away, refuses, is a standby, has no catalog and this is no manager.
    package convenience init(
        _ endpoint: PostgresEndpoint, isManager: Bool, on group: any EventLoopGroup, timing: CatalogTiming = CatalogTiming()
    ) async throws(CatalogError) {
        try await self.init(endpoint, isManager: isManager, on: group, timing: timing, schema: .current)
    }

    init(
        _ endpoint: PostgresEndpoint, isManager: Bool, on group: any EventLoopGroup, timing: CatalogTiming, schema: CatalogSchema
    ) async throws(CatalogError) {
        var endpoint = endpoint
        if endpoint.applicationName == nil { endpoint.applicationName = "pgmosaic-catalog" }
        let news = Bell()
        place = "\(endpoint)"
        self.timing = timing
        self.schema = schema
        self.news = news
        let times = (statement: timing.whole.milliseconds, lock: timing.call.milliseconds)
        writer = CatalogLane(endpoint, on: group, timing) { client, timeout in
            try await client.execute(CatalogStatements.session(times, listens: false), timeout: timeout)
        }
        reader = CatalogLane(endpoint, on: group, timing) { client, timeout in
            try await client.execute(CatalogStatements.session(times, listens: true), timeout: timeout)
            let notifications = client.notifications
            Task {
                // What was said while there was no connection is looked up.
                news.ring()
                for await _ in notifications { news.ring() }
                news.ring()
            }
        }
        let first: StoredCatalog
        do {
            let deadline = ContinuousClock.now + timing.call
            try await writer.run(until: deadline, isRepeatable: true) { client, timeout in
                try await schema.prepare(client, timeout, isManager: isManager)
            }
            first = try await Self.read(reader, until: .now + timing.whole, known: nil, schema)
        } catch {
            await writer.close()
            await reader.close()
            throw PostgresFailure.catalogError(error, place, isWrite: false)
        }
        cache = Mutex(first)
        broadcaster = WatchBroadcaster(newest: first.snapshot)
    }

    deinit {
        follower.withLock { $0?.cancel() }
        broadcaster.finish()
    }

    /// Ends the watches and the connections. Later calls throw `.unavailable`.
    package func close() async {
        follower.withLock { $0?.cancel() }
        broadcaster.finish()
        if isClosed.exchange(true, ordering: .relaxed) { return }
        await writer.close()
        await reader.close()
    }

    package func load() async throws(CatalogError) -> CatalogSnapshot { try await stored(until: .now + timing.call).snapshot }

    package func history(limit: Int) async throws(CatalogError) -> [CatalogHistoryEntry] {
        let rows = try await perform(reader, isWrite: false, isRepeatable: true, CatalogStatements.history, [.integer(max(0, limit))]).rows
        return try rows.map { (row) throws(CatalogError) in
            guard let time = row.text(0).flatMap(Double.init), let text = row.text(1),
                var entry = try? JSONDecoder().decode(CatalogHistoryEntry.self, from: Data(text.utf8))
            else { throw .invalid("\(place): the stored catalog is damaged: an entry of its history cannot be read") }
            entry.time = time
            return entry
        }
    }

    // MARK: for the other files

    /// The catalog as it is stored now.
    func stored(until deadline: ContinuousClock.Instant) async throws(CatalogError) -> StoredCatalog {
        let known = cache.withLock(\.self)
        do {
            let now = try await Self.read(reader, until: deadline, known: known, schema)
            remember(now)
            return now
        } catch {
            throw PostgresFailure.catalogError(error, place, isWrite: false)
        }
    }

    private static func read(
        _ lane: CatalogLane, until deadline: ContinuousClock.Instant, known: StoredCatalog?, _ schema: CatalogSchema
    ) async throws -> StoredCatalog {
        let parameters: [PGParameter] = [
            .text(known.map { String($0.snapshot.epoch.number) } ?? "-1"), .text(known?.snapshot.clusterID ?? ""),
        ]
        let rows = try await lane.run(until: deadline, isRepeatable: true) { client, timeout in
            try await client.query(CatalogStatements.load, parameters, options: .catalog(timeout, .binary, prepared: "load")).rows
        }
        return try StoredCatalog.read(rows, known: known, schema)
    }

    /// What was read or written a moment ago, when it is of that epoch. A server that has been silent for longer is asked first: of a commit that it does
    /// not answer the outcome would be unknown.
    func known(at epoch: Epoch) -> StoredCatalog? {
        guard lastAnswer.withLock({ $0 > .now - .seconds(1) }) else { return nil }
        return cache.withLock { $0.snapshot.epoch == epoch ? $0 : nil }
    }

    func remember(_ stored: StoredCatalog) {
        lastAnswer.withLock { $0 = .now }
        cache.withLock { if stored.snapshot.epoch > $0.snapshot.epoch { $0 = stored } }
        broadcaster.publish(stored.snapshot)
    }

    /// One statement, within the time of a call.
    func perform(
        _ lane: CatalogLane, isWrite: Bool, isRepeatable: Bool, _ sql: String, _ parameters: [PGParameter]
    ) async throws(CatalogError) -> PGResult {
        do {
            return try await lane.run(until: .now + timing.call, isRepeatable: isRepeatable) { client, timeout in
                try await client.query(sql, parameters, options: .catalog(timeout))
            }
        } catch {
            throw PostgresFailure.catalogError(error, place, isWrite: isWrite)
        }
    }
}

extension PGClient.QueryOptions {
    /// The largest catalog that is read, in bytes, as for a saved copy.
    static func catalog(_ timeout: TimeAmount, _ format: WireFormat = .text, prepared name: String? = nil) -> Self {
        var options = Self(timeout: timeout)
        options.preparedName = name
        options.bytesMax = SnapshotFile.sizeMax
        options.resultFormat = format
        return options
    }
}

extension Duration {
    /// At least one, at most a hundred years: PostgreSQL adds it to a time.
    var milliseconds: Int64 {
        let most: Int64 = 100 * 366 * 86_400_000
        let (seconds, attoseconds) = components
        guard seconds < most / 1000 else { return most }
        return max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}
