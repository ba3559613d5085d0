internal import Logging
internal import NIOCore
internal import PGChannel
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import SessionCore
internal import ShardModel
internal import Synchronization

/// CREATE INDEX CONCURRENTLY and its like: every shard by itself, all at the same time, on connections beside the pools, for they may take hours
/// (docs/decisions/0086-indexes-concurrently.md).
///
/// PostgreSQL leaves an invalid index behind where making it fails. Over shards that would be one here, and a good one there: so what was made is taken away again.
struct ConcurrentIndexRun: Sendable {
    let control: ControlPlane
    let statement: String
    /// What makes a new session like the client's.
    let settings: [String]
    let work: ConcurrentIndex
    let shards: [ShardRecord]
    /// Told once for each shard that is done.
    let progress: @Sendable (String) -> Void

    /// The client waits so long for the clean-up, which goes on. A shard that is away for longer than its limit keeps what it has.
    private static let answerLimit = Duration.seconds(10)
    private static let cleanUpLimit = Duration.seconds(3600)
    private static let dropLimit = TimeAmount.minutes(5)
    private static let shortLimit = TimeAmount.seconds(10)
    private static let noLimit = TimeAmount.hours(24 * 365)
    static let runsMax = 4

    private struct Session: Sendable {
        var shard: ShardRecord
        var client: PGClient
        /// When its server process began, which another one of the same number did at another time.
        var since: String
        /// There is something of this name already.
        var isTaken: Bool
    }

    struct Outcome: Sendable {
        /// The command tag.
        var result: Result<String, ServerError>
        /// What goes on behind the answer, for an hour at most; nil: nothing.
        var cleaning: Task<Void, Never>?
    }

    /// A task that is cancelled ends with 57014, and nothing is left then either.
    func run() async -> Outcome {
        let sessions: [Session]
        do throws(ServerError) { sessions = try await open() } catch { return Outcome(result: .failure(error)) }
        let failures = await runEverywhere(sessions)
        for session in sessions { await session.client.close() }
        guard let (shard, error) = failures.min(by: { $0.key < $1.key }) else { return Outcome(result: .success(work.tag)) }
        let (left, cleaning) = await cleanUp(sessions, failures)
        return Outcome(result: .failure(ended(error, of: shard, left)), cleaning: cleaning)
    }

    private func open() async throws(ServerError) -> [Session] {
        let opened = await withTaskGroup(of: Result<Session, ServerError>.self) { group in
            for shard in shards { group.addTask { await open(shard) } }
            return await group.reduce(into: [Result<Session, ServerError>]()) { $0.append($1) }
        }
        let sessions = opened.compactMap { try? $0.get() }
        guard sessions.count < shards.count else { return sessions }
        for session in sessions { await session.client.close() }
        for case .failure(let error) in opened { throw error }
        return []
    }

    private func open(_ shard: ShardRecord) async -> Result<Session, ServerError> {
        do {
            let client = try await control.connect(shard.primaryEndpoint)
            do {
                for setting in settings { _ = try await client.query(setting, options: .init(timeout: Self.shortLimit)) }
                let since = try await client.query(Self.beginning, options: .init(timeout: Self.shortLimit)).rows.first?.text(0) ?? ""
                var session = Session(shard: shard, client: client, since: since, isTaken: false)
                if let name = work.made { session.isTaken = try await isTaken(name, client) }
                return .success(session)
            } catch {
                await client.close()
                return .failure(serverError(error, of: shard))
            }
        } catch {
            return .failure(serverError(error, of: shard))
        }
    }

    private func isTaken(_ name: QualifiedName, _ client: PGClient) async throws -> Bool {
        try await client.query("SELECT pg_catalog.to_regclass(\(quoteLiteral(Self.quoted(name)))) IS NOT NULL", options: .init(timeout: Self.shortLimit)).rows.first?.bool(0) ?? true
    }

    private func runEverywhere(_ sessions: [Session]) async -> [ShardID: ServerError] {
        await withTaskGroup(of: (ShardRecord, ServerError?).self) { group in
            for session in sessions {
                group.addTask {
                    do {
                        _ = try await session.client.query(statement, options: .init(timeout: Self.noLimit))
                        return (session.shard, nil)
                    } catch {
                        return (session.shard, serverError(error, of: session.shard))
                    }
                }
            }
            var failures: [ShardID: ServerError] = [:]
            var done = 0
            for await (shard, error) in group {
                failures[shard.id] = error
                guard error == nil else {
                    // It fails as a whole: the others need not go on.
                    group.cancelAll()
                    continue
                }
                done += 1
                if failures.isEmpty, sessions.count > 1 { progress("\(work.tag) on shard \(shard.id.description): \(done) of \(sessions.count)") }
            }
            // Those that were stopped for it are not the reason.
            let reasons = failures.filter { $0.value.sqlState != .queryCanceled }
            return Task.isCancelled || reasons.isEmpty ? failures : reasons
        }
    }

    // MARK: The clean-up

