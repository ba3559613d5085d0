import CatalogSQLite
import CatalogStore
import ClusterTestKit
import Foundation
import PostgresProcess
import RESTTestKit
import ShardModel
import Testing

/// Two shards, a third server that holds nothing, two routers and a manager, each a process of its own on one catalog.
struct ReshardCluster: Sendable {
    let folder: String
    /// The third is no shard yet.
    let servers: [PostgresServer]
    let routers: [RouterProcess]
    let manager: ManagerProcess

    static var options: TestCluster.Options {
        var options = TestCluster.Options(shards: 3, tables: FaultClusterTrait.tables)
        options.postgres = ["synchronous_commit": "on", "wal_level": "logical", "max_prepared_transactions": "50"]
        return options
    }

    static func with(_ body: @Sendable (ReshardCluster) async throws -> Void) async throws {
        try await TestCluster.withShards(options) { folder, servers in
            let one = try await RouterProcess(folder + "/r1", Array(servers.prefix(2)), options, id: "r1")
            let two = try RouterProcess(folder + "/r2", catalog: one.catalogFile, id: "r2")
            // A debug build on a machine with other work: how long a pause is, is measured elsewhere.
            let manager = try ManagerProcess(folder + "/m", catalog: one.catalogFile, settings: "reshard: {pause_budget: 10s, drain_limit: 4s}")
            let cluster = ReshardCluster(folder: folder, servers: servers, routers: [one, two], manager: manager)
            let result: Result<Void, any Error>
            do {
                try await manager.start()
                for router in cluster.routers { try await router.start() }
                let client = try await one.login()
                for statement in FaultClusterTrait.statements { try #require(try await client.failure(statement) == nil, "\(statement)") }
                client.close()
                result = .success(try await body(cluster))
            } catch {
                result = .failure(error)
            }
            await manager.kill()
            for router in cluster.routers { await router.kill() }
            try result.get()
        }
    }

    func catalog() async throws -> CatalogSnapshot {
        try await SQLiteCatalogStore(path: routers[0].catalogFile, createIfMissing: false).load()
    }

    /// Registers the third server.
    func addThird() async throws {
        let endpoint = servers[2].dsn(database: TestCluster.database)
        let answer = try await manager.send("POST", "/api/v1/shards", ["id": "s3", "database": TestCluster.database, "primary_endpoint": endpoint])
        try #require(answer.status == 201, "\(answer.text)")
    }

    func on(_ index: Int, _ sql: String) async throws -> String { try await servers[index].psql(sql, database: TestCluster.database) }

    /// All rows of `kv`, by who should have them; and how many are where they should not be.
    func rows() async throws -> (owned: [Int64: Int64], elsewhere: Int) {
        let topology = try Topology(database: TestCluster.database, in: try await catalog())
        var (owned, elsewhere): ([Int64: Int64], Int) = ([:], 0)
        for index in servers.indices {
            guard try await on(index, "SELECT to_regclass('kv') IS NOT NULL") == "t" else { continue }
            for line in try await on(index, "SELECT k || ' ' || v FROM kv").split(separator: "\n") {
                let parts = line.split(separator: " ").compactMap { Int64($0) }
                let owner = topology.shards[topology.ring.owner(of: Token(hashing: "\(parts[0])".utf8Span.span.bytes)).value].id
                if owner == TestCluster.id(of: index) { owned[parts[0]] = parts[1] } else { elsewhere += 1 }
            }
        }
        return (owned, elsewhere)
    }

    /// What a job must not leave anywhere.
    func leftovers() async throws -> [String] {
        var left: [String] = []
        for index in servers.indices {
            let found = try await on(
                index, "SELECT 'slot ' || slot_name FROM pg_replication_slots UNION ALL SELECT 'publication ' || pubname FROM pg_publication")
            left += found.split(separator: "\n").map { "s\(index + 1): \($0)" }
        }
        return left
    }

    // MARK: Jobs

    func begin(_ path: String, _ body: [String: Any]) async throws -> String {
        let answer = try await manager.send("POST", "/api/v1/reshard/\(path)", body)
        try #require(answer.status == 202, "\(answer.text)")
        return try #require(Self.field("id", of: answer))
    }

    func job(_ id: String) async throws -> (status: String, text: String) {
        let answer = try await manager.send("GET", "/api/v1/reshard/jobs/\(id)")
        return (Self.field("status", of: answer) ?? "", answer.text)
    }

    func wait(for status: String, of id: String, within limit: Duration = .seconds(300), _ location: SourceLocation = #_sourceLocation) async throws {
        do {
            try await eventually("job \(id) is \(status)", within: limit, location) {
                let now = try await job(id)
                if now.status == "failed", status != "failed" { throw JobFailed(text: now.text) }
                return now.status == status
            }
        } catch {
            print((try? await job(id).text) ?? "", manager.log.suffix(3000))
            throw error
        }
    }

    func finish(_ id: String) async throws {
        // A manager that has just begun to lead does not carry the job out yet, and says so.
        try await eventually("the end of job \(id) is accepted") {
            let answer = try await manager.send("POST", "/api/v1/reshard/jobs/\(id)/finish")
            if answer.status == 503 { return false }
            #expect(answer.status == 200 || answer.status == 202, "\(answer.text)")
            return true
        }
        try await eventually("job \(id) is over") { try await catalog().jobs[id]?.isOver == true }
    }

    struct JobFailed: Error { var text: String }

    static func field(_ name: String, of answer: HTTPAnswer) -> String? {
        let object = try? JSONSerialization.jsonObject(with: Data(answer.text.utf8)) as? [String: Any]
        return object?[name] as? String
    }
}

/// A manager in a process of its own, to be killed.
///
/// `@unchecked`: a test starts and ends it from one task at a time.
final class ManagerProcess: @unchecked Sendable {
    let httpPort: Int
    private let folder: String
    private var process: SupervisedProcess?
    var points: JobPoints { JobPoints(folder: folder + "/points") }

    init(_ folder: String, catalog: String, settings more: String = "") throws {
        self.folder = folder
        httpPort = try LoopbackPort.free()
        try FileManager.default.createDirectory(atPath: folder + "/points", withIntermediateDirectories: true)
        let settings = """
            id: "m1"
            catalog: "sqlite:\(catalog)"
            http: {port: \(httpPort), auth: none}
            \(more)

            """
        try Data(settings.utf8).write(to: URL(fileURLWithPath: folder + "/manager.yaml"))
    }

    var log: String { (try? String(contentsOfFile: folder + "/manager.log", encoding: .utf8)) ?? "" }

    func start() async throws {
        let environment = Patience.environment.merging([JobPoints.variable: points.folder]) { $1 }
        process = try SupervisedProcess.start(
            .init(
                RouterProcess.program, ["manager", "--config", folder + "/manager.yaml"], environment: environment, output: .file(folder + "/manager.log")))
        try await eventually("the manager is ready") { try await send("GET", "/ready").status == 200 }
    }

    func signal(_ number: Int32) { process?.signal(number) }

    func kill() async {
        guard let process else { return }
        process.signal(SIGKILL)
        process.signal(SIGCONT)
        await process.waitForExit()
        self.process = nil
    }

    func send(_ method: String, _ path: String, _ body: [String: Any]? = nil) async throws -> HTTPAnswer {
        let bytes = try body.map { Array(try JSONSerialization.data(withJSONObject: $0)) } ?? []
        return try await RawHTTP.send(method, path, port: httpPort, headers: [("Content-Type", "application/json")], body: bytes)
    }
}
