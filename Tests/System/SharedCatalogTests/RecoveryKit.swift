import ClusterTestKit
import Foundation
import NIOPosix
import PGChannel
import PostgresProcess
import Synchronization
import Testing

/// A manager and a router, each a process of its own, over two shards whose passwords are sealed; a test may take their catalog away.
final class RecoveryKit: Sendable {
    static let options = {
        var options = TestCluster.Options()
        // What a shard has of the catalog must survive its crash.
        options.postgres = ["synchronous_commit": "on", "wal_level": "logical", "max_prepared_transactions": "20"]
        return options
    }()
    static let password = TestSecret.marker

    let folder: String
    let shards: [PostgresServer]
    let location: String
    let keyFile: String?
    private let managerPort: Int
    private let wirePort: Int
    private let httpPort: Int
    private let processes = Mutex<[SupervisedProcess]>([])

    static let program: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return (bundle as NSString).deletingLastPathComponent + "/pgmosaic"
    }()

    /// Everything up, with a table of 100 rows and a user, and the newest catalog copied to both shards.
    ///
    /// - location: of the catalog, given the test's folder.
    static func with(
        _ location: @escaping @Sendable (String) -> String = { "sqlite:\($0)/c.sqlite" }, hasKey: Bool = true, _ body: @Sendable (RecoveryKit) async throws -> Void
    ) async throws {
        try await TestCluster.withShards(options) { folder, shards in
            let kit = try RecoveryKit(folder, shards, location(folder), hasKey ? folder + "/secrets.key" : nil)
            let result: Result<Void, any Error>
            do {
                try await kit.start()
                try await kit.fill()
                result = .success(try await body(kit))
            } catch {
                for log in ["manager.log", "router.log"] { print(((try? String(contentsOfFile: "\(folder)/\(log)", encoding: .utf8)) ?? "").suffix(2000)) }
                result = .failure(error)
            }
            await kit.kill()
            try result.get()
        }
    }

    private init(_ folder: String, _ shards: [PostgresServer], _ location: String, _ keyFile: String?) throws {
        (self.folder, self.shards, self.location, self.keyFile) = (folder, shards, location, keyFile)
        (managerPort, wirePort) = (try LoopbackPort.free(), try LoopbackPort.free())
        httpPort = try LoopbackPort.free()
        try configure(keyFiles: keyFile.map { [$0] } ?? [])
    }

    /// Writes the settings of both; they count from the next start on. The first key seals.
    func configure(keyFiles: [String]) throws {
        let others = keyFiles.count > 1 ? ", other_key_files: \"\(keyFiles.dropFirst().joined(separator: ","))\"" : ""
        let key = keyFiles.first.map { "secrets: {key_file: \"\($0)\"\(others)}" } ?? ""
        let manager = "id: m\ncatalog: \"\(location)\"\n\(key)\nhttp: {port: \(managerPort), auth: none}\ncopies: {interval: 100ms}\n"
        try Data(manager.utf8).write(to: URL(fileURLWithPath: folder + "/manager.yaml"))
        let router = """
            id: r
            catalog: "\(location)"
            snapshot_file: "\(snapshotFile)"
            loops: 1
            \(key)
            wire: {port: \(wirePort), auth: trust}
            http: {port: \(httpPort), auth: none}
            """
        try Data(router.utf8).write(to: URL(fileURLWithPath: folder + "/router.yaml"))
    }

    var snapshotFile: String { folder + "/router.snapshot" }

    func url(of shard: Int) -> String { shards[shard].dsn(database: TestCluster.database) }

    func startManager() async throws {
        let manager = try SupervisedProcess.start(
            .init(Self.program, ["manager", "--config", folder + "/manager.yaml"], environment: Patience.environment, output: .file(folder + "/manager.log"), orphanSignal: "KILL"))
        processes.withLock { $0.append(manager) }
        try await eventually("the manager answers") { try await self.run("managers", "--url", self.managerURL).status == 0 }
    }

    private func startRouter() throws {
        let router = try SupervisedProcess.start(
            .init(Self.program, ["router", "--config", folder + "/router.yaml"], environment: Patience.environment, output: .file(folder + "/router.log"), orphanSignal: "KILL"))
        processes.withLock { $0.append(router) }
    }

    func start() async throws {
        try await startManager()
        try startRouter()
    }

    /// As a power failure would.
    func kill() async {
        for process in processes.withLock({ processes in
            defer { processes = [] }
            return processes
        }) {
            process.signal(SIGKILL)
            await process.waitForExit()
        }
    }

    /// Starts both again, and tries what clients and operators do.
    func startAndServe() async throws {
        try await start()
        try await eventually("the router serves") { try await self.value("SELECT count(*) FROM kv WHERE k = 7") == "1" }
        for key in 1...100 { #expect(try await value("SELECT v FROM kv WHERE k = \(key)") == "\(key * 2)") }
        try await execute("INSERT INTO kv VALUES (1000, 1)")
        try await execute("DELETE FROM kv WHERE k = 1000")
        try await pgmosaic("tables", "declare", "behind_\(UUID().uuidString.prefix(8).lowercased())", "--database", TestCluster.database, "--sharded-by", "k")
        try await waitUntilCopied()
    }

    // MARK: use

    private var managerURL: String { "http://127.0.0.1:\(managerPort)" }

    /// A command of the program, with nothing of ours in its environment but `environment`.
    func run(_ words: [String], environment: [String: String] = [:]) async throws -> CommandResult {
        let base = ["PATH": "/usr/bin:/bin", "HOME": folder, "LC_ALL": "C.UTF-8", "COLUMNS": "200"]
        return try await SupervisedProcess.run(.init(Self.program, words, environment: base.merging(environment) { $1 }), input: "", limit: .seconds(120))
    }

    func run(_ words: String..., environment: [String: String] = [:]) async throws -> CommandResult { try await run(words, environment: environment) }

    /// One towards the manager.
    @discardableResult
    func pgmosaic(_ words: String...) async throws -> String {
        let result = try await run(words + ["--url", managerURL])
        try #require(result.status == 0, "\(words): \(result.output)\(result.errors)")
        return result.output
    }

    /// `catalog recover`, with the key where there is one.
    func recover(_ words: String...) async throws -> CommandResult {
        try await run(["catalog", "recover"] + words + (keyFile.map { ["--secrets-key-file", $0] } ?? []))
    }

    func execute(_ sql: String) async throws { _ = try await value(sql) }

    func value(_ sql: String) async throws -> String? {
        let endpoint = try PostgresEndpoint.parse("postgres://test@127.0.0.1:\(wirePort)/\(TestCluster.database)?sslmode=disable&connect_timeout=120")
        let client = try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton)
        defer { Task { await client.close() } }
        return try await client.query(sql).rows.first?.text(0)
    }

    func psql(_ sql: String, on shard: Int) async throws -> String { try await shards[shard].psql(sql, database: TestCluster.database) }

    /// The catalog's epoch, by the manager.
    func epoch() async throws -> Int {
        let text = try await pgmosaic("catalog", "show", "--json")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        return try #require(object["epoch"] as? Int)
    }

    func copiedEpoch(on shard: Int) async throws -> Int { Int(try await psql("SELECT epoch FROM pgmosaic.catalog_copy", on: shard)) ?? -1 }

    func waitUntilCopied(_ numbers: [Int] = [0, 1]) async throws {
        try await eventually("the newest catalog is on the shards \(numbers)") {
            let epoch = try await self.epoch()
            for number in numbers where try await self.copiedEpoch(on: number) != epoch { return false }
            return true
        }
    }

    private func fill() async throws {
        try await pgmosaic("databases", "create", TestCluster.database, "--vnode-count", "16")
        for (index, server) in shards.enumerated() {
            // Whatever is sent, the servers trust: what matters is that it is sealed in the catalog.
            let secret = keyFile == nil ? "" : ":\(Self.password)"
            let endpoint = "postgres://\(server.options.superuser)\(secret)@127.0.0.1:\(server.port)/\(TestCluster.database)"
            try await pgmosaic("shards", "add", "s\(index + 1)", "--database", TestCluster.database, "--endpoint", endpoint)
        }
        let file = folder + "/ada.txt"
        try Data("ein-langes-Kennwort".utf8).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        try await pgmosaic("users", "add", "ada", "--role", "admin", "--password-file", file)
        try await pgmosaic("tables", "declare", "kv", "--database", TestCluster.database, "--sharded-by", "k")
        try await eventually("the router makes the table") {
            try await self.execute("CREATE TABLE IF NOT EXISTS kv (k bigint PRIMARY KEY, v int)")
            return true
        }
        for key in 1...100 { try await execute("INSERT INTO kv VALUES (\(key), \(key * 2))") }
        for shard in 0...1 { #expect(try await psql("SELECT count(*) > 10 FROM kv", on: shard) == "t") }
        try await waitUntilCopied()
    }
}
