import CatalogSQLite
import CatalogStore
import Foundation
import Logging
import ManagerService
import ReshardCore
import ServerConfig
import ShardModel
import Telemetry
import Testing

/// A catalog in a SQLite file, with a database of two owners and a shard that joins, and supervisors of jobs over it.
struct JobKit: Sendable {
    let store: any CatalogStore
    let metrics = SharedMetrics()

    static func run(_ body: @Sendable (JobKit) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-jobs-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let kit = JobKit(store: try await SQLiteCatalogStore(path: folder + "/catalog.sqlite"))
        try await kit.makeDatabase()
        try await body(kit)
    }

    static let s1 = ShardID("s1")
    static let s2 = ShardID("s2")
    static let s3 = ShardID("s3")

    private func makeDatabase() async throws {
        let parts = RingCut.even(over: 2, vnodesEach: 4, after: 0)
        try await commit([
            .putDatabase(DatabaseRecord(name: "app", homeShard: Self.s1)),
            .putShard(ShardRecord(id: Self.s1, name: "s1", database: "app", primaryEndpoint: "postgres://u@h1/d", vnodes: parts[0], slice: 0)),
            .putShard(ShardRecord(id: Self.s2, name: "s2", database: "app", primaryEndpoint: "postgres://u@h2/d", vnodes: parts[1], slice: 1)),
            .putShard(ShardRecord(id: Self.s3, name: "s3", database: "app", primaryEndpoint: "postgres://u@h3/d", status: .migrating, slice: 2)),
        ])
    }

    func commit(_ operations: [CatalogChange.Operation]) async throws {
        _ = try await store.commit(CatalogChange(operations, author: "test"), expecting: try await store.load().epoch)
    }

    /// Written as the API does.
    func begin(_ id: String = "j1", _ request: MoveRequest = .split(source: s1, targets: [s3], border: nil), endsTransactions: Bool? = nil) async throws {
        let catalog = try await store.load()
        let plan = try MovePlan.make(request, in: catalog)
        var record = JobRecord(id: JobID(id), kind: plan.kind, database: plan.database, moves: plan.moves)
        record.version = 1
        record.endsTransactions = endsTransactions
        try await commit(plan.cut.map { .putShard($0) } + [.putJob(StoredJob(record, createdAt: 1, updatedAt: 1).stored)])
    }

    /// The schema of a target that joins, and a slot and a publication on each source.
    static let ledgers: JobSupervisor.Ledgers = { record, catalog in
        let sources = record.sources.flatMap { [LedgerEntry.slot($0, name: "slot_\(record.id)"), .publication($0, name: "pub_\(record.id)")] }
        let targets = record.targets.filter { catalog.shards[$0]?.isJoining == true }.map { LedgerEntry.schema($0, name: "public") }
        return (sources + targets + record.targets.map(LedgerEntry.rows), record.targets.map { .slot($0, name: "back_\(record.id)") })
    }

    /// Large, so that no machine is too slow for it.
    static let settings = ReshardSettings(pauseBudget: .seconds(300), drainLimit: .seconds(200))

    static var quiet: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    /// A manager's supervisor, until `body` has returned; then it is stopped as by a crash that leaves the catalog alone.
    func supervised(
        by work: ScriptedWork, election: LeaderElection? = nil, settings: ReshardSettings = settings, _ body: @Sendable (JobSupervisor) async throws -> Void
    ) async throws {
        let supervisor = JobSupervisor(
            store: store, election: election, work: work, ledgers: Self.ledgers, settings: settings, metrics: metrics, logger: Self.quiet, now: { 1_700_000_000 })
        let running = Task { try await supervisor.run() }
        let result: Result<Void, any Error>
        do {
            try await body(supervisor)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        running.cancel()
        _ = await running.result
        #expect(work.running == 0, "something of a job runs on")
        #expect(work.runningMost <= 1, "two effects of one job at once")
        try result.get()
    }

    func job(_ id: String = "j1") async throws -> JobRecord {
        let stored = try #require(try await store.load().jobs[id])
        let record = try #require(StoredJob(stored)).record
        #expect(record.version == stored.version && record.isOver == stored.isOver)
        return record
    }

    /// By id of the vnode.
    func owners() async throws -> [UInt32: String] {
        let catalog = try await store.load()
        try catalog.checkInvariants()
        return Dictionary(uniqueKeysWithValues: catalog.shards.values.flatMap { shard in shard.vnodes.map { ($0.id, shard.id.name) } })
    }

    func until(
        _ what: String, of id: String = "j1", location: SourceLocation = #_sourceLocation, _ condition: @Sendable (JobRecord) async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(600)
        while ContinuousClock.now < deadline {
            if try await condition(try await job(id)) { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("\(what): not in time; the job is \(try await job(id).step)", sourceLocation: location)
        throw JobTimeout()
    }

    func until(_ id: String = "j1", is step: JobStep, location: SourceLocation = #_sourceLocation) async throws {
        try await until("\(step)", of: id, location: location) { $0.step == step }
    }
}

struct JobTimeout: Error {}
