import ClusterTestKit
import ControlAPI
import PostgresProcess
import RESTTestKit
import ShardModel
import Testing

/// POST /v1/execute over real shards. The tests share a cluster, each with keys of its own.
@Suite(
    .cluster(
        .init(shards: 2, tables: ["orders": .sharded(key: "customer_id"), "countries": .reference, "notes": .local]),
        after: [
            "CREATE TABLE orders (customer_id bigint NOT NULL, id int NOT NULL, total numeric(20,4), PRIMARY KEY (customer_id, id))",
            "CREATE TABLE countries (code text PRIMARY KEY, name text)",
            "CREATE TABLE notes (id int PRIMARY KEY, body jsonb, tags text[])",
        ]),
    .serialized)
struct ExecuteTests {
    private let cluster: TestCluster

    init() throws { cluster = try TestCluster.current }

    // MARK: Values

    @Test func aRowComesBackAsItWasSent() async throws {
        let key: JSONValue = 9_007_199_254_740_993
        let inserted = try await cluster.execute("INSERT INTO orders VALUES ($1, $2, $3)", [key, 1, .number("12345678901234.5678")])
        #expect(inserted.status == 200)
        #expect(inserted.json?["affected_rows"] == 1)
        let answer = try #require(try await cluster.execute("SELECT customer_id, id, total FROM orders WHERE customer_id = $1", [key]).json)
        #expect(answer["rows"] == [["customer_id": 9_007_199_254_740_993, "id": 1, "total": "12345678901234.5678"]])
        #expect(answer["row_count"] == 1)
        #expect(answer["affected_rows"] == 0)
        #expect(answer["columns"] == [["name": "customer_id", "type": "int8"], ["name": "id", "type": "int4"], ["name": "total", "type": "numeric"]])
        #expect(["s1", "s2"].contains(answer["shard_id"]?.stringValue))
        #expect(answer.members?.map(\.name) == ExecuteAnswer.fields)
    }

    @Test func theShardIsTheOneThatOwnsTheKey() async throws {
        for key in 100..<120 {
            let answer = try await cluster.execute("SELECT id FROM orders WHERE customer_id = $1", [.integer(Int64(key))])
            let owner = try await cluster.get("/v1/shard-for-key?key=\(key)&database=shop")
            #expect(answer.json?["shard_id"] == owner.json?["shard_id"])
        }
    }

    @Test func arraysAndJSONAreParameters() async throws {
        try await cluster.rows("INSERT INTO notes VALUES ($1, $2, $3)", [1, ["a": [1, nil]], ["x", "y \"z\"", nil]])
        try await cluster.rows("INSERT INTO notes VALUES ($1, $2, $3)", [2, [1, "two"], []])
        #expect(
            try await cluster.rows("SELECT body, tags FROM notes WHERE id = ANY($1) ORDER BY id", [[1, 2]], options: ["row_format": "arrays"]) == [
                [["a": [1, nil]], #"{x,"y \"z\"",NULL}"#], [[1, "two"], "{}"],
            ])
    }

    @Test func aParameterIsNeverSQL() async throws {
        let text = "'; DROP TABLE notes; --"
        #expect(try await cluster.rows("SELECT $1::text AS v", [.string(text)]) == [["v": .string(text)]])
        #expect(try await cluster.rows("SELECT count(*) AS n FROM notes WHERE id < 0") == [["n": 0]])
    }

    @Test func columnsOfOneNameKeepTheirValues() async throws {
        #expect(try await cluster.rows("SELECT 1 AS a, 2 AS a") == [["a": 1, "a_2": 2]])
    }

    // MARK: Several shards

    @Test func aWriteToAReferenceTableIsOnEveryShard() async throws {
        let answer = try await cluster.execute("INSERT INTO countries VALUES ($1, $2)", ["NZ", "New Zealand"])
        #expect(answer.json?["shard_id"] == .null)
        #expect(answer.json?["affected_rows"] == 1)
        for server in cluster.servers {
            #expect(try await server.psql("SELECT name FROM countries WHERE code = 'NZ'", database: TestCluster.database) == "New Zealand")
        }
    }

    // MARK: Refusals

