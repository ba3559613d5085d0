import CatalogStore
import ControlAPI
import Logging
import ManagerService
import RESTTestKit
import Secrets
import ShardModel
import Telemetry

/// A manager over HTTP with a catalog in memory.
struct ManagerKit: Sendable {
    let server: RESTTestServer
    let store: InMemoryCatalogStore
    let servers: FakeInspector
    /// Carries jobs out, by what the test says of servers.
    let work: ScriptedWork

    static func run(
        inspector: (any ShardInspector)? = nil, serverWork: (any ServerWork)? = nil, box: SecretBox? = SecretBox(key: Array(0..<32)), faults: Faults? = nil, longPollsMax: Int? = nil,
        _ body: @Sendable (ManagerKit) async throws -> Void
    ) async throws {
        let servers = FakeInspector()
        let store = InMemoryCatalogStore()
        let work = ScriptedWork()
        let seen: any CatalogStore = if let faults { FaultyStore(store: store, faults: faults) } else { store }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let jobs = JobSupervisor(
            store: seen, election: nil, work: serverWork ?? work, ledgers: serverWork == nil ? JobKit.ledgers : JobNames.ledgers, settings: JobKit.settings, metrics: SharedMetrics(), logger: logger, now: { 1_700_000_000 })
        let supervising = Task { try await jobs.run() }
        defer { supervising.cancel() }
        let api = ManagerAPI(
            store: seen, inspector: inspector ?? servers, box: box, metrics: SharedMetrics(), registry: MetricRegistry(),
            jobs: jobs, longPollsMax: longPollsMax, now: { 1_700_000_000 })
        let responder = ManagerServer.responder(api, bodyMax: 100_000, metrics: SharedMetrics(), logger: logger)
        try await RESTTestServer.with(responder) { server in
            try await body(ManagerKit(server: server, store: store, servers: servers, work: work))
        }
    }

    /// A database with shards s1, s2, … on hosts h1, h2, …
    func makeDatabase(_ name: String = "app", shards: Int = 0, vnodes: Int64 = 4) async throws {
        try expect(201, await server.post("/api/v1/databases", ["name": .string(name), "vnode_count": .integer(vnodes)]))
        for number in 1..<(shards + 1) {
            servers["h\(number)/d"] = .init()
            try expect(201, await addShard("s\(number)", on: "h\(number)/d", to: name))
        }
    }

    func addShard(_ id: String, on place: String, to database: String = "app") async throws -> HTTPAnswer {
        try await server.post(
            "/api/v1/shards", ["id": .string(id), "database": .string(database), "primary_endpoint": .string("postgres://u@\(place)")])
    }

    func declare(_ table: String, _ kind: String, key: String? = nil) async throws -> HTTPAnswer {
        var body: [JSONValue.Member] = [.init("name", .string(table)), .init("kind", .string(kind))]
        if let key { body.append(.init("shard_key", .string(key))) }
        return try await server.post("/api/v1/databases/app/tables", .object(body))
    }

    func expect(_ status: Int, _ answer: HTTPAnswer) throws {
        guard answer.status == status else { throw RawHTTPError(description: "expected \(status), got \(answer.status): \(answer.text)") }
    }
}
