internal import Logging
internal import NIOCore
internal import PGChannel
internal import PGWire
internal import PoolCore
internal import ReplicaCore
internal import Secrets
internal import ServerConfig
internal import ShardModel

/// Measures how far the replicas of every shard are, for as long as the router serves: `ReplicaGroup` judges, `ReplicaServer` holds the outcome.
///
/// Each server is asked by a task of its own over a connection of its own, so that one that hangs delays no other.
struct ReplicaMonitor: Sendable {
    struct Times: Sendable {
        /// Between two questions to one server.
        var interval: Duration
        /// The longest wait for an answer, or for a connection.
        var timeout: Duration
        var lagMax: Duration

        init(_ settings: RouterSettings) {
            (interval, timeout, lagMax) = (settings.replicaProbeInterval, settings.replicaProbeTimeout, settings.replicaLagMax)
        }
    }

    /// How soon a change of the catalog counts.
    private static let catalogInterval = Duration.milliseconds(200)

    let control: ControlPlane
    let servers: ReplicaServers
    let times: Times
    let logger: Logger

    /// What a watch depends on: when it changes, the shard is watched anew.
    private struct Subject: Hashable {
        var shard: ShardID
        var database: String
        var primary: String
        var replicas: [String]

        init(_ record: ShardRecord) {
            (shard, database, primary, replicas) = (record.id, record.database, record.primaryEndpoint, record.replicas)
        }
    }

    /// Until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            var watches: [Subject: Task<Void, Never>] = [:]
            while !Task.isCancelled {
                let records = control.catalog?.shards.values.filter { !$0.replicas.isEmpty } ?? []
                let subjects = Set(records.map(Subject.init))
                for (subject, task) in watches where !subjects.contains(subject) {
                    task.cancel()
                    watches[subject] = nil
                }
                servers.keep(Set(records.flatMap { record in record.replicas.map { .init(shard: record.id, endpoint: $0) } }))
                for record in records where watches[Subject(record)] == nil {
                    let watch = ReplicaWatch(record, servers, control, times, logger)
                    let task = Task { await watch.run() }
                    watches[Subject(record)] = task
                    group.addTask {
                        await withTaskCancellationHandler { await task.value } onCancel: { task.cancel() }
                    }
                }
                try? await Task.sleep(for: Self.catalogInterval)
            }
        }
    }
}

