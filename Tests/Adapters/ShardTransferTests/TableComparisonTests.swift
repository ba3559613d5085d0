import Foundation
import NIOCore
import NIOPosix
import PGChannel
import PGTypes
import PostgresProcess
import ShardModel
import ShardTransfer
import Testing
import TransferCore

@Suite(.transferServer) struct TableComparisonTests {
    private static let vnodes = RingCut.even(over: 1, vnodesEach: 16, after: 0)[0]

    private func compare(
        _ table: String, _ source: PostgresEndpoint, _ target: PostgresEndpoint, vnodes: Set<UInt32> = Set(Self.vnodes.map(\.id)), throttle: TransferThrottle = TransferThrottle()
    ) async throws -> TableComparison.Outcome {
        let client = try await TransferServer.connect(source)
        let shapes = try await TableShape.read(QualifiedName(schema: "public", name: table), key: "id", from: client)
        await client.close()
        let comparison = TableComparison(
            of: vnodes, in: try HashRing([Self.vnodes]), source: .init(source), target: .init(target), throttle: throttle,
            on: MultiThreadedEventLoopGroup.singleton)
        let outcomes = try await comparison.run(shapes)
        return try #require(outcomes.first)
    }

    private static let table = """
        CREATE TYPE pair AS (x int, y text);
        CREATE TABLE t (id int, txt text, num numeric, dbl float8, js jsonb, at timestamptz, raw bytea, long text, own pair, plain int);
        INSERT INTO t SELECT g, '', 1.0, 0, '{"a": 1}', '2020-01-01 12:00+00', '\\x00ff', repeat(md5(g::text), 2000), (g, NULL)::pair, g FROM generate_series(1, 400) g;
        """

    /// What is done to the row with the key 7 on the target, and what that is called.
    private static let spoilings: [(sql: String, kind: RowDifferences.Kind)] = [
        ("DELETE FROM t WHERE id = 7", .missing), ("INSERT INTO t SELECT * FROM t WHERE id = 7", .extra),
        ("UPDATE t SET txt = NULL WHERE id = 7", .changed), ("UPDATE t SET num = 1.00 WHERE id = 7", .changed),
        ("UPDATE t SET dbl = '-0' WHERE id = 7", .changed), ("UPDATE t SET dbl = 'NaN' WHERE id = 7", .changed),
        ("UPDATE t SET js = '{\"a\": 1.0}' WHERE id = 7", .changed), ("UPDATE t SET at = '2020-01-01 12:00+01' WHERE id = 7", .changed),
        ("UPDATE t SET raw = '\\x00fe' WHERE id = 7", .changed), ("UPDATE t SET long = overlay(long PLACING 'z' FROM 50000) WHERE id = 7", .changed),
        ("UPDATE t SET own = (7, '') WHERE id = 7", .changed), ("UPDATE t SET plain = NULL WHERE id = 7", .changed),
    ]

    @Test(arguments: ["", "ALTER TABLE t DROP COLUMN own"]) func eachKindOfDifferenceIsFound(_ change: String) async throws {
        let shards = try await TransferServer.current.shards(2)
        try await TransferServer.run(Self.table + change + "; CREATE TABLE saved AS SELECT * FROM t WHERE id = 7", on: shards)
        // Not in the same order there.
        try await TransferServer.run("UPDATE t SET plain = id WHERE id % 3 = 0", on: [shards[1]])
        let equal = try await compare("t", shards[0], shards[1])
        #expect(equal.isEqual && equal.rows == 400 && equal.examples.isEmpty)
        for (sql, kind) in Self.spoilings where change.isEmpty || !sql.contains("own") {
            try await TransferServer.run(sql, on: [shards[1]])
            let outcome = try await compare("t", shards[0], shards[1])
            #expect(outcome.differingVNodes.count == 1, "\(sql)")
            #expect(outcome.differingRows == 1 && outcome.examples == [.init(kind: kind, key: "7")], "\(sql): \(outcome.examples)")
            try await TransferServer.run("DELETE FROM t WHERE id = 7; INSERT INTO t SELECT * FROM saved", on: shards)
        }
    }