    @Test(arguments: [
        ("BEGIN", "PGM-REST-TRANSACTION"), ("COMMIT", "PGM-REST-TRANSACTION"), ("SET work_mem = '1MB'", "PGM-REST-SESSION"),
        ("DISCARD ALL", "PGM-REST-SESSION"), ("SET pgmosaic.explain = on", "PGM-REST-SESSION"), ("COPY notes TO STDOUT", "PGM-REST-COPY"),
        ("COPY orders FROM STDIN", "PGM-REST-COPY"), ("LISTEN x", "PGM-REST-SESSION"), ("SELECT pg_advisory_lock(1)", "PGM-REST-SESSION"), ("SELECT 1; SELECT 2", "PGM-MULTIPLE-STATEMENTS"),
        ("SELECT id FROM orders ORDER BY id FOR UPDATE", "PGM-NO-KEY"), ("SELECT * FROM nowhere", "PGM-UNKNOWN-TABLE"),
    ])
    func whatCannotRunIsRefusedWithItsCode(_ query: String, _ code: String) async throws {
        let error = try await cluster.failure(query)
        #expect(error.code == .sqlRefused)
        #expect(error.details?["refusal"] == .string(code))
        #expect(error.details?["code"] == .string(code))
        #expect(error.details?["hint"]?.stringValue?.isEmpty == false)
        #expect(error.sqlstate?.count == 5)
    }

    @Test func postgresErrorsKeepTheirSQLSTATE() async throws {
        #expect(try await cluster.failure("SELEC 1").sqlstate == "42601")
        #expect(try await cluster.failure("SELECT 1/0").sqlstate == "22012")
        #expect(try await cluster.failure("SELECT $1::int AS v", ["x"]).sqlstate == "22P02")
        #expect(try await cluster.failure("SELECT $1::int AS v").code.status == 422)
        #expect(try await cluster.failure("SELECT 1 AS v", [1]).code.status == 422)
        #expect(try await cluster.failure("SELECT id FROM orders WHERE customer_id = $1", ["x"]).code.status == 422)
        try await cluster.rows("INSERT INTO orders VALUES (71, 1, 0)")
        let duplicate = try await cluster.failure("INSERT INTO orders VALUES (71, 1, 0)")
        #expect(duplicate.sqlstate == "23505")
        #expect(duplicate.details?["constraint"] == "orders_pkey")
        // The session that ran it goes on.
        #expect(try await cluster.rows("SELECT 1 AS v") == [["v": 1]])
    }

    @Test func requestsOfTheWrongShapeAre400() async throws {
        for body: JSONValue in [
            [:], ["query": 1], ["query": ""], ["query": "SELECT 1", "parms": []], ["query": "SELECT 1", "options": ["max_rows": 0]],
            ["query": "SELECT 1", "consistency": "weak"], ["query": .string("SELECT\0 1")],
        ] {
            let answer = try await cluster.post("/v1/execute", body)
            #expect(answer.status == 400, "\(body.text): \(answer.text)")
            #expect(answer.error != nil)
        }
        #expect(try await cluster.post("/v1/execute", ["query": "SELECT 1", "database": "nowhere"]).error?.code == .databaseNotFound)
        #expect(try await cluster.get("/v1/execute").status == 405)
        #expect(try await cluster.get("/v1/nothing").error?.code == .notFound)
    }

    // MARK: shard_key

    @Test func aShardKeyMustBeOneOfTheStatementsKeys() async throws {
        let query = "SELECT id FROM orders WHERE customer_id = $1"
        #expect(try await cluster.execute(query, [5], more: [.init("shard_key", 5)]).status == 200)
        #expect(try await cluster.execute(query, [5], more: [.init("shard_key", "5")]).status == 200)
        for key in 6..<12 {
            let error = try await cluster.failure(query, [5], more: [.init("shard_key", .integer(Int64(key)))])
            #expect(error.code == .shardKeyMismatch)
        }
        #expect(try await cluster.failure("SELECT count(*) FROM orders", more: [.init("shard_key", 5)]).details?["refusal"] == "PGM-NO-KEY")
        #expect(try await cluster.execute(query, [5], more: [.init("consistency", "eventual")]).status == 200)
    }

    // MARK: Limits

    @Test func aResultBeyondMaxRowsIsAnErrorAndNeverAPart() async throws {
        #expect(try await cluster.rows("SELECT generate_series(1, 3) AS n", options: ["max_rows": 3, "row_format": "arrays"]) == [[1], [2], [3]])
        let error = try await cluster.failure("SELECT generate_series(1, 100000) AS n", options: ["max_rows": 3])
        #expect(error.code == .resultTooLarge)
        #expect(try await cluster.rows("SELECT 1 AS v") == [["v": 1]])
    }

