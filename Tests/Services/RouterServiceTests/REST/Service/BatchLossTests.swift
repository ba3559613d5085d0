import ClusterTestKit
import ControlAPI
import PostgresProcess
import RESTTestKit
import ShardModel
import Testing

/// A shard that is lost in the middle of a batch.
@Suite(.cluster(.init(tables: ["orders": .sharded(key: "id")]), after: ["CREATE TABLE orders (id bigint PRIMARY KEY)"]), .serialized)
struct BatchLossTests {
    @Test func whatWasNotCommittedHasNotHappenedAndIsSaidSo() async throws {
        let cluster = try TestCluster.current
        var keys: [String: Int64] = [:]
        for key in Int64(1)...50 {
            if let shard = try await cluster.get("/v1/shard-for-key?key=\(key)").json?["shard_id"]?.stringValue { keys[shard] = key }
        }
        let (here, away) = (try #require(keys["s1"]), try #require(keys["s2"]))
        let body: JSONValue = [
            "statements": [
                ["query": "INSERT INTO orders VALUES ($1)", "params": [.integer(here)]],
                ["query": "INSERT INTO orders VALUES ($1)", "params": [.integer(away)]],
                ["query": "SELECT id, pg_sleep(600) AS lost_1 FROM orders WHERE id = $1", "params": [.integer(away)]],
            ]
        ]
        async let posted = cluster.post("/v1/batch", body)
        try await eventually("the last statement runs") {
            try await cluster.servers[1].psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
        }
        await cluster.servers[1].stop(.immediate)
        let answer = try await posted
        #expect(answer.error?.code == .shardUnavailable, "\(answer.text)")
        #expect(answer.error?.details?["statement"] == 2)
        #expect(try await cluster.servers[0].psql("SELECT count(*) FROM orders", database: TestCluster.database) == "0")
        #expect(try await cluster.servers[0].psql("SELECT count(*) FROM pg_prepared_xacts") == "0")
        // A batch of the other shard goes on.
        let other = try await cluster.post("/v1/batch", ["statements": [["query": "INSERT INTO orders VALUES ($1)", "params": [.integer(here)]]]])
        #expect(other.status == 200, "\(other.text)")
    }
}
