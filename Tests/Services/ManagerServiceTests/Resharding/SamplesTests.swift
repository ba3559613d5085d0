import ManagerService
import NIOPosix
import PGChannel
import ReshardCore
import ShardModel
import Testing

/// Rows of real servers, sampled to share a shard out by.
@Suite(.reshardServers) struct SamplesTests {
    private static let rows = 60_000

    /// Half of the rows have keys of one vnode of sixteen, and the table is larger than what is read of it.
    @Test func aSkewedShardIsHalvedByItsRows() async throws {
        let kit = try await ReshardKit.make(isJoining: false)
        let crowded = ReshardKit.vnodes[3].range
        var (keys, number) = ([Int](), 0)
        while keys.count < Self.rows {
            number += 1
            let isThere = crowded.contains(Token(hashing: Array("\(number)".utf8).span.bytes))
            if isThere || keys.count.isMultiple(of: 2) { keys.append(number) }
        }
        try await kit.run("CREATE TABLE crowd (id bigint PRIMARY KEY, filler text)", on: ReshardKit.source)
        for part in stride(from: 0, to: keys.count, by: 10_000) {
            let list = keys[part..<min(keys.count, part + 10_000)].map(String.init).joined(separator: ",")
            try await kit.run("INSERT INTO crowd SELECT k, repeat('x', 200) FROM unnest('{\(list)}'::bigint[]) k", on: ReshardKit.source)
        }
        let inspector = PostgresShardInspector(box: nil, group: .singleton, timeout: .seconds(60))
        let endpoint = try #require(kit.catalog.shards[ReshardKit.source]?.primaryEndpoint)
        let samples = try await inspector.samples(
            endpoint, of: [QualifiedName(schema: "public", name: "crowd"): "id", QualifiedName(schema: "public", name: "not_there"): "id"], within: .seconds(60))
        #expect(samples.rows.count > 500 && samples.rows.count < Self.rows / 2, "\(samples.rows.count) rows were read")
        let total = samples.total(in: [.whole])
        #expect(abs(total.rows / Double(Self.rows) - 1) < 0.5)
        #expect(total.bytes > 12_000_000 && total.bytes < 60_000_000)

        let plan = try MovePlan.make(.split(source: ReshardKit.source, targets: [ReshardKit.target], border: nil), in: kit.catalog, by: samples.measure)
        func isMoved(_ key: Int) -> Bool {
            let token = Token(hashing: Array("\(key)".utf8).span.bytes)
            return plan.moves.contains { $0.vnode.range.contains(token) }
        }
        let moved = Double(keys.count(where: isMoved)) / Double(keys.count)
        #expect(abs(moved - 0.5) < 0.1, "\(moved) of the rows move")
        let even = try MovePlan.make(.split(source: ReshardKit.source, targets: [ReshardKit.target], border: nil), in: kit.catalog)
        let byTokens = Double(keys.count { key in even.moves.contains { $0.vnode.range.contains(Token(hashing: Array("\(key)".utf8).span.bytes)) } }) / Double(keys.count)
        #expect(abs(byTokens - 0.5) > 0.15, "\(byTokens): the rows are not skewed")
        await kit.work.stopAll()
    }

    /// Tables without rows, that are not there, and in parts; of a shard that has nothing, what is known is that it has nothing.
    @Test func anEmptyShardAndPartsOfATable() async throws {
        let kit = try await ReshardKit.make(isJoining: false)
        try await kit.run(
            """
            CREATE TABLE pieces (id bigint, at int) PARTITION BY LIST (at);
            CREATE TABLE pieces_1 PARTITION OF pieces FOR VALUES IN (1);
            CREATE TABLE pieces_2 PARTITION OF pieces FOR VALUES IN (2);
            CREATE TABLE without_rows (id bigint PRIMARY KEY);
            """, on: ReshardKit.source)
        let inspector = PostgresShardInspector(box: nil, group: .singleton, timeout: .seconds(60))
        let endpoint = try #require(kit.catalog.shards[ReshardKit.source]?.primaryEndpoint)
        let tables = Dictionary(uniqueKeysWithValues: ["pieces", "without_rows", "not_there"].map { (QualifiedName(schema: "public", name: $0), "id") })
        let nothing = try await inspector.samples(endpoint, of: tables, within: .seconds(60))
        #expect(nothing == RowSamples() && nothing.measure.isEven)
        try await kit.run("INSERT INTO pieces SELECT i, 1 + i % 2 FROM generate_series(1, 100) i", on: ReshardKit.source)
        let samples = try await inspector.samples(endpoint, of: tables, within: .seconds(60))
        #expect(Set(samples.rows.map(\.token)) == Set((1...100).map { Token(hashing: Array("\($0)".utf8).span.bytes) }))
        #expect(samples.rows.allSatisfy { $0.rows == 1 } && samples.fileBytes == 16384)
        await kit.work.stopAll()
    }

    /// Somebody has locked a table: the others alone would give a wrong picture.
    @Test func aTableThatCannotBeReadInTimeEndsIt() async throws {
        let kit = try await ReshardKit.make(isJoining: false)
        try await kit.run("CREATE TABLE free_one (id bigint); INSERT INTO free_one VALUES (1); CREATE TABLE locked_one (id bigint)", on: ReshardKit.source)
        let inspector = PostgresShardInspector(box: nil, group: .singleton, timeout: .seconds(60))
        let endpoint = try #require(kit.catalog.shards[ReshardKit.source]?.primaryEndpoint)
        let tables = Dictionary(uniqueKeysWithValues: ["free_one", "locked_one"].map { (QualifiedName(schema: "public", name: $0), "id") })
        let client = try await kit.connect(ReshardKit.source)
        try await client.execute("BEGIN; LOCK TABLE locked_one IN ACCESS EXCLUSIVE MODE")
        await #expect(throws: ShardAccessError.self) { try await inspector.samples(endpoint, of: tables, within: .milliseconds(500)) }
        try await client.execute("COMMIT")
        #expect(try await inspector.samples(endpoint, of: tables, within: .seconds(60)).rows.count == 1)
        await client.close()
        await kit.work.stopAll()
    }

    @Test func aShardThatDoesNotAnswerIsNotSampled() async throws {
        let inspector = PostgresShardInspector(box: nil, group: .singleton, timeout: .seconds(5))
        await #expect(throws: ShardAccessError.self) {
            try await inspector.samples("postgres://nobody@127.0.0.1:1/none", of: [QualifiedName(schema: "public", name: "t"): "id"], within: .seconds(5))
        }
    }
}
