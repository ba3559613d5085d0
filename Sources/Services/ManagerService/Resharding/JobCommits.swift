internal import CatalogStore
internal import ShardModel
internal import Telemetry

/// Commits what a job decides, under the lease of the leadership that the job is carried out in.
struct JobCommits: Sendable {
    static let attemptsMax = 20
    static let pauseMax = Duration.milliseconds(20)
    static let author = "manager"

    enum Decision: Sendable {
        case change([CatalogChange.Operation])
        /// It is so already.
        case stands
        /// It cannot be any more.
        case refused(String)
    }

    enum Outcome: Sendable {
        /// Of the change, or where it was found.
        case stands(CatalogSnapshot)
        case refused(String, CatalogSnapshot)
        /// The lease is another's. Nothing was written, now or later.
        case fenced
        /// Nothing was written.
        case unavailable(String)
        case unknown(String)
    }

    let store: any CatalogStore
    let metrics: SharedMetrics
    /// nil: one manager alone.
    let lease: Lease?
    /// Told when the store refuses a commit for want of the lease, so that this manager asks at once who leads.
    let election: LeaderElection?

    /// Decides on the newest catalog, again where somebody else was faster.
    func commit(_ decide: @Sendable (CatalogSnapshot) -> Decision) async -> Outcome {
        for attempt in 1...Self.attemptsMax {
            do throws(CatalogError) {
                let catalog = try await store.load()
                switch decide(catalog) {
                case .stands: return .stands(catalog)
                case .refused(let reason): return .refused(reason, catalog)
                case .change(let operations):
                    let after = try await store.commit(
                        CatalogChange(operations, author: Self.author), expecting: catalog.epoch, fence: lease, keeping: nil)
                    count("ok")
                    return .stands(after)
                }
            } catch {
                switch error {
                case .conflict:
                    count("conflict")
                    try? await Task.sleep(for: min(Self.pauseMax, .milliseconds(attempt)) * Double.random(in: 0...1))
                case .fenced:
                    count("fenced")
                    if let lease { election?.fenced(lease) }
                    return .fenced
                case .unknownOutcome(let reason):
                    count("unknown")
                    return .unknown(reason)
                case .unavailable(let reason), .foreign(let reason):
                    count("unavailable")
                    return .unavailable(reason)
                case .invalid(let reason):
                    count("invalid")
                    return .unavailable("the catalog does not allow it: \(reason)")
                }
            }
        }
        return .unavailable("the catalog is being changed by others")
    }

    private func count(_ outcome: String) { metrics.count(MetricCatalogue.catalogCommits, [outcome]) }
}
