import ClusterTestKit
import ControlAPI
import Foundation
import PostgresProcess
import RESTTestKit
import ServerConfig
import ShardModel
import Testing

/// Streams whose callers are slow, stop, or leave, and streams whose time is over.
@Suite(
    .cluster(.init(shards: 2, tables: ["orders": .sharded(key: "customer_id")]), after: [
        "CREATE TABLE orders (customer_id bigint NOT NULL, id int NOT NULL, note text, PRIMARY KEY (customer_id, id))"
    ]),
    .serialized)
struct StreamFlowTests {
    private let cluster: TestCluster

    init() throws { cluster = try TestCluster.current }

    /// Far more than all sockets on the way can hold, in rows of a kilobyte.
    private static let rows = 150_000
    private static func large(_ mark: String) -> String {
        "SELECT g AS n, repeat('x', 1000) AS \(mark) FROM generate_series(1, \(rows)) g"
    }
    /// Much less than the result. A router holds about a hundredth of it; `scripts/run-tests` gives this suite a process of its own.
    private static let heldMax = 96 << 20

    /// Sessions of the shards that run a statement with `mark` in it, and wait for somebody who reads.
    private func held(_ mark: String, waiting: Bool = true) async throws -> Int {
        let condition = waiting ? "AND wait_event = 'ClientWrite'" : ""
        return try await cluster.psqlAll(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%\(mark)%' AND pid <> pg_backend_pid() \(condition)"
        ).compactMap { Int($0) }.reduce(0, +)
    }

    private func isGone(_ mark: String) async throws {
        try await eventually("the statement has ended") { try await held(mark, waiting: false) == 0 }
        try await eventually("no transaction is left") {
            try await cluster.psqlAll("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'").allSatisfy { $0 == "0" }
        }
    }

    private static func residentBytes() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return (Int(fields[1]) ?? 0) * Int(getpagesize())
    }

    @Test func aCallerThatDoesNotReadStopsTheShardAndGetsEverythingLater() async throws {
        // What the first large result makes the process keep.
        _ = try await cluster.stream("SELECT g AS n, repeat('x', 1000) AS warm FROM generate_series(1, 20000) g").read { reader in
            while try reader.next() != nil {}
        }
        let before = try Self.residentBytes()
        let stream = try await cluster.stream(Self.large("flow_1"), options: ["row_format": "arrays"])
        // Behind the last of what the sockets on the way can hold, which a busy machine takes its time to fill.
        try await eventually("the shard waits for good") {
            for _ in 0..<10 {
                guard try await held("flow_1") == 1 else { return false }
                try await Task.sleep(for: .milliseconds(50))
            }
            return true
        }
        // It goes on waiting, and nothing grows.
        for _ in 0..<20 {
            try await Task.sleep(for: .milliseconds(50))
            #expect(try await held("flow_1") == 1)
        }
        #expect(try Self.residentBytes() - before < Self.heldMax)
        // Others are served.
        #expect(try await cluster.rows("SELECT 1 AS v") == [["v": 1]])
        let (count, last, most) = try await stream.read { reader in
            var (count, last, most) = (0, [UInt8](), 0)
            while let line = try reader.next() {
                if count > 0, count <= Self.rows, !line.starts(with: "[\(count),\"x".utf8) || line.count < 1000 {
                    throw RawHTTPError(description: "line \(count): \(String(decoding: line.prefix(50), as: UTF8.self))")
                }
                count += 1
                last = line
                if count % 10_000 == 0 { most = max(most, try Self.residentBytes()) }
            }
            return (count, last, most)
        }
        #expect(count == Self.rows + 2)
        #expect(most - before < Self.heldMax)
        #expect(try JSONParser.parse(last)["row_count"] == .integer(Int64(Self.rows)))
    }

    @Test func theDeadlineFreesTheShardOfACallerThatDoesNotRead() async throws {
        let stream = try await cluster.stream(Self.large("flow_2"), options: ["timeout_ms": 8000])
        try await eventually("the shard waits") { try await held("flow_2") == 1 }
        try await isGone("flow_2")
        let lines = try await stream.lines()
        #expect(lines.count < Self.rows)
        let error = try #require(lines.last.flatMap { APIError(body: $0) })
        #expect(error.code == .deadlinePassed)
        #expect(error.sqlstate == "57014")
        #expect(error.details?["outcome"] == "not_executed")
    }

    @Test func theDeadlineOfAWriteUndoesItThoughRowsWereSent() async throws {
        let query = "INSERT INTO orders SELECT 1, g, repeat('x', 1000) FROM generate_series(1, 60000) g RETURNING id, note AS flow_3"
        let lines = try await cluster.stream(query, options: ["timeout_ms": 8000]).read { reader in
            var lines: [JSONValue] = []
            while let line = try reader.next() {
                // Slower than the deadline allows, however fast the machine.
                if lines.count == 10 { Thread.sleep(forTimeInterval: 9) }
                lines.append(try JSONParser.parse(line))
            }
            return lines
        }
        let last = try #require(lines.last)
        #expect(APIError(body: last)?.code == .deadlinePassed, "\(last.text)")
        #expect(APIError(body: last)?.details?["outcome"] == "not_executed")
        try await isGone("flow_3")
        #expect(try await cluster.rows("SELECT count(*) AS n FROM orders WHERE customer_id = 1") == [["n": 0]])
    }

    @Test func theDeadlineOfAStatementThatGivesRowsSlowlyIsTheLastLine() async throws {
        let lines = try await cluster.lines(
            "SELECT g, repeat('x', 1000) AS flow_4, pg_sleep(0.01) FROM generate_series(1, 100000) g", options: ["timeout_ms": 4000])
        #expect(lines.last.flatMap { APIError(body: $0) }?.code == .deadlinePassed)
        #expect(lines.count > 2)
        try await isGone("flow_4")
    }

    @Test(arguments: RawHTTP.Leaving.allCases)
    func theStatementOfACallerThatLeavesInTheMiddleIsCancelled(_ end: RawHTTP.Leaving) async throws {
        for query in [Self.large("flow_5"), "INSERT INTO orders SELECT 2, g, repeat('x', 1000) FROM generate_series(1, 60000) g RETURNING id, note AS flow_5"] {
            var stream: RawHTTPStream? = try await cluster.stream(query)
            try await eventually("the shard waits") { try await held("flow_5") == 1 }
            stream?.leave(end)
            if end == .endingItsSending {
                // Who still listens hears that it is not complete.
                let last = try await stream?.lines().last
                #expect(last?["end_of_stream"] == "failed", "\(last?.text ?? "nothing")")
            }
            stream = nil
            try await isGone("flow_5")
            #expect(try await cluster.rows("SELECT count(*) AS n FROM orders WHERE customer_id = 2") == [["n": 0]])
        }
    }

    @Test func aCallerThatLeavesWhileNoRowComesIsNoticed() async throws {
        var stream: RawHTTPStream? = try await cluster.stream(
            "SELECT g, repeat('x', 10000) AS flow_6, pg_sleep(CASE WHEN g > 20 THEN 600 ELSE 0 END) FROM generate_series(1, 21) g")
        #expect(stream?.status == 200)
        stream?.leave(.closing)
        stream = nil
        try await isGone("flow_6")
    }

    @Test func streamsThatAreHeldUpDoNotHoldUpOthers() async throws {
        var streams: [RawHTTPStream] = []
        for _ in 0..<8 { streams.append(try await cluster.stream(Self.large("flow_7"))) }
        try await eventually("all of them wait") { try await held("flow_7") == 8 }
        for number in 0..<50 { #expect(try await cluster.rows("SELECT $1::int AS v", [.integer(Int64(number))]) == [["v": .integer(Int64(number))]]) }
        streams.removeAll()
        try await isGone("flow_7")
    }
}

