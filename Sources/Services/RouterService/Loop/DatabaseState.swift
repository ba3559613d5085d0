import NIOCore
import RoutePlanning
import SessionCore
import ShardModel

/// What the control plane read from a database's home shard.
struct LoadedSchema: Sendable {
    var schema: SchemaSnapshot
    /// What a fresh session of the shard reports (ParameterStatus), by name.
    var parameters: [String: String]
}

/// One database as one event loop sees it: its topology, its pools and its plans.
final class DatabaseState {
    let name: String
    unowned let loop: RouterLoop
    private(set) var topology: Topology
    private(set) var schema: SchemaSnapshot?
    /// What a fresh session of the home shard reports.
    private(set) var parameters: [String: String] = [:]
    /// By `ShardIndex`.
    private(set) var pools: [BackendPool] = []
    /// Grows with every change of topology or schema; plans of an older one are not used.
    private(set) var generation: UInt64 = 1
    private var scopes: [SessionSettings: PlanScope] = [:]
    private var nextAnyShard = 0

    init(_ topology: Topology, loop: RouterLoop) {
        name = topology.database.name
        self.loop = loop
        self.topology = topology
        pools = topology.shards.map { BackendPool(shard: $0, database: self, loop: loop) }
    }

    func install(_ topology: Topology) {
        guard topology.epoch != self.topology.epoch else { return }
        var old = Dictionary(uniqueKeysWithValues: pools.map { ($0.shardID, $0) })
        pools = topology.shards.map { shard in
            if let pool = old[shard.id], pool.serves(shard) {
                old[shard.id] = nil
                return pool
            }
            return BackendPool(shard: shard, database: self, loop: loop)
        }
        for pool in old.values { pool.retire() }
        self.topology = topology
        changed()
    }

    func install(_ loaded: LoadedSchema) {
        schema = loaded.schema
        parameters = loaded.parameters
        changed()
    }

    func retire() {
        for pool in pools { pool.retire() }
        pools = []
        changed()
    }

    private func changed() {
        generation += 1
        scopes.removeAll(keepingCapacity: true)
    }

    /// The plans for sessions with these settings. nil: the schema has not been read yet.
    func scope(for settings: SettingsRef) -> PlanScope? {
        guard let schema else { return nil }
        // A name that only appears in logs must not split the caches.
        var key = settings.settings
        key.reset("application_name")
        if let known = scopes[key] { return known }
        if scopes.count >= loop.shared.limits.planScopesMax { scopes.removeAll(keepingCapacity: true) }
        let context = PlanningContext(
            schema: schema, placements: topology.placements, keyColumnRules: topology.database.keyColumnRules,
            defaultPlacement: topology.database.defaultPlacement,
            searchPath: schema.resolve(searchPath: key.searchPath ?? schema.defaultSearchPath),
            shardCount: topology.shards.count)
        let scope = PlanScope(context: context, generation: generation, loop: loop)
        scopes[key] = scope
        return scope
    }

    var home: BackendPool { pools[topology.homeShard.value] }

    func pool(_ shard: ShardIndex) -> BackendPool { pools[shard.value] }

    /// For statements that any shard answers equally: in turn.
    func anyPool() -> BackendPool {
        nextAnyShard = (nextAnyShard + 1) % pools.count
        return pools[nextAnyShard]
    }
}

extension SchemaSnapshot {
    /// The schemas to search, `"$user"` resolved and those that do not exist left out.
    func resolve(searchPath: [String]) -> [String] {
        searchPath.map { $0 == "$user" ? currentUser : $0 }.filter { schemas.contains($0) }
    }
}
