import CatalogEtcd
import CatalogPostgres
import CatalogStore
import ClusterTestKit
import EtcdTestKit
import Foundation
import NIOPosix
import PGChannel
import PostgresProcess
import Synchronization
import Testing

/// The processes of a cluster whose catalog is on a server, which a test may harm.
final class Cluster: Sendable {
    /// Another store of the same catalog.
    let store: any CatalogStore
    private let close: @Sendable () async -> Void
    private let shards: [PostgresServer]
    private let folder: String
    /// Where a file tells the manager to stop in a job: decision 0063.
    let points: String
    private let managerPort: Int
    private let wirePorts: [Int]
    private let processes = Mutex<[String: SupervisedProcess]>([:])

    /// The built program, beside the test bundle.
    private static let program: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return (bundle as NSString).deletingLastPathComponent + "/pgmosaic"
    }()

    /// Starts everything, and waits until the routers take clients. The manager makes the catalog. `open` opens a store of it as a router does.
    private init<Store: CatalogStore>(
        _ folder: String, catalog url: String, routersCatalogs: [String]? = nil, managerSettings: String = "", _ shards: [PostgresServer],
        shardPorts: [Int]? = nil, _ options: TestCluster.Options, open: @Sendable () async throws -> Store, close: @escaping @Sendable (Store) async -> Void
    ) async throws {
        self.folder = folder
        points = folder + "/points"
        self.shards = shards
        managerPort = try LoopbackPort.free()
        wirePorts = [try LoopbackPort.free(), try LoopbackPort.free()]
        try Self.write("catalog: \"\(url)\"\nhttp: {port: \(managerPort), auth: none}\n\(managerSettings)\n", to: folder + "/manager.yaml")
        for (index, port) in wirePorts.enumerated() {
            let settings = """
                id: "router-\(index)"
                catalog: "\(routersCatalogs?[index] ?? url)"
                snapshot_file: "\(folder)/router-\(index).snapshot"
                loops: 2
                wire: {port: \(port), auth: trust}
                http: {port: \(try LoopbackPort.free()), auth: none}

                """
            try Self.write(settings, to: folder + "/router-\(index).yaml")
        }
        try FileManager.default.createDirectory(atPath: points, withIntermediateDirectories: true)
        let manager = try SupervisedProcess.start(
            .init(
                Self.program, ["manager", "--config", folder + "/manager.yaml"],
                environment: Patience.environment.merging(["PGMOSAIC_JOB_POINTS": points]) { $1 }, output: .file(folder + "/manager.log")))
        processes.withLock { $0["manager"] = manager }
        try await eventually("the manager makes the catalog") {
            await close(try await open())
            return true
        }
        let store = try await open()
        self.store = store
        self.close = { await close(store) }
        try await TestCluster.register(shards, options, ports: shardPorts, in: store)
        for index in wirePorts.indices { try await startRouter(index) }
    }

    /// - routersPorts: by which each router gets to the catalog; nil: straight.
    /// - shardPorts: by which everybody gets to the shards.
    convenience init(
        _ folder: String, catalog: PostgresServer, routersPorts: [Int]? = nil, managerSettings: String = "", _ shards: [PostgresServer],
        shardPorts: [Int]? = nil, _ options: TestCluster.Options
    ) async throws {
        let endpoint = try PostgresEndpoint.parse(catalog.dsn())
        let others = routersPorts.map { $0.map { catalog.dsn().replacing(":\(catalog.port)/", with: ":\($0)/") } }
        try await self.init(folder, catalog: catalog.dsn(), routersCatalogs: others, managerSettings: managerSettings, shards, shardPorts: shardPorts, options) {
            var timing = CatalogTiming()
            timing.call = .seconds(60)
            return try await PostgresCatalogStore(endpoint, isManager: false, on: MultiThreadedEventLoopGroup.singleton, timing: timing)
        } close: {
            await $0.close()
        }
    }

    convenience init(_ folder: String, catalog: EtcdCluster, _ shards: [PostgresServer], _ options: TestCluster.Options) async throws {
        try await self.init(folder, catalog: "\(catalog.location())", shards, options) {
            try await catalog.open(isManager: false, timing: .patient)
        } close: {
            await $0.close()
        }
    }

    private static func write(_ text: String, to path: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }

    private func startRouter(_ index: Int) async throws {
        let name = "router-\(index)"
        let process = try SupervisedProcess.start(
            .init(Self.program, ["router", "--config", "\(folder)/\(name).yaml"], environment: Patience.environment, output: .file("\(folder)/\(name).log")))
        processes.withLock { $0[name] = process }
        try await eventually("\(name) takes clients") { try await self.value("SELECT 1", on: index) == "1" }
    }

    /// Ends it as a crash would, and starts it again.
    func restartRouter(_ index: Int) async throws {
        let process = processes.withLock { $0["router-\(index)"] }
        process?.signal(SIGKILL)
        await process?.waitForExit()
        try await startRouter(index)
    }

    func stop() async {
        for process in processes.withLock({ Array($0.values) }) {
            process.signal(SIGTERM)
            await process.waitForExit()
        }
        await close()
    }

    // MARK: use

    func snapshotFile(of router: Int) -> String { "\(folder)/router-\(router).snapshot" }

    func client(of router: Int) async throws -> PGClient {
        let endpoint = try PostgresEndpoint.parse("postgres://test@127.0.0.1:\(wirePorts[router])/\(TestCluster.database)?sslmode=disable&connect_timeout=120")
        return try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton)
    }

    func execute(_ sql: String, on router: Int) async throws {
        let client = try await client(of: router)
        defer { Task { await client.close() } }
        try await client.execute(sql)
    }

    func value(_ sql: String, on router: Int) async throws -> String? {
        let client = try await client(of: router)
        defer { Task { await client.close() } }
        return try await client.query(sql).rows.first?.text(0)
    }

    /// The rows of a sharded table, counted on the shards themselves.
    func rows(of table: String) async throws -> Int {
        var sum = 0
        for shard in shards { sum += Int(try await shard.psql("SELECT count(*) FROM \(table)", database: TestCluster.database)) ?? 0 }
        return sum
    }

    func onShard(_ index: Int, _ sql: String) async throws -> String { try await shards[index].psql(sql, database: TestCluster.database) }

    /// What a job must not leave on any shard.
    func leftovers() async throws -> [String] {
        var left: [String] = []
        for index in shards.indices {
            let found = try await onShard(
                index, "SELECT 'slot ' || slot_name FROM pg_replication_slots UNION ALL SELECT 'publication ' || pubname FROM pg_publication")
            left += found.split(separator: "\n").map { "\(index): \($0)" }
        }
        return left
    }

    /// A command of the program towards the manager: what it printed.
    @discardableResult
    func pgmosaic(_ words: String...) async throws -> String {
        let command = SupervisedProcess.Command(Self.program, words + ["--url", "http://127.0.0.1:\(managerPort)"])
        return try await SupervisedProcess.runChecked(command).output
    }
}
