import CatalogSQLite
import CatalogStore
import Foundation
import ShardModel

// CatalogFiller PATH SHARDS
//
// Makes a catalog with one database of so many shards, which exist nowhere: for measuring what a router keeps of each. The manager's API
// would refuse shards that it cannot reach.

let arguments = CommandLine.arguments
guard arguments.count == 3, let count = Int(arguments[2]), (1...HashRing.shardsMax).contains(count) else {
    FileHandle.standardError.write(Data("usage: CatalogFiller PATH SHARDS\n".utf8))
    exit(2)
}
do throws(CatalogError) {
    let database = DatabaseRecord(name: "many", homeShard: ShardID("shard-1"))
    let cuts = RingCut.even(over: count, vnodesEach: database.vnodeCount, after: 0)
    let shards = cuts.enumerated().map { index, vnodes in
        ShardRecord(
            id: ShardID("shard-\(index + 1)"), name: "shard-\(index + 1)", database: database.name,
            // Port 1 of a loopback address that nothing listens on.
            primaryEndpoint: "postgres://app@127.1.\(index >> 8).\(index & 255):1/many", vnodes: vnodes)
    }
    let store = try await SQLiteCatalogStore(path: arguments[1])
    _ = try await store.commit(
        CatalogChange([.putDatabase(database)] + shards.map { .putShard($0) }, author: "benchmark"), expecting: Epoch(0))
    await store.close()
} catch {
    FileHandle.standardError.write(Data("CatalogFiller: \(error)\n".utf8))
    exit(1)
}
