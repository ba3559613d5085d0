import ClusterTestKit
import PostgresProcess
import ServerConfig
import ShardModel
import Testing

extension FaultTests {
    /// Sequences of the extended protocol, made at random and mostly wrong, in a database whose reads are eventual: as long as replicas have what
    /// other sessions wrote, no client can tell.
    @Suite(
        .faultCluster(shards: 2, replicas: 1, consistency: .eventual) { settings in
            settings.replicaProbeInterval = .milliseconds(20)
            settings.replicaLagMax = .seconds(60)
        }, .serialized)
    struct ReplicaSequenceTests {
        @Test(arguments: [[1, 1, 1], [0, 1, 1]], [ExtendedSequenceTests.Kind.messages, .pipelines, .mixtures, .reads])
        func eventualReadsAnswerAsPostgreSQLDoes(shards: [Int], kind: ExtendedSequenceTests.Kind) async throws {
            let cluster = try TestCluster.current
            try await cluster.allUsable()
            let (primaries, replicas) = (
                try await [cluster.shardSession(0), cluster.shardSession(1)],
                try await [0, 1].asyncMap { try await WireClient.login(port: cluster.replicas[$0][0].port, user: "postgres") }
            )
            try await ExtendedSequenceTests().compare(shards, rounds: 80, of: kind) {
                for shard in [0, 1] {
                    let end = try #require(try await primaries[shard].rows("SELECT pg_current_wal_flush_lsn()").first?[0])
                    try await eventually("the replica has everything") {
                        try await replicas[shard].rows("SELECT pg_last_wal_replay_lsn() >= '\(end)'") == [["t"]]
                    }
                }
            }
            #expect(try await cluster.served(by: "replica") > 30)
        }
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
