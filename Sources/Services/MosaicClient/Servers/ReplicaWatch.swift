internal import NIOCore
internal import PGChannel
internal import PoolCore
internal import ReplicaCore
internal import ShardModel

/// How far the replicas of one shard are, measured for as long as eventual reads are asked for: `ReplicaGroup` judges.
///
/// Each server is asked by a task of its own over a connection of its own, so that one that hangs delays no other. Nobody has asked for a while: the watch ends
/// by itself, and the next read begins it anew.
actor ReplicaWatch {
    /// Without a read for so long the watch ends.
    private static let quietMax = Duration.seconds(30)

    private let record: ShardRecord
    private let connect: @Sendable (String) async throws -> PGClient
    private let interval: Duration
    private let choice: ReplicaChoice
    private var group: ReplicaGroup
    private var system: String?
    private var turn = 0
    private var asked = ContinuousClock.now
    private var tasks: [Task<Void, Never>] = []

    init(_ record: ShardRecord, interval: Duration, lagMax: Duration, connect: @escaping @Sendable (String) async throws -> PGClient) {
        (self.record, self.interval, self.connect) = (record, interval, connect)
        choice = ReplicaChoice(lagMax: PoolNanoseconds(lagMax))
        group = ReplicaGroup(replicas: record.replicas.count)
    }

    /// A replica to read from, and the system identifier that it must have; nil: the primary answers.
    ///
    /// - wrote: the last moment at which this client may have written to the shard.
    func choose(wrote: PoolInstant?) -> (endpoint: String, system: String?)? {
        asked = .now
        if tasks.isEmpty { start() }
        turn += 1
        let index = choice.choose(among: record.replicas.count, now: Self.now, wrote: wrote, turn: turn) { index in
            ReplicaCandidate(currentTo: group.currentTo(index), outstanding: 0)
        }
        return index.map { (record.replicas[$0], system) }
    }

    /// A read of the replica failed: it is to be seen again before it is chosen again.
    func failed(_ endpoint: String) {
        if let index = record.replicas.firstIndex(of: endpoint) { group.replicaLost(index) }
    }

    func stop() async {
        let running = tasks
        tasks = []
        for task in running { task.cancel() }
        for task in running { await task.value }
    }

    static var now: PoolInstant { PoolInstant(nanoseconds: NIODeadline.now().uptimeNanoseconds) }

    // MARK: Looking

    private func start() {
        tasks.append(Task { await follow(record.primaryEndpoint, ReplicaQueries.primary) { await self.primarySeen($0, asked: $1) } lost: {} })
        for (index, endpoint) in record.replicas.enumerated() {
            tasks.append(
                Task {
                    await follow(endpoint, ReplicaQueries.replica) { row, _ in await self.replicaSeen(index, row) } lost: { await self.replicaLost(index) }
                })
        }
    }

    private nonisolated func follow(
        _ endpoint: String, _ question: String, seen: @Sendable ([String?], PoolInstant) async -> Void, lost: @Sendable () async -> Void
    ) async {
        var client: PGClient?
        while !Task.isCancelled, await isWanted {
            do {
                let connected: PGClient
                if let client { connected = client } else { connected = try await connect(endpoint) }
                client = connected
                let asked = Self.now
                if let row = try await connected.query(question).rows.first { await seen((0..<row.count).map { row.text($0) }, asked) }
            } catch {
                await lost()
                await client?.close()
                client = nil
            }
            try? await Task.sleep(for: interval)
        }
        await client?.close()
        if !Task.isCancelled { await ended() }
    }

    private var isWanted: Bool { ContinuousClock.now - asked < Self.quietMax }

    /// One of the tasks has ended for want of readers: all do.
    private func ended() {
        for task in tasks { task.cancel() }
        tasks = []
        group = ReplicaGroup(replicas: record.replicas.count)
    }

    private func primarySeen(_ row: [String?], asked: PoolInstant) {
        guard let sight = PrimarySight(row) else { return }
        if !sight.isInRecovery { system = sight.system }
        group.primarySeen(sight, asked: asked)
    }

    private func replicaSeen(_ index: Int, _ row: [String?]) {
        guard let sight = ReplicaSight(row) else { return }
        group.replicaSeen(index, sight, heard: Self.now)
    }

    private func replicaLost(_ index: Int) { group.replicaLost(index) }
}
