import Foundation
import NIOPosix
import PGChannel
import PostgresProcess
import ShardModel
import Testing
import TransferCore

/// A PostgreSQL server with databases that stand for shards.
struct TransferServer: Sendable {
    let server: PostgresServer

    @TaskLocal fileprivate static var shared: TransferServer?
    static var current: TransferServer { get throws { try #require(shared, "the suite lacks its trait") } }

    /// Databases of its own for a test: the source first.
    func shards(_ count: Int) async throws -> [PostgresEndpoint] {
        let name = "t" + UUID().uuidString.lowercased().prefix(8)
        var endpoints: [PostgresEndpoint] = []
        for index in 0..<count {
            try await server.createDatabase("\(name)_\(index)")
            endpoints.append(try PostgresEndpoint.parse(server.dsn(database: "\(name)_\(index)") + "?connect_timeout=120"))
        }
        return endpoints
    }

    static func connect(_ endpoint: PostgresEndpoint) async throws -> PGClient {
        try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton)
    }

    static func run(_ script: String, on endpoints: [PostgresEndpoint]) async throws {
        for endpoint in endpoints {
            let client = try await connect(endpoint)
            _ = try await client.execute(script)
            await client.close()
        }
    }

    /// A snapshot that stays exported for as long as `body` runs.
    static func withSnapshot<Value: Sendable>(of endpoint: PostgresEndpoint, _ body: (String) async throws -> Value) async throws -> Value {
        let keeper = try await connect(endpoint)
        _ = try await keeper.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        let name = try #require(try await keeper.query("SELECT pg_export_snapshot()").rows.first?.text(0))
        let value = try await body(name)
        await keeper.close()
        return value
    }
}

struct TransferServerTrait: SuiteTrait, TestScoping {
    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-transfer-\(UUID().uuidString)"
        let server = try await PostgresServer.create(
            .init(dataDirectory: folder, settings: ["shared_buffers": "32MB", "wal_level": "logical", "max_connections": "100", "max_replication_slots": "30", "max_wal_senders": "30"]))
        let result: Result<Void, any Error>
        do {
            result = .success(try await TransferServer.$shared.withValue(TransferServer(server: server), operation: function))
        } catch {
            result = .failure(error)
        }
        await server.stop(.immediate)
        try? FileManager.default.removeItem(atPath: folder)
        try result.get()
    }
}

extension SuiteTrait where Self == TransferServerTrait {
    static var transferServer: TransferServerTrait { TransferServerTrait() }
}

/// Rings of one source that gives vnodes to new shards.
enum Rings {
    /// All on shard 0 at first; of each `targets + 1` vnodes one stays, and each target gets one.
    static func split(over targets: Int, vnodes: Int = 64) throws -> RowDestinations {
        let all = RingCut.even(over: 1, vnodesEach: vnodes, after: 0)[0]
        let none = [[VNode]](repeating: [], count: targets)
        let parts = (0...targets).map { part in all.enumerated().filter { $0.offset % (targets + 1) == part }.map(\.element) }
        return RowDestinations(
            of: ShardIndex(0), to: (1...targets).map(ShardIndex.init), before: try HashRing([all] + none), after: try HashRing(parts))
    }
}
