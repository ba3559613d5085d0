import ClusterTestKit
import ControlAPI
import PostgresProcess
import RESTTestKit
import ShardModel
import Testing

/// POST /v1/batch over real shards. The tests share a cluster, each with keys of its own.
@Suite(
    .cluster(
        .init(shards: 2, tables: ["orders": .sharded(key: "customer_id"), "countries": .reference]),
        after: [
            "CREATE TABLE orders (customer_id bigint NOT NULL, id int NOT NULL, total numeric(20,4), PRIMARY KEY (customer_id, id))",
            "CREATE TABLE countries (code text PRIMARY KEY, name text)",
        ]),
    .serialized)
struct BatchTests {
    private let cluster: TestCluster

    init() throws { cluster = try TestCluster.current }

    private func batch(
        _ statements: [(String, [JSONValue])], options: JSONValue = [:], headers: [(String, String)] = []
    ) async throws -> HTTPAnswer {
        let list = statements.map { JSONValue.object([.init("query", .string($0.0)), .init("params", .array($0.1))]) }
        return try await cluster.post("/v1/batch", ["statements": .array(list), "options": options], headers: headers)
    }

    private func failure(_ statements: [(String, [JSONValue])], options: JSONValue = [:]) async throws -> APIError {
        let answer = try await batch(statements, options: options)
        let error = try #require(answer.error, "\(answer.text)")
        #expect(answer.status == error.code.status)
        return error
    }

    /// Two keys of different shards, at or above `first`.
    private func keysOfTwoShards(from first: Int64) async throws -> (Int64, Int64) {
        func shard(_ key: Int64) async throws -> JSONValue? { try await cluster.get("/v1/shard-for-key?key=\(key)").json?["shard_id"] }
        let one = try await shard(first)
        for key in (first + 1)..<(first + 100) where try await shard(key) != one { return (first, key) }
        throw RawHTTPError(description: "all keys are of one shard")
    }

    private func count(_ key: Int64) async throws -> JSONValue {
        try await cluster.rows("SELECT count(*) FROM orders WHERE customer_id = $1", [.integer(key)], options: ["row_format": "arrays"])
    }

    private static let insert = "INSERT INTO orders VALUES ($1, $2, $3)"

