import ManagerService
import PGChannel
import PostgresProcess
import ReshardCore
import ShardModel
import Testing

/// What is in the way of a job is said before it begins.
@Suite(.reshardServers) struct CheckTests {
    private static let small = Corpus(
        tables: [(QualifiedName(schema: "public", name: "plain"), .sharded(key: "id")), (QualifiedName(schema: "public", name: "codes"), .reference)],
        schema: "CREATE TABLE plain (id bigint PRIMARY KEY, other int UNIQUE NOT NULL); CREATE TABLE codes (code text PRIMARY KEY)", rows: "SELECT 1",
        referenceDigest: "SELECT 1")

    static let obstacles: [(sql: String, ShardID, expected: String)] = [
        ("ALTER TABLE plain DROP CONSTRAINT plain_pkey", ReshardKit.source, "table public.plain of shard s has no replica identity"),
        ("ALTER TABLE plain REPLICA IDENTITY NOTHING", ReshardKit.source, "table public.plain of shard s has no replica identity"),
        ("ALTER TABLE plain REPLICA IDENTITY USING INDEX plain_other_key", ReshardKit.source, "has a replica identity without its shard key \"id\""),
        ("ALTER TABLE codes DROP CONSTRAINT codes_pkey", ReshardKit.source, "table public.codes of shard s has no replica identity"),
        ("ALTER TABLE plain SET UNLOGGED", ReshardKit.source, "SET LOGGED"),
        ("ALTER TABLE codes SET UNLOGGED", ReshardKit.source, "SET LOGGED"),
        ("CREATE DOMAIN d AS bigint; CREATE DOMAIN e AS d; ALTER TABLE plain ALTER id TYPE e", ReshardKit.source, "has a shard key \"id\" of type e, by which no rows are placed: ALTER TABLE … ALTER COLUMN … TYPE bigint"),
        ("CREATE DOMAIN short AS varchar(7) CHECK (VALUE <> ''); ALTER TABLE plain ALTER id TYPE short", ReshardKit.source, "of type short, by which no rows are placed: ALTER TABLE … ALTER COLUMN … TYPE character varying(7)"),
        ("CREATE DOMAIN u AS uuid; ALTER TABLE plain ALTER id TYPE u USING gen_random_uuid()", ReshardKit.source, "of type u, by which no rows are placed: ALTER TABLE … ALTER COLUMN … TYPE uuid"),
        ("ALTER TABLE plain ALTER id TYPE char(7)", ReshardKit.source, "of type character(7), by which no rows are placed: ALTER TABLE … ALTER COLUMN … TYPE smallint,"),
        ("CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false); ALTER TABLE plain ALTER id TYPE text COLLATE any_case", ReshardKit.source, "collation is not deterministic"),
        ("ALTER TABLE plain DROP COLUMN id, ADD id bigint GENERATED ALWAYS AS (other * 2) STORED PRIMARY KEY", ReshardKit.source, "has a generated column, \"id\""),
        ("ALTER TABLE plain RENAME id TO id2", ReshardKit.source, "has no column \"id\""),
        ("ALTER TABLE plain ADD \"e\u{301}\" int", ReshardKit.source, "is not in Unicode's normalization form C: rename it"),
        ("SELECT lo_create(0)", ReshardKit.source, "holds large objects"),
    ]

    @Test(arguments: 0..<obstacles.count) func anObstacleIsNamedWithItsRemedy(_ number: Int) async throws {
        let (sql, shard, expected) = Self.obstacles[number]
        var kit = try await ReshardKit.make(Self.small)
        #expect(await kit.run(.check, as: .checking) == .done)
        try await kit.run(sql, on: shard)
        let outcome = await kit.run(.check, as: .checking)
        guard case .impossible(let reason) = outcome else { throw Unexpected(outcome) }
        #expect(reason.contains(expected), "\(reason)")
    }

    @Test func anIdentityOfTheWholeRowAndAnIndexWithTheKeyWillDo() async throws {
        var kit = try await ReshardKit.make(Self.small)
        try await kit.run("ALTER TABLE plain DROP CONSTRAINT plain_pkey; ALTER TABLE plain REPLICA IDENTITY FULL", on: ReshardKit.source)
        #expect(await kit.run(.check, as: .checking) == .done)
        try await kit.run("CREATE UNIQUE INDEX i ON plain (id, other); ALTER TABLE plain REPLICA IDENTITY USING INDEX i", on: ReshardKit.source)
        #expect(await kit.run(.check, as: .checking) == .done)
    }

