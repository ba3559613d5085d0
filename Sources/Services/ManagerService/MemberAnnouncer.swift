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
    private let startedAt: Timestamp
    private let logger: Logger
    private let url = Mutex<String?>(nil)

    init(id: String, store: any CatalogStore, startedAt: Timestamp, logger: Logger) {
        self.id = id
        self.store = store
        self.startedAt = startedAt
        self.logger = logger
    }

    /// Nothing is announced before the server listens.
    func started(url: String) { self.url.withLock { $0 = url } }

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var pause = Duration.milliseconds(100)
            while true {
                if let url = self.url.withLock({ $0 }) {
                    await self.announce(url)
                    pause = Self.interval
                }
                try await Task.sleep(for: pause)
            }
        }
        try? await store.withdraw(memberID: id)
    }

    private func announce(_ url: String) async {
        do {
            let epoch = try await store.load().epoch
            let record = MemberRecord(
                id: id, kind: "manager", url: url, wireAddress: "", epoch: epoch, startedAt: startedAt.seconds, version: BuildVersion.current)
            try await store.announce(record, ttl: Self.lifetime)
        } catch {
            logger.warning("the catalog store does not answer", error: error)
        }
    }
}
