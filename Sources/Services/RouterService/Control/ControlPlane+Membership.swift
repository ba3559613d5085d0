internal import CatalogStore
internal import ControlAPI
internal import Foundation
internal import Logging
internal import ServerConfig
internal import ShardModel

/// The router's place among the live routers, renewed while it serves.
///
/// During a rolling restart two processes have one id. The place of that name is then the successor's, which started later; its predecessor is announced beside it,
/// by its start, for as long as it has clients: a cutover waits for both. The successor moves the predecessor's announcement there before it takes the
/// place, so that there is no moment in which one of them is missing. Should the successor end first, the predecessor takes the place again.
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
            wireAddress: "\(settings.wireHost):\(wirePort)", epoch: servedEpoch, startedAt: startedAt, version: BuildVersion.current,
            acknowledgements: acknowledgements, overfull: overfull, sessions: sessions, waiting: waiting)
        do {
            try await place(member)
        } catch {
            logger.debug("The router could not be announced", metadata: ["error": "\(error)"])
        }
    }

    private func place(_ member: MemberRecord) async throws(CatalogError) {
        let members = try await store.members()
        let beside = members.first { isBeside($0) && isOwn($0) }
        guard let holder = members.first(where: { $0.id == routerID }), !isOwn(holder) else {
            try await store.announce(member, ttl: Self.lifetime)
            if let beside { try await store.withdraw(memberID: beside.id) }
            return
        }
        if holder.startedAt > startedAt {
            var moved = member
            moved.id = beside?.id ?? besideID(startedAt)
            return try await store.announce(moved, ttl: Self.lifetime)
        }
        // It does not know yet, and goes on there. Has it ended without a word, it is a router until its announcement runs out, as ever.
        if !members.contains(where: { isBeside($0) && abs($0.startedAt - holder.startedAt) <= Self.sameStart }) {
            var moved = holder
            moved.id = besideID(holder.startedAt)
            try await store.announce(moved, ttl: Self.lifetime)
        }
        try await store.announce(member, ttl: Self.lifetime)
    }

    /// Gives the place up: nobody waits for the router any more. Nothing is announced afterwards.
    func withdraw() async {
        let announcement = takeAnnouncement()
        announcement?.cancel()
        await announcement?.value
        for member in (try? await store.members()) ?? [] where isOwn(member) { try? await store.withdraw(memberID: member.id) }
    }

    /// Not a name that a router can have.
    private func besideID(_ start: Double) -> String { "\(routerID)~\(String(UInt64(max(0, start * 1000)), radix: 36))" }

    private func isBeside(_ member: MemberRecord) -> Bool { member.id.hasPrefix(routerID + "~") }

    private func isOwn(_ member: MemberRecord) -> Bool {
        (member.id == routerID || isBeside(member)) && abs(member.startedAt - startedAt) <= Self.sameStart
    }

    /// Stores may keep a time less exactly than it was given.
    private static var sameStart: Double { 0.001 }
}
