internal import ControlAPI
internal import Foundation
internal import Logging
internal import RESTServer
internal import ReshardCore
internal import ShardModel

// Jobs that move vnodes: begun here, as a record in the catalog; carried out by the leader's `JobSupervisor`.

extension ManagerAPI {
    /// Jobs that are over are kept up to this number; then the oldest go.
    static let jobsKeptMax = 100
    static let jobsUnfinishedMax = 64

    var reshardHandlers: [String: RESTHandler] {
        [
            "POST /api/v1/reshard/split": { request in
                let body = try request.decode(SplitShardRequest.self)
                return try await begin(try Self.split(body.sourceShardID, body.targetShards, body.splitPoint), endingTransactions: body.endTransactions, request)
            },
            "POST /api/v1/reshard/merge": { request in
                let body = try request.decode(MergeShardsRequest.self)
                return try await begin(.merge(sources: body.sourceShardIDs.map { ShardID($0) }, target: ShardID(body.targetShard)), endingTransactions: body.endTransactions, request)
            },
            "POST /api/v1/reshard/move": { request in
                let body = try request.decode(MoveVNodesRequest.self)
                return try await begin(.move(vnodes: body.vnodes, source: ShardID(body.source), target: ShardID(body.target)), endingTransactions: body.endTransactions, request)
            },
            "POST /api/v1/reshard/add-shard": { request in
                let body = try request.decode(EvenShardRequest.self)
                return try await begin(.fill(ShardID(body.shardID)), endingTransactions: body.endTransactions, request)
            },
            "POST /api/v1/reshard/drain-shard": { request in
                let body = try request.decode(EvenShardRequest.self)
                return try await begin(.drain(ShardID(body.shardID)), endingTransactions: body.endTransactions, request)
            },
            "GET /api/v1/reshard/plan": { request in try await plan(request) },
            "GET /api/v1/reshard/jobs": { request in try await list(request) },
            "GET /api/v1/reshard/jobs/{id}": { request in
                .json(await resource(try Self.job(request.parameter("id"), in: try await writer.load())))
            },
            "POST /api/v1/reshard/jobs/{id}/cancel": { request in try await ask(.cancel, request) },
            "POST /api/v1/reshard/jobs/{id}/reverse": { request in try await ask(.reverse, request) },
            "POST /api/v1/reshard/jobs/{id}/finish": { request in try await ask(.finish, request) },
            "POST /api/v1/reshard/jobs/{id}/resume": { request in try await resume(request) },
        ]
    }

    static func split(_ source: String, _ targets: [String], _ border: String?) throws(APIError) -> MoveRequest {
        let token = try border.map { (text) throws(APIError) in
            guard let value = UInt64(text) else { throw APIError(.invalidRequest, "split_point must be a token: a whole number from 0 to 2^64-1, as a string") }
            return Token(value)
        }
        return .split(source: ShardID(source), targets: targets.map { ShardID($0) }, border: token)
    }

    static func job(_ id: String, in catalog: CatalogSnapshot) throws(APIError) -> StoredJob {
        guard let stored = catalog.jobs[id] else { throw APIError(.jobNotFound, "there is no job of that id") }
        guard let job = StoredJob(stored) else { throw APIError(.internalError, "the job's record cannot be read: it is of another version of PGMosaic") }
        return job
    }

    private func list(_ request: RESTRequest) async throws -> RESTAnswer {
        let catalog = try await writer.load()
        let database = request.query["database"]
        if let database { _ = try Self.database(database, in: catalog) }
        let wanted = StoredJob.all(in: catalog).filter { database == nil || $0.record.database == database }
        let page = try request.page().page(of: wanted.map { JobEntry(id: $0.record.id.text) }, name: \.id)
        var items: [JobResource] = []
        for entry in page.items {
            if let job = catalog.jobs[entry.id].flatMap({ StoredJob($0) }) { items.append(await resource(job)) }
        }
        return .json(Page(items: items, nextCursor: page.nextCursor))
    }