    @Test func transactionsThatNobodyEndsAreInTheWay() async throws {
        var settings = PostgresServerWork.Settings.patient
        (settings.longPrepared, settings.longTransaction) = (.zero, .zero)
        var kit = try await ReshardKit.make(Self.small, settings: settings)
        let name = "left behind \(kit.record.id)"
        try await kit.run("BEGIN; INSERT INTO plain VALUES (1, 1); PREPARE TRANSACTION '\(name)'", on: ReshardKit.source)
        guard case .impossible(let reason) = await kit.run(.check, as: .checking) else { throw Unexpected(.done) }
        #expect(reason.contains(name) && reason.contains("ROLLBACK PREPARED"))
        try await kit.run("ROLLBACK PREPARED '\(name)'", on: ReshardKit.source)
        let client = try await kit.connect(ReshardKit.source)
        _ = try await client.execute("BEGIN; INSERT INTO plain VALUES (1, 1)")
        guard case .impossible(let other) = await kit.run(.check, as: .checking) else { throw Unexpected(.done) }
        #expect(other.contains("\(client.processID)") && other.contains("pg_terminate_backend"))
        await client.close()
    }

    @Test func aRoleThatMayNotReplicateIsRefused() async throws {
        let role = "weak\(UInt32.random(in: 0 ..< .max))"
        for server in ReshardServersTrait.servers { try await server.psql("CREATE ROLE \(role) LOGIN") }
        var kit = try await ReshardKit.make(Self.small, user: role)
        for shard in [ReshardKit.source, ReshardKit.target] { try await kit.run("GRANT USAGE ON SCHEMA pgmosaic TO \(role)", on: shard) }
        guard case .impossible(let reason) = await kit.run(.check, as: .checking) else { throw Unexpected(.done) }
        #expect(reason.contains("may not replicate") && reason.contains("may not set session_replication_role"), "\(reason)")
    }

    @Test func aTargetWithoutAnExtensionIsRefused() async throws {
        var kit = try await ReshardKit.make(Self.small, isJoining: false)
        try await kit.run("CREATE EXTENSION IF NOT EXISTS tablefunc", on: ReshardKit.source)
        guard case .impossible(let reason) = await kit.run(.check, as: .checking) else { throw Unexpected(.done) }
        #expect(reason.contains("shard t lacks extension tablefunc"), "\(reason)")
        try await kit.run("CREATE EXTENSION tablefunc", on: ReshardKit.target)
        #expect(await kit.run(.check, as: .checking) == .done)
    }

    @Test func aServerThatDoesNotAnswerIsUnavailable() async throws {
        var kit = try await ReshardKit.make(Self.small)
        kit.catalog.shards[ReshardKit.target]?.primaryEndpoint = "postgres://postgres@127.0.0.1:1/nothing"
        guard case .unavailable(let reason) = await kit.run(.check, as: .checking) else { throw Unexpected(.done) }
        #expect(reason.contains("shard t"))
    }

    @Test func aShardThatDoesNotOwnWhatMovesIsRefused() async throws {
        var kit = try await ReshardKit.make(Self.small)
        kit.catalog = kit.switched()
        guard case .impossible = await kit.run(.check, as: .checking) else { throw Unexpected(.done) }
    }

    struct Unexpected: Error {
        let outcome: JobOutcome
        init(_ outcome: JobOutcome) { self.outcome = outcome }
    }
}

/// What a job calls what it makes.
@Suite struct JobNamesTests {
    @Test(arguments: ["job-1", "0193a2c4-5b1f-7000-8000-123456789abc", "J", "a_b", "a-b", String(repeating: "long", count: 40)])
    func namesAreThoseOfSlotsAndDifferByJobAndShard(_ id: String) throws {
        let record = JobRecord(
            id: JobID(id), kind: .merge, database: "app",
            moves: ReshardKit.moved.enumerated().map { VNodeMove(vnode: $1, source: ShardID("shard \($0 % 3)"), target: ShardID("Ü")) })
        let catalog = CatalogSnapshot(clusterID: "c")
        let entries = JobNames.planned(record, in: catalog) + JobNames.wayBack(record)
        let names = entries.compactMap { if case .slot(_, let name) = $0 { name } else { nil } }
        #expect(names.count == 4 && Set(names).count == 4)
        for name in names { #expect(name.wholeMatch(of: /[a-z0-9_]{1,62}/) != nil, "\(name)") }
        #expect(JobNames(JobID("a_b")).slot(on: ShardID("s"), .forward) != JobNames(JobID("a-b")).slot(on: ShardID("s"), .forward))
        #expect(entries.contains(.rows(ShardID("Ü"))))
    }
}
