import CatalogSQLite
import CatalogStore
import ClusterTestKit
import Foundation
import PostgresProcess
import RESTTestKit
import Testing

/// A router in a process of its own, to be killed.
final class RouterProcess: @unchecked Sendable {
    private let folder: String
    let wirePort: Int
    let httpPort: Int
    private var process: SupervisedProcess?
    /// Those that were told to end and may still be at it.
    private var predecessors: [SupervisedProcess] = []
    private var starts = 0

    let catalogFile: String
    var snapshotFile: String { folder + "/router.snapshot" }

    /// The built program, beside the test bundle.
    static let program: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return (bundle as NSString).deletingLastPathComponent + "/pgmosaic"
    }()

    /// Writes catalog and settings for these shards. `settings`: further lines of YAML.
    convenience init(
        _ folder: String, _ servers: [PostgresServer], _ options: TestCluster.Options, ports: [Int]? = nil, id: String = "faulty", settings more: String = ""
    ) async throws {
        let catalog = folder + "/catalog/catalog.sqlite"
        try FileManager.default.createDirectory(atPath: folder + "/catalog", withIntermediateDirectories: true)
        let store = try await SQLiteCatalogStore(path: catalog, createIfMissing: true)
        try await TestCluster.register(servers, options, ports: ports, password: TestSecret.marker, in: store)
        try self.init(folder, catalog: catalog, id: id, settings: more)
    }

    /// Writes settings for a catalog that is there.
    init(_ folder: String, catalog: String, id: String, settings more: String = "") throws {
        self.folder = folder
        catalogFile = catalog
        wirePort = try LoopbackPort.free()
        httpPort = try LoopbackPort.free()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let settings = """
            id: "\(id)"
            catalog: "sqlite:\(catalog)"
            snapshot_file: "\(folder)/router.snapshot"
            wire: {port: \(wirePort), auth: trust}
            http: {port: \(httpPort), auth: none}
            \(more)

            """
        try Data(settings.utf8).write(to: URL(fileURLWithPath: folder + "/router.yaml"))
    }

    /// Starts it, and waits until it takes clients.
    func start() async throws {
        try launch()
        let port = wirePort
        try await eventually("the router takes clients") {
            let client = try await WireClient.login(port: port)
            defer { client.close() }
            return try await client.failure("SELECT 1") == nil
        }
        // REST comes last: by then the router has its place among the routers, too.
        try await eventually("the router answers requests") { try await RawHTTP.send("GET", "/health", port: self.httpPort).status == 200 }
    }

    /// Sends it SIGKILL, and does not wait.
    func strike() { process?.signal(SIGKILL) }

    private func launch() throws {
        starts += 1
        process = try SupervisedProcess.start(.init(Self.program, ["router", "--config", folder + "/router.yaml"], environment: Patience.environment, output: .file(logFile)))
    }

    /// Of the process that was started last.
    var logFile: String { folder + "/router-\(starts).log" }
    var log: String { (try? String(contentsOfFile: logFile, encoding: .utf8)) ?? "" }

    func signal(_ number: Int32) { process?.signal(number) }

    /// Rolling restart: starts a successor beside the process, waits until it listens, and tells the old one to end.
    func replace() async throws {
        let old = process
        try launch()
        try await eventually("the successor listens") { self.log.contains("Listening") }
        if let old {
            old.signal(SIGTERM)
            predecessors.append(old)
        }
    }

    /// Every process that was told to end has.
    func predecessorsEnd() async {
        for process in predecessors { await end(of: process) }
        predecessors = []
    }

    private func end(of process: SupervisedProcess) async {
        await process.waitForExit()
        #expect(process.exitStatus == 0, "a router did not end by itself: \(log.suffix(2000))")
    }

    /// SIGTERM, and waits for the end.
    func stop() async {
        guard let process else { return }
        process.signal(SIGTERM)
        await end(of: process)
        self.process = nil
    }

    /// `kill -9`.
    func kill() async {
        guard let process else { return }
        process.signal(SIGKILL)
        await process.waitForExit()
        self.process = nil
    }

    /// Starts it where it must refuse to: its exit status, and what it said.
    func failToStart() async throws -> (status: Int32, output: String) {
        let result = try await SupervisedProcess.run(.init(Self.program, ["router", "--config", folder + "/router.yaml"]), limit: .seconds(60))
        return (result.status, result.output + result.errors)
    }

    func login() async throws -> WireClient { try await WireClient.login(port: wirePort) }
}
