/// One database as a catalog snapshot has it: what the router needs of it, in the form in which it is asked.
package struct Topology: Sendable {
    package let epoch: Epoch
    package let database: DatabaseRecord
    /// Sorted by id; `ShardIndex` is the position. Shards that own no vnode are among them, for reference tables live there too; those that are joining are not.
    package let shards: [ShardRecord]
    package let homeShard: ShardIndex
    package let placements: [QualifiedName: Placement]
    package let ring: HashRing
    /// Of tokens whose owner is about to change; nearly always none.
    package let holds: [HoldRecord]
    /// Jobs that move vnodes of the database, by id, sorted.
    package let jobs: [String]
    /// Of each of these jobs, by its position, the sources and targets: one may hold rows that another one of the same job owns, on their way or left behind.
    package let movingShards: [Set<ShardID>]
    /// Those jobs that may have one row on two of `shards`. One that brings rows to shards that are joining has not: nobody asks these before its switch.
    package let strayingJobs: [String]

    /// Throws: while the database cannot be served: it is unknown, has no shards yet, or its ring is not whole.
    ///
    /// - old: of an earlier epoch, whose ring is used again where it is still the same: cutting one of many vnodes takes milliseconds.
    package init(database name: String, in catalog: CatalogSnapshot, after old: Topology? = nil) throws(TopologyError) {
        guard let database = catalog.databases[name] else { throw .unknownDatabase(name) }
        let shards = catalog.shards.values.filter { $0.database == name && !$0.isJoining }.sorted { $0.id < $1.id }
        guard !shards.isEmpty else { throw .noShards(name) }
        guard let home = database.homeShard, let position = shards.firstIndex(where: { $0.id == home }) else {
            throw .noHomeShard(name)
        }
        if let old, old.shards.count == shards.count, zip(old.shards, shards).allSatisfy({ $0.id == $1.id && $0.vnodes == $1.vnodes }) {
            ring = old.ring
        } else {
            do {
                ring = try HashRing(shards.map(\.vnodes))
            } catch {
                throw .ring(error)
            }
        }
        epoch = catalog.epoch
        self.database = database
        self.shards = shards
        homeShard = ShardIndex(position)
        placements = Self.placements(of: name, in: catalog)
        holds = catalog.holds.values.filter { $0.database == name }.sorted { $0.job < $1.job }
        let unfinished = catalog.jobs.values.filter { $0.database == name && !$0.isOver }
            .sorted { $0.id < $1.id }
        jobs = unfinished.map(\.id)
        movingShards = unfinished.map { Set($0.shards) }
        strayingJobs = zip(jobs, movingShards).filter { _, moving in shards.count { moving.contains($0.id) } > 1 }.map(\.0)
    }

    /// The first job that moves rows between two of these shards, so that both may have one and the same row; nil: there is none.
    package func job(moving shards: some Sequence<ShardID>) -> String? {
        zip(jobs, movingShards).first { _, moving in shards.count(where: moving.contains) > 1 }?.0
    }

    package func hold(of token: Token) -> HoldRecord? {
        holds.isEmpty ? nil : holds.first { $0.contains(token) }
    }

    /// The position of the shard with this id.
    package func index(of id: ShardID) -> ShardIndex? {
        var low = 0
        var high = shards.count
        while low < high {
            let middle = (low + high) / 2
            if shards[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < shards.count && shards[low].id == id ? ShardIndex(low) : nil
    }

    private static func placements(of database: String, in catalog: CatalogSnapshot) -> [QualifiedName: Placement] {
        var placements: [QualifiedName: Placement] = [:]
        for table in catalog.tables.values where table.database == database { placements[table.name] = table.placement }
        return placements
    }
}

package enum TopologyError: Error, Hashable, Sendable {
    case unknownDatabase(String)
    /// Clients are told to come back once a shard is registered.
    case noShards(String)
    /// The database names no home shard, or one that is not among its shards.
    case noHomeShard(String)
    /// The shards' vnodes do not make a ring: the catalog is damaged, and no key is routed by it.
    case ring(RingError)
}
