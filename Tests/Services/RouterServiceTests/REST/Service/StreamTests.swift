import ClusterTestKit
import ControlAPI
import PostgresProcess
import RESTTestKit
import ServerConfig
import ShardModel
import Testing

/// POST /v1/execute for callers that accept lines of JSON.
@Suite(
    .cluster(
        .streaming,
        after: [
            "CREATE TABLE orders (customer_id bigint NOT NULL, id int NOT NULL, note text, PRIMARY KEY (customer_id, id))",
            "CREATE TABLE once (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)", "CREATE TABLE countries (code text PRIMARY KEY)",
        ]),
    .serialized)
struct StreamTests {
    private let cluster: TestCluster

    init() throws { cluster = try TestCluster.current }

    /// The error of the last line of a stream that must have failed.
    private func failure(_ lines: [JSONValue]) throws -> APIError {
        let last = try #require(lines.last)
        #expect(last["end_of_stream"] == "failed", "\(last.text)")
        #expect(last["error"]?["request_id"]?.stringValue?.isEmpty == false)
        return try #require(APIError(body: last))
    }

    private func expectFailure(_ answer: HTTPAnswer, _ code: APIErrorCode, _ sqlstate: String?) {
        #expect(answer.status == code.status)
        #expect(answer.headers["content-type"] == "application/json; charset=utf-8")
        #expect(answer.error?.code == code, "\(answer.text)")
        #expect(answer.error?.sqlstate == sqlstate)
    }

    private static let accept = [("Accept", "application/x-ndjson")]

    // MARK: Lines

    @Test func theLinesAreTheColumnsARowEachAndTheEnd() async throws {
        let stream = try await cluster.stream("SELECT g AS n, 'a' || chr(10) || 'b' AS t FROM generate_series(1, 3) g")
        #expect(stream.status == 200)
        #expect(stream.headers["content-type"] == "application/x-ndjson")
        #expect(stream.headers["x-request-id"]?.isEmpty == false)
        let lines = try await stream.lines()
        #expect(lines.first == ["columns": [["name": "n", "type": "int4"], ["name": "t", "type": "text"]]])
        #expect(lines.dropFirst().dropLast() == [["n": 1, "t": "a\nb"], ["n": 2, "t": "a\nb"], ["n": 3, "t": "a\nb"]])
        let last = try #require(lines.last)
        #expect(last.members?.map(\.name) == StreamLines.endFields)
        #expect(last["end_of_stream"] == "complete")
        #expect(last["tag"] == "SELECT 3")
        #expect(last["row_count"] == 3)
        #expect(last["affected_rows"] == 0)
        #expect(last["shard_id"]?.stringValue?.isEmpty == false)
    }

    @Test func rowsMayBeArrays() async throws {
        let lines = try await cluster.lines("SELECT 1 AS a, NULL::text AS b, 'x' AS a", options: ["row_format": "arrays"])
        #expect(lines.count == 3)
        #expect(lines[1] == [1, nil, "x"])
    }

    @Test func jsonWithLineEndsIsOnOneLine() async throws {
        let text = "{\n \"a\":\r\n [1,\n\n2], \"\u{2028}\": \"\u{85}\"}"
        let lines = try await cluster.lines("SELECT $1::json AS j", [.string(text)])
        #expect(lines.count == 3)
        #expect(lines[1]["j"] == ["a": [1, 2], "\u{2028}": "\u{85}"])
    }

    @Test func onlyTheLastLineIsMarkedWhateverTheColumnsAreCalled() async throws {
        let lines = try await cluster.lines("SELECT 'complete' AS end_of_stream, 'x' AS error")
        #expect(lines[0]["columns"]?.arrayValue?.map { $0["name"] } == ["end_of_stream_2", "error"])
        #expect(lines.map { $0["end_of_stream"] } == [nil, nil, "complete"])
    }

    @Test func typesOfUsersHaveTheirNames() async throws {
        try await cluster.rows("CREATE TYPE mood AS ENUM ('sad', 'happy')")
        let lines = try await cluster.lines("SELECT 'happy'::mood AS m FROM generate_series(1, 20000)")
        #expect(lines.first == ["columns": [["name": "m", "type": "mood"]]])
        #expect(lines.count == 20002)
        #expect(lines.dropFirst().dropLast().allSatisfy { $0 == ["m": "happy"] })
    }