    private struct JobEntry: Codable, Hashable, Sendable {
        var id: String
    }

    // MARK: beginning

    private func begin(_ move: MoveRequest, endingTransactions: Bool?, _ request: RESTRequest) async throws -> RESTAnswer {
        let (id, time) = (Self.newJobID(now()), now())
        let measure = Self.measure(by: move.isShared ? try await samples(for: move, in: try await writer.load()) : nil)
        return try await change(request) { .json($0, status: 202) } _: { catalog in
            let plan = try Self.plan(move, in: catalog, by: measure)
            var record = JobRecord(id: id, kind: plan.kind, database: plan.database, moves: plan.moves)
            record.version = 1
            record.endsTransactions = endingTransactions
            try Self.admit(record, in: catalog)
            let job = StoredJob(record, createdAt: time, updatedAt: time)
            let cuts = plan.cut.map { shard in
                var shard = shard
                shard.updatedAt = time
                return CatalogChange.Operation.putShard(shard)
            }
            return CatalogWriter.Decision(operations: cuts + [.putJob(job.stored)] + Self.forgotten(in: catalog)) { _ in JobResource(job, nil) }
        } after: { job in
            request.logger.notice("A job begins", metadata: ["job": "\(job.id)", "type": "\(job.type)", "vnodes": "\(job.vnodes)"])
            jobs?.poke()
        }
    }

    static func plan(_ move: MoveRequest, in catalog: CatalogSnapshot, by measure: TokenMeasure = .even) throws(APIError) -> MovePlan {
        if let conflict = conflict(ofEvening: move, in: catalog) { throw conflict }
        do throws(MoveRefusal) {
            return try MovePlan.make(move, in: catalog, by: measure)
        } catch {
            if case .unknownShard = error { throw APIError(.shardNotFound, error.description) }
            throw APIError(.reshardRefused, error.description)
        }
    }

    /// What a shard is to get or give is not known before other jobs that concern it are over.
    private static func conflict(ofEvening move: MoveRequest, in catalog: CatalogSnapshot) -> APIError? {
        guard let shard = move.evened else { return nil }
        guard let other = catalog.jobs.values.filter({ !$0.isOver && $0.shards.contains(shard) }).map(\.id).min() else { return nil }
        return jobConflict(other, "job \(other) moves vnodes to or from shard \(shard); finish or cancel it")
    }

    /// Sorts by time, and is valid within the name of a slot.
    private static func newJobID(_ time: Double) -> JobID {
        let digits = Array("0123456789abcdefghijklmnopqrstuvwxyz")
        return JobID("j" + String(UInt64(max(0, time) * 1000), radix: 36) + String((0..<6).map { _ in digits[Int.random(in: 0..<digits.count)] }))
    }

    /// Throws where the job cannot begin beside those that are not over.
    private static func admit(_ record: JobRecord, in catalog: CatalogSnapshot) throws(APIError) {
        let unfinished = catalog.jobs.values.filter { !$0.isOver }.sorted { $0.id < $1.id }
        guard unfinished.count < jobsUnfinishedMax else {
            throw APIError(.tooManyRequests, "\(jobsUnfinishedMax) jobs are not over; finish or cancel some of them")
        }
        if let conflict = conflict(of: record, with: unfinished, in: catalog) { throw conflict }
    }

    static func conflict(of record: JobRecord, with unfinished: [ReshardJobRecord], in catalog: CatalogSnapshot) -> APIError? {
        for other in unfinished where other.database == record.database {
            guard StoredJob(other) != nil else { return jobConflict(other.id, "job \(other.id) is not over, and this version of PGMosaic cannot read what it moves") }
            if let shard = record.targets.first(where: { catalog.shards[$0]?.isJoining == true && other.shards.contains($0) }) {
                return jobConflict(other.id, "job \(other.id) brings shard \(shard) its definitions; wait for its switch, or cancel it")
            }
        }
        switch JobAdmission.refusal(of: record, beside: unfinished.compactMap { StoredJob($0)?.record }) {
        case nil: return nil
        case .overlaps(let other, let vnode): return jobConflict(other.text, "job \(other) moves vnode \(vnode) already; wait for its end, or cancel it")
        case .nothingToMove: return APIError(.reshardRefused, "there is nothing to move")
        case .tooMany(let count): return APIError(.reshardRefused, "\(count) vnodes are more than one job may move (\(JobAdmission.vnodesMax))")
        case .duplicate(let vnode): return APIError(.reshardRefused, "vnode \(vnode) is named twice")
        case .noMove(let vnode): return APIError(.reshardRefused, "vnode \(vnode) would stay where it is")
        case .duplicateID: return APIError(.alreadyExists, "a job of that id exists; send the request again")
        }
    }

