internal import NIOCore
internal import PoolCore
internal import ReplicaCore
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// What the control plane read from a database's home shard.
struct LoadedSchema: Sendable {
    var schema: SchemaSnapshot
    /// What a fresh session of the shard reports (ParameterStatus), by name.
    var parameters: [String: String]
}

/// One database as one event loop sees it: its topology, its pools and its plans.
final class DatabaseState {
    let name: String
    /// Held strongly for the sake of the hot path; the loop lets go of its databases when it closes.
    let loop: RouterLoop
    private(set) var topology: Topology
    private var ring: RingReference
    private(set) var schema: SchemaSnapshot?
    /// What a fresh session of the home shard reports.
    private(set) var parameters: [String: String] = [:]
    /// By `ShardIndex`.
    private(set) var pools: [BackendPool] = []
    /// Grows with every change of topology or schema that plans depend on; those of an older one are not used.
    private(set) var generation: UInt64 = 1
    private var scopes: [ScopeKey: PlanScope] = [:]
    /// What a shard reported for sets of settings that clients start with.
    private(set) var reports: [ObjectIdentifier: SettingsReport] = [:]
    private var nextAnyShard = 0
    /// By the console: see `ShardPool.pause`.
    private(set) var isPaused = false
    private(set) var isRetired = false
    private var nextReplica = 0
    /// Some shard has replicas.
    private(set) var hasReplicas = false
    /// Grows whenever a job that may leave one row on two shards begins or ends, and with each change of owners: rows may have gone from shard to shard since it was another.
    private(set) var moves: UInt64 = 0
    let holds: DatabaseHolds
    /// Statements for some tokens wait.
    private(set) var isHolding = false
    /// Where reads go that do not say.
    private(set) var defaultConsistency: Consistency

    init(_ topology: Topology, loop: RouterLoop) {
        name = topology.database.name
        self.loop = loop
        holds = DatabaseHolds(loop: loop)
        self.topology = topology
        ring = RingReference(topology.ring)
        defaultConsistency = topology.database.defaultConsistency
        pools = topology.shards.map { BackendPool(shard: $0, database: topology.database.name, loop: loop) }
        updateReplicas()
        installHolds()
    }

    func install(_ topology: Topology) {
        guard topology.epoch != self.topology.epoch else { return }
        if topology.strayingJobs != self.topology.strayingJobs || topology.shards.map(\.vnodes) != self.topology.shards.map(\.vnodes) { moves += 1 }
        let meansNewPlans = topology.meansNewPlans(after: self.topology)
        let robbed = topology.shardsWithout(their: self.topology) { holds.hasDrained($1, of: $0) }
        var old = Dictionary(uniqueKeysWithValues: pools.map { ($0.shardID, $0) })
        pools = topology.shards.map { shard in
            guard !robbed.contains(shard.id), let pool = old.removeValue(forKey: shard.id) else {
                return BackendPool(shard: shard, database: topology.database.name, loop: loop)
            }
            pool.update(shard)
            return pool
        }
        self.topology = topology
        ring = RingReference(topology.ring)
        defaultConsistency = topology.database.defaultConsistency
        updateReplicas()
        if isPaused { for pool in allPools { pool.pause() } }
        for pool in pools { loop.needsTicks(pool) }
        if meansNewPlans { changed() }
        installHolds()
        for pool in old.values {
            retire(pool)
            if robbed.contains(pool.shardID) { pool.cutOff() }
        }
    }

    /// Behind all that is not told to sessions: statements that waited go on by what is served now.
    private func installHolds() {
        isHolding = !topology.holds.isEmpty
        holds.install(topology.holds, in: self)
    }

    private func updateReplicas() {
        for (pool, shard) in zip(pools, topology.shards) {
            var old = pool.replicas
            pool.replicas = shard.replicas.map { endpoint in
                if let index = old.firstIndex(where: { $0.replica?.key.endpoint == endpoint }) { return old.remove(at: index) }
                return BackendPool(
                    shard: shard, replica: loop.shared.replicas.server(endpoint, of: shard.id), database: topology.database.name, loop: loop)
            }
            for gone in old { loop.retire(gone) }
        }
        hasReplicas = pools.contains { !$0.replicas.isEmpty }
    }

    /// The replica of the pool's shard for a read of a session that wrote last at `wrote`; nil where none qualifies.
    func replica(of pool: BackendPool, wrote: PoolInstant?) -> BackendPool? {
        nextReplica &+= 1
        let replicas = pool.replicas
        let index = loop.shared.replicaChoice.choose(among: replicas.count, now: loop.lately, wrote: wrote, turn: nextReplica) { index in
            replicas[index].replica?.candidate ?? ReplicaCandidate(currentTo: nil, outstanding: 0)
        }
        return index.map { replicas[$0] }
    }

    private func retire(_ pool: BackendPool) {
        for replica in pool.replicas { loop.retire(replica) }
        pool.replicas = []
        loop.retire(pool)
    }

    func install(_ loaded: LoadedSchema) {
        // A re-reading that found what is known leaves the plans as they are.
        let isNew = schema?.generation != loaded.schema.generation
        schema = loaded.schema
        parameters = loaded.parameters
        if isNew { changed() }
    }

    /// Keeps what a shard reported (ParameterStatus) for a client's settings, so that the next client with the same ones need not ask.
    func remember(_ settings: SettingsRef, _ parameters: [String: String]) {
        if reports.count >= loop.limits.planScopesMax { reports.removeAll(keepingCapacity: true) }
        reports[ObjectIdentifier(settings)] = SettingsReport(settings: settings, parameters: parameters)
    }

    func pause() {
        isPaused = true
        for pool in allPools { pool.pause() }
    }