    @Test func eachStatementHasItsResultInOrder() async throws {
        let key: JSONValue = 9_007_199_254_740_993
        let answer = try await batch([
            (Self.insert, [key, 1, "1.5"]), (Self.insert, [key, 2, .number("12345678901234.5678")]),
            ("SELECT customer_id, id, total FROM orders WHERE customer_id = $1 AND id = ANY($2) ORDER BY id", [key, [1, 2]]),
            ("DELETE FROM orders WHERE customer_id = $1 RETURNING id", [key]),
        ])
        #expect(answer.status == 200, "\(answer.text)")
        let json = try #require(answer.json)
        #expect(json.members?.map(\.name) == ["shard_id", "results", "latency_ms"])
        let results = try #require(json["results"]?.arrayValue)
        #expect(results.map { $0["affected_rows"] } == [1, 1, 0, 2])
        #expect(results.map { $0["row_count"] } == [0, 0, 2, 2])
        #expect(
            results[2]["rows"] == [
                ["customer_id": 9_007_199_254_740_993, "id": 1, "total": "1.5000"],
                ["customer_id": 9_007_199_254_740_993, "id": 2, "total": "12345678901234.5678"],
            ])
        #expect(results[2].members?.map(\.name) == ["shard_id", "columns", "rows", "row_count", "affected_rows"])
        #expect(results.allSatisfy { $0["shard_id"] == json["shard_id"] && $0["shard_id"]?.stringValue != nil })
    }

    @Test func severalShardsCommitTogetherOrNotAtAll() async throws {
        let (one, other) = try await keysOfTwoShards(from: 1000)
        let inserts: [(String, [JSONValue])] = [(Self.insert, [.integer(one), 1, 0]), (Self.insert, [.integer(other), 1, 0])]
        let error = try await failure(inserts + [("SELECT 1/0", [])])
        #expect(error.sqlstate == "22012")
        #expect(error.details?["statement"] == 2)
        #expect(try await count(one) == [[0]])
        #expect(try await count(other) == [[0]])
        let answer = try await batch(inserts + [("INSERT INTO countries VALUES ('NZ', 'New Zealand')", [])])
        #expect(answer.status == 200, "\(answer.text)")
        #expect(answer.json?["shard_id"] == .null)
        #expect(answer.json?["results"]?.arrayValue?.prefix(2).map { $0["shard_id"]?.stringValue }.count == 2)
        #expect(Set(answer.json?["results"]?.arrayValue?.prefix(2).compactMap { $0["shard_id"]?.stringValue } ?? []) == ["s1", "s2"])
        #expect(try await count(one) == [[1]])
        #expect(try await count(other) == [[1]])
        for server in cluster.servers {
            #expect(try await server.psql("SELECT name FROM countries WHERE code = 'NZ'", database: TestCluster.database) == "New Zealand")
        }
    }

    @Test func aViolationNamesItsStatementAndLeavesNothing() async throws {
        let error = try await failure([(Self.insert, [50, 1, 0]), (Self.insert, [50, 2, 0]), (Self.insert, [50, 1, 0]), (Self.insert, [50, 3, 0])])
        #expect(error.sqlstate == "23505")
        #expect(error.details?["statement"] == 2)
        #expect(error.details?["constraint"] == "orders_pkey")
        #expect(try await count(50) == [[0]])
    }

    @Test(arguments: [
        ("BEGIN", "PGM-REST-TRANSACTION"), ("COMMIT", "PGM-REST-TRANSACTION"), ("ROLLBACK", "PGM-REST-TRANSACTION"),
        ("SAVEPOINT a", "PGM-REST-TRANSACTION"), ("SET work_mem = '1MB'", "PGM-REST-SESSION"), ("SET LOCAL work_mem = '1MB'", "PGM-REST-SESSION"),
        ("COPY orders TO STDOUT", "PGM-REST-COPY"), ("SELECT 1; COMMIT", "PGM-MULTIPLE-STATEMENTS"), ("SELECT id FROM orders ORDER BY id FOR UPDATE", "PGM-NO-KEY"),
    ])
    func whatCannotRunInABatchIsRefusedWithItsIndex(_ query: String, _ code: String) async throws {
        let error = try await failure([(Self.insert, [60, 1, 0]), (query, [])])
        #expect(error.code == .sqlRefused)
        #expect(error.details?["refusal"] == .string(code), "\(error)")
        #expect(error.details?["statement"] == 1)
        #expect(try await count(60) == [[0]])
    }

    @Test func aBlockOrProcedureCannotEndTheTransaction() async throws {
        let error = try await failure([(Self.insert, [61, 1, 0]), ("DO $$ BEGIN COMMIT; END $$", [])])
        #expect(error.details?["statement"] == 1)
        #expect(try await count(61) == [[0]])
    }

    @Test func requestsOfTheWrongShapeAre400() async throws {
        let statement: JSONValue = ["query": "SELECT 1"]
        for body: JSONValue in [
            [:], ["statements": []], ["statements": "SELECT 1"], ["statements": ["SELECT 1"]], ["statements": [["params": []]]],
            ["statements": [statement], "consistency": "eventual"], ["statements": [statement], "options": ["explain": true]],
            ["statements": [["query": "SELECT 1", "database": "shop"]]], ["statements": [statement, ["query": "SELECT\0 1"]]],
            ["statements": [statement, ["query": ""]]], ["statements": .array(Array(repeating: statement, count: BatchRequest.statementsMax + 1))],
        ] {
            let answer = try await cluster.post("/v1/batch", body)
            #expect(answer.status == 400, "\(answer.text)")
            #expect(answer.error != nil)
        }
    }

    @Test func aShardKeyIsCheckedPerStatement() async throws {
        let query = "SELECT id FROM orders WHERE customer_id = 5"
        let answer = try await cluster.post(
            "/v1/batch", ["statements": [["query": .string(query), "shard_key": 5], ["query": .string(query), "shard_key": 6]]])
        #expect(answer.error?.code == .shardKeyMismatch)
        #expect(answer.error?.details?["statement"] == 1)
    }

    @Test func resultsBeyondTheLimitUndoTheWritesBeforeThem() async throws {
        let error = try await failure(
            [(Self.insert, [70, 1, 0]), ("SELECT generate_series(1, 3) AS n", []), ("SELECT generate_series(1, 1000) AS n", [])],
            options: ["max_rows": 4])
        #expect(error.code == .resultTooLarge)
        #expect(error.details?["statement"] == 2)
        #expect(try await count(70) == [[0]])
    }

    @Test func theDeadlineIsThatOfTheWholeAndUndoesAll() async throws {
        let sleeps = Array(repeating: ("SELECT pg_sleep(0.1)", [JSONValue]()), count: 100)
        for last in [[("SELECT pg_sleep(60)", [JSONValue]())], sleeps] {
            let error = try await failure([(Self.insert, [80, 1, 0])] + last, options: ["timeout_ms": 500])
            #expect(error.code == .deadlinePassed, "\(error)")
            #expect(error.details?["outcome"] == "not_executed")
            #expect(try await count(80) == [[0]])
        }
    }

    @Test func aRepeatedBatchWithAKeyRunsOnce() async throws {
        for _ in 0..<2 {
            let answer = try await batch([(Self.insert, [90, 1, 0])], headers: [("Idempotency-Key", "batch-once")])
            #expect(answer.status == 200, "\(answer.text)")
        }
        #expect(try await count(90) == [[1]])
    }

    @Test func theSessionOfAFailedBatchTakesTheNextStatement() async throws {
        for _ in 0..<20 { _ = try await failure([("SELECT 1/0", [])]) }
        #expect(try await cluster.rows("SELECT 1 AS v") == [["v": 1]])
    }

    @Test func aTableMadeInABatchTakesRowsInIt() async throws {
        let answer = try await batch([
            ("CREATE TYPE colour AS ENUM ('red')", []), ("SELECT 'red'::colour AS c", []),
        ])
        #expect(answer.status == 200, "\(answer.text)")
        #expect(answer.json?["results"]?.arrayValue?.last?["columns"] == [["name": "c", "type": "colour"]])
    }
}
