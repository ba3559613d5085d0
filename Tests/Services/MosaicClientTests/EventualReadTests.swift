import ClusterTestKit
import Foundation
import MosaicClient
import PostgresProcess
import Testing

@Suite struct EventualReadTests {
    private static let whereAmI = "SELECT pg_is_in_recovery() FROM kv WHERE k = $1"

    @Test func anEventualReadGoesToAReplicaAndNeverBehindTheClientsOwnWrites() async throws {
        try await ClientCluster.with(replicas: 1, { $0.probeInterval = .milliseconds(50) }) { it in
            let key = try it.key(on: 0)
            try await it.client.query(on: .key(shop, key), "INSERT INTO kv VALUES ($1, 0)", [.int(key)])
            try await eventually("a replica is read from") {
                try await it.client.query(on: .key(shop, key), Self.whereAmI, [.int(key)], consistency: .eventual).first?.decode(Bool.self, at: 0) == true
            }
            #expect(try await it.client.query(on: .key(shop, key), Self.whereAmI, [.int(key)]).first?.decode(Bool.self, at: 0) == false)
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
                try await it.client.query(on: .key(shop, key), Self.whereAmI, [.int(key)], consistency: .eventual).first?.decode(Bool.self, at: 0) == true
            }
            await it.cluster.replicas[0][0].stop(.immediate)
            for _ in 0..<20 {
                let rows = try await it.client.query(on: .key(shop, key), Self.whereAmI, [.int(key)], consistency: .eventual)
                #expect(try rows.first?.decode(Bool.self, at: 0) == false)
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
                try await it.client.query(on: .key(shop, key), Self.whereAmI, [.int(key)], consistency: .eventual).first?.decode(Bool.self, at: 0) == true
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
