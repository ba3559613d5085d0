internal import PGChannel
internal import PoolCore
internal import ReplicaCore
internal import ShardModel
internal import Synchronization

/// One replica as the monitor and all event loops share it: what was measured, and how much this router has it do.
///
/// Loops read two atomic numbers for a choice; nothing here waits.
final class ReplicaServer: Sendable {
    struct Key: Hashable, Sendable {
        var shard: ShardID
        /// As the catalog has it.
        var endpoint: String
    }

    let key: Key
    /// Host and port, for metrics and logs.
    let label: String
    let budget: SlotBudget
    /// `ReplicaGroup.currentTo` in nanoseconds; 0: not to be read from.
    private let moment = Atomic<UInt64>(0)
    private let work = Atomic<Int>(0)
    private let system = Mutex<String?>(nil)

    fileprivate init(_ key: Key, slotsMax: Int, loops: Int) {
        self.key = key
        label = (try? PostgresEndpoint.parse(key.endpoint)).map(Self.label) ?? "unknown"
        budget = SlotBudget(slotsMax: slotsMax, loops: loops)
    }

    private static func label(_ endpoint: PostgresEndpoint) -> String {
        switch endpoint.address {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let directory, let port): "\(directory):\(port)"
        }
    }

    var currentTo: PoolInstant? {
        let moment = moment.load(ordering: .acquiring)
        return moment == 0 ? nil : PoolInstant(nanoseconds: moment)
    }

    var candidate: ReplicaCandidate {
        ReplicaCandidate(currentTo: currentTo, outstanding: work.load(ordering: .relaxed))
    }

    func publish(_ currentTo: PoolInstant?) { moment.store(currentTo?.nanoseconds ?? 0, ordering: .releasing) }

    /// Statements that began here, less those that ended.
    func addWork(_ count: Int) { work.add(count, ordering: .relaxed) }

    /// Of its primary: a server with another one is none of its replicas.
    var expectedSystem: String? {
        get { system.withLock { $0 } }
        set { system.withLock { $0 = newValue } }
    }
}

/// Every replica that the catalog has named since the router's start, one object each.
final class ReplicaServers: Sendable {
    private struct State {
        var slotsMax: Int
        var servers: [ReplicaServer.Key: ReplicaServer] = [:]
    }
    private let loops: Int
    private let state: Mutex<State>

    init(slotsMax: Int, loops: Int) {
        self.loops = loops
        state = Mutex(State(slotsMax: slotsMax))
    }

    func server(_ endpoint: String, of shard: ShardID) -> ReplicaServer {
        let key = ReplicaServer.Key(shard: shard, endpoint: endpoint)
        return state.withLock { state in
            if let known = state.servers[key] { return known }
            let new = ReplicaServer(key, slotsMax: state.slotsMax, loops: loops)
            state.servers[key] = new
            return new
        }
    }

    /// As `SlotBudgets.resize`.
    func resize(to slotsMax: Int) -> [(ReplicaServer.Key, LoopIndex)] {
        state.withLock { state in
            state.slotsMax = slotsMax
            return state.servers.flatMap { key, server in server.budget.resize(to: slotsMax).map { (key, $0) } }
        }
    }

    /// Forgets those that the catalog does not name any more; whoever still uses one keeps it alive.
    func keep(_ keys: Set<ReplicaServer.Key>) {
        state.withLock { state in
            for key in state.servers.keys where !keys.contains(key) {
                state.servers[key]?.publish(nil)
                state.servers[key] = nil
            }
        }
    }
}
