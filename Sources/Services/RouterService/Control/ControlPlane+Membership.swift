internal import CatalogStore
internal import ControlAPI
internal import Foundation
internal import Logging
internal import ServerConfig
internal import ShardModel

/// The router's place among the live routers, renewed while it serves.
extension ControlPlane {
    private static var lifetime: Duration { .seconds(15) }

    /// Announces the router until it is withdrawn.
    func announce(_ settings: RouterSettings, wirePort: Int, httpPort: Int) async {
        let startedAt = Date().timeIntervalSince1970
        let task = Task {
            while !Task.isCancelled {
                let member = MemberRecord(
                    id: settings.id, kind: "router", url: "http://\(settings.httpHost):\(httpPort)",
                    wireAddress: "\(settings.wireHost):\(wirePort)", epoch: catalog?.epoch ?? .zero, startedAt: startedAt,
                    version: BuildVersion.current)
                do {
                    try await store.announce(member, ttl: Self.lifetime)
                } catch {
                    logger.debug("The router could not be announced", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: Self.lifetime / 3)
            }
        }
        setAnnouncement(task)
    }

    func withdraw() async {
        takeAnnouncement()?.cancel()
        try? await store.withdraw(memberID: routerID)
    }
}
