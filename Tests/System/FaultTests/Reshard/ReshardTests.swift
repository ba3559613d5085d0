import ClusterTestKit
import Foundation
import RESTTestKit
import ShardModel
import Testing

extension FaultTests {
    /// Vnodes move between real servers, under clients of two routers.
    @Suite(.serialized) struct ReshardTests {
        @Test func aShardIsSplitUnderLoadAndNoClientNotices() async throws {
            try await ReshardCluster.with { cluster in
                try await cluster.addThird()
                let load = ReshardLoad(cluster.routers.map(\.wirePort))
                try await load.run {
                    try await Task.sleep(for: .seconds(1))
                    let job = try await cluster.begin("split", ["source_shard_id": "s2", "target_shards": ["s3"]])
                    try await cluster.wait(for: "completed", of: job)
                    print(try await cluster.job(job).text)
                    try await Task.sleep(for: .seconds(1))
                    try await cluster.finish(job)
                    try await Task.sleep(for: .seconds(1))
                }
                try await cluster.check(load)
                let catalog = try await cluster.catalog()
                let third = try #require(catalog.shards[ShardID("s3")])
                #expect(third.status == .active && !third.vnodes.isEmpty)
            }
        }

        @Test func aManagerIsKilledAgainAndAgainAndTheJobEnds() async throws {
            try await ReshardCluster.with { cluster in
                try await cluster.addThird()
                let load = ReshardLoad(cluster.routers.map(\.wirePort))
                try await load.run(clients: 4) {
                    let job = try await cluster.begin("split", ["source_shard_id": "s1", "target_shards": ["s3"]])
                    for _ in 0..<rounds(6) {
                        try await Task.sleep(for: .milliseconds(Int.random(in: 50...2500)))
                        await cluster.manager.kill()
                        try await cluster.manager.start()
                    }
                    try await cluster.wait(for: "completed", of: job)
                    await cluster.manager.kill()
                    try await cluster.manager.start()
                    try await cluster.finish(job)
                }
                try await cluster.check(load)
            }
        }

        /// It cannot acknowledge, and is taken for dead after a while; what its connection was in the middle of is refused by the shard.
        @Test func aRouterThatIsStoppedWritesNothingToTheOldOwnerLater() async throws {
            try await ReshardCluster.with { cluster in
                try await cluster.addThird()
                let (load, stopped) = (ReshardLoad([cluster.routers[0].wirePort]), StoppedWriter(cluster.routers[1].wirePort))
                try await load.run(clients: 3) {
                    async let writing: Void = stopped.run()
                    try await eventually("it writes") { stopped.acknowledged.count > 20 }
                    cluster.routers[1].signal(SIGSTOP)
                    let job = try await cluster.begin("split", ["source_shard_id": "s2", "target_shards": ["s3"]])
                    try await cluster.wait(for: "completed", of: job)
                    cluster.routers[1].signal(SIGCONT)
                    try await Task.sleep(for: .seconds(2))
                    stopped.end()
                    try await writing
                    try await cluster.finish(job)
                }
                let (owned, elsewhere) = try await cluster.rows()
                #expect(elsewhere == 0)
                #expect(stopped.acknowledged.allSatisfy { owned[$0] != nil }, "\(stopped.acknowledged.filter { owned[$0] == nil })")
                #expect(load.now.failures == [])
                for (key, value) in load.now.rows { #expect(owned[key] == value) }
            }
        }

        @Test func whatWasSplitIsMergedBackAndTheShardLeaves() async throws {
            try await ReshardCluster.with { cluster in
                try await cluster.addThird()
                let load = ReshardLoad(cluster.routers.map(\.wirePort))
                try await load.run {
                    let split = try await cluster.begin("split", ["source_shard_id": "s2", "target_shards": ["s3"]])
                    try await cluster.wait(for: "completed", of: split)
                    try await cluster.finish(split)
                    let merge = try await cluster.begin("merge", ["source_shard_ids": ["s3"], "target_shard": "s2"])
                    try await cluster.wait(for: "completed", of: merge)
                    try await cluster.finish(merge)
                    // Not in a moment in which a write to a reference table is prepared there.
                    try await eventually("the shard is removed") {
                        let version = try await cluster.catalog().shards[ShardID("s3")]?.version ?? 0
                        return try await cluster.manager.send("DELETE", "/api/v1/shards/s3?version=\(version)").status == 204
                    }
                    try await Task.sleep(for: .seconds(1))
                }
                try await cluster.check(load, shards: 0..<2)
            }
        }
    }
}