/// One shard's primary and replicas.
private actor ReplicaWatch {
    private let shard: ShardID
    private let database: String
    private let primary: String
    private let replicas: [ReplicaServer]
    private unowned let control: ControlPlane
    private let times: ReplicaMonitor.Times
    private let choice: ReplicaChoice
    private let logger: Logger
    private var group: ReplicaGroup
    private var system: String?
    private var wasUsable: [Bool]

    init(_ record: ShardRecord, _ servers: ReplicaServers, _ control: ControlPlane, _ times: ReplicaMonitor.Times, _ logger: Logger) {
        shard = record.id
        database = record.database
        primary = record.primaryEndpoint
        replicas = record.replicas.map { servers.server($0, of: record.id) }
        self.control = control
        self.times = times
        choice = ReplicaChoice(lagMax: PoolNanoseconds(times.lagMax))
        self.logger = logger
        group = ReplicaGroup(replicas: replicas.count)
        wasUsable = replicas.map { _ in false }
        // What an earlier watch measured was about another primary.
        for replica in replicas { replica.publish(nil) }
    }

    func run() async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await self.followPrimary() }
            for index in replicas.indices { tasks.addTask { await self.followReplica(index) } }
        }
    }

    // MARK: Asking

    private nonisolated func followPrimary() async {
        await follow(primary) { client in
            let asked = Self.now
            let row = try await client.query(ReplicaQueries.primary).rows.first
            if let row, let sight = PrimarySight(row.texts) { await self.primarySeen(sight, asked: asked) }
        } lost: { _ in
            // Its replicas grow old by themselves.
            await self.settle()
        }
    }

    private nonisolated func followReplica(_ index: Int) async {
        await follow(replicas[index].key.endpoint) { client in
            let row = try await client.query(ReplicaQueries.replica).rows.first
            if let row, let sight = ReplicaSight(row.texts) { await self.replicaSeen(index, sight, heard: Self.now) }
        } lost: { reason in
            await self.replicaLost(index, reason)
        }
    }

    /// Asks one server again and again, over one connection for as long as it holds.
    private nonisolated func follow(
        _ endpoint: String, _ ask: @Sendable (PGClient) async throws -> Void, lost: @Sendable (String) async -> Void
    ) async {
        var client: PGClient?
        while !Task.isCancelled {
            do {
                let connected: PGClient
                if let client { connected = client } else { connected = try await control.probe(endpoint, timeout: times.timeout) }
                client = connected
                try await ask(connected)
            } catch {
                guard !Task.isCancelled else { break }
                await lost("\(error)")
                await client?.close()
                client = nil
            }
            try? await Task.sleep(for: times.interval)
        }
        await client?.close()
    }

    private static var now: PoolInstant { PoolInstant(nanoseconds: NIODeadline.now().uptimeNanoseconds) }

    // MARK: What was seen

    private func primarySeen(_ sight: PrimarySight, asked: PoolInstant) {
        if !sight.isInRecovery, system != sight.system {
            system = sight.system
            for replica in replicas { replica.expectedSystem = sight.system }
        }
        change { $0.primarySeen(sight, asked: asked) }
    }

    private func replicaSeen(_ index: Int, _ sight: ReplicaSight, heard: PoolInstant) {
        change { $0.replicaSeen(index, sight, heard: heard) }
    }

    private func replicaLost(_ index: Int, _ reason: String) {
        logger.debug("A replica does not answer", metadata: ["shard": "\(shard)", "replica": "\(replicas[index].label)", "reason": "\(reason)"])
        change { $0.replicaLost(index) }
    }

    private func settle() { change { _ in } }

    private func change(_ event: (inout ReplicaGroup) -> Void) {
        guard !Task.isCancelled else { return }
        let before = replicas.indices.map { group.standing(of: $0) }
        event(&group)
        for index in replicas.indices {
            let (replica, standing) = (replicas[index], group.standing(of: index))
            replica.publish(group.currentTo(index))
            let isUsable = choice.admits(replica.candidate, now: Self.now, wrote: nil)
            if isUsable != wasUsable[index] {
                wasUsable[index] = isUsable
                tell(replica, standing, isUsable)
            }
            // What is under way there, or in line, goes to the primary. A replica that only lags may finish it.
            if before[index] == .following, standing != .following { leave(replica) }
        }
    }

    private func tell(_ replica: ReplicaServer, _ standing: ReplicaStanding, _ isUsable: Bool) {
        let metadata: Logger.Metadata = ["shard": "\(shard)", "replica": "\(replica.label)"]
        if isUsable {
            logger.notice("A replica is read from", metadata: metadata)
        } else {
            let reason = standing == .following ? "lag" : standing.rawValue
            logger.warning("A replica is not read from any more", metadata: metadata.merging(["reason": "\(reason)"]) { $1 })
        }
    }

    private func leave(_ replica: ReplicaServer) {
        let (key, database) = (replica.key, database)
        for loop in control.loops {
            loop.run { $0.pool(of: key.shard, in: database, replica: key.endpoint)?.abandon() }
        }
    }
}

extension ControlPlane {
    /// A connection for questions that have to be answered soon.
    fileprivate func probe(_ endpoint: String, timeout: Duration) async throws -> PGClient {
        let opened = try EndpointSecrets.opened(endpoint, with: secrets)
        var options = PGClient.Options()
        options.connectTimeout = TimeAmount(timeout)
        options.callTimeout = TimeAmount(timeout)
        options.overrides.parameters = [.init(name: "application_name", value: "pgmosaic-\(routerID)")]
        return try await PGClient.connect(to: try PostgresEndpoint.parse(opened), on: group, options: options)
    }
}

extension PGRow {
    fileprivate var texts: [String?] { (0..<count).map { text($0) } }
}
