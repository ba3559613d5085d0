// The invariants of a catalog:
// - a shard's and a table's database exists; so does a database's home shard, and it is of that database;
// - the vnodes of a database's shards are the whole ring, without gap or overlap, or there are none;
// - a vnode's id and a shard's slice of sequence values are unique in their database; no record has an empty name;
// - a job that is not over has its database and its shards; a hold is of such a job, of tokens that its owners own, and of none that another holds.

extension CatalogSnapshot {
    /// Checks all of the catalog: for one that comes from a file or a server.
    ///
    /// Cost: sorts every vnode; about 0.1 µs for each in a release build.
    package func checkInvariants() throws(CatalogChangeError) {
        try checkInvariants(touch: CatalogTouch(allOf: self), since: CatalogSnapshot(clusterID: clusterID))
    }

    /// Checks what may have become wrong since `old`, which is valid, when nothing outside `touch` differs from it.
    ///
    /// Cost: grows with what changed, not with the catalog: one pass over the records to find users of a touched database, and over the
    /// vnode ids when new ones appear.
    package func checkInvariants(touch: CatalogTouch, since old: CatalogSnapshot) throws(CatalogChangeError) {
        try checkNames(touch)
        for key in touch.tables where tables[key] != nil && databases[key.database] == nil {
            throw .unknownDatabase(key.database, record: Self.label(table: key))
        }
        var affected = touch.databases
        var moved: [String: [ShardID]] = [:]
        for id in touch.shards {
            if let shard = shards[id] {
                guard databases[shard.database] != nil else { throw .unknownDatabase(shard.database, record: Self.label(shard: id)) }
            }
            let names = Set([old.shards[id]?.database, shards[id]?.database].compactMap(\.self))
            affected.formUnion(names)
            for name in names where vnodes(of: id, in: name) != old.vnodes(of: id, in: name) { moved[name, default: []].append(id) }
        }
        // Sorted, so that the same wrong change is always refused with the same reason.
        for name in affected.sorted() {
            try checkDatabase(name)
            try checkSlices(of: name)
            if let ids = moved[name] { try checkRing(of: name, moved: ids, since: old) }
        }
        try checkJobs(touch, affected: affected)
    }

    private func checkNames(_ touch: CatalogTouch) throws(CatalogChangeError) {
        if databases[""] != nil { throw .emptyName(record: "a database") }
        if shards[ShardID("")] != nil { throw .emptyName(record: "a shard") }
        if users[""] != nil { throw .emptyName(record: "a user") }
        if settings[""] != nil { throw .emptyName(record: "a setting") }
        if jobs[""] != nil { throw .emptyName(record: "a job") }
        for key in touch.tables where tables[key] != nil && (key.table.name.isEmpty || key.table.schema.isEmpty) {
            throw .emptyName(record: "a table of database \"\(key.database)\"")
        }
    }

    private func checkDatabase(_ name: String) throws(CatalogChangeError) {
        guard let database = databases[name] else {
            if let shard = shards.values.first(where: { $0.database == name }) {
                throw .databaseInUse(name, by: Self.label(shard: shard.id))
            }
            if let key = tables.keys.first(where: { $0.database == name }) { throw .databaseInUse(name, by: "table \"\(key.table)\"") }
            if let job = jobs.values.first(where: { $0.database == name && !$0.isOver }) {
                throw .databaseInUse(name, by: Self.label(job: job.id))
            }
            return
        }
        guard let home = database.homeShard else { return }
        guard let shard = shards[home] else { throw .homeShardMissing(database: name, shard: home) }
        guard shard.database == name else { throw .homeShardElsewhere(database: name, shard: home) }
    }

    private func checkSlices(of database: String) throws(CatalogChangeError) {
        var slices: Set<Int> = []
        for shard in shards.values where shard.database == database {
            if let slice = shard.slice, !slices.insert(slice).inserted { throw .repeatedSlice(database: database, slice: slice) }
        }
    }

    private func vnodes(of id: ShardID, in database: String) -> [VNode] {
        guard let shard = shards[id], shard.database == database else { return [] }
        return shard.vnodes
    }
}

// MARK: the ring

extension CatalogSnapshot {
    /// When the moved shards own together exactly the tokens that they owned before, the others' are untouched and the ring is whole as it was.
    /// Otherwise, and for ids that are new, the rest of the database is looked at.
    private func checkRing(of database: String, moved: [ShardID], since old: CatalogSnapshot) throws(CatalogChangeError) {
        let added = moved.flatMap { vnodes(of: $0, in: database) }
        let removed = moved.flatMap { old.vnodes(of: $0, in: database) }
        let ids = try Self.uniqueIDs(added, database)
        let fresh = ids.subtracting(removed.map(\.id))
        let movedIDs = Set(moved)
        if !fresh.isEmpty {
            for shard in shards.values where shard.database == database && !movedIDs.contains(shard.id) {
                for vnode in shard.vnodes where fresh.contains(vnode.id) { throw .repeatedVNode(database: database, vnode: vnode.id) }
            }
        }
        guard try Self.runs(added, database) != Self.runs(removed, database) else { return }
        let all = shards.values.filter { $0.database == database }.flatMap(\.vnodes)
        try Self.checkWhole(Self.runs(all, database), database)
    }

    private static func uniqueIDs(_ vnodes: [VNode], _ database: String) throws(CatalogChangeError) -> Set<UInt32> {
        var ids = Set<UInt32>(minimumCapacity: vnodes.count)
        for vnode in vnodes where !ids.insert(vnode.id).inserted { throw .repeatedVNode(database: database, vnode: vnode.id) }
        return ids
    }

    /// The tokens of `vnodes` as the fewest ranges, in order. Throws where two of them share a token.
    private static func runs(_ vnodes: [VNode], _ database: String) throws(CatalogChangeError) -> [TokenRange] {
        var runs: [TokenRange] = []
        for vnode in vnodes.sorted(by: { $0.range.start < $1.range.start }) {
            guard vnode.range.start <= vnode.range.end else { throw .invertedRange(database: database, vnode: vnode.id) }
            guard let last = runs.last else {
                runs.append(vnode.range)
                continue
            }
            guard vnode.range.start > last.end else { throw .overlap(database: database, at: Token(vnode.range.start)) }
            if vnode.range.start == last.end + 1 {
                runs[runs.count - 1].end = vnode.range.end
            } else {
                runs.append(vnode.range)
            }
        }
        return runs
    }

    private static func checkWhole(_ runs: [TokenRange], _ database: String) throws(CatalogChangeError) {
        guard let first = runs.first, first != .whole else { return }
        throw .gap(database: database, at: Token(first.start > 0 ? 0 : first.end + 1))
    }
}
