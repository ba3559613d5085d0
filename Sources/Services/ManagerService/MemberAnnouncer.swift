internal import CatalogStore
internal import ControlAPI
internal import Logging
internal import ServiceLifecycle
internal import ShardModel
internal import Synchronization

/// Tells the catalog store, again and again, that this manager is alive; takes it back at the end.
final class MemberAnnouncer: Service {
    static let interval = Duration.seconds(10)
    static let lifetime = Duration.seconds(30)

    private let id: String
    private let store: any CatalogStore
    private let election: LeaderElection
    private let startedAt: Timestamp
    private let logger: Logger
    private let url = Mutex<String?>(nil)

    init(id: String, store: any CatalogStore, election: LeaderElection, startedAt: Timestamp, logger: Logger) {
        self.id = id
        self.store = store
        self.election = election
        self.startedAt = startedAt
        self.logger = logger
    }

    /// Nothing is announced before the server listens.
    func started(url: String) { self.url.withLock { $0 = url } }

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var pause = Duration.milliseconds(100)
            while true {
                let changes = self.election.changes
                if let url = self.url.withLock({ $0 }) {
                    await self.announce(url)
                    pause = Self.interval
                }
                // Who leads is told at once.
                await self.election.change(after: changes, until: .now + pause)
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        try? await store.withdraw(memberID: id)
    }

    private func announce(_ url: String) async {
        do {
            let epoch = try await store.load().epoch
            let leadsSince: Double? = if case .leader = election.role { election.since } else { nil }
            let record = MemberRecord(
                id: id, kind: "manager", url: url, wireAddress: "", epoch: epoch, startedAt: startedAt.seconds, version: BuildVersion.current,
                leadsSince: leadsSince)
            try await store.announce(record, ttl: Self.lifetime)
        } catch {
            logger.warning("the catalog store does not answer", error: error)
        }
    }
}
