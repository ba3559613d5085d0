import Foundation
import LogicalReplication
import ManagerService
import NIOPosix
import PGChannel
import PostgresProcess
import ReshardCore
import ShardModel
import ShardTransfer
import Synchronization
import Testing
import TransferCore

/// Two servers for a suite: sources on the first, targets on the second.
struct ReshardServersTrait: SuiteTrait, TestScoping {
    @TaskLocal static var servers: [PostgresServer] = []

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-reshard-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var servers: [PostgresServer] = []
        let settings = ["shared_buffers": "32MB", "wal_level": "logical", "max_replication_slots": "40", "max_wal_senders": "40", "max_connections": "150"]
        let outcome: Result<Void, any Error>
        do {
            for name in ["a", "b"] { servers.append(try await PostgresServer.create(.init(dataDirectory: "\(folder)/\(name)", settings: settings))) }
            try await Self.$servers.withValue(servers, operation: function)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        for server in servers { await server.stop(.immediate) }
        try outcome.get()
    }
}

extension Trait where Self == ReshardServersTrait {
    static var reshardServers: ReshardServersTrait { ReshardServersTrait() }
}

/// A database of one source that owns everything, and of one target; and a job that moves a half.
struct ReshardKit: Sendable {
    static let group = MultiThreadedEventLoopGroup.singleton
    static let vnodes = RingCut.even(over: 1, vnodesEach: 16, after: 0)[0]
    static let source = ShardID("s")
    static let target = ShardID("t")
    static var moved: [VNode] { vnodes.enumerated().filter { $0.offset % 2 == 1 }.map(\.element) }
    static var kept: [VNode] { vnodes.enumerated().filter { $0.offset % 2 == 0 }.map(\.element) }

    let databases: [ShardID: (server: PostgresServer, name: String)]
    let work: PostgresServerWork
    var catalog: CatalogSnapshot
    var record: JobRecord

    /// - isJoining: whether the target is new; else it is part of the database, and owns nothing yet.
    static func make(
        _ corpus: Corpus = .full, isJoining: Bool = true, settings: PostgresServerWork.Settings = .patient, user: String? = nil
    ) async throws -> ReshardKit {
        let servers = ReshardServersTrait.servers
        try #require(servers.count == 2, "the suite lacks its trait")
        let name = "r" + UUID().uuidString.lowercased().prefix(8)
        let databases = [source: (server: servers[0], name: "\(name)_s"), target: (server: servers[1], name: "\(name)_t")]
        var catalog = CatalogSnapshot(epoch: Epoch(7), clusterID: "cluster", databases: ["app": DatabaseRecord(name: "app", homeShard: source)])
        let inspector = PostgresShardInspector(box: nil, group: .singleton, timeout: .seconds(60))
        for (place, id) in [source, target].enumerated() {
            let (server, database) = try #require(databases[id])
            try await server.createDatabase(database)
            var endpoint = server.dsn(database: database)
            try await inspector.claim(endpoint, as: ShardIdentity(clusterID: "cluster", database: "app", shard: id), by: "claim", over: nil)
            if let user { endpoint = "postgres://\(user)@127.0.0.1:\(server.port)/\(database)" }
            catalog.shards[id] = ShardRecord(
                id: id, name: id.name, database: "app", primaryEndpoint: endpoint, status: id == target && isJoining ? .migrating : .active,
                vnodes: id == source ? vnodes : [], slice: place)
        }
        for table in corpus.tables {
            catalog.tables[.init(database: "app", table: table.name)] = TableRecord(database: "app", name: table.name, placement: table.placement)
        }
        let kit = ReshardKit(
            databases: databases, work: PostgresServerWork(box: nil, group: group, settings: settings), catalog: catalog,
            record: JobRecord(
                id: JobID("job-" + name), kind: .split, database: "app", moves: moved.map { VNodeMove(vnode: $0, source: source, target: target) }))
        try await kit.run(corpus.schema, on: source)
        if !isJoining { try await kit.run(corpus.schema, on: target) }
        try await kit.run(corpus.rows, on: source)
        return kit
    }

