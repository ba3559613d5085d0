package import NIOCore
package import PGChannel
internal import Synchronization
package import TransferCore

/// Copies all rows that move from one source, as one snapshot sees them, with several sessions at a time.
package struct SnapshotCopy: Sendable {
    package struct Settings: Hashable, Sendable {
        /// How many ranges are copied at a time, each with a session on the source and on every target.
        package var sessions = 2
        /// The length of a range, in PostgreSQL's pages.
        package var rangePages = 16_384
        /// Read from the source, over all sessions. nil: as fast as it goes.
        package var bytesPerSecond: Int?
        package init() {}
    }

    package struct Progress: Hashable, Sendable {
        package var counts = RowSorter.Counts()
        /// Read from the source.
        package var bytesRead = 0
        package var rangesDone = 0
        package var rangesAll = 0
        /// By `TableShape.relation`, of the ranges that are done.
        package var relations: [String: RowSorter.Counts] = [:]
        package init(rangesAll: Int = 0) { self.rangesAll = rangesAll }
    }

    private let source: PostgresEndpoint
    private let targets: [PostgresEndpoint]
    private let destinations: RowDestinations
    private let settings: Settings
    private let group: any EventLoopGroup
    private let noting: TransferNoting
    /// Of what is read from the source, by all sessions.
    package let throttle: TransferThrottle
    private let state: State

    private final class State: Sendable {
        let ranges: Mutex<[CopyRange]>
        let progress: Mutex<Progress>
        init(_ ranges: [CopyRange]) {
            // The longest first: a long one that is begun last would be waited for alone.
            self.ranges = Mutex(ranges.sorted { ($0.pages?.count ?? $0.table.pages) < ($1.pages?.count ?? $1.table.pages) })
            progress = Mutex(Progress(rangesAll: ranges.count))
        }
    }

    package init(
        _ tables: [TableShape], from source: PostgresEndpoint, to targets: [PostgresEndpoint], _ destinations: RowDestinations,
        settings: Settings = Settings(), noting: @escaping TransferNoting = { _, _ in }, on group: any EventLoopGroup
    ) {
        self.source = source
        self.targets = targets
        self.destinations = destinations
        self.settings = settings
        self.group = group
        self.noting = noting
        state = State(tables.flatMap { CopyRange.cut($0, pages: settings.rangePages) })
        throttle = TransferThrottle(bytesPerSecond: settings.bytesPerSecond)
    }

    /// At any time, from any task.
    package var progress: Progress {
        var progress = state.progress.withLock(\.self)
        progress.bytesRead = throttle.bytesRead
        return progress
    }

    /// Runs once. When it throws, the targets' tables hold any part of the rows: they are emptied before it is done anew.
    ///
    /// - snapshot: the name of a snapshot of the source that stays exported until this returns.
    ///
    /// Throws `TransferError`, `CancellationError`.
    package func run(snapshot: String) async throws -> Progress {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for _ in 0..<max(1, min(settings.sessions, progress.rangesAll)) {
                tasks.addTask { try await work(snapshot) }
            }
            try await tasks.waitForAll()
        }
        return progress
    }

    private func work(_ snapshot: String) async throws {
        let reader = try await Self.session { try await TransferSession.open(source, snapshot: snapshot, on: group) } failure: { .source($0) }
        noting(reader, .source)
        var sessions: [PGClient] = []
        for (position, target) in targets.enumerated() {
            sessions.append(
                try await Self.session {
                    let client = try await TransferSession.open(target, on: group)
                    noting(client, .target(position))
                    // A target may be in use: its triggers have acted on the source, and its foreign keys may come before what they refer to.
                    _ = try await client.execute("SET session_replication_role = replica")
                    return client
                } failure: { .target(position, $0) })
        }
        let copy = TableCopy(source: reader, targets: sessions, destinations: destinations)
        while let range = state.ranges.withLock({ $0.popLast() }) {
            try Task.checkCancellation()
            let counts = try await copy.run(range) { [throttle] in try await throttle.passed($0) }
            state.progress.withLock {
                $0.counts += counts
                $0.relations[range.table.relation, default: .init()] += counts
                $0.rangesDone += 1
            }
        }
        for client in [reader] + sessions { await client.close() }
    }

    private static func session(
        _ open: () async throws -> PGClient, failure: (PGClientError) -> TransferError
    ) async throws -> PGClient {
        do { return try await open() } catch let error as PGClientError { throw failure(error) }
    }
}
