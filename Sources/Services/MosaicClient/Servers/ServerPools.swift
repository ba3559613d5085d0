internal import ShardModel
internal import Synchronization

/// One pool a server. Pools of servers that the catalog does not name any more are closed.
final class ServerPools<ID: Hashable & Sendable>: Sendable {
    private struct State {
        var pools: [ID: ServerPool] = [:]
        var isClosed = false
    }
    private let state = Mutex(State())
    private let make: @Sendable (ID) -> ServerPool

    init(make: @escaping @Sendable (ID) -> ServerPool) { self.make = make }

    func pool(of server: ID) throws(MosaicError) -> ServerPool {
        let found = state.withLock { state -> ServerPool? in
            guard !state.isClosed else { return nil }
            if let pool = state.pools[server] { return pool }
            let pool = make(server)
            state.pools[server] = pool
            return pool
        }
        guard let found else { throw .shutDown }
        return found
    }

    var all: [(server: ID, pool: ServerPool)] { state.withLock { $0.pools.map { ($0.key, $0.value) } } }

    func keep(_ servers: Set<ID>) {
        let gone = state.withLock { state in
            let gone = state.pools.filter { !servers.contains($0.key) }
            for key in gone.keys { state.pools[key] = nil }
            return gone
        }
        for pool in gone.values { Task { await pool.close() } }
    }

    func close() async {
        let pools = state.withLock { state in
            state.isClosed = true
            defer { state.pools = [:] }
            return Array(state.pools.values)
        }
        for pool in pools { await pool.close() }
    }
}
