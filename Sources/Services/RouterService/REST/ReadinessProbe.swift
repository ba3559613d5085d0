internal import CatalogStore
internal import ControlAPI
internal import NIOCore
internal import PGChannel
internal import PGWire
internal import Secrets
internal import ShardModel

/// What `/ready` tells, found out at most once a second however often it is asked.
actor ReadinessProbe {
    struct State: Sendable {
        /// nil: no catalog yet.
        var epoch: Epoch?
        var isCatalogConnected: Bool
        var shards: [ReadyAnswer.Shard]
    }

    /// For how long an answer stands.
    static let lifetime = Duration.seconds(1)
    /// A shard that takes longer counts as away.
    static let shardTimeout = Duration.seconds(2)
    /// Shards asked at the same time.
    static let probesMax = 16

    private let control: ControlPlane
    private var current: (state: State, since: ContinuousClock.Instant)?
    private var running: Task<State, Never>?

    init(_ control: ControlPlane) { self.control = control }

    func state() async -> State {
        if let current, .now - current.since < Self.lifetime { return current.state }
        if let running { return await running.value }
        let task = Task { await self.probe() }
        running = task
        let state = await task.value
        running = nil
        current = (state, .now)
        return state
    }

    /// Whether the catalog store answers. Routers serve without it, too.
    func isCatalogConnected() async -> Bool { (try? await control.store.load()) != nil }

    private func probe() async -> State {
        let catalog = control.catalog
        async let isConnected = isCatalogConnected()
        let shards = await reachable(catalog?.shards.values.filter { !$0.isJoining }.sorted { $0.id < $1.id } ?? [])
        return State(epoch: catalog?.epoch, isCatalogConnected: await isConnected, shards: shards)
    }

    /// In the order of the shards.
    private func reachable(_ shards: [ShardRecord]) async -> [ReadyAnswer.Shard] {
        let control = control
        return await withTaskGroup(of: (Int, Bool).self) { group in
            var answers = shards.map { ReadyAnswer.Shard(id: $0.id.name, reachable: false) }
            var next = 0
            func add() {
                guard next < shards.count else { return }
                let (index, endpoint) = (next, shards[next].primaryEndpoint)
                next += 1
                group.addTask { (index, await control.isReachable(endpoint, within: Self.shardTimeout)) }
            }
            for _ in 0..<Self.probesMax { add() }
            for await (index, isReachable) in group {
                answers[index].reachable = isReachable
                add()
            }
            return answers
        }
    }
}

extension ControlPlane {
    /// Whether the endpoint takes a session and answers a query, each within `limit`.
    fileprivate func isReachable(_ endpoint: String, within limit: Duration) async -> Bool {
        var options = PGClient.Options()
        options.connectTimeout = TimeAmount(limit)
        options.callTimeout = TimeAmount(limit)
        options.overrides.parameters = [.init(name: "application_name", value: "pgmosaic-\(routerID)")]
        guard let opened = try? EndpointSecrets.opened(endpoint, with: secrets), let target = try? PostgresEndpoint.parse(opened),
            let client = try? await PGClient.connect(to: target, on: group, options: options)
        else { return false }
        let answered = try? await client.query("SELECT 1")
        await client.close()
        return answered != nil
    }
}
