package import ShardModel

/// Why what was found should not be written just so.
package enum RecoveryProblem: Hashable, Sendable {
    /// What somebody who knows better may say.
    package enum Allowance: String, Hashable, Sendable, CaseIterable {
        case missing = "allow-missing"
        case older = "allow-older"
        case tables = "allow-tables"
    }

    case noCopy(reasons: [String])
    case clusters(String, at: String, other: String, otherAt: String)
    case contradicting(Epoch, String, String)
    case newerUnreadable(Epoch, at: String, reason: String, newest: Epoch)
    case twice(ShardID, String, String)
    case unknownShard(ShardID, at: String)
    case otherDatabase(ShardID, at: String, says: String, catalog: String)
    case ring(database: String, String)
    case missingShard(ShardID, reason: String)
    case unreadableSchema(ShardID, reason: String)
    case tableMissing(QualifiedName, on: ShardID)
    case keyMissing(QualifiedName, key: String, on: ShardID)
    case unknownTable(QualifiedName, on: ShardID)
    case rowsElsewhere(QualifiedName, on: ShardID, owner: ShardID, count: Int, of: Int)

    /// nil: never written.
    package var allowance: Allowance? {
        switch self {
        case .missingShard, .unreadableSchema: .missing
        case .newerUnreadable: .older
        case .tableMissing, .unknownTable: .tables
        default: nil
        }
    }
}

extension RecoveryProblem: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noCopy(let reasons): "there is no copy of the catalog that can be read" + (reasons.isEmpty ? "" : ": " + reasons.joined(separator: "; "))
        case .clusters(let first, let firstPlace, let second, let secondPlace):
            "\(firstPlace) is of cluster \(first), \(secondPlace) of cluster \(second): copies of one cluster only can be put together"
        case .contradicting(let epoch, let first, let second):
            "\(first) and \(second) have different catalogs of the same epoch \(epoch): one of them was tampered with, or the cluster had two catalogs"
        case .newerUnreadable(let epoch, let place, let reason, let newest):
            "the copy of \(place) is of epoch \(epoch) and cannot be read (\(reason)); the newest that can is of epoch \(newest)"
        case .twice(let shard, let first, let second): "\(first) and \(second) both say that they are shard \(shard)"
        case .unknownShard(let shard, let place):
            "\(place) says that it is shard \(shard), of which the newest copy knows nothing: it was being registered, or was removed and kept its mark"
        case .otherDatabase(let shard, let place, let says, let catalog):
            "\(place) says that it is shard \(shard) of database \(says); in the copy that shard is of database \(catalog)"
        case .ring(let database, let reason): "the ring of database \(database) is not whole: \(reason)"
        case .missingShard(let shard, let reason): "shard \(shard) is missing: \(reason)"
        case .unreadableSchema(let shard, let reason): "the tables of shard \(shard) could not be looked at: \(reason)"
        case .tableMissing(let table, let shard): "table \(table) is on other shards and not on shard \(shard), where the copy says that it must be"
        case .keyMissing(let table, let key, let shard): "table \(table) on shard \(shard) has no column \(key), by which the copy says that it is sharded"
        case .unknownTable(let table, let shard):
            "shard \(shard) has a table \(table) that is not in the copy: it was made after the copy was taken, or by hand"
        case .rowsElsewhere(let table, let shard, let owner, let count, let all):
            "\(count) of \(all) rows that were looked at in table \(table) on shard \(shard) have keys that the copy gives to others (shard \(owner) for one)"
        }
    }
}