    private static func forgotten(in catalog: CatalogSnapshot) -> [CatalogChange.Operation] {
        let over = catalog.jobs.values.filter(\.isOver).sorted { ($0.createdAt, $0.id) > ($1.createdAt, $1.id) }
        return over.dropFirst(jobsKeptMax - 1).map { .deleteJob(id: $0.id, version: $0.version) }
    }
}

// MARK: asking of a job

extension ManagerAPI {
    private func ask(_ wanted: JobRequest, _ request: RESTRequest) async throws -> RESTAnswer {
        let job = try await unfinished(request) { wanted.isMet(by: $0) }
        guard let job else { return .json(await resource(try Self.job(request.parameter("id"), in: try await writer.load()))) }
        switch await jobs?.ask(wanted, of: job.record.id.text) {
        case nil: throw Self.notCarriedOut
        case .accepted: return .json(await resource(try Self.job(job.record.id.text, in: try await writer.load())))
        case .rejected:
            let now = try Self.job(job.record.id.text, in: try await writer.load())
            if wanted.isMet(by: now.record) { return .json(await resource(now)) }
            throw Self.wrongState(now, "\(wanted.rawValue) cannot be asked of the job in this step")
        case .unknown:
            throw APIError(.catalogUnknownOutcome, "this manager gave the job up before there was an answer; the request may have been written down")
        }
    }

    /// The next try begins at once, where the job waits between two.
    private func resume(_ request: RESTRequest) async throws -> RESTAnswer {
        guard let job = try await unfinished(request, orElse: { _ in false }) else { throw APIError(.jobNotFound, "there is no job of that id") }
        guard await jobs?.hasten(job.record.id.text) == true else { throw Self.notCarriedOut }
        return .json(await resource(job))
    }

    /// nil: the job is what was asked for already. A repeated request is answered so: its first answer may have been lost with a leader.
    private func unfinished(_ request: RESTRequest, orElse isMet: (JobRecord) -> Bool) async throws -> StoredJob? {
        _ = try writer.lease()
        let job = try Self.job(request.parameter("id"), in: try await writer.load())
        if isMet(job.record) { return nil }
        if job.record.isOver { throw Self.wrongState(job, "the job is over") }
        return job
    }

    private static let notCarriedOut = APIError(.notReady, "this manager does not carry the job out at the moment; ask again")

    private static func wrongState(_ job: StoredJob, _ message: String) -> APIError {
        APIError(
            .jobState, "\(message); it is \(job.record.step.state.rawValue) (\(job.record.step.name))",
            details: ["status": .string(job.record.step.state.rawValue), "step": .string(job.record.step.name)])
    }

    func resource(_ job: StoredJob) async -> JobResource { JobResource(job, await jobs?.progress(of: job.record.id)) }
}

extension JobRequest {
    /// Whether a job is on the way that the request asks for.
    func isMet(by record: JobRecord) -> Bool {
        switch (self, record.step) {
        case (.cancel, .cleaning(.cancelled)), (.cancel, .over(.cancelled)), (.reverse, .cleaning(.cancelled)), (.reverse, .over(.cancelled)): true
        case (.finish, .cleaning(.completed)), (.finish, .over(.completed)): true
        case (.cancel, _): record.isCancelling
        case (.reverse, _): record.direction == .back
        case (.finish, _): false
        }
    }
}
