/// Why a change cannot become the next epoch. Nothing of it was applied.
package enum CatalogChangeError: Error, Hashable, Sendable {
    /// Somebody else changed the record since it was read. `stored` is 0 when there is no such record.
    case versionMismatch(record: String, read: UInt64, stored: UInt64)
    /// A shard or a table of a database that does not exist.
    case unknownDatabase(String, record: String)
    /// A database is deleted while something still belongs to it.
    case databaseInUse(String, by: String)
    case homeShardMissing(database: String, shard: ShardID)
    /// The home shard belongs to another database.
    case homeShardElsewhere(database: String, shard: ShardID)
    /// No shard of the database owns this token, though others own some.
    case gap(database: String, at: Token)
    /// Two vnodes of the database own this token.
    case overlap(database: String, at: Token)
    case invertedRange(database: String, vnode: UInt32)
    case repeatedVNode(database: String, vnode: UInt32)
    /// Two shards of the database would give out the same values of a sequence.
    case repeatedSlice(database: String, slice: Int)
    case emptyName(record: String)
    /// A name that is not in Unicode's normalization form C could be taken for another one.
    case misspelledName(record: String)
    /// A job that is not over, or a hold, names a shard that its database does not have.
    case missingShard(ShardID, database: String, of: String)
    case wrongHold(job: String, String)
    /// Everything was moved to another store, named here; this one is closed.
    case moved(to: String)
    /// The version or the epoch cannot grow any more: the stored number is damaged.
    case counterExhausted(record: String)

    /// True when reading the catalog and deciding anew may succeed; false when the change itself is wrong.
    package var isConflict: Bool {
        if case .versionMismatch = self { true } else { false }
    }
}

extension CatalogChangeError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .versionMismatch(let record, 0, let stored): "\(record) exists already, at version \(stored)"
        case .versionMismatch(let record, let read, 0): "\(record) does not exist; version \(read) was read"
        case .versionMismatch(let record, let read, let stored): "\(record) is at version \(stored), not \(read)"
        case .unknownDatabase(let database, let record): "\(record) is of database \"\(database)\", which does not exist"
        case .databaseInUse(let database, let user): "database \"\(database)\" still has \(user)"
        case .homeShardMissing(let database, let shard): "the home shard \"\(shard)\" of database \"\(database)\" does not exist"
        case .homeShardElsewhere(let database, let shard): "the home shard \"\(shard)\" is not of database \"\(database)\""
        case .gap(let database, let token): "no shard of database \"\(database)\" owns token \(token)"
        case .overlap(let database, let token): "token \(token) has two owners in database \"\(database)\""
        case .invertedRange(let database, let vnode): "vnode \(vnode) of database \"\(database)\" ends before it starts"
        case .repeatedVNode(let database, let vnode): "vnode id \(vnode) occurs twice in database \"\(database)\""
        case .repeatedSlice(let database, let slice): "slice \(slice) of sequence values occurs twice in database \"\(database)\""
        case .emptyName(let record): "\(record) has an empty name"
        case .misspelledName(let record): "\(record) has a name that is not in Unicode's normalization form C"
        case .missingShard(let shard, let database, let record): "\(record) needs shard \"\(shard)\", which database \"\(database)\" has not"
        case .wrongHold(let job, let reason): "the hold of job \"\(job)\" is wrong: \(reason)"
        case .moved(let place): "the catalog was moved to \(place) and takes no more changes here"
        case .counterExhausted(let record): "the version of \(record) cannot grow"
        }
    }
}
