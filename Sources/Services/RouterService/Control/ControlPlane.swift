internal import CatalogStore
internal import Foundation
internal import Logging
internal import NIOCore
internal import PGChannel
internal import PGWire
internal import RoutePlanning
internal import Secrets
internal import ServerConfig
internal import ShardModel
internal import Synchronization

/// The router's side of the control plane: follows the catalog, keeps schemas current, and makes the changes that statements ask for.
///
/// Everything here may be slow or fail without a statement's noticing: event loops serve from what they were last given.
final class ControlPlane: Sendable {
    let store: any CatalogStore
    let group: any EventLoopGroup
    let logger: Logger
    let secrets: SecretBox?
    let routerID: String
    /// Seconds since 1970.
    let startedAt = Date().timeIntervalSince1970
    private let state = Mutex(State())

    private struct State {
        var loops: [LoopReference] = []
        var catalog: CatalogSnapshot?
        /// All loops serve it, or something newer.
        var served = Epoch.zero
        var schemas: [String: SchemaKeeper] = [:]
        var announcement: Task<Void, Never>?
        var isEnding = false
        var acknowledgements = HoldAcknowledgements()
        var overfull: Set<HoldAttempt> = []
        var sessions = SessionReports()
        var waiting: [SpanningTransaction] = []
        var concurrentRuns = 0
    }
    /// Something of the announcement has changed that somebody waits for.
    let announcementBell = Bell()

    init(store: any CatalogStore, group: any EventLoopGroup, routerID: String, secrets: SecretBox?, logger: Logger) {
        self.store = store
        self.group = group
        self.routerID = routerID
        self.secrets = secrets
        self.logger = logger
    }

    var catalog: CatalogSnapshot? { state.withLock { $0.catalog } }
    var servedEpoch: Epoch { state.withLock(\.served) }
    var loops: [LoopReference] { state.withLock { $0.loops } }

    func setAnnouncement(_ task: Task<Void, Never>) { state.withLock { $0.announcement = task } }
    private var isEnding: Bool { state.withLock { $0.isEnding } }
    /// The saved copy is a successor's from now on.
    func beginToEnd() { state.withLock { $0.isEnding = true } }
    func takeAnnouncement() -> Task<Void, Never>? {
        state.withLock { state in
            state.isEnding = true
            defer { state.announcement = nil }
            return state.announcement
        }
    }

    /// Of holds; nil: none. Each says of all loops together what they have said.
    var acknowledgements: [HoldAcknowledgement]? {
        let complete = state.withLock { $0.acknowledgements.complete(loops: $0.loops.count) }
        return complete.isEmpty ? nil : complete
    }

    /// Holds for which some loop has more waiting than it is to keep; nil: none.
    var overfull: [HoldAttempt]? {
        let all = state.withLock(\.overfull)
        return all.isEmpty ? nil : all.sorted { ($0.job, $0.attempt) < ($1.job, $1.attempt) }
    }

    func noteOverfull(_ attempt: HoldAttempt) { state.withLock { _ = $0.overfull.insert(attempt) } }

    /// False where there are too many.
    func beginConcurrentRun() -> Bool {
        state.withLock { state in
            guard state.concurrentRuns < ConcurrentIndexRun.runsMax else { return false }
            state.concurrentRuns += 1
            return true
        }
    }

    func endConcurrentRun() { state.withLock { $0.concurrentRuns -= 1 } }

    /// Transactions of several shards that wait for locks; nil: none.
    var waiting: [SpanningTransaction]? {
        let all = state.withLock(\.waiting)
        return all.isEmpty ? nil : all
    }

    /// Returns whether they are others than before.
    func noteWaiting(_ transactions: [SpanningTransaction]) -> Bool {
        let sorted = transactions.sorted { $0.id < $1.id }
        return state.withLock { state in
            defer { state.waiting = sorted }
            return state.waiting != sorted
        }
    }

    /// nil: there is no job, or some loop has not reported yet.
    var sessions: SessionReport? { state.withLock(\.sessions.complete) }

    func noteSessions(_ report: SessionReport, loop: Int) -> Bool {
        state.withLock { $0.sessions.add(report, loop: loop, of: $0.loops.count) }
    }