    @Test func aRowThatNoAnswerCanHoldIsRefusedByItsLength() async throws {
        for query in ["SELECT repeat('x', 300000000) AS v", "INSERT INTO orders VALUES (82, 1, 0) RETURNING repeat('x', 300000000) AS v"] {
            let error = try await cluster.failure(query)
            #expect(error.code == .resultTooLarge)
            #expect(error.message.contains("rest.bytes_max"))
            #expect(try await cluster.rows("SELECT id FROM orders WHERE customer_id = 82") == [])
        }
    }

    @Test func aWriteWhoseAnswerIsTooLargeLeavesNothing() async throws {
        let write = "INSERT INTO orders SELECT 81, g, 0 FROM generate_series(1, 5) g RETURNING id"
        let values = "INSERT INTO orders VALUES (81, 1, 0), (81, 2, 0), (81, 3, 0) RETURNING id"
        for query in [write, values] {
            let error = try await cluster.failure(query, options: ["max_rows": 2])
            #expect([.resultTooLarge, .sqlRefused].contains(error.code), "\(error)")
            #expect(try await cluster.rows("SELECT id FROM orders WHERE customer_id = 81") == [])
        }
        #expect(try await cluster.rows(values, options: ["row_format": "arrays"]) == [[1], [2], [3]])
        #expect(try await cluster.rows("SELECT count(*) AS n FROM orders WHERE customer_id = 81") == [["n": 3]])
    }

    @Test func theDeadlineCancelsTheStatement() async throws {
        let error = try await cluster.failure("SELECT pg_sleep(600) AS n", options: ["timeout_ms": 200])
        #expect(error.code == .deadlinePassed)
        // By itself it would run for minutes.
        for server in cluster.servers {
            try await eventually("the statement has stopped") {
                try await server.psql(
                    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()") == "0"
            }
        }
        #expect(try await cluster.rows("SELECT 1 AS v") == [["v": 1]])
    }

    // MARK: Explanations

    @Test func anExplanationSaysWhereAndRunsNothing() async throws {
        let query = "INSERT INTO orders VALUES ($1, 1, 0)"
        let answer = try #require(try await cluster.execute(query, [91], options: ["explain": true]).json)
        #expect(answer["route"] == "keyed")
        #expect(answer["kind"] == "insert")
        #expect(answer["writes"] == true)
        #expect(answer["tables"] == ["public.orders"])
        #expect(answer["shards"] == [try #require(try await cluster.get("/v1/shard-for-key?key=91").json?["shard_id"])])
        #expect(try await cluster.rows("SELECT id FROM orders WHERE customer_id = 91") == [])
        // Without the value of its key the shard stays open.
        #expect(try await cluster.execute(query, options: ["explain": true]).json?["shards"] == [])
        let everywhere = try #require(try await cluster.execute("SELECT count(*) FROM orders", options: ["explain": true]).json)
        #expect(everywhere["route"] == "gather_rows")
        let written = try #require(try await cluster.execute("UPDATE orders SET id = id + 1", options: ["explain": true]).json)
        #expect(written["route"] == "every_key" && written["writes"] == true)
        let refused = try #require(try await cluster.execute("SELECT id FROM orders ORDER BY id FOR UPDATE", options: ["explain": true]).json)
        #expect(refused["route"] == "refused")
        #expect(refused["refusal"] == "PGM-NO-KEY")
        #expect(try await cluster.execute("BEGIN", options: ["explain": true]).json?["route"] == "transaction")
    }

    // MARK: Repetition and load

    @Test func aRepeatedRequestWithAKeyRunsOnce() async throws {
        for _ in 0..<2 {
            let answer = try await cluster.execute(
                "INSERT INTO orders VALUES (95, 1, 0)", headers: [("Idempotency-Key", "once")])
            #expect(answer.status == 200)
        }
        #expect(try await cluster.rows("SELECT count(*) AS n FROM orders WHERE customer_id = 95") == [["n": 1]])
    }

    @Test func manyRequestsAtOnceAllGetTheirOwnAnswers() async throws {
        let cluster = cluster
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let rows = try await cluster.rows("SELECT $1::int AS v, pg_sleep(0.01) IS NULL AS s", [.integer(Int64(number))])
                    #expect(rows == [["v": .integer(Int64(number)), "s": false]])
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func typesOfUsersHaveTheirNames() async throws {
        try await cluster.rows("CREATE TYPE mood AS ENUM ('sad', 'happy')")
        let answer = try #require(try await cluster.execute("SELECT 'happy'::mood AS m, ARRAY['sad']::mood[] AS l").json)
        #expect(answer["columns"] == [["name": "m", "type": "mood"], ["name": "l", "type": "mood[]"]])
        #expect(answer["rows"] == [["m": "happy", "l": "{sad}"]])
    }
}