    @Test func aResultWithoutRowsHasItsColumnsAndItsEnd() async throws {
        let lines = try await cluster.lines("SELECT id FROM orders WHERE customer_id = 1")
        #expect(lines.count == 2)
        #expect(lines[0] == ["columns": [["name": "id", "type": "int4"]]])
        #expect(lines[1]["row_count"] == 0)
        #expect(lines[1]["end_of_stream"] == "complete")
    }

    @Test func aStatementWithoutAResultHasNoColumns() async throws {
        let lines = try await cluster.lines("INSERT INTO orders VALUES (2, 1), (2, 2)")
        #expect(lines.count == 2)
        #expect(lines[0] == ["columns": []])
        #expect(lines[1]["tag"] == "INSERT 0 2")
        #expect(lines[1]["affected_rows"] == 2)
    }

    // MARK: Failures

    private static let early: [(String, APIErrorCode, String?)] = [
        ("SELEC 1", .sqlFailed, "42601"), ("SELECT 1/0", .sqlFailed, "22012"), ("BEGIN", .sqlRefused, "0A000"),
        ("INSERT INTO orders VALUES (3, NULL) RETURNING id", .sqlFailed, "23502"),
        ("SELECT repeat('x', 300000) AS v", .resultTooLarge, nil),
    ]

    @Test(arguments: early)
    func anErrorBeforeTheFirstRowIsAnOrdinaryAnswer(_ query: String, _ code: APIErrorCode, _ sqlstate: String?) async throws {
        expectFailure(try await cluster.execute(query, headers: Self.accept), code, sqlstate)
    }

    @Test func requestsOfTheWrongShapeAre400() async throws {
        let answer = try await cluster.post("/v1/execute", ["query": 1], headers: Self.accept)
        expectFailure(answer, .invalidRequest, nil)
        let repeated = try await cluster.execute("SELECT 1", headers: Self.accept + [("Idempotency-Key", "a")])
        expectFailure(repeated, .invalidRequest, nil)
    }

    @Test func anErrorInTheMiddleIsTheLastLine() async throws {
        let lines = try await cluster.lines("SELECT 100 / (4 - g) AS v FROM generate_series(1, 10) g", options: ["row_format": "arrays"])
        #expect(lines.dropFirst().dropLast() == [[33], [50], [100]])
        let error = try failure(lines)
        #expect(error.code == .sqlFailed)
        #expect(error.sqlstate == "22012")
        // The session that ran it goes on.
        #expect(try await cluster.rows("SELECT 1 AS v") == [["v": 1]])
    }

    @Test func aFailureFarBehindTheFirstRowIsTheLastLine() async throws {
        let lines = try await cluster.lines("SELECT 1 / (50000 - g) AS v, repeat('x', 50) AS t FROM generate_series(1, 300000) g")
        #expect(lines.count == 50_001)
        #expect(try failure(lines).sqlstate == "22012")
    }

