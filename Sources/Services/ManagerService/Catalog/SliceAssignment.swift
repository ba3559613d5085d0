package import ShardModel

/// Gives each shard of a database its slice of the sequences' values (`SequenceSlice`).
///
/// The database counts the slices that were given out, and none is given out twice: a shard that has gone may have left its values in rows of others.
package enum SliceAssignment {
    /// False: there are not enough slices left; nothing has changed.
    static func assign(to shards: inout [ShardRecord], in database: inout DatabaseRecord) -> Bool {
        var next = max(database.nextSlice ?? 0, (shards.compactMap(\.slice).max() ?? -1) + 1)
        // Local tables have been counting on the home shard: it gets the slice in which their values lie, if that is still to be had.
        let order = shards.indices.filter { shards[$0].slice == nil }
            .sorted { (shards[$0].id == database.homeShard ? 0 : 1, $0) < (shards[$1].id == database.homeShard ? 0 : 1, $1) }
        guard next + order.count <= SequenceSlice.countMax else { return false }
        for index in order {
            shards[index].slice = next
            next += 1
        }
        database.nextSlice = next
        return true
    }

    /// The changes that a catalog needs whose shards were registered before there were slices.
    package static func missing(in catalog: CatalogSnapshot) -> [CatalogChange.Operation] {
        var operations: [CatalogChange.Operation] = []
        for var database in catalog.databases.values {
            var shards = catalog.shards.values.filter { $0.database == database.name }.sorted { $0.id.name < $1.id.name }
            let without = Set(shards.filter { $0.slice == nil }.map(\.id))
            guard !without.isEmpty, assign(to: &shards, in: &database) else { continue }
            operations += shards.filter { without.contains($0.id) }.map { .putShard($0) } + [.putDatabase(database)]
        }
        return operations
    }
}