    /// Returns whether all loops have drained.
    func noteDrained(_ acknowledgement: HoldAcknowledgement, loop: Int) -> Bool {
        state.withLock { state in
            state.acknowledgements.add(acknowledgement, loop: loop)
            return state.acknowledgements.complete(loops: state.loops.count).contains {
                $0.job == acknowledgement.job && $0.attempt == acknowledgement.attempt
            }
        }
    }

    func attach(_ loops: [LoopReference]) { state.withLock { $0.loops = loops } }

    /// Gives every loop the snapshot, and every new database a keeper of its schema. Returns once all loops serve it.
    func install(_ snapshot: CatalogSnapshot) async {
        let isNew = state.withLock { state in
            if let current = state.catalog, current.clusterID == snapshot.clusterID, current.epoch >= snapshot.epoch { return false }
            if state.catalog?.clusterID != snapshot.clusterID || snapshot.jobs.values.allSatisfy(\.isOver) { state.sessions = SessionReports() }
            state.catalog = snapshot
            state.acknowledgements.keep(snapshot.holds.values)
            state.overfull.formIntersection(snapshot.holds.values.map { HoldAttempt(job: $0.job, attempt: $0.attempt) })
            return true
        }
        if isNew {
            for loop in loops { _ = await loop.ask { $0.install(snapshot) } }
            state.withLock { if $0.catalog?.epoch == snapshot.epoch { $0.served = snapshot.epoch } }
            // Its manager waits for the news that it is known here.
            if snapshot.jobs.values.contains(where: { !$0.isOver }) { announcementBell.ring() }
            logger.info("Serving a new epoch of the catalog", metadata: ["epoch": "\(snapshot.epoch)"])
        } else {
            // Whoever brought it first, the watch or a commit, may still be at it.
            for loop in loops { _ = await loop.ask { $0.catchUp(to: snapshot) } }
        }
        for name in snapshot.databases.keys { await keepSchema(of: name, in: snapshot) }
    }

    private func keepSchema(of database: String, in snapshot: CatalogSnapshot) async {
        guard let topology = try? Topology(database: database, in: snapshot) else { return }
        let home = topology.shards[topology.homeShard.value]
        let (keeper, isNew) = state.withLock { state in
            if let known = state.schemas[database] { return (known, false) }
            let new = SchemaKeeper(database: database, control: self)
            state.schemas[database] = new
            return (new, true)
        }
        await keeper.setHome(home.primaryEndpoint)
        if isNew { await keeper.start() }
    }

    /// Follows the catalog until the task is cancelled, and keeps the saved copy up with what is served.
    func follow(snapshotFile: String?) async {
        let first = catalog
        // A router that never sees a change must be able to start without the catalog, too.
        if let first, let snapshotFile { save(first, to: snapshotFile) }
        for await snapshot in store.watch(after: first?.epoch ?? .zero) {
            await install(snapshot)
            // A successor may have saved a newer one.
            if let snapshotFile, !isEnding { save(snapshot, to: snapshotFile) }
        }
    }

    private func save(_ snapshot: CatalogSnapshot, to file: String) {
        do { try SnapshotFile.save(snapshot, to: file, seal: secrets?.snapshotSeal) } catch {
            logger.warning("The catalog's copy could not be saved", metadata: ["error": "\(error)"])
        }
    }

    func stop() async {
        for keeper in state.withLock({ Array($0.schemas.values) }) { await keeper.stop() }
    }

    // MARK: Schemas

    func schemaLoaded(_ loaded: LoadedSchema, database: String) async {
        for loop in loops { _ = await loop.ask { $0.install(loaded, for: database) } }
    }

    /// Reads the schema now; done once all loops have it.
    func refreshSchema(database: String) -> EventLoopFuture<Void> {
        future { try await self.refresh(database) }
    }

    private func refresh(_ database: String) async throws {
        guard let keeper = state.withLock({ $0.schemas[database] }) else { throw ServerError.noDatabase(database) }
        try await keeper.refresh()
    }

    // MARK: Changes

