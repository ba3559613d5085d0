internal import ControlAPI
internal import HealthCore
internal import RESTServer
internal import Secrets
internal import ShardModel

extension ManagerAPI {
    /// The longest that one server may take of a request; without settings, in tests.
    private static let probeLimit = Duration.seconds(2)

    /// Probes the shard's servers, all at once. One that cannot be reached is an answer, not an error: that is what was asked.
    func health(_ request: RESTRequest) async throws -> RESTAnswer {
        let catalog = try await writer.load()
        let shard = try Self.shard(request.parameter("id"), in: catalog)
        let observed = ObservedServer.all(of: shard, clusterID: catalog.clusterID)
        async let probing = probes(of: observed)
        var answer = await primaryHealth(of: shard, clusterID: catalog.clusterID)
        let outcomes = await probing
        let written = outcomes.first.flatMap { if case .answered(let figures, _) = $0 { figures.position } else { nil } }
        answer.servers = zip(observed, outcomes).map { resource($0, $1, writtenByPrimary: written) }
        return .json(answer)
    }

    private func probes(of servers: [ObservedServer]) async -> [ProbeOutcome] {
        let limit = monitor?.deadline ?? Self.probeLimit
        return await withTaskGroup(of: (Int, ProbeOutcome).self) { [inspector] group in
            for (index, server) in servers.enumerated() {
                group.addTask { (index, await inspector.probe(server.endpoint, as: server.identity, within: limit)) }
            }
            return await group.reduce(into: [Int: ProbeOutcome]()) { $0[$1.0] = $1.1 }.sorted { $0.key < $1.key }.map(\.value)
        }
    }

    /// Whether the primary could be a shard as it is.
    private func primaryHealth(of shard: ShardRecord, clusterID: String) async -> ShardHealthAnswer {
        let identity = ShardIdentity(clusterID: clusterID, database: shard.database, shard: shard.id)
        do {
            let inspection = try await inspector.inspect(shard.primaryEndpoint)
            var problems = ShardSuitability.problems(inspection)
            if inspection.identity != identity { problems.insert("the database at the endpoint is not marked as this shard", at: 0) }
            return ShardHealthAnswer(
                shardID: shard.id.name, healthy: problems.isEmpty, latencyMilliseconds: Self.milliseconds(inspection.latency),
                serverVersion: inspection.versionText, inRecovery: inspection.inRecovery, problem: problems.first, servers: [])
        } catch {
            return ShardHealthAnswer(shardID: shard.id.name, healthy: false, problem: error.apiError.message, servers: [])
        }
    }

    /// In thousandths.
    private static func milliseconds(_ duration: Duration) -> Double { (duration / .microseconds(1)).rounded() / 1000 }

    private func resource(_ server: ObservedServer, _ outcome: ProbeOutcome, writtenByPrimary written: UInt64?) -> ServerHealthResource {
        let outcome = monitor?.completed(outcome, of: server) ?? outcome
        let observed = monitor?.health(of: server)
        let health = observed?.health ?? ServerHealth(at: now())
        var resource = ServerHealthResource(
            server: server.address, part: server.part == .primary ? .primary : .replica, state: Self.state(health.state),
            since: Timestamp(seconds: health.since), reasons: health.reasons.map(\.rawValue),
            transitions: health.transitions.map {
                .init(time: Timestamp(seconds: $0.time), from: Self.state($0.from), to: Self.state($0.to), reasons: $0.reasons.map(\.rawValue))
            })
        resource.probedAt = observed?.probedAt.map { Timestamp(seconds: $0) }
        switch outcome {
        case .failed(let reason, let problem): (resource.found, resource.problem) = ([reason.rawValue], problem)
        case .answered(let figures, let latency):
            resource.found = figures.reasons(as: server.part, monitor?.rules ?? HealthRules()).map(\.rawValue)
            resource.latencyMilliseconds = Self.milliseconds(latency)
            resource.inRecovery = figures.inRecovery
            resource.position = figures.position.map { String($0) }
            if server.part == .replica {
                resource.lagMilliseconds = figures.lag.map { Int64($0 / .milliseconds(1)) }
                resource.streaming = figures.isStreaming
                if let written, let position = figures.position { resource.behindBytes = Int64(clamping: written > position ? written - position : 0) }
            }
            resource.connections = figures.connections
            resource.connectionsMax = figures.connectionsMax
            resource.inDoubt = figures.inDoubt
            resource.oldestInDoubtSeconds = figures.oldestInDoubt.map { Self.milliseconds($0) / 1000 }
            resource.databaseBytes = figures.databaseBytes
            resource.logBytes = figures.logBytes
            resource.slots = figures.slots.map { .init(name: $0.name, active: $0.isActive, retainedBytes: $0.retainedBytes) }
        }
        return resource
    }

    private static func state(_ state: ServerHealth.State) -> ServerHealthResource.State {
        switch state {
        case .unknown: .unknown
        case .healthy: .healthy
        case .degraded: .degraded
        case .unreachable: .unreachable
        }
    }
}
