internal import CatalogStore
internal import ControlAPI
internal import RESTServer
internal import ShardModel
internal import Telemetry

/// Changes the catalog by compare-and-set: load, decide on what was loaded, commit expecting that epoch.
///
/// The changes of one writer take turns. When somebody else was faster, the decision is made anew on the newer catalog, `attemptsMax` times at most; so a
/// decision must be repeatable, and throws the `APIError` that the caller is to see when the change is not right (any more).
struct CatalogWriter: Sendable {
    static let attemptsMax = 20
    /// Longest pause before the next attempt, for each attempt made: writers that collided once should not do so again.
    static let pauseStep = Duration.milliseconds(5)

    let store: any CatalogStore
    let metrics: SharedMetrics
    /// nil: one manager alone, whose commits need no lease.
    let election: LeaderElection?
    let turns = CommitTurns()

    init(store: any CatalogStore, metrics: SharedMetrics, election: LeaderElection? = nil) {
        self.store = store
        self.metrics = metrics
        self.election = election
    }

    /// A request that may be repeated, and what it is answered when its change is made.
    struct Keeping<Result: Sendable>: Sendable {
        var repetition: RequestRepetition
        var now: Double
        var answer: @Sendable (Result) -> RESTAnswer
    }

    /// What became of a change.
    enum Outcome<Result: Sendable>: Sendable {
        case made(Result)
        /// The same request has made it before, and was answered this.
        case repeated(RESTAnswer)
    }

    /// What a decision has to know of servers. It is found out before the change has its turn, and again when the basis is another one by then.
    struct Look<Basis: Equatable & Sendable, Found: Sendable>: Sendable {
        /// All that the look depends on. Throws where the change is refused whatever servers say.
        var basis: @Sendable (CatalogSnapshot) throws -> Basis
        var find: @Sendable (Basis) async throws -> Found
        /// What is known already.
        var known: (basis: Basis, found: Found)?
    }

    /// What a decision comes to.
    struct Decision<Result: Sendable>: Sendable {
        /// Empty: nothing to change.
        var operations: [CatalogChange.Operation]
        /// Makes the answer from the catalog as it is afterwards.
        var result: @Sendable (CatalogSnapshot) -> Result
    }

    func load() async throws(APIError) -> CatalogSnapshot {
        do {
            return try await store.load()
        } catch {
            throw Self.apiError(error)
        }
    }

    func members() async throws(APIError) -> [MemberRecord] {
        do {
            return try await store.members()
        } catch {
            throw Self.apiError(error)
        }
    }

    /// What was answered to the request before. Throws an `APIError` where its key stands for another request.
    func kept(_ repetition: RequestRepetition, now: Double) async throws(APIError) -> RESTAnswer? {
        let kept: KeptAnswer?
        do {
            kept = try await store.keptAnswer(repetition.key)
        } catch {
            throw Self.apiError(error)
        }
        guard let kept, kept.time + KeptAnswer.lifetime > now else { return nil }
        guard kept.digest == repetition.digest else {
            throw APIError(.idempotencyMismatch, "this Idempotency-Key was used for a different request")
        }
        guard let body = kept.body else {
            throw APIError(.answerNotKept, "the request was carried out before; its answer was too long to be kept")
        }
        return RESTAnswer(status: kept.status, contentType: body.isEmpty ? nil : RESTAnswer.json, body: Array(body.utf8))
    }

    func change<Result: Sendable>(
        author: String, _ decide: @Sendable (CatalogSnapshot) throws -> Decision<Result>
    ) async throws -> Result {
        guard case .made(let result) = try await change(author: author, keeping: nil, decide) else { preconditionFailure("there is no key") }
        return result
    }

    /// The lease is the one held before anything is read: who loses it, and gets it back, decides anew.
    func lease() throws(APIError) -> Lease? {
        guard let election else { return nil }
        guard case .leader(let lease) = election.role else { throw Self.notLeader }
        return lease
    }

    private static let notLeader = APIError(.notLeader, "this manager does not lead; nothing was changed")

    func change<Result: Sendable>(
        author: String, keeping: Keeping<Result>?, _ decide: @Sendable (CatalogSnapshot) throws -> Decision<Result>
    ) async throws -> Outcome<Result> {
        try await change(author: author, keeping: keeping, look: Look(basis: { _ in true }, find: { _ in }, known: (true, ()))) { catalog, _ in try decide(catalog) }
    }