    /// Takes the index away where this run may have made it; the shards where that takes longer, for it waits for whoever writes the table.
    private func cleanUp(_ sessions: [Session], _ failures: [ShardID: ServerError]) async -> ([ShardID], Task<Void, Never>?) {
        guard let name = work.made else { return ([], nil) }
        let mine = sessions.filter { !$0.isTaken && failures[$0.shard.id]?.sqlState != .duplicateTable }
        let left = ShardsLeft(mine.map(\.shard.id))
        // Not part of this task: whoever has cancelled the run wants it to happen, and nobody waits for all of it.
        let cleaning = Task { [control] in
            await withTaskGroup(of: Void.self) { group in
                for session in mine { group.addTask { if await Self.drop(name, madeBy: session, control) { left.remove(session.shard.id) } } }
            }
        }
        let deadline = ContinuousClock.now + Self.answerLimit
        while !left.all.isEmpty, ContinuousClock.now < deadline { await Self.rest(.milliseconds(50)) }
        return (left.all, cleaning)
    }

    private static let beginning = "SELECT backend_start::text FROM pg_catalog.pg_stat_activity WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()"

    /// Ends the server process that is making the index, for what it has not made yet cannot be dropped. Empty: it is gone.
    private static func end(_ session: Session) -> String {
        """
        SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
        WHERE pid OPERATOR(pg_catalog.=) \(session.client.processID) AND backend_start::text OPERATOR(pg_catalog.=) \(quoteLiteral(session.since))
        """
    }

    private static func drop(_ name: QualifiedName, madeBy session: Session, _ control: ControlPlane) async -> Bool {
        let shard = session.shard
        let deadline = ContinuousClock.now + cleanUpLimit
        repeat {
            do {
                return try await control.withClient(shard.primaryEndpoint) { client in
                    while try await !client.query(end(session), options: .init(timeout: shortLimit)).rows.isEmpty {
                        guard ContinuousClock.now < deadline else { throw CancellationError() }
                        await rest(.milliseconds(50))
                    }
                    _ = try await client.query("DROP INDEX CONCURRENTLY IF EXISTS \(quoted(name))", options: .init(timeout: dropLimit))
                    return true
                }
            } catch {
                await rest(.seconds(1))
            }
        } while ContinuousClock.now < deadline
        control.logger.warning("An index that could not be made is left", metadata: ["shard": "\(shard.id)", "index": "\(name)"])
        return false
    }

    /// Also in a task that is cancelled.
    private static func rest(_ time: Duration) async { await Task { try? await Task.sleep(for: time) }.value }

    private static func quoted(_ name: QualifiedName) -> String { "\(quoteIdentifier(name.schema)).\(quoteIdentifier(name.name))" }

    private func ended(_ error: ServerError, of shard: ShardID, _ left: [ShardID]) -> ServerError {
        var error = error
        if error[.detail] == nil { error[.detail] = "On shard \(shard.description)." }
        if let name = work.made, !left.isEmpty {
            error[.hint] = "It is still being taken away on \(left.map(\.description).joined(separator: ", ")); should that fail: DROP INDEX IF EXISTS \(Self.quoted(name))."
        } else if work.made == nil, shards.count > 1 {
            error[.hint] = "It may be done on other shards: repeat it with IF EXISTS."
        }
        return error
    }

    private func serverError(_ error: any Error, of shard: ShardRecord) -> ServerError {
        guard let error = error as? PGClientError else { return error is CancellationError ? .canceled : .shardLost(shard.id, mayHaveRun: false) }
        if case .cancelled = error.cause { return .canceled }
        return error.serverError ?? .shardLost(shard.id, mayHaveRun: false)
    }
}

/// Those where something is still to be taken away.
private final class ShardsLeft: Sendable {
    private let left: Mutex<Set<ShardID>>

    init(_ shards: [ShardID]) { left = Mutex(Set(shards)) }

    func remove(_ shard: ShardID) { left.withLock { _ = $0.remove(shard) } }
    var all: [ShardID] { left.withLock { $0.sorted() } }
}

extension ControlPlane {
    /// Runs it beside everything else; cancelling the task ends it, and takes back what it has done.
    func run(
        _ work: ConcurrentIndex, statement: String, settings: [String], database: String, progress: @escaping @Sendable (String) -> Void,
        done: @escaping @Sendable (Result<String, ServerError>) -> Void
    ) -> Task<Void, Never> {
        Task {
            guard beginConcurrentRun() else { return done(.failure(.tooManyConcurrentIndexes)) }
            // Whoever cleans up behind a failure holds its place: so there are never more connections and tasks of this than `runsMax` runs have.
            defer { endConcurrentRun() }
            let shards = (catalog?.shards.values.filter { $0.database == database && !$0.isJoining } ?? []).sorted { $0.id < $1.id }
            let run = ConcurrentIndexRun(control: self, statement: statement, settings: settings, work: work, shards: shards, progress: progress)
            let outcome = await run.run()
            if case .success = outcome.result { _ = try? await publish([], database: database, author: "").get() }
            done(outcome.result)
            await outcome.cleaning?.value
        }
    }
}
