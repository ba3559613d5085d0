internal import CatalogStore
internal import ControlAPI
internal import Foundation
internal import Logging
internal import ServerConfig
internal import ShardModel

/// The router's place among the live routers, renewed while it serves.
///
/// During a rolling restart two processes have one id. The place is then the successor's, which started later: its predecessor neither renews
/// nor withdraws it, and takes it again should the successor end first.
extension ControlPlane {
    private static var lifetime: Duration { .seconds(15) }

    /// Announces the router until it is withdrawn. Returns when it has been announced once, or could not be.
    func announce(_ settings: RouterSettings, wirePort: Int, httpPort: Int) async {
        await renewPlace(settings, wirePort, httpPort)
        setAnnouncement(
            Task {
                var rings = announcementBell.rings
                while !Task.isCancelled {
                    await announcementBell.wait(after: rings, until: .now + Self.lifetime / 3)
                    rings = announcementBell.rings
                    if !Task.isCancelled { await renewPlace(settings, wirePort, httpPort) }
                }
            })
    }

    private func renewPlace(_ settings: RouterSettings, _ wirePort: Int, _ httpPort: Int) async {
        let member = MemberRecord(
            id: settings.id, kind: "router", url: "\(settings.httpTLS == nil ? "http" : "https")://\(settings.httpHost):\(httpPort)",
            wireAddress: "\(settings.wireHost):\(wirePort)", epoch: catalog?.epoch ?? .zero, startedAt: startedAt, version: BuildVersion.current,
            acknowledgements: acknowledgements, overfull: overfull)
        do {
            guard try await placeHolder().map({ $0 <= startedAt + Self.sameStart }) ?? true else { return }
            try await store.announce(member, ttl: Self.lifetime)
        } catch {
            logger.debug("The router could not be announced", metadata: ["error": "\(error)"])
        }
    }

    /// Gives the place up, unless it is a successor's. Nothing is announced afterwards.
    func withdraw() async {
        let announcement = takeAnnouncement()
        announcement?.cancel()
        await announcement?.value
        guard let holder = try? await placeHolder(), abs(holder - startedAt) <= Self.sameStart else { return }
        try? await store.withdraw(memberID: routerID)
    }

    /// Stores may keep a time less exactly than it was given.
    private static var sameStart: Double { 0.001 }

    /// When the router that has the place now was started; nil when nobody has it.
    private func placeHolder() async throws -> Double? {
        try await store.members().first { $0.id == routerID }?.startedAt
    }
}