    func change<Basis: Equatable & Sendable, Found: Sendable, Result: Sendable>(
        author: String, keeping: Keeping<Result>?, look: Look<Basis, Found>,
        _ decide: @Sendable (CatalogSnapshot, Found) throws -> Decision<Result>
    ) async throws -> Outcome<Result> {
        let lease = try lease()
        var seen = look.known
        for attempt in 1...Self.attemptsMax {
            let step = try await turns.inTurn { () -> Step<Basis, Result> in
                let catalog = try await load()
                // In this order: a change of the same request is either seen here or has made the epoch another one.
                if let keeping, let answer = try await kept(keeping.repetition, now: keeping.now) { return .over(.repeated(answer)) }
                let basis = try look.basis(catalog)
                guard let seen, seen.basis == basis else { return .look(basis) }
                let decision = try decide(catalog, seen.found)
                if decision.operations.isEmpty { return .over(.made(decision.result(catalog))) }
                return try await commit(decision, over: catalog, author: author, keeping: keeping, lease)
            }
            switch step {
            case .over(let outcome): return outcome
            case .look(let basis): seen = (basis, try await look.find(basis))
            case .overtaken(let error):
                count("conflict")
                guard attempt < Self.attemptsMax else { throw Self.apiError(error) }
                try await Task.sleep(for: Self.pauseStep * attempt * Double.random(in: 0...1))
            }
        }
        throw APIError(.versionConflict, "what the change depends on is being changed by others; read it and try again")
    }

    /// What one attempt came to.
    private enum Step<Basis: Sendable, Result: Sendable>: Sendable {
        case over(Outcome<Result>)
        case look(Basis)
        /// By somebody who took no turn here.
        case overtaken(CatalogError)
    }

    private func commit<Basis, Result>(
        _ decision: Decision<Result>, over catalog: CatalogSnapshot, author: String, keeping: Keeping<Result>?, _ lease: Lease?
    ) async throws -> Step<Basis, Result> {
        let change = CatalogChange(decision.operations, author: author)
        do throws(CatalogError) {
            let after = try await store.commit(
                change, expecting: catalog.epoch, fence: lease, keeping: keeping.flatMap { Self.answer($0, decision, change, catalog) })
            count("ok")
            return .over(.made(decision.result(after)))
        } catch {
            switch error {
            case .fenced:
                count("fenced")
                if let lease { election?.fenced(lease) }
                throw Self.notLeader
            case .conflict: return .overtaken(error)
            case .invalid, .foreign, .unavailable, .unknownOutcome:
                count(error)
                throw Self.apiError(error)
            }
        }
    }

    /// The answer by the catalog as the change makes it, as the store will: nil where it cannot be made, which the store will say.
    private static func answer<Result>(
        _ keeping: Keeping<Result>, _ decision: Decision<Result>, _ change: CatalogChange, _ catalog: CatalogSnapshot
    ) -> KeptAnswer? {
        guard let after = try? catalog.applying(change) else { return nil }
        let answer = keeping.answer(decision.result(after))
        return KeptAnswer(
            key: keeping.repetition.key, digest: keeping.repetition.digest, status: answer.status, body: String(decoding: answer.body, as: UTF8.self),
            time: keeping.now)
    }

    private func count(_ error: CatalogError) {
        switch error {
        case .conflict: count("conflict")
        case .invalid, .foreign: count("invalid")
        case .unavailable: count("unavailable")
        case .unknownOutcome: count("unknown")
        case .fenced: count("fenced")
        }
    }
    private func count(_ outcome: String) { metrics.count(MetricCatalogue.catalogCommits, [outcome]) }

    static func apiError(_ error: CatalogError) -> APIError {
        switch error {
        case .conflict(let current, _):
            APIError(
                .versionConflict, "the catalog is being changed by others; read it and try again",
                details: ["epoch": .integer(Int64(clamping: current.number))])
        case .invalid(let reason): APIError(.internalError, "the change would break the catalog: \(reason)")
        case .unavailable(let reason): APIError(.catalogUnavailable, "the catalog store cannot be reached: \(reason)")
        case .unknownOutcome(let reason):
            APIError(.catalogUnknownOutcome, "the catalog store failed while storing; the change may have happened: \(reason)")
        case .fenced: notLeader
        case .foreign(let reason): APIError(.catalogUnavailable, "the catalog store holds something else: \(reason)")
        }
    }
}
