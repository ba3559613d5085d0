import ClusterTestKit
import Foundation
import RESTTestKit
import ShardModel
import Testing

extension FaultTests {
    /// Jobs of several shards, several jobs, and jobs that are ended at any moment: no client notices any of them.
    @Suite(.serialized) struct ReshardSeveralTests {
        private func run(
            _ body: @escaping @Sendable (ReshardCluster) async throws -> Void, then check: @Sendable (ReshardCluster, ReshardLoad) async throws -> Void = { try await $0.check($1) }
        ) async throws {
            try await ReshardCluster.with { cluster in
                try await cluster.addThird()
                let load = ReshardLoad(cluster.routers.map(\.wirePort))
                try await load.run(clients: 4) {
                    try await Task.sleep(for: .milliseconds(500))
                    try await body(cluster)
                    try await Task.sleep(for: .milliseconds(500))
                }
                try await check(cluster, load)
            }
        }

        /// Two shards become one that joins, which is then shared out to both; with more rounds, two are merged into one in use, too.
        @Test func severalSourcesGoToOneTargetAndOneSourceToSeveral() async throws {
            try await run { cluster in
                try await cluster.complete("merge", ["source_shard_ids": ["s1", "s2"], "target_shard": "s3"])
                try await cluster.complete("split", ["source_shard_id": "s3", "target_shards": ["s1", "s2"]])
                if rounds(1) == 1 { return }
                try await cluster.complete("split", ["source_shard_id": "s2", "target_shards": ["s3"]])
                try await cluster.complete("merge", ["source_shard_ids": ["s2", "s3"], "target_shard": "s1"])
                let catalog = try await cluster.catalog()
                #expect(catalog.shards[ShardID("s2")]?.vnodes == [] && catalog.shards[ShardID("s3")]?.vnodes == [])
                try await cluster.complete("split", ["source_shard_id": "s1", "target_shards": ["s2", "s3"]])
            }
        }

        /// Each of the two shards is a source of one job and the target of the other; a third job gets what is free of them.
        @Test func jobsOfDisjointVNodesRunAtOnceAndOthersAreRefused() async throws {
            try await run { cluster in
                func ids(_ shard: ShardID) async throws -> [Int] { try await cluster.catalog().shards[shard]?.vnodes.map { Int($0.id) } ?? [] }
                let (one, two) = (try await ids(ShardID("s1")), try await ids(ShardID("s2")))
                for _ in 0..<rounds(1) {
                    let there = try await cluster.begin("move", ["vnodes": Array(one.prefix(5)), "source": "s1", "target": "s2"])
                    let back = try await cluster.begin("move", ["vnodes": Array(two.prefix(5)), "source": "s2", "target": "s1"])
                    let third = try await cluster.begin("move", ["vnodes": Array(one.suffix(3)), "source": "s1", "target": "s3"])
                    for (vnodes, source, target) in [(one.prefix(1), "s1", "s3"), (two.prefix(8).suffix(4), "s2", "s1")] {
                        let body: [String: Any] = ["vnodes": Array(vnodes), "source": source, "target": target]
                        let answer = try await cluster.manager.send("POST", "/api/v1/reshard/move", body)
                        #expect(answer.status == 409 && answer.text.contains("JOB_CONFLICT"), "\(answer.text)")
                    }
                    for job in [there, back, third] { try await cluster.wait(for: "completed", of: job) }
                    for job in [third, there, back] { try await cluster.finish(job) }
                    // And all to where it was, so that it can be done again.
                    let jobs = [
                        try await cluster.begin("move", ["vnodes": Array(one.prefix(5)), "source": "s2", "target": "s1"]),
                        try await cluster.begin("move", ["vnodes": Array(two.prefix(5)), "source": "s1", "target": "s2"]),
                        try await cluster.begin("move", ["vnodes": Array(one.suffix(3)), "source": "s3", "target": "s1"]),
                    ]
                    for job in jobs { try await cluster.wait(for: "completed", of: job) }
                    for job in jobs { try await cluster.finish(job) }
                }
                #expect(Set(try await ids(ShardID("s1"))) == Set(one))
                #expect(Set(try await ids(ShardID("s2"))) == Set(two))
            }
        }

        @Test func splitsAndMergesOneAfterTheOtherFailNoStatement() async throws {
            try await run { cluster in
                for _ in 0..<rounds(1) {
                    try await cluster.complete("split", ["source_shard_id": "s2", "target_shards": ["s3"]])
                    try await cluster.complete("merge", ["source_shard_ids": ["s3"], "target_shard": "s2"])
                }
            }
        }

        @Test func aJobThatIsCancelledOrReversedAtAnyMomentFailsNoStatement() async throws {
            try await run { cluster in
                for round in 0..<rounds(2) {
                    let job = try await cluster.begin("split", ["source_shard_id": "s2", "target_shards": ["s3"]])
                    if round % 2 == 0 {
                        try await Task.sleep(for: .milliseconds(Int.random(in: 0...3000)))
                        _ = try await cluster.manager.send("POST", "/api/v1/reshard/jobs/\(job)/cancel")
                    } else {
                        try await cluster.wait(for: "completed", of: job)
                        try await Task.sleep(for: .milliseconds(Int.random(in: 0...1000)))
                    }
                    // Where the cancel came behind the switch, it is a reverse, too; what is given up is asked for again.
                    try await eventually("job \(job) is over", within: .seconds(300)) {
                        if try await cluster.catalog().jobs[job]?.isOver == true { return true }
                        _ = try await cluster.manager.send("POST", "/api/v1/reshard/jobs/\(job)/reverse")
                        return false
                    }
                    let end = try await cluster.job(job)
                    #expect(end.status == "cancelled", "\(end.text)")
                    #expect(try await cluster.leftovers() == [])
                    #expect(try await cluster.on(2, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0")
                }
            } then: { try await $0.check($1, shards: 0..<2) }
        }
    }
}

extension ReshardCluster {
    /// A job from its beginning to its end.
    fileprivate func complete(_ path: String, _ body: [String: Any]) async throws {
        let job = try await begin(path, body)
        try await wait(for: "completed", of: job)
        try await finish(job)
    }
}
