import ClusterTestKit
import NIOPosix
import PGChannel
import PGTestServer
import ServerConfig
import ShardModel
import Synchronization
import Testing

@Suite struct SilentGreetingTests {
    /// It completes the handshake, and never answers the router's greeting: the attempt counts as failed, and gives its place in the pool back.
    @Test func aShardThatFallsSilentBehindTheHandshakeIsGivenUp() async throws {
        var options = TestCluster.Options(shards: 2, tables: ["kv": .sharded(key: "k")])
        options.router = {
            $0.loops = 1
            $0.poolSizeMax = 1
            $0.poolConnectTimeout = .milliseconds(300)
            $0.poolWaitTimeout = .seconds(600)
        }
        let isSilent = Atomic(true)
        var configuration = PGTestServer.Configuration()
        configuration.answer = { query in
            if query.contains("pgmosaic.hello(") { return isSilent.load(ordering: .relaxed) ? .stall : .rows(columns: ["hello"], rows: [[""]]) }
            return query.contains("FROM kv") ? .rows(columns: ["v"], rows: [["7"]]) : .command("SET")
        }
        try await FakeShard.with(options, configuration) { cluster, shard, key in
            let client = try await PGClient.connect(to: try .parse(cluster.dsn), on: MultiThreadedEventLoopGroup.singleton)
            let isHeard = { @Sendable in shard.queries.contains { $0.contains("pgmosaic.hello(") } }
            try await eventually("the silent shard is reached, and its failure told") {
                do { _ = try await client.query("SELECT v FROM kv WHERE k = \(key)") } catch { return isHeard() && "\(error)".contains("08001") }
                return false
            }
            isSilent.store(false, ordering: .relaxed)
            try await eventually("its only place is free for the next attempt") {
                try await client.query("SELECT v FROM kv WHERE k = \(key)").rows.first?.text(0) == "7"
            }
            await client.close()
        }
    }
}
