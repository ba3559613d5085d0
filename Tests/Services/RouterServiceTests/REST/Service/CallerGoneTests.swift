import ClusterTestKit
import ControlAPI
import PostgresProcess
import RESTTestKit
import ShardModel
import Testing

/// Callers that do not wait for their answer.
@Suite(
    .cluster(.init(shards: 2, tables: ["orders": .sharded(key: "id"), "flags": .reference]), after: [
        "CREATE TABLE orders (id bigint PRIMARY KEY)", "CREATE TABLE flags (name text PRIMARY KEY)",
    ]),
    .serialized)
struct CallerGoneTests {
    private let cluster: TestCluster

    init() throws { cluster = try TestCluster.current }

    /// How many sessions of the shards run a statement with `mark` in it.
    private func running(_ mark: String) async throws -> Int {
        var count = 0
        for server in cluster.servers {
            let text = try await server.psql(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%\(mark)%' AND pid <> pg_backend_pid()")
            count += Int(text) ?? 0
        }
        return count
    }

    private func leave(_ path: String, _ body: JSONValue, mark: String, headers: [(String, String)] = [], _ end: RawHTTP.Leaving) async throws {
        try await RawHTTP.leave(path, port: cluster.httpPort, headers: headers, body: body.encoded(), end) {
            try await eventually("the statement runs") { try await running(mark) == 1 }
        }
        try await eventually("the statement has stopped") { try await running(mark) == 0 }
    }

    @Test(arguments: RawHTTP.Leaving.allCases)
    func theStatementOfACallerThatLeavesIsCancelled(_ end: RawHTTP.Leaving) async throws {
        try await leave("/v1/execute", ["query": "SELECT pg_sleep(600) AS gone_1"], mark: "gone_1", end)
        #expect(try await cluster.rows("SELECT 1 AS v") == [["v": 1]])
    }

    @Test func theBatchOfACallerThatLeavesIsUndone() async throws {
        let body: JSONValue = [
            "statements": [["query": "INSERT INTO orders VALUES (7)"], ["query": "SELECT pg_sleep(600) AS gone_2"], ["query": "INSERT INTO orders VALUES (8)"]]
        ]
        try await leave("/v1/batch", body, mark: "gone_2", .closing)
        for server in cluster.servers {
            try await eventually("no transaction is left open") {
                try await server.psql("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'") == "0"
            }
            #expect(try await server.psql("SELECT count(*) FROM orders", database: TestCluster.database) == "0")
        }
    }

    @Test func whoLeftMayComeBackWithTheSameIdempotencyKey() async throws {
        let query = "INSERT INTO orders SELECT 9 FROM (SELECT pg_sleep(CASE WHEN EXISTS (SELECT FROM flags) THEN 0 ELSE 600 END) AS gone_3) s"
        let body: JSONValue = ["query": .string(query)]
        let key = [("Idempotency-Key", "left")]
        let planned = try await cluster.execute(query, options: ["explain": true])
        try #require(planned.json?["route"] == "keyed", "\(planned.text)")
        try await leave("/v1/execute", body, mark: "gone_3", headers: key, .closing)
        try await cluster.rows("INSERT INTO flags VALUES ('go')")
        try await eventually("the first request is over") {
            try await cluster.post("/v1/execute", body, headers: key).error?.code != .requestInProgress
        }
        #expect(try await cluster.post("/v1/execute", body, headers: key).status == 200)
        #expect(try await cluster.rows("SELECT id FROM orders WHERE id = 9") == [["id": 9]])
    }
}
