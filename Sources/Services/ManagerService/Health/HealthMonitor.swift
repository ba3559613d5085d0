package import CatalogStore
internal import ControlAPI
internal import Foundation
internal import HealthCore
package import Logging
package import ServerConfig
internal import ServiceLifecycle
internal import ShardModel
internal import Synchronization
package import Telemetry

/// Probes every server of the catalog at its own pace, and keeps what `ServerHealth` makes of it.
///
/// Each server has a task of its own, whose probe has a deadline: one that hangs holds up nobody else. Every manager probes, so that one that begins to lead
/// knows the servers already (decision 0041); only the leader's log has each change as a warning.
package final class HealthMonitor: Service {
    private static let pause = Duration.milliseconds(200)

    private let store: any CatalogStore
    private let inspector: any ShardInspector
    private let election: LeaderElection
    private let settings: HealthSettings
    private let logger: Logger
    private let state = Mutex<[ObservedServer: ObservedHealth]>([:])
    private let tracks = Mutex<[ShardID: PrimaryTrack]>([:])

    package init(store: any CatalogStore, inspector: any ShardInspector, election: LeaderElection, settings: HealthSettings, logger: Logger) {
        self.store = store
        self.inspector = inspector
        self.election = election
        self.settings = settings
        self.logger = logger
    }

    var deadline: Duration { settings.deadline }
    var rules: HealthRules { settings.rules }

    /// nil: it has not been looked at yet.
    func health(of server: ObservedServer) -> ObservedHealth? { state.withLock { $0[server] } }

    /// What a probe found, with how far a replica is behind.
    func completed(_ outcome: ProbeOutcome, of server: ObservedServer) -> ProbeOutcome {
        guard server.part == .replica, case .answered(var figures, let latency) = outcome, let position = figures.position else { return outcome }
        figures.lag = tracks.withLock { $0[server.shard]?.lag(at: position, now: Self.now) }
        return .answered(figures, latency: latency)
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                var probing: [ObservedServer: Task<Void, Never>] = [:]
                for await catalog in await self.catalogs() {
                    let servers = ObservedServer.all(in: catalog)
                    self.tracks.withLock { $0 = $0.filter { catalog.shards[$0.key] != nil } }
                    for (server, task) in probing where !servers.contains(server) {
                        task.cancel()
                        probing[server] = nil
                        self.state.withLock { $0[server] = nil }
                    }
                    for server in servers where probing[server] == nil {
                        self.state.withLock { $0[server] = ObservedHealth(health: ServerHealth(at: Self.now)) }
                        let task = Task { await self.probe(server) }
                        probing[server] = task
                        group.addTask { await withTaskCancellationHandler { await task.value } onCancel: { task.cancel() } }
                    }
                    // Of changes that come quicker than this the last is looked at: there may be a thousand servers.
                    try? await Task.sleep(for: Self.pause)
                }
                for task in probing.values { task.cancel() }
            }
        }
    }

    /// The catalog as it is, and each newer one. While the store is away, probing goes on.
    private func catalogs() async -> AsyncStream<CatalogSnapshot> {
        var first: CatalogSnapshot?
        while !Task.isCancelled, first == nil {
            first = try? await store.load()
            if first == nil { try? await Task.sleep(for: .seconds(1)) }
        }
        let (stream, continuation) = AsyncStream.makeStream(of: CatalogSnapshot.self, bufferingPolicy: .bufferingNewest(1))
        guard let first else {
            continuation.finish()
            return stream
        }
        continuation.yield(first)
        let following = Task { [store] in
            for await catalog in store.watch(after: first.epoch) { continuation.yield(catalog) }
            continuation.finish()
        }
        continuation.onTermination = { _ in following.cancel() }
        return stream
    }

    private static var now: Double { Date().timeIntervalSince1970 }

    private func probe(_ server: ObservedServer) async {
        // Not all at the same moment, from all managers.
        var pause = settings.interval * Double.random(in: 0...0.2)
        while !Task.isCancelled {
            try? await Task.sleep(for: pause)
            if Task.isCancelled { return }
            let start = ContinuousClock.now
            let time = Self.now
            let outcome = await inspector.probe(server.endpoint, as: server.identity, within: settings.deadline)
            if Task.isCancelled { return }
            if server.part == .primary, case .answered(let figures, _) = outcome, !figures.inRecovery, figures.isShard, let position = figures.position {
                tracks.withLock { $0[server.shard, default: PrimaryTrack()].wrote(position, at: time) }
            }
            take(completed(outcome, of: server), of: server)
            pause = max(.milliseconds(100), settings.interval - (.now - start))
        }
    }

    private func take(_ outcome: ProbeOutcome, of server: ObservedServer) {
        let found =
            switch outcome {
            case .answered(let figures, _): figures.reasons(as: server.part, settings.rules)
            case .failed(let reason, _): [reason]
            }
        let time = Self.now
        let transition = state.withLock { state -> ServerHealth.Transition? in
            guard var observed = state[server] else { return nil }
            let transition = observed.health.probed(found, at: time, settings.rules)
            (observed.outcome, observed.probedAt) = (outcome, time)
            state[server] = observed
            return transition
        }
        if let transition { tell(transition, outcome, of: server) }
    }

    private func tell(_ transition: ServerHealth.Transition, _ outcome: ProbeOutcome, of server: ObservedServer) {
        let isGood = transition.to == .healthy
        var metadata: Logger.Metadata = [
            "shard": "\(server.shard)", "server": "\(server.address)", "part": "\(server.part)", "from": "\(transition.from.rawValue)",
            "to": "\(transition.to.rawValue)", "reasons": "\(transition.reasons.map(\.rawValue).joined(separator: " "))",
        ]
        if case .failed(_, let text) = outcome { metadata["problem"] = "\(text)" }
        let level: Logger.Level =
            if case .leader = election.role { isGood ? (transition.from == .unknown ? .debug : .notice) : .warning } else { .debug }
        logger.log(level: level, "The health of a shard's server has changed", metadata: metadata)
    }

    // MARK: metrics

    package func metricSnapshot() -> MetricSnapshot {
        var snapshot = MetricSnapshot()
        for (server, observed) in state.withLock(\.self) {
            let labels = [server.shard.name, server.address]
            for state in ServerHealth.State.allCases {
                snapshot.add(MetricCatalogue.serverState, labels + [state.rawValue], gauge: observed.health.state == state ? 1 : 0)
            }
            guard case .answered(let figures, let latency)? = observed.outcome else { continue }
            snapshot.add(MetricCatalogue.serverProbeSeconds, labels, gauge: latency.seconds)
            snapshot.add(MetricCatalogue.serverConnections, labels, gauge: Double(figures.connections))
            snapshot.add(MetricCatalogue.serverConnectionsMax, labels, gauge: Double(figures.connectionsMax))
            snapshot.add(MetricCatalogue.serverInDoubt, labels, gauge: Double(figures.inDoubt))
            snapshot.add(MetricCatalogue.serverInDoubtSeconds, labels, gauge: figures.oldestInDoubt?.seconds ?? 0)
            snapshot.add(MetricCatalogue.serverDatabaseBytes, labels, gauge: Double(figures.databaseBytes))
            snapshot.add(MetricCatalogue.serverSlotBytes, labels, gauge: Double(figures.slots.compactMap(\.retainedBytes).max() ?? 0))
            if let bytes = figures.logBytes { snapshot.add(MetricCatalogue.serverLogBytes, labels, gauge: Double(bytes)) }
            if server.part == .replica, let lag = figures.lag { snapshot.add(MetricCatalogue.serverLagSeconds, labels, gauge: lag.seconds) }
        }
        return snapshot
    }
}

extension Duration {
    var seconds: Double { self / .seconds(1) }
}
