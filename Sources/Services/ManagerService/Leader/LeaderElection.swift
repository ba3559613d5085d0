package import CatalogStore
internal import Foundation
internal import LeaderCore
package import Logging
internal import ServiceLifecycle
internal import Synchronization
package import Telemetry

/// Asks the catalog store for the leader's lease again and again, and knows who leads. `Leadership` decides; this carries out.
package final class LeaderElection: Service {
    package static let leaseName = "manager"
    /// How long the end of the process waits for the store to take the lease back.
    static let releaseLimit = Duration.seconds(2)

    private struct State {
        var leadership: Leadership
        var record: LeaderRecord?
        /// Seconds since 1970.
        var since: Double
        var hasEnded = false
    }
    private let state: Mutex<State>
    private let store: any CatalogStore
    private let ttl: Duration
    private let id: String
    private let metrics: SharedMetrics
    private let logger: Logger
    /// This process: `LeaderRecord.instance`.
    let instance = UUID().uuidString.lowercased()
    /// Rings when the leader changes, and when this manager is to ask at once.
    private let news = Bell()
    /// Called each time that this manager begins to lead.
    private let onLead: @Sendable () async -> Void

    package init(
        id: String, store: any CatalogStore, ttl: Duration, metrics: SharedMetrics, logger: Logger, onLead: @escaping @Sendable () async -> Void = {}
    ) {
        self.id = id
        self.store = store
        self.ttl = ttl
        self.metrics = metrics
        self.logger = logger
        self.onLead = onLead
        state = Mutex(State(leadership: Leadership(lease: ttl), since: Date().timeIntervalSince1970))
    }

    /// From where the others reach this manager: it does not ask for the lease before.
    package func started(url: String) {
        state.withLock { $0.record = LeaderRecord(id: id, instance: instance, url: url, startedAt: Date().timeIntervalSince1970) }
        news.ring()
    }

    // MARK: who leads

    enum Role: Sendable {
        /// This manager, under the lease.
        case leader(Lease)
        /// nil: nobody, or it is not known.
        case follower(LeaderRecord?)
    }

    var role: Role {
        state.withLock { state in
            if let record = state.record, let token = state.leadership.token(at: .now) { return .leader(lease(token, record)) }
            if case .follower(let leader?) = state.leadership.role, leader != state.record?.text {
                let record = LeaderRecord(text: leader)
                // Of the process that was here before: what is sent there comes back.
                return .follower(record?.url == state.record?.url ? nil : record)
            }
            return .follower(nil)
        }
    }

    /// Who leads by the lease, and says that it is to be found where this manager is: nothing can be passed on there.
    var misaddressed: LeaderRecord? {
        state.withLock { state in
            guard case .follower(let leader?) = state.leadership.role, leader != state.record?.text, let record = LeaderRecord(text: leader) else { return nil }
            return record.url == state.record?.url ? record : nil
        }
    }

    /// As `role`; a manager that has ceased to ask looks who leads instead.
    func currentRole() async -> Role {
        guard state.withLock(\.hasEnded) else { return role }
        return .follower(try? await store.lease(Self.leaseName).flatMap { LeaderRecord(text: $0.holder) })
    }

    /// Since when this manager has its role: seconds since 1970.
    var since: Double { state.withLock(\.since) }

    /// To be read before `role`: `change(after:until:)` returns at the next change behind it.
    var changes: UInt64 { news.rings }
    func change(after rings: UInt64, until deadline: ContinuousClock.Instant) async { await news.wait(after: rings, until: deadline) }

    /// The store has refused a commit under it.
    func fenced(_ lease: Lease) {
        apply(.fenced(token: lease.fencingToken))
        news.ring()
    }

    private func lease(_ token: UInt64, _ record: LeaderRecord) -> Lease {
        Lease(name: Self.leaseName, holder: record.text, fencingToken: token)
    }

    package func metricSnapshot() -> MetricSnapshot {
        var snapshot = MetricSnapshot()
        let leads = if case .leader = role { 1.0 } else { 0.0 }
        snapshot.add(MetricCatalogue.leader, gauge: leads)
        return snapshot
    }

    // MARK: asking

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let rings = self.news.rings
                await self.ask()
                await self.rest(after: rings)
            }
        }
        // Requests that are under way cannot commit any more; they are passed on. The next leader need not wait for them.
        state.withLock { $0.hasEnded = true }
        for action in apply(.stopping) { if case .release(let token) = action { await release(token) } }
    }

    private func ask() async {
        guard let record = state.withLock(\.record) else { return }
        let asked = ContinuousClock.now
        do {
            if let lease = try await store.acquireLease(Self.leaseName, holder: record.text, ttl: ttl) {
                for action in apply(.granted(token: lease.fencingToken, asked: asked)) {
                    switch action {
                    case .lead: await onLead()
                    case .release(let token): await release(token)
                    case .stepDown, .follow: break
                    }
                }
            } else {
                apply(.denied(leader: try await store.lease(Self.leaseName)?.holder))
            }
        } catch {
            apply(.failed)
        }
    }

    /// Until it is time to ask again. A leader's end that comes first is noticed at its time.
    private func rest(after rings: UInt64) async {
        let pause = state.withLock { $0.leadership.pause }
        // Somebody else's ring does not make it ask sooner than needed: a fenced leader asks at once all the same.
        await news.wait(after: rings, until: .now + pause)
        apply(.passed)
        if Task.isCancelled { return }
        try? await Task.sleep(for: .milliseconds(20))
    }

    private func release(_ token: UInt64) async {
        guard let record = state.withLock(\.record) else { return }
        let (lease, store) = (lease(token, record), store)
        // Not cancelled with the service: it has ended already.
        let releasing = Task { try? await store.releaseLease(lease) }
        let limit = Task {
            try? await Task.sleep(for: Self.releaseLimit)
            releasing.cancel()
        }
        await releasing.value
        limit.cancel()
    }

    @discardableResult
    private func apply(_ event: Leadership.Event) -> [Leadership.Action] {
        let actions = state.withLock { state in
            let actions = state.leadership.apply(event, at: .now)
            if !actions.isEmpty { state.since = Date().timeIntervalSince1970 }
            return actions
        }
        for action in actions { tell(action) }
        if !actions.isEmpty { news.ring() }
        return actions
    }

    /// One line and one count for each change.
    private func tell(_ action: Leadership.Action) {
        switch action {
        case .lead(let token):
            metrics.count(MetricCatalogue.leaderChanges, ["gained"])
            logger.notice("This manager leads", metadata: ["id": "\(id)", "token": "\(token)"])
        case .stepDown(let token, let end):
            metrics.count(MetricCatalogue.leaderChanges, [end.rawValue])
            logger.notice("This manager leads no more", metadata: ["id": "\(id)", "token": "\(token)", "reason": "\(end.rawValue)"])
        case .follow(let leader):
            let leader = leader.flatMap { LeaderRecord(text: $0) }
            logger.info("Another manager leads", metadata: ["leader": "\(leader?.id ?? "none")", "url": "\(leader?.url ?? "")"])
        case .release: break
        }
    }
}
