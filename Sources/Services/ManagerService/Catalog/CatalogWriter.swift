internal import CatalogStore
internal import ControlAPI
internal import ShardModel
internal import Telemetry

/// Changes the catalog by compare-and-set: load, decide on what was loaded, commit expecting that epoch.
///
/// When somebody else was faster, the decision is made anew on the newer catalog, `attemptsMax` times at most; so a decision must be repeatable, and throws the
/// `APIError` that the caller is to see when the change is not right (any more).
struct CatalogWriter: Sendable {
    static let attemptsMax = 20
    /// Longest pause before the next attempt, for each attempt made: writers that collided once should not do so again.
    static let pauseStep = Duration.milliseconds(5)

    let store: any CatalogStore
    let metrics: SharedMetrics

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

    func change<Result: Sendable>(
        author: String, _ decide: @Sendable (CatalogSnapshot) async throws -> Decision<Result>
    ) async throws -> Result {
        for attempt in 1... {
            let catalog = try await load()
            let decision = try await decide(catalog)
            if decision.operations.isEmpty { return decision.result(catalog) }
            do {
                let change = CatalogChange(decision.operations, author: author)
                let after = try await store.commit(change, expecting: catalog.epoch)
                count("ok")
                return decision.result(after)
            } catch CatalogError.conflict where attempt < Self.attemptsMax {
                count("conflict")
                try await Task.sleep(for: Self.pauseStep * attempt * Double.random(in: 0...1))
            } catch {
                count(error)
                throw Self.apiError(error)
            }
        }
        preconditionFailure("the loop returns or throws")
    }

    private func count(_ error: CatalogError) {
        switch error {
        case .conflict: count("conflict")
        case .invalid, .foreign: count("invalid")
        case .unavailable: count("unavailable")
        case .unknownOutcome: count("unknown")
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
        case .foreign(let reason): APIError(.catalogUnavailable, "the catalog store holds something else: \(reason)")
        }
    }
}