    /// What a committed schema change means for the catalog, and for the plans of this router. The result is a warning for the client, or nil.
    func publish(_ changes: [PlacementChange], database: String, author: String) -> EventLoopFuture<ServerError?> {
        future {
            var notice: ServerError?
            if !changes.isEmpty {
                do {
                    try await self.commit(author: author) { catalog in try Self.operations(changes, database: database, in: catalog) }
                } catch {
                    self.logger.error("Placements could not be recorded", metadata: ["error": "\(error)"])
                    notice = ServerError(
                        severity: .warning, sqlState: .ioError,
                        message: "the schema change is committed, but its placements could not be recorded in the catalog",
                        hint: "Declare them with `pgmosaic tables`; until then the tables are refused.")
                }
            }
            do {
                try await self.refresh(database)
                await self.state.withLock { $0.schemas[database] }?.announceChange()
            } catch {
                self.logger.warning("The schema could not be read after a change", metadata: ["error": "\(error)"])
            }
            return notice
        }
    }

    /// `SELECT pgmosaic.shard_table(…)` and its siblings.
    func declare(_ statement: MosaicStatement, database: String, author: String) -> EventLoopFuture<Void> {
        future {
            if let job = self.catalog?.jobs.values.filter({ $0.database == database && !$0.isOver }).map(\.id).min() {
                throw ServerError.refusal(Refusal(.resharding, "job \(job)"))
            }
            switch statement {
            case .declare(let name, let placement):
                if let keeper = self.state.withLock({ $0.schemas[database] }), let catalog = self.catalog,
                    catalog.tables[.init(database: database, table: name)]?.placement != placement
                {
                    try await keeper.refresh()
                    try await keeper.check(name, placement)
                    if try await self.holdsRows(name, database: database) { throw ServerError.refusal(Refusal(.tableHasRows, name.description)) }
                }
                try await self.commit(author: author) { catalog in
                    try Self.operations([.declare(name, placement)], database: database, in: catalog)
                }
            case .forget(let name):
                try await self.commit(author: author) { catalog in
                    try Self.operations([.forget(name)], database: database, in: catalog)
                }
            }
        }
    }

    private static func operations(
        _ changes: [PlacementChange], database: String, in catalog: CatalogSnapshot
    ) throws -> [CatalogChange.Operation] {
        changes.compactMap { change in
            switch change {
            case .declare(let name, let placement):
                let old = catalog.tables[.init(database: database, table: name)]
                if old?.placement == placement { return nil }
                return .putTable(TableRecord(database: database, name: name, placement: placement, version: old?.version ?? 0))
            case .forget(let name):
                guard let old = catalog.tables[.init(database: database, table: name)] else { return nil }
                return .deleteTable(database: database, name: name, version: old.version)
            case .rename:
                return nil
            }
        } + changes.flatMap { change -> [CatalogChange.Operation] in
            guard case .rename(let from, let to) = change, let old = catalog.tables[.init(database: database, table: from)] else { return [] }
            return [
                .deleteTable(database: database, name: from, version: old.version),
                .putTable(
                    TableRecord(
                        database: database, name: to, placement: old.placement,
                        version: catalog.tables[.init(database: database, table: to)]?.version ?? 0)),
            ]
        }
    }

    /// Compare-and-set, anew from what is stored when somebody else was faster.
    private func commit(
        author: String, _ operations: (CatalogSnapshot) throws -> [CatalogChange.Operation]
    ) async throws {
        for _ in 0..<10 {
            let current = try await store.load()
            let operations = try operations(current)
            guard !operations.isEmpty else { return await install(current) }
            do {
                let next = try await store.commit(CatalogChange(operations, author: author), expecting: current.epoch)
                return await install(next)
            } catch CatalogError.conflict, CatalogError.unknownOutcome {
                continue
            }
        }
        throw ServerError.catalogUnavailable
    }

    /// Whether a table exists and holds a row on any shard of the database.
    private func holdsRows(_ name: QualifiedName, database: String) async throws -> Bool {
        guard let catalog else { return false }
        for shard in catalog.shards.values where shard.database == database && !shard.isJoining {
            let holdsRows = try await withClient(shard.primaryEndpoint) { client in
                try await client.query(SchemaProbe.holdsRows(name)).rows.first?.text(0) == "t"
            }
            if holdsRows { return true }
        }
        return false
    }

    func future<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) -> EventLoopFuture<Value> {
        let promise = group.any().makePromise(of: Value.self)
        promise.completeWithTask(work)
        return promise.futureResult
    }
}