/// More streams than a router has room for.
@Suite(.cluster(.narrow), .serialized)
struct StreamCrowdTests {
    private let cluster: TestCluster

    init() throws { cluster = try TestCluster.current }

    @Test func streamsLeaveRoomForStatements() async throws {
        let query = "SELECT g, repeat('x', 1000) AS crowd FROM generate_series(1, 120000) g"
        var streams: [RawHTTPStream] = []
        for _ in 0..<32 { streams.append(try await cluster.stream(query)) }
        let refused = try await cluster.execute(query, headers: [("Accept", "application/x-ndjson")])
        #expect(refused.status == 429)
        #expect(refused.headers["retry-after"] != nil)
        for number in 0..<40 { #expect(try await cluster.rows("SELECT $1::int AS v", [.integer(Int64(number))]) == [["v": .integer(Int64(number))]]) }
        // One that ends makes room for another.
        streams.removeLast()
        try await eventually("there is room again") {
            try await cluster.execute("SELECT 1 AS v", headers: [("Accept", "application/x-ndjson")]).status == 200
        }
    }
}

/// Callers that take nothing for longer than the server waits.
@Suite(.cluster(.impatient), .serialized)
struct StreamPatienceTests {
    private let cluster: TestCluster

    init() throws { cluster = try TestCluster.current }

    @Test func aCallerThatTakesNothingIsCutOffAndHoldsNoShard() async throws {
        let stream = try await cluster.stream("SELECT g, repeat('x', 1000) AS stalled FROM generate_series(1, 120000) g")
        let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%AS stalled%' AND pid <> pg_backend_pid()"
        try await eventually("the statement has ended") { try await cluster.psqlAll(running) == ["0", "0"] }
        await #expect(throws: RawHTTPError.self) { try await stream.lines() }
    }
}

extension TestCluster.Options {
    fileprivate static var narrow: Self {
        var options = Self(shards: 2)
        options.router = {
            $0.loops = 1
            $0.poolSizeMax = 50
        }
        return options
    }

    fileprivate static var impatient: Self {
        var options = Self(shards: 2)
        options.router = { $0.httpIdleTimeout = .seconds(3) }
        return options
    }
}
