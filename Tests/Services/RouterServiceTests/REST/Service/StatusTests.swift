import ClusterTestKit
import ControlAPI
import PostgresProcess
import RESTTestKit
import ShardModel
import Testing

/// What operators ask a router over REST.
@Suite(.cluster(), .serialized) struct StatusTests {
    @Test func healthReadinessAndMetricsAreServed() async throws {
        let cluster = try TestCluster.current
        for path in ["/health", "/v1/health"] {
            #expect(try await cluster.get(path).json == ["status": "ok", "version": .string(BuildVersion.current)])
        }
        // A look lasts for a second, and a busy machine may take too long for one.
        try await eventually("it is ready, and all are reachable") {
            let ready = try await cluster.get("/ready")
            return ready.status == 200 && ready.json?["ready"] == true && ready.json?["catalog_connected"] == true
                && ready.json?["shards"] == [["id": "s1", "reachable": true], ["id": "s2", "reachable": true]]
        }
        try await cluster.rows("SELECT 1 AS v")
        _ = try await cluster.execute("SELECT count(*) FROM nowhere")
        #expect(try await cluster.get("/metrics").headers["content-type"]?.hasPrefix("text/plain") == true)
        // A request is counted behind its answer.
        for line in [
            #"pgmosaic_statements_total{shard="s1",kind="select",outcome="ok"}"#, "pgmosaic_catalog_connected 1",
            #"pgmosaic_http_requests_total{method="POST",path="/v1/execute",status="200"}"#, #"pgmosaic_refusals_total{code="PGM-UNKNOWN-TABLE"}"#,
        ] {
            try await eventually(line) { try await cluster.get("/metrics").text.contains(line) }
        }
    }

    @Test func theDocumentDescribesEveryPath() async throws {
        let document = try #require(try await TestCluster.current.get("/openapi.json").json)
        #expect(document["openapi"] == "3.1.0")
        #expect(document["paths"]?["/v1/execute"]?["post"] != nil)
    }

    @Test(arguments: [("test-key", "12249193293052212267"), ("user-123", "17358980885433774459"), ("%E6%97%A5%E6%9C%AC%E8%AA%9E", "1349821744801378292")])
    func aKeyHasItsToken(_ key: String, _ token: String) async throws {
        let answer = try await TestCluster.current.get("/v1/shard-for-key?key=\(key)")
        #expect(answer.json?["token"] == .string(token))
        #expect(answer.json?["epoch"]?.integerValue != nil)
    }

    @Test func aKeyIsNeeded() async throws {
        #expect(try await TestCluster.current.get("/v1/shard-for-key").error?.code == .invalidRequest)
    }
}

/// A shard that is away.
@Suite(.cluster(.init(tables: ["orders": .sharded(key: "id")])), .serialized) struct ShardAwayTests {
    @Test func statementsOfItAre503AndTheOthersGoOn() async throws {
        let cluster = try TestCluster.current
        try await cluster.rows("CREATE TABLE orders (id bigint PRIMARY KEY)")
        var away: Int64?
        var here: Int64?
        for key in Int64(1)...50 {
            let shard = try await cluster.get("/v1/shard-for-key?key=\(key)").json?["shard_id"]
            if shard == "s2" { away = key } else { here = key }
        }
        await cluster.servers[1].stop(.immediate)
        let query = "SELECT id FROM orders WHERE id = $1"
        let answer = try await cluster.execute(query, [.integer(try #require(away))], options: ["timeout_ms": 10_000])
        #expect(answer.status == 503, "\(answer.text)")
        #expect(answer.error?.code == .shardUnavailable)
        #expect(answer.headers["retry-after"] != nil)
        #expect(try await cluster.rows(query, [.integer(try #require(here))]) == [])
        // A look lasts for a second, and a busy machine may take too long for one.
        try await eventually("one is reachable, the other is not") {
            let ready = try await cluster.get("/ready")
            return ready.status == 200 && ready.json?["shards"] == [["id": "s1", "reachable": true], ["id": "s2", "reachable": false]]
        }
    }
}
