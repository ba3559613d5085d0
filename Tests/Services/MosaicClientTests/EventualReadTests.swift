import ClusterTestKit
import Foundation
import MosaicClient
import PostgresProcess
import Testing

@Suite struct EventualReadTests {
    private static let whereAmI = "SELECT inet_server_port() FROM kv WHERE k = $1"

    /// Whether the row of `whereAmI` came from the replica of shard 0.
    private func isReplicas(_ rows: MosaicRows, _ it: ClientCluster) throws -> Bool {
        let port = try #require(try rows.first?.decode(Int.self, at: 0))
        #expect([it.cluster.servers[0].port, it.cluster.replicas[0][0].port].contains(port))
        return port == it.cluster.replicas[0][0].port
    }

    @Test func anEventualReadGoesToAReplicaAndNeverBehindTheClientsOwnWrites() async throws {
        try await ClientCluster.with(replicas: 1, { $0.probeInterval = .milliseconds(50) }) { it in
            let key = try it.key(on: 0)
            try await it.client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 0)", [.int(key)])
            try await eventually("a replica is read from") {
                try isReplicas(try await it.client.query(on: .key(shop, key), Self.whereAmI, [.int(key)], consistency: .eventual), it)
            }
            let strong = try await it.client.query(on: .key(shop, key), Self.whereAmI, [.int(key)])
            #expect(try !isReplicas(strong, it))
            for value in 1...50 {
                try await it.client.query(on: .key(shop, key), "UPDATE kv SET v = $2 WHERE k = $1", [.int(key), .int(value)])
                let read = try await it.client.query(on: .key(shop, key), "SELECT v FROM kv WHERE k = $1", [.int(key)], consistency: .eventual)
                #expect(try read.first?.decode(Int.self, "v") == value)
            }
        }
    }

    @Test func withItsReplicaGoneAnEventualReadIsThePrimarys() async throws {
        try await ClientCluster.with(replicas: 1, { $0.probeInterval = .milliseconds(50) }) { it in
            let key = try it.key(on: 0)
            try await it.client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 0)", [.int(key)])
            try await eventually("a replica is read from") {
                try isReplicas(try await it.client.query(on: .key(shop, key), Self.whereAmI, [.int(key)], consistency: .eventual), it)
            }
            await it.cluster.replicas[0][0].stop(.immediate)
            for _ in 0..<20 {
                let rows = try await it.client.query(on: .key(shop, key), Self.whereAmI, [.int(key)], consistency: .eventual)
                #expect(try !isReplicas(rows, it))
            }
        }
    }

    @Test func aReplicaThatDoesNotReplayIsNotReadFromBeyondTheLimit() async throws {
        try await ClientCluster.with(replicas: 1, { configuration in
            configuration.probeInterval = .milliseconds(50)
            configuration.lagMax = .milliseconds(500)
        }) { it in
            let key = try it.key(on: 0)
            try await it.client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 0)", [.int(key)])
            try await eventually("a replica is read from") {
                try isReplicas(try await it.client.query(on: .key(shop, key), Self.whereAmI, [.int(key)], consistency: .eventual), it)
            }
            _ = try await it.cluster.replicas[0][0].psql("SELECT pg_wal_replay_pause()", database: shop)
            // Somebody else's write, which this client knows nothing of.
            _ = try await it.onShard(0, "UPDATE kv SET v = 1")
            try await eventually("the replica is left") {
                try await it.client.query(on: .key(shop, key), "SELECT v FROM kv WHERE k = $1", [.int(key)], consistency: .eventual).first?
                    .decode(Int.self, "v") == 1
            }
        }
    }
}
