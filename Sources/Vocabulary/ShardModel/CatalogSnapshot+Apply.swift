extension CatalogSnapshot {
    /// The setting that closes a catalog which was moved: the place where it is now. No change is taken but the one that removes it, so that what was
    /// moved is all there is, and its epochs go on in one place only.
    package static let movedSetting = "catalog.moved_to"

    /// The catalog one epoch later, with all of `change` in it.
    ///
    /// Operations take effect in order, so that a later one of the same change sees the versions that an earlier one made. A shard's vnodes
    /// are stored sorted. Precondition of the cost, not of the result's shape: this snapshot is valid itself, as every stored one is; only
    /// what the change touches is checked (`checkInvariants(touch:since:)`).
    package func applying(_ change: CatalogChange) throws(CatalogChangeError) -> CatalogSnapshot {
        guard epoch.number < UInt64(Int64.max) else { throw .counterExhausted(record: "the catalog") }
        if let place = settings[Self.movedSetting], change.operations != [.setSetting(name: Self.movedSetting, value: nil)] { throw .moved(to: place) }
        var next = self
        next.epoch = epoch.next
        for operation in change.operations { try next.apply(operation) }
        try next.checkInvariants(touch: change.touch, since: self)
        return next
    }

    private mutating func apply(_ operation: CatalogChange.Operation) throws(CatalogChangeError) {
        switch operation {
        case .putDatabase(var record):
            try Self.checkSpelling(record.version == 0 ? [record.name] + record.keyColumnRules : record.keyColumnRules, of: Self.label(database: record.name))
            record.version = try Self.put(record.version, over: databases[record.name]?.version, Self.label(database: record.name))
            databases[record.name] = record
        case .deleteDatabase(let name, let version):
            try Self.delete(version, of: databases.removeValue(forKey: name)?.version, Self.label(database: name))
        case .putShard(var record):
            if record.version == 0 { try Self.checkSpelling([record.id.name], of: Self.label(shard: record.id)) }
            record.version = try Self.put(record.version, over: shards[record.id]?.version, Self.label(shard: record.id))
            record.sortVNodes()
            shards[record.id] = record
        case .deleteShard(let id, let version):
            try Self.delete(version, of: shards.removeValue(forKey: id)?.version, Self.label(shard: id))
        case .putTable(var record):
            let key = TableKey(database: record.database, table: record.name)
            try Self.checkSpelling(record.names, of: Self.label(table: key))
            record.version = try Self.put(record.version, over: tables[key]?.version, Self.label(table: key))
            tables[key] = record
        case .deleteTable(let database, let name, let version):
            let key = TableKey(database: database, table: name)
            try Self.delete(version, of: tables.removeValue(forKey: key)?.version, Self.label(table: key))
        case .putUser(var record):
            if record.version == 0 { try Self.checkSpelling([record.name], of: Self.label(user: record.name)) }
            record.version = try Self.put(record.version, over: users[record.name]?.version, Self.label(user: record.name))
            users[record.name] = record
        case .deleteUser(let name, let version):
            try Self.delete(version, of: users.removeValue(forKey: name)?.version, Self.label(user: name))
        case .setSetting(let name, let value):
            settings[name] = value
        case .putJob(var record):
            record.version = try Self.put(record.version, over: jobs[record.id]?.version, Self.label(job: record.id))
            jobs[record.id] = record
        case .deleteJob(let id, let version):
            try Self.delete(version, of: jobs.removeValue(forKey: id)?.version, Self.label(job: id))
        case .putHold(var record):
            record.version = try Self.put(record.version, over: holds[record.job]?.version, Self.label(hold: record.job))
            holds[record.job] = record
        case .deleteHold(let job, let version):
            try Self.delete(version, of: holds.removeValue(forKey: job)?.version, Self.label(hold: job))
        }
    }

    /// The version of the record to store: one above the version that its writer read, which must be the stored one.
    private static func put(
        _ read: UInt64, over stored: UInt64?, _ record: @autoclosure () -> String
    ) throws(CatalogChangeError) -> UInt64 {
        guard read == stored ?? 0 else { throw .versionMismatch(record: record(), read: read, stored: stored ?? 0) }
        guard read < UInt64(Int64.max) else { throw .counterExhausted(record: record()) }
        return read + 1
    }

    /// What is new only: a catalog that has such a name from before goes on with it.
    private static func checkSpelling(_ names: [String], of record: @autoclosure () -> String) throws(CatalogChangeError) {
        guard names.allSatisfy(\.isNormalized) else { throw .misspelledName(record: record()) }
    }

    private static func delete(
        _ read: UInt64, of stored: UInt64?, _ record: @autoclosure () -> String
    ) throws(CatalogChangeError) {
        guard let stored, read == stored else { throw .versionMismatch(record: record(), read: read, stored: stored ?? 0) }
    }

    static func label(database name: String) -> String { "database \"\(name)\"" }
    static func label(shard id: ShardID) -> String { "shard \"\(id)\"" }
    static func label(table key: TableKey) -> String { "table \"\(key.table)\" of database \"\(key.database)\"" }
    static func label(user name: String) -> String { "user \"\(name)\"" }
    static func label(job id: String) -> String { "job \"\(id)\"" }
    static func label(hold job: String) -> String { "the hold of job \"\(job)\"" }
}

extension ShardRecord {
    fileprivate mutating func sortVNodes() {
        for (left, right) in zip(vnodes, vnodes.dropFirst()) where left.range.start > right.range.start {
            return vnodes.sort { $0.range.start < $1.range.start }
        }
    }
}

extension TableRecord {
    /// The table's, and its key column's.
    fileprivate var names: [String] {
        if case .sharded(let column) = placement { [name.schema, name.name, column] } else { [name.schema, name.name] }
    }
}
