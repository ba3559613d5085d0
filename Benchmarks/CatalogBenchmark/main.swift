import CatalogEtcd
import CatalogPostgres
import CatalogSQLite
import CatalogStore
import Foundation
import NIOPosix
import PGChannel
import ShardModel

// CatalogBenchmark LOCATION SHARDS OPERATIONS
//
// On an empty store (a path, postgres://… or etcd://…): what it takes to store a catalog of so many shards of 256 vnodes, to open it, to change one shard at a
// time, and until another store's watch has the change.

let arguments = CommandLine.arguments
guard arguments.count == 4, let count = Int(arguments[2]), (1...HashRing.shardsMax).contains(count), let operations = Int(arguments[3]), operations > 0 else {
    FileHandle.standardError.write(Data("usage: CatalogBenchmark LOCATION SHARDS OPERATIONS\n".utf8))
    exit(2)
}
let location = arguments[1]

func open() async throws -> any CatalogStore {
    if location.hasPrefix("etcd") {
        return try await EtcdCatalogStore(try EtcdLocation.parse(location), isManager: true, on: MultiThreadedEventLoopGroup.singleton)
    }
    guard location.hasPrefix("postgres") else { return try await SQLiteCatalogStore(path: location) }
    return try await PostgresCatalogStore(try PostgresEndpoint.parse(location), isManager: true, on: MultiThreadedEventLoopGroup.singleton)
}

func show(_ what: String, _ duration: Duration, per number: Int = 1) {
    let milliseconds = duration / .milliseconds(1)
    let rate = number > 1 ? String(format: ", %.0f a second", Double(number) * 1000 / milliseconds) : ""
    print(what.padding(toLength: 45, withPad: " ", startingAt: 0) + String(format: "%9.1f ms", milliseconds / Double(number)) + rate)
}

try await measure()

func measure() async throws {
    let clock = ContinuousClock()
    let writer = try await open()
    let database = DatabaseRecord(name: "many", homeShard: ShardID("shard-1"))
    let cuts = RingCut.even(over: count, vnodesEach: database.vnodeCount, after: 0)
    let shards = cuts.enumerated().map { index, vnodes in
        ShardRecord(
            id: ShardID("shard-\(index + 1)"), name: "shard-\(index + 1)", database: database.name,
            primaryEndpoint: "postgres://app@127.1.\(index >> 8).\(index & 255):1/many", vnodes: vnodes)
    }
    show("store everything", try await clock.measure {
        _ = try await writer.commit(CatalogChange([.putDatabase(database)] + shards.map { .putShard($0) }, author: "benchmark"), expecting: .zero)
    })
    show("open and load it", try await clock.measure { _ = try await open() })

    let follower = try await open()
    var latencies: [Duration] = []
    var busy = Duration.zero
    var watch = follower.watch(after: Epoch(1)).makeAsyncIterator()
    for number in 0..<operations {
        let begun = clock.now
        let now = try await writer.load()
        var record = shards[number % count]
        guard let stored = now.shards[record.id] else { throw CatalogError.invalid("a shard is gone") }
        record.version = stored.version
        record.updatedAt = Double(number)
        let next = try await writer.commit(CatalogChange([.putShard(record)], author: "benchmark"), expecting: now.epoch)
        let committed = clock.now
        busy += committed - begun
        while let seen = await watch.next(isolation: #isolation), seen.epoch < next.epoch {}
        latencies.append(clock.now - committed)
    }
    show("change one shard", busy, per: operations)
    latencies.sort()
    show("until another store's watch has it, p50", latencies[latencies.count / 2])
    show("until another store's watch has it, p99", latencies[latencies.count * 99 / 100])
}