    @discardableResult
    func run(_ sql: String, on shard: ShardID) async throws -> String {
        let (server, database) = try #require(databases[shard])
        return try await server.psql(sql, database: database)
    }

    func endpoint(_ shard: ShardID) throws -> PostgresEndpoint {
        let (server, database) = try #require(databases[shard])
        return try PostgresEndpoint.parse(server.dsn(database: database) + "?connect_timeout=120")
    }

    func connect(_ shard: ShardID) async throws -> PGClient { try await PGClient.connect(to: try endpoint(shard), on: Self.group) }

    // MARK: steps

    /// The record as the machine would have written it for the step.
    mutating func enter(_ step: JobStep) async {
        record.step = step
        record.version += 1
        await work.follow(record, in: catalog)
    }

    mutating func run(_ effect: JobEffect, as step: JobStep) async -> JobOutcome {
        await enter(step)
        return await work.run(effect, EffectID(record.version), of: record, in: catalog)
    }

    /// Up to where the targets follow.
    mutating func bring() async throws {
        for (effect, step) in [(JobEffect.check, JobStep.checking), (.prepare, .preparing), (.copy, .copying), (.catchUp(pause: .zero), .streaming)] {
            let outcome = await run(effect, as: step)
            try #require(outcome == .done, "\(step): \(outcome)")
        }
    }

    /// The owners are the new ones.
    func switched() -> CatalogSnapshot {
        var catalog = catalog
        catalog.shards[Self.source]?.vnodes = Self.kept
        catalog.shards[Self.target]?.vnodes = Self.moved
        catalog.shards[Self.target]?.status = .active
        return catalog
    }

    // MARK: what is there

    /// Rows of the vnodes in every sharded relation, compared by `TableComparison`.
    func compare(_ vnodes: [VNode], _ left: ShardID, _ right: ShardID, _ corpus: Corpus = .full) async throws -> [TableComparison.Outcome] {
        let client = try await connect(left)
        var shapes: [TableShape] = []
        for table in corpus.tables where table.name.name != "not_there" {
            if case .sharded(let key) = table.placement { shapes += try await TableShape.read(table.name, key: key, from: client) }
        }
        await client.close()
        let comparison = TableComparison(
            of: Set(vnodes.map(\.id)), in: try HashRing([Self.vnodes]), source: .init(try endpoint(left)), target: .init(try endpoint(right)), on: Self.group)
        return try await comparison.run(shapes)
    }

    func expectEqual(_ vnodes: [VNode] = ReshardKit.moved, _ corpus: Corpus = .full) async throws {
        let outcomes = try await compare(vnodes, Self.source, Self.target, corpus)
        #expect(!outcomes.isEmpty)
        for outcome in outcomes { #expect(outcome.isEqual && outcome.rows > 0, "\(outcome)") }
        let reference = corpus.referenceDigest
        #expect(try await run(reference, on: Self.source) == run(reference, on: Self.target))
    }

    /// That a shard has no row of the vnodes.
    func expectNone(_ vnodes: [VNode], on shard: ShardID, _ corpus: Corpus = .full) async throws {
        for outcome in try await compare(vnodes, shard, shard, corpus) { #expect(outcome.rows == 0, "\(shard): \(outcome)") }
    }

    /// Slots, publications and positions.
    func leftovers() async throws -> [String] {
        var found: [String] = []
        for shard in [Self.source, Self.target] {
            let query = """
                SELECT slot_name FROM pg_replication_slots WHERE database = current_database() UNION ALL SELECT pubname FROM pg_publication
                """
            let hasPositions = try await run("SELECT to_regclass('pgmosaic.move_positions') IS NOT NULL", on: shard) == "t"
            found += try await run(query + (hasPositions ? " UNION ALL SELECT job FROM pgmosaic.move_positions" : ""), on: shard).split(separator: "\n").map { "\(shard): \($0)" }
        }
        return found
    }
}

extension PostgresServerWork.Settings {
    /// For a machine under load.
    static var patient: Self {
        var settings = Self()
        settings.timeout = .seconds(60)
        settings.preparedLimit = .seconds(2)
        settings.reachLimit = .seconds(60)
        settings.endLimit = .seconds(60)
        return settings
    }
}