    func resume() {
        isPaused = false
        for pool in allPools { pool.resume() }
    }

    func reconnect() {
        for pool in allPools { pool.reconnect() }
    }

    /// Those of the primaries and of their replicas.
    var allPools: [BackendPool] { pools + pools.flatMap(\.replicas) }

    /// Connections that somebody uses, or that are not closed yet.
    var openBackends: Int { allPools.reduce(0) { $0 + $1.statistics.live } }

    /// The router serves the database no more. Its pools stay, for sessions that have not ended yet, and refuse them.
    func retire() {
        isRetired = true
        for pool in pools { retire(pool) }
        holds.retire()
        hasReplicas = false
        changed()
    }

    /// Plans are made anew.
    func forgetPlans() { changed() }

    private func changed() {
        generation += 1
        scopes.removeAll(keepingCapacity: true)
    }

    /// The plans for sessions with these settings, which have taken these roles. nil: the schema has not been read yet.
    ///
    /// - access: what the session's user may do.
    /// - keepsSequences: the session may ask what it has drawn from sequences.
    func scope(for settings: SettingsRef, roles: [String], _ access: DatabaseAccess, keepsSequences: Bool = false) -> PlanScope? {
        guard let schema else { return nil }
        // A name that only appears in logs must not split the caches, nor a role for whom names mean what they mean for others.
        var key = ScopeKey(
            settings: settings.settings, roles: roles.filter(schema.schemas.contains), changesRoles: !roles.isEmpty, access: access,
            keepsSequences: keepsSequences)
        key.settings.reset("application_name")
        key.settings.reset(SessionSettings.role)
        if let known = scopes[key] { return known }
        if scopes.count >= loop.limits.planScopesMax { scopes.removeAll(keepingCapacity: true) }
        var context = planningContext(schema, placements: topology.placements, searchPath: key.settings.searchPath, roles: roles)
        context.keepsSequences = keepsSequences
        let scope = PlanScope(context: context, generation: generation, loop: loop, isForReaders: access == .read)
        scopes[key] = scope
        return scope
    }

    /// What plans are made from; `searchPath` is the session's own, nil where it has set none.
    func planningContext(
        _ schema: SchemaSnapshot, placements: [QualifiedName: Placement], searchPath: [String]?, roles: [String]
    ) -> PlanningContext {
        PlanningContext(
            schema: schema, placements: placements, keyColumnRules: topology.database.keyColumnRules,
            defaultPlacement: topology.database.defaultPlacement,
            searchPath: schema.resolve(searchPath: searchPath ?? schema.defaultSearchPath, roles: roles), shardCount: topology.shards.count,
            changesRoles: !roles.isEmpty)
    }

    /// The shard that owns `token`.
    func owner(of token: Token) -> ShardIndex { ring.owner(of: token) }

    var home: BackendPool { pools[topology.homeShard.value] }

    func pool(_ shard: ShardIndex) -> BackendPool { pools[shard.value] }

    /// nil: the shard has gone.
    func pool(ofShard id: ShardID) -> BackendPool? { topology.index(of: id).map(pool) }

    /// For statements that any shard answers equally: in turn.
    func anyPool() -> BackendPool {
        nextAnyShard = (nextAnyShard + 1) % pools.count
        return pools[nextAnyShard]
    }
}

extension Topology {
    /// The shards that have owned vnodes of sharded tables, by `old`, and do not any more, though this event loop has not drained a hold of these vnodes: it was cut off
    /// from the catalog, or stopped. What is on its way to such a shard was planned by the old owners, and a connection that is opened from now on says an
    /// epoch that the shard's fence takes. So their pools go, with all that waits for them.
    fileprivate func shardsWithout(their old: Topology, isDrained: (ShardID, TokenRange) -> Bool) -> Set<ShardID> {
        guard !old.placements.isEmpty else { return [] }
        let robbed = old.shards.filter { shard in
            guard let index = index(of: shard.id), shards[index.value].vnodes != shard.vnodes else { return false }
            let now = shards[index.value].vnodes
            let kept = Set(now)
            return shard.vnodes.contains { !kept.contains($0) && !isDrained(shard.id, $0.range) && !Self.covers(now, $0.range) }
        }
        return Set(robbed.map(\.id))
    }

    /// A vnode that was cut is there in two, and nothing has gone.
    private static func covers(_ vnodes: [VNode], _ range: TokenRange) -> Bool {
        var next: UInt64? = range.start
        for own in vnodes.map(\.range).sorted(by: { $0.start < $1.start }) where own.end >= range.start {
            guard let start = next, start <= range.end else { return true }
            if own.start > start { return false }
            next = own.end == .max ? nil : own.end + 1
        }
        return next.map { $0 > range.end } ?? true
    }

    /// Plans name no shard but the home shard, and no key's owner: a ring of another cut leaves them as they are.
    fileprivate func meansNewPlans(after old: Topology) -> Bool {
        placements != old.placements || database != old.database || homeShard != old.homeShard || shards.map(\.id) != old.shards.map(\.id)
    }
}

/// A ring behind one reference: in a variable of a class, each lookup would retain and release all of its arrays.
private final class RingReference {
    private let ring: HashRing
    init(_ ring: HashRing) { self.ring = ring }
    func owner(of token: Token) -> ShardIndex { ring.owner(of: token) }
}

private struct ScopeKey: Hashable {
    var settings: SessionSettings
    /// Those that schemas are named after.
    var roles: [String]
    var changesRoles: Bool
    var access: DatabaseAccess
    var keepsSequences: Bool
}

struct SettingsReport {
    /// Held so that its identity is not used again.
    let settings: SettingsRef
    let parameters: [String: String]
}