    @Test func aComparisonKeepsToTheRateOfBothSidesTogether() async throws {
        let shards = try await TransferServer.current.shards(2)
        try await TransferServer.run("CREATE TABLE t (id int, v text)", on: shards)
        try await TransferServer.run("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 2000) g", on: shards)
        let throttle = TransferThrottle(bytesPerSecond: 4_000_000)
        let start = ContinuousClock.now
        #expect(try await compare("t", shards[0], shards[1], throttle: throttle).isEqual)
        #expect((4_000_000..<5_000_000).contains(throttle.bytesRead), "\(throttle.bytesRead)")
        // A quarter of a second's worth is free.
        #expect(ContinuousClock.now - start > .milliseconds(700))
    }

    @Test func aLimitThatIsTakenAwayHoldsNobodyAnyMore() async throws {
        let throttle = TransferThrottle(bytesPerSecond: 1)
        throttle.limit(bytesPerSecond: nil)
        let start = ContinuousClock.now
        for _ in 0..<3 { try await throttle.passed(1_000_000) }
        #expect(throttle.bytesRead == 3_000_000 && ContinuousClock.now - start < .seconds(60))
    }

    @Test(arguments: [(Int32(21), "smallint"), (Int32(20), "bigint"), (Int32(25), "text"), (Int32(2950), "uuid")])
    func aKeyIsNamedAsSQLWouldWriteIt(_ type: (oid: Int32, name: String)) async throws {
        let shards = try await TransferServer.current.shards(2)
        let value = type.name == "uuid" ? "00000000-0000-0000-0000-0000000000ff" : "-12"
        try await TransferServer.run("CREATE TABLE t (a text, id \(type.name))", on: shards)
        try await TransferServer.run("INSERT INTO t VALUES (NULL, '\(value)')", on: [shards[0]])
        #expect(try await compare("t", shards[0], shards[1]).examples == [.init(kind: .missing, key: value.replacing("-", with: type.name == "uuid" ? "" : "-"))])
    }

    @Test func onlyTheVNodesThatAreAskedForCount() async throws {
        let shards = try await TransferServer.current.shards(2)
        try await TransferServer.run("CREATE TABLE t (id int)", on: shards)
        try await TransferServer.run("INSERT INTO t SELECT generate_series(1, 1000)", on: [shards[0]])
        let all = try await compare("t", shards[0], shards[1])
        #expect(all.differingVNodes == Self.vnodes.map(\.id) && all.rows == 1000)
        let some = try await compare("t", shards[0], shards[1], vnodes: [3, 5])
        #expect(some.differingVNodes == [3, 5] && some.rows > 50 && some.rows < 250)
        #expect(some.differingRows == some.rows && some.examples.count == TableComparison.examplesMax)
        #expect(try await compare("t", shards[0], shards[1], vnodes: []).isEqual)
    }

    @Test func whatCannotBeReadIsAnErrorAndNoEquality() async throws {
        let shards = try await TransferServer.current.shards(2)
        try await TransferServer.run("CREATE TABLE t (id int, v int)", on: [shards[0]])
        try await TransferServer.run("CREATE TABLE t (id int)", on: [shards[1]])
        let error = await #expect(throws: TransferError.self) { try await compare("t", shards[0], shards[1]) }
        guard case .target = error else { throw try #require(error) }
    }

    @Test func rowsBeyondTheMemoryAreNotCalledDifferent() {
        let form = RowForm(format: .text, columnCount: 1, keyColumn: 0, keyType: .text, keyTypeOID: 25)
        var differences = RowDifferences(form, bytesMax: 100)
        let rows = (0..<30).map { Array("row \($0)\n".utf8) }
        for row in rows { differences.addSource(row.span.bytes) }
        #expect(differences.isCutShort && differences.count == 0 && differences.differences(max: 10).isEmpty)
    }
}
