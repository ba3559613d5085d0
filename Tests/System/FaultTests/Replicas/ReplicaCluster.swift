import ClusterTestKit
import Foundation
import PostgresProcess
import ServerConfig
import Testing

extension Trait where Self == FaultClusterTrait {
    /// Two shards with two streaming replicas each, looked at often.
    static func replicaCluster(
        shards: Int = 2, replicas: Int = 2, lagMax: Duration = .seconds(60), probeTimeout: Duration = .seconds(6), postgres: [String: String] = [:]
    ) -> Self {
        .faultCluster(shards: shards, replicas: replicas, postgres: postgres, preparesApart: true) { settings in
            settings.replicaProbeInterval = .milliseconds(50)
            settings.replicaProbeTimeout = probeTimeout
            settings.replicaLagMax = lagMax
            settings.poolConnectTimeout = .seconds(10)
        }
    }
}

extension TestCluster {
    /// A session whose reads are eventual.
    func eventualLogin() async throws -> WireClient {
        let client = try await login()
        try #require(try await client.failure("SET pgmosaic.consistency = eventual") == nil)
        return client
    }

    func ports(ofReplicasOf shard: Int) -> Set<Int> { Set(replicas[shard].map(\.port)) }

    /// The port of the server that reads this row for the session.
    func reader(of key: Int64, _ client: WireClient) async throws -> Int {
        let rows = try await client.rows("SELECT inet_server_port() FROM kv WHERE k = \(key)")
        return try #require(rows.first?[0].flatMap { Int($0) })
    }

    /// A row of this key, on its shard and on all of the shard's replicas.
    func plant(_ key: Int64, _ value: Int, on shard: Int) async throws {
        try await onShard(shard, "INSERT INTO kv VALUES (\(key), \(value)) ON CONFLICT (k) DO UPDATE SET v = \(value)")
        try await caughtUp(shard)
    }

    /// Waits until every replica of the shard has replayed what its primary has now.
    func caughtUp(_ shard: Int) async throws {
        // The insert position may stand behind a page's header, where no replica gets before there is another record.
        let position = try await onShard(shard, "SELECT pg_current_wal_flush_lsn()")
        for replica in replicas[shard] {
            try await eventually("replica \(replica.port) has caught up") {
                try await replica.psql("SELECT pg_last_wal_replay_lsn() >= '\(position)'") == "t"
            }
        }
    }

    func pauseReplay(_ shard: Int, _ numbers: [Int] = [0, 1]) async throws {
        for number in numbers { try await replicas[shard][number].psql("SELECT pg_wal_replay_pause()") }
        for number in numbers {
            try await eventually("replay is paused") { try await self.replicas[shard][number].psql("SELECT pg_get_wal_replay_pause_state()") == "paused" }
        }
    }

    func resumeReplay(_ shard: Int, _ numbers: [Int] = [0, 1]) async throws {
        for number in numbers { try await replicas[shard][number].psql("SELECT pg_wal_replay_resume()") }
    }

    /// 1 while the router may read from the replica.
    func isUsable(_ replica: PostgresServer) async throws -> Bool { try await metric("pgmosaic_replica_usable", ":\(replica.port)\"") == 1 }

    func allUsable() async throws {
        for replica in replicas.joined() { try await eventually("replica \(replica.port) is read from") { try await self.isUsable(replica) } }
    }

    /// What eventual reads became of, all shards together.
    func served(by server: String) async throws -> Double { try await metric("pgmosaic_eventual_reads_total", "served_by=\"\(server)\"") }
}
