internal import ControlAPI
internal import ShardModel

extension CatalogAnswer {
    /// The catalog that a manager's answer describes, but for what clients are not told: users, settings, passwords.
    ///
    /// Throws where a client of this version cannot route by it: another hash, a token that is none, a table's kind without its key.
    func snapshot() throws(MosaicError) -> CatalogSnapshot {
        var snapshot = CatalogSnapshot(epoch: Epoch(epoch), clusterID: clusterID)
        for entry in databases {
            let database = entry.database
            snapshot.databases[database.name] = DatabaseRecord(
                name: database.name, vnodeCount: database.vnodeCount, defaultConsistency: database.defaultConsistency,
                defaultPlacement: database.defaultPlacement, keyColumnRules: database.keyColumnRules, homeShard: database.homeShard.map { ShardID($0) },
                version: database.version)
            for shard in entry.shards {
                let record = try Self.record(shard)
                snapshot.shards[record.id] = record
            }
            for hold in entry.holds ?? [] {
                snapshot.holds[hold.job] = HoldRecord(
                    job: hold.job, database: database.name, ranges: hold.ranges, owners: hold.owners.map { ShardID($0) }, attempt: 0, epoch: snapshot.epoch)
            }
            for table in entry.tables {
                let record = try Self.record(table, of: database.name)
                snapshot.tables[.init(database: record.database, table: record.name)] = record
            }
        }
        return snapshot
    }

    private static func record(_ shard: ShardResource) throws(MosaicError) -> ShardRecord {
        var vnodes: [VNode] = []
        vnodes.reserveCapacity(shard.vnodes.count)
        for vnode in shard.vnodes {
            guard vnode.hash == VNodeResource.hashName else { throw malformed("keys are hashed by \"\(vnode.hash)\", which this client does not know") }
            guard let start = UInt64(vnode.start), let end = UInt64(vnode.end), start <= end else { throw malformed("a vnode has no range") }
            vnodes.append(VNode(id: vnode.id, range: TokenRange(start...end)))
        }
        return ShardRecord(
            id: ShardID(shard.id), name: shard.name, database: shard.database, primaryEndpoint: shard.primaryEndpoint, replicas: shard.replicas,
            status: shard.status, vnodes: vnodes, version: shard.version)
    }

    private static func record(_ table: TableResource, of database: String) throws(MosaicError) -> TableRecord {
        let parts = table.name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { throw malformed("a table has no schema") }
        let placement: Placement
        switch table.kind {
        case .sharded:
            guard let key = table.shardKey else { throw malformed("a sharded table has no key") }
            placement = .sharded(key: key)
        case .reference: placement = .reference
        case .local: placement = .local
        }
        return TableRecord(database: database, name: QualifiedName(schema: parts[0], name: parts[1]), placement: placement, version: table.version)
    }

    private static func malformed(_ reason: String) -> MosaicError {
        MosaicError(.catalogUnavailable, "the manager's catalog cannot be used: \(reason)")
    }
}
