package import Audit
package import CatalogStore
internal import ControlAPI
internal import Foundation
package import RESTServer
package import Secrets
internal import ShardModel
package import Telemetry

/// The manager's REST operations: what each does, apart from HTTP.
package struct ManagerAPI: Sendable {
    let store: any CatalogStore
    let writer: CatalogWriter
    let inspector: any ShardInspector
    /// nil: no key file, so no plain passwords.
    let box: SecretBox?
    let registry: MetricRegistry
    let longPolls: LongPollLimit
    /// nil: nobody watches over the servers; they are probed on request only.
    let monitor: HealthMonitor?
    /// nil: no tokens are given.
    let authority: TokenAuthority?
    let passwords: PasswordCheck
    /// nil: there is none.
    let audit: AuditTrail?
    /// nil: jobs that move vnodes are written down, and not carried out.
    let jobs: JobSupervisor?
    /// Seconds since 1970.
    let now: @Sendable () -> Double

    package init(
        store: any CatalogStore, inspector: any ShardInspector, box: SecretBox?, metrics: SharedMetrics, registry: MetricRegistry,
        election: LeaderElection? = nil, monitor: HealthMonitor? = nil, authority: TokenAuthority? = nil, passwords: PasswordCheck = PasswordCheck(),
        audit: AuditTrail? = nil, jobs: JobSupervisor? = nil, longPollsMax: Int? = nil, now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }
    ) {
        self.store = store
        writer = CatalogWriter(store: store, metrics: metrics, election: election)
        self.inspector = inspector
        self.monitor = monitor
        self.box = box
        self.registry = registry
        self.authority = authority
        self.passwords = passwords
        self.audit = audit
        self.jobs = jobs
        longPolls = LongPollLimit(waitersMax: longPollsMax ?? LongPollLimit.waitersMax)
        self.now = now
    }

    /// By `APIRoute.id`.
    package var handlers: [String: RESTHandler] {
        var handlers = userHandlers
        for part in [
            authHandlers, auditHandlers, databaseHandlers, tableHandlers, shardHandlers, reshardHandlers, clusterHandlers, LogLevelsRoute.handlers(path: "/api/v1/log-levels"),
        ] {
            handlers.merge(part) { $1 }
        }
        return handlers.mapValues { handler in
            { request in
                // What a leader before this one has done is not even looked at again.
                guard request.route.isWrite, !WritePlacement.anywhere.contains(request.route.id), let repetition = try request.repetition else {
                    return try await handler(request)
                }
                if let kept = try await writer.kept(repetition, now: now()) { return kept }
                return try await handler(request)
            }
        }
    }

    /// Changes the catalog for a request, under the leader's lease, and keeps the answer with the change where the request has an `Idempotency-Key`.
    ///
    /// - after: what is left to do when the change was made by this very call.
    func change<Result: Sendable>(
        _ request: RESTRequest, author: String? = nil, answer: @escaping @Sendable (Result) -> RESTAnswer,
        _ decide: @Sendable (CatalogSnapshot) throws -> CatalogWriter.Decision<Result>, after: (Result) async -> Void = { _ in }
    ) async throws -> RESTAnswer {
        let keeping = try keeping(request, answer)
        return await self.answer(try await writer.change(author: author ?? Self.author(request), keeping: keeping, decide), answer, after)
    }

    /// As the other, for a decision that servers are looked at for.
    func change<Basis: Equatable & Sendable, Found: Sendable, Result: Sendable>(
        _ request: RESTRequest, answer: @escaping @Sendable (Result) -> RESTAnswer, look: CatalogWriter.Look<Basis, Found>,
        _ decide: @Sendable (CatalogSnapshot, Found) throws -> CatalogWriter.Decision<Result>, after: (Result) async -> Void = { _ in }
    ) async throws -> RESTAnswer {
        let keeping = try keeping(request, answer)
        return await self.answer(try await writer.change(author: Self.author(request), keeping: keeping, look: look, decide), answer, after)
    }

    private func keeping<Result>(
        _ request: RESTRequest, _ answer: @escaping @Sendable (Result) -> RESTAnswer
    ) throws -> CatalogWriter.Keeping<Result>? {
        try request.repetition.map { CatalogWriter.Keeping(repetition: $0, now: now(), answer: answer) }
    }

    private func answer<Result>(
        _ outcome: CatalogWriter.Outcome<Result>, _ answer: (Result) -> RESTAnswer, _ after: (Result) async -> Void
    ) async -> RESTAnswer {
        switch outcome {
        case .made(let result):
            await after(result)
            return answer(result)
        case .repeated(let kept): return kept
        }
    }

    /// Who the catalog's history names as the author: the user of the token; where none is asked for, whoever reaches the port.
    static func author(_ request: RESTRequest) -> String { request.principal?.name ?? "rest" }
}

/// What every kind of record needs.
extension ManagerAPI {
    /// A 409 with the record as it is now, when `version` is given and is another one.
    static func check(
        version: UInt64?, is current: UInt64, _ what: String, _ record: some Encodable
    ) throws(APIError) {
        guard let version, version != current else { return }
        let body = (try? JSONParser.parse(APICoding.encode(record))) ?? .null
        throw APIError(
            .versionConflict, "\(what) is at version \(current), not \(version)", details: ["current": body])
    }

    static func database(_ name: String, in catalog: CatalogSnapshot) throws(APIError) -> DatabaseRecord {
        guard let record = catalog.databases[name] else { throw APIError(.databaseNotFound, "there is no database of that name") }
        return record
    }

    static func shard(_ id: String, in catalog: CatalogSnapshot) throws(APIError) -> ShardRecord {
        guard let record = catalog.shards[ShardID(id)] else { throw APIError(.shardNotFound, "there is no shard of that id") }
        return record
    }

    /// Sorted by id.
    static func shards(of database: String, in catalog: CatalogSnapshot) -> [ShardRecord] {
        catalog.shards.values.filter { $0.database == database }.sorted { $0.id < $1.id }
    }

    /// The first, by id, of the jobs of the database that are not over.
    static func unfinishedJob(of database: String, in catalog: CatalogSnapshot) -> String? {
        catalog.jobs.values.filter { !$0.isOver && $0.database == database }.map(\.id).min()
    }

    static func jobConflict(_ job: String, _ message: String) -> APIError {
        APIError(.jobConflict, message, details: ["job": .string(job)])
    }

    static let shardsAskedAtOnce = 16

    /// Asks every shard, `shardsAskedAtOnce` at a time; the first error ends it.
    static func onEach<Answer: Sendable>(
        _ shards: [ShardRecord], _ ask: @escaping @Sendable (ShardRecord) async throws -> Answer
    ) async throws -> [ShardID: Answer] {
        try await withThrowingTaskGroup(of: (ShardID, Answer).self) { group in
            var waiting = shards.makeIterator()
            for _ in 0..<shardsAskedAtOnce {
                if let shard = waiting.next() { group.addTask { (shard.id, try await ask(shard)) } }
            }
            var answers: [ShardID: Answer] = [:]
            while let (id, answer) = try await group.next() {
                answers[id] = answer
                if let shard = waiting.next() { group.addTask { (shard.id, try await ask(shard)) } }
            }
            return answers
        }
    }

    static func resource(_ record: ShardRecord, in catalog: CatalogSnapshot) -> ShardResource {
        ShardResource(record, isHome: catalog.databases[record.database]?.homeShard == record.id, redact: EndpointSecrets.redacted)
    }
}
