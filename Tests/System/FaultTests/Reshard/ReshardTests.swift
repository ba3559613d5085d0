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
                    let finished = try await cluster.manager.send("POST", "/api/v1/reshard/jobs/\(job)/finish")
                    #expect(finished.status == 200 || finished.status == 202, "\(finished.text)")
                    try await eventually("the job is over") { try await cluster.catalog().jobs[job]?.isOver == true }
                    try await Task.sleep(for: .seconds(1))
                }
                try await check(cluster, load)
                let catalog = try await cluster.catalog()
                let third = try #require(catalog.shards[ShardID("s3")])
                #expect(third.status == .active && !third.vnodes.isEmpty)
            }
        }

        private func check(_ cluster: ReshardCluster, _ load: ReshardLoad) async throws {
            let tally = load.now
            print("\(tally.statements) statements, the slowest \(tally.slowest)")
            #expect(tally.failures == [])
            #expect(tally.rows.count > 10)
            let (owned, elsewhere) = try await cluster.rows()
            #expect(owned == tally.rows)
            #expect(elsewhere == 0)
            #expect(try await cluster.leftovers() == [])
            for index in cluster.servers.indices {
                let found = Set(try await cluster.on(index, "SELECT id FROM ref").split(separator: "\n").compactMap { Int64($0) })
                #expect(found == tally.references, "reference rows on s\(index + 1)")
            }
        }
    }
}