    @Test func aLostShardIsTheLastLine() async throws {
        let query = "SELECT g, pg_sleep(CASE WHEN g > 20000 THEN 600 ELSE 0 END) AS lost FROM generate_series(1, 20001) g"
        let stream = try await cluster.stream(query, options: ["row_format": "arrays"])
        try await eventually("the last row is waited for") {
            try await cluster.psqlAll("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'").contains("1")
        }
        try await cluster.each("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        let error = try failure(try await stream.lines())
        #expect(error.code == .shardUnavailable)
    }

    // MARK: Writes

    @Test func theLastLineOfAWriteComesAfterItsCommit() async throws {
        let query = "INSERT INTO orders SELECT 5, g, repeat('x', 100) FROM generate_series(1, 20000) g RETURNING id, note"
        let stream = try await cluster.stream(query)
        let lines = try await stream.lines()
        #expect(lines.count == 20002)
        #expect(lines.last?["end_of_stream"] == "complete")
        #expect(lines.last?["affected_rows"] == 20000)
        #expect(try await cluster.rows("SELECT count(*) AS n FROM orders WHERE customer_id = 5") == [["n": 20000]])
    }

    @Test func aCommitThatFailsIsAFailureThoughAllRowsWereThere() async throws {
        let lines = try await cluster.lines("INSERT INTO once SELECT g % 1000 FROM generate_series(1, 5000) g RETURNING id")
        #expect(try failure(lines).sqlstate == "23505")
        #expect(lines.count == 5002)
        #expect(try await cluster.rows("SELECT count(*) AS n FROM once") == [["n": 0]])
        expectFailure(try await cluster.execute("INSERT INTO once VALUES (1), (1)", headers: Self.accept), .sqlFailed, "23505")
    }

    @Test func aWriteOnEveryShardStreamsItsRows() async throws {
        let lines = try await cluster.lines("INSERT INTO countries VALUES ('NZ'), ('IS') RETURNING code", options: ["row_format": "arrays"])
        #expect(lines.dropFirst().dropLast() == [["NZ"], ["IS"]])
        #expect(lines.last?["end_of_stream"] == "complete")
        #expect(try await cluster.psqlAll("SELECT count(*) FROM countries") == ["2", "2"])
    }

    @Test func aWriteWhoseRowsCannotBeSentIsUndone() async throws {
        let query = "INSERT INTO orders SELECT 6, g, repeat('x', CASE WHEN g = 5000 THEN 300000 ELSE 10 END) FROM generate_series(1, 6000) g RETURNING id, note"
        let error = try failure(try await cluster.lines(query))
        #expect(error.code == .resultTooLarge)
        #expect(try await cluster.rows("SELECT count(*) AS n FROM orders WHERE customer_id = 6") == [["n": 0]])
    }

    // MARK: Limits

    @Test func theLimitsOfAnAnswerInOneDoNotHold() async throws {
        let query = "SELECT g AS n, repeat('x', 1000) AS v FROM generate_series(1, 5000) g"
        expectFailure(try await cluster.execute(query), .resultTooLarge, nil)
        let lines = try await cluster.lines(query)
        #expect(lines.count == 5002)
        #expect(lines.dropFirst().dropLast().map { $0["n"]?.integerValue } == (1...5000).map { $0 })
        #expect(lines.last?["row_count"] == 5000)
    }

    @Test func maxRowsHoldsForAStreamToo() async throws {
        #expect(try await cluster.lines("SELECT generate_series(1, 3) AS n", options: ["max_rows": 3]).last?["end_of_stream"] == "complete")
        let query = "INSERT INTO orders SELECT 7, g, '' FROM generate_series(1, 6) g RETURNING id"
        let lines = try await cluster.lines(query, options: ["max_rows": 3])
        #expect(try failure(lines).code == .resultTooLarge)
        #expect(lines.count == 5)
        #expect(try await cluster.rows("SELECT count(*) AS n FROM orders WHERE customer_id = 7") == [["n": 0]])
    }

    // MARK: The connection

    @Test func anExplanationIsNoStream() async throws {
        let answer = try await cluster.execute("SELECT id FROM orders WHERE customer_id = 1", options: ["explain": true], headers: Self.accept)
        #expect(answer.status == 200)
        #expect(answer.json?["route"] == "keyed")
    }

    @Test func manyStreamsAtOnceAllGetTheirOwnRows() async throws {
        let cluster = cluster
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let query = "SELECT $1::int * 10000 + g AS n, repeat('x', 100) AS v FROM generate_series(1, 2000) g"
                    let lines = try await cluster.lines(query, [.integer(Int64(number))])
                    #expect(lines.dropFirst().dropLast().map { $0["n"]?.integerValue } == (1...2000).map { Int64(number * 10000 + $0) })
                    #expect(lines.last?["end_of_stream"] == "complete")
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func aFailedStreamCountsWithTheStatusOfItsError() async throws {
        @Sendable func count(_ status: Int) async throws -> Int {
            let name = "pgmosaic_http_requests_total{method=\"POST\",path=\"/v1/execute\",status=\"\(status)\"} "
            let line = try await cluster.get("/metrics").text.split(separator: "\n").first { $0.hasPrefix(name) }
            return line.flatMap { Int($0.dropFirst(name.count)) } ?? 0
        }
        let before = (try await count(200), try await count(422))
        _ = try await cluster.lines("SELECT 1 / (3 - g) FROM generate_series(1, 3) g")
        _ = try await cluster.lines("SELECT 1")
        try await eventually("the streams are counted") {
            let now = (try await count(200), try await count(422))
            return now == (before.0 + 1, before.1 + 1)
        }
    }
}

extension TestCluster.Options {
    /// An answer in one has at most 100 rows and 256 KiB.
    static var streaming: Self {
        var options = Self(shards: 2, tables: ["orders": .sharded(key: "customer_id"), "countries": .reference, "once": .local])
        options.router = {
            $0.restRowsMax = 100
            $0.restBytesMax = 256 << 10
        }
        return options
    }
}

extension TestCluster {
    /// What each shard answers.
    func psqlAll(_ query: String) async throws -> [String] {
        var answers: [String] = []
        for server in servers { answers.append(try await server.psql(query, database: Self.database)) }
        return answers
    }

    func each(_ query: String) async throws { _ = try await psqlAll(query) }
}
