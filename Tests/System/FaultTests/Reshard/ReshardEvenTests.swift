import ClusterTestKit
import Foundation
import RESTTestKit
import ShardModel
import Testing

extension FaultTests {
    /// Shards that come and go while clients write through two routers.
    @Suite(.serialized) struct ReshardEvenTests {
        /// Three jobs: a third shard gets its share, has it taken away while managers are killed, and is removed; then half of one shard goes to another.
        @Test func aShardIsAddedAndDrainedUnderLoadAndNoClientNotices() async throws {
            try await ReshardCluster.with { cluster in
                try await cluster.addThird()
                let load = ReshardLoad(cluster.routers.map(\.wirePort))
                try await load.run(clients: 4) {
                    // Enough rows that a sample is one.
                    try await eventually("there are rows") { load.now.statements > 300 }
                    let added = try await cluster.begin("add-shard", ["shard_id": "s3"])
                    try await cluster.wait(for: "completed", of: added)
                    for path in ["add-shard", "drain-shard"] {
                        let answer = try await cluster.manager.send("POST", "/api/v1/reshard/\(path)", ["shard_id": "s3"])
                        #expect(answer.status == 409 && answer.text.contains("JOB_CONFLICT"), "\(answer.text)")
                    }
                    try await cluster.finish(added)
                    let parts = try await cluster.parts()
                    for shard in ["s1", "s2", "s3"] { #expect((0.1...0.6).contains(parts[shard] ?? 0), "\(shard) has \(parts[shard] ?? 0) of the ring") }

                    let drained = try await cluster.begin("drain-shard", ["shard_id": "s3"])
                    for _ in 0..<rounds(2) {
                        try await Task.sleep(for: .milliseconds(Int.random(in: 50...1500)))
                        await cluster.manager.kill()
                        try await cluster.manager.start()
                    }
                    try await cluster.wait(for: "completed", of: drained)
                    try await cluster.finish(drained)
                    #expect(try await cluster.parts()["s3"] == 0)
                    try await eventually("the shard is removed") {
                        let version = try await cluster.catalog().shards[ShardID("s3")]?.version ?? 0
                        return try await cluster.manager.send("DELETE", "/api/v1/shards/s3?version=\(version)").status == 204
                    }
                    let split = try await cluster.begin("split", ["source_shard_id": "s1", "target_shards": ["s2"]])
                    try await cluster.wait(for: "completed", of: split)
                    try await cluster.finish(split)
                }
                try await cluster.check(load, shards: 0..<2)
            }
        }
    }
}

extension ReshardCluster {
    /// Of the ring, by shard.
    fileprivate func parts() async throws -> [String: Double] {
        let shards = try await catalog().shards.values
        return Dictionary(uniqueKeysWithValues: shards.map { ($0.id.name, $0.vnodes.reduce(0) { $0 + Double($1.range.width) } / Double(TokenRange.whole.width)) })
    }
}
