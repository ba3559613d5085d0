internal import LogicalReplication
internal import PGChannel
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer
internal import Synchronization

extension PostgresServerWork {
    /// Clients wait meanwhile.
    private static let interval = Duration.milliseconds(1)

    /// On all old owners at once: the pause is the longest of them.
    func raiseFence(_ plan: JobPlan, _ work: JobWork, at epoch: Epoch, sparing spared: [ShardID: Set<Int32>]) async throws {
        work.state.withLock { $0.fencedAt = .now }
        try await onOldOwners(plan, work, doing: "fencing") { id, client in
            _ = try await client.query(FenceQueries.raise, [.integer(epoch.number)])
            // Whoever was let in by the fence as it was is there by now.
            let processes = (spared[id] ?? []).union(self.sessions.processes(on: id))
            let others = try await client.query(FenceQueries.end, [.text(Self.list(processes))]).rows.map { ($0.text(0) ?? "", $0.text(1) ?? "") }
            try await self.awaitEnd(of: others, on: id, client, limit: self.settings.endLimit)
        }
    }

    func awaitEnd(of others: [(process: String, since: String)], on id: ShardID, _ client: PGClient, limit: Duration) async throws {
        let start = ContinuousClock.now
        let parameters = [others.map(\.process), others.map(\.since)].map { JobTables.array($0) }
        while !others.isEmpty {
            let left = try await client.query(FenceQueries.left, parameters.map { .text($0) }).rows.compactMap { $0.text(0) }
            if left.isEmpty { return }
            if ContinuousClock.now - start > limit {
                throw EffectFailure.busy("sessions of shard \(id) do not end: processes \(left.prefix(10).joined(separator: ", "))")
            }
            try await Task.sleep(for: Self.interval)
        }
    }

    func lowerFence(_ plan: JobPlan, _ work: JobWork, at epoch: Epoch) async throws {
        try await onOldOwners(plan, work, doing: "taking back the fence") { _, client in
            _ = try await client.query(FenceQueries.lower, [.integer(epoch.number)])
        }
    }

    /// Behind the fence only transactions that are prepared already can still write for the moved vnodes: their ends are waited for. What is prepared later is of
    /// sessions that the fence has spared, whose routers hold what concerns the moved vnodes, or of sessions that say an epoch from which on their routers do.
    func measure(_ plan: JobPlan, _ work: JobWork) async throws -> [ShardID: LSN] {
        let ends = Ends()
        try await onOldOwners(plan, work, doing: "looking for the end of the log") { id, client in
            try await self.awaitPrepared(on: id, client)
            await ends.add(id, try await JobLog.end(client))
            // Something behind the end, so that the log goes on. With synchronous_commit = off, what was acknowledged may not be flushed: this commit, which is not so, takes all
            // before it along.
            _ = try await client.query(JobLog.mark)
        }
        return await ends.all
    }

    /// - precondition: the sessions that the fence ends are gone: a PREPARE of theirs is done, or never will be.
    private func awaitPrepared(on id: ShardID, _ client: PGClient) async throws {
        let start = ContinuousClock.now
        let standing = try await client.query(FenceQueries.prepared).rows.map { ($0.text(0) ?? "", $0.text(1) ?? "") }
        let parameters = [standing.map(\.0), standing.map(\.1)].map { PGParameter.text(JobTables.array($0)) }
        while !standing.isEmpty {
            let names = try await client.query(FenceQueries.stillPrepared, parameters).rows.compactMap { $0.text(0) }
            if names.isEmpty { return }
            if ContinuousClock.now - start > settings.preparedLimit {
                throw EffectFailure.busy("shard \(id) has prepared transactions whose outcome is not known yet: \(names.joined(separator: ", "))")
            }
            try await Task.sleep(for: Self.interval)
        }
    }

    /// The new owners have all of the log up to the ends. The streams stop there: behind the switch, routers write reference tables on both sides.
    func reach(_ ends: [ShardID: LSN], _ plan: JobPlan, _ work: JobWork, in catalog: CatalogSnapshot) async throws {
        for follower in work.followers { if let end = ends[follower.leg.from] { follower.hold(at: end) } }
        let start = ContinuousClock.now
        while true {
            let followers = try work.healthyFollowers(within: settings.reachLimit)
            if plan.legs.allSatisfy({ leg in followers.contains { $0.leg == leg && ends[leg.from] != nil && $0.isAtLimit } }) { break }
            if ContinuousClock.now - start > settings.reachLimit {
                throw EffectFailure.busy("the new owners have not reached the end of the log: \(followers.map(\.shown.lagBytes).max() ?? 0) bytes are missing")
            }
            try await Task.sleep(for: Self.interval)
        }
        if plan.record.direction == .forward { try await beginWayBack(plan, work, in: catalog) }
        work.state.withLock { state in state.lastPause = state.fencedAt.map { .now - $0 } }
    }

    /// Where the stream of the way back begins: behind all that was brought to the new owners, before anything that others write there.
    private func beginWayBack(_ plan: JobPlan, _ work: JobWork, in catalog: CatalogSnapshot) async throws {
        for leg in try JobPlan(plan.record, .back, in: catalog).legs {
            guard let from = plan.shards[leg.from] else { continue }
            do {
                let client = try await work.control(from, of: plan.names)
                // Of what is on disk. Behind that, the log may yet be lost in a crash and be written anew, with what others do after the switch.
                _ = try await client.query(JobLog.mark)
                let start = try await JobLog.flushed(client)
                for id in leg.targets {
                    guard let target = plan.shards[id] else { continue }
                    try await leg.position.reset(to: start, on: try await work.control(target, of: plan.names))
                }
            } catch {
                throw EffectFailure(error, doing: "beginning the way back of shard \(leg.from)")
            }
        }
    }

    /// Ends when the stream of the way back cannot go on.
    func mirror(_ plan: JobPlan, _ work: JobWork, in catalog: CatalogSnapshot) async throws {
        // Nobody needs the streams to the new owners any more, and a manager that was stopped must not go on with one.
        for leg in try JobPlan(plan.record, .forward, in: catalog).legs {
            try await with(leg.from, plan, doing: "removing the slot") { try await JobSlot.drop(leg.slot, $0) }
        }
        while true {
            _ = try work.healthyFollowers(within: .seconds(365 * 86_400))
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private func onOldOwners(
        _ plan: JobPlan, _ work: JobWork, doing: String, _ body: @escaping @Sendable (ShardID, PGClient) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for id in plan.record.oldOwners {
                guard let shard = plan.shards[id] else { throw EffectFailure.impossible("shard \(id) is not part of the database any more") }
                group.addTask {
                    do {
                        try await body(id, try await work.control(shard, of: plan.names))
                    } catch {
                        throw EffectFailure(error, doing: "\(doing) of shard \(id)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    static func list(_ processes: Set<Int32>) -> String { "{" + processes.map(String.init).joined(separator: ",") + "}" }
}

private actor Ends {
    private(set) var all: [ShardID: LSN] = [:]
    func add(_ id: ShardID, _ end: LSN) { all[id] = end }
}

private enum FenceQueries {
    /// $1 the epoch. What the fence was is kept: taking an attempt's back must not open what an earlier cutover has shut.
    static let raise = """
        WITH raised AS (
            UPDATE pgmosaic.identity AS i SET fence = $1::bigint FROM (SELECT fence FROM pgmosaic.identity FOR UPDATE) AS was WHERE i.fence < $1::bigint
            RETURNING was.fence)
        INSERT INTO pgmosaic.move_fences SELECT $1::bigint, fence FROM raised ON CONFLICT (fence) DO UPDATE SET before = EXCLUDED.before
        """

    static let lower = """
        WITH kept AS (DELETE FROM pgmosaic.move_fences WHERE fence = $1::bigint RETURNING before)
        UPDATE pgmosaic.identity SET fence = kept.before FROM kept WHERE fence = $1::bigint
        """

    /// $1 the processes that are spared. Of other roles' sessions, a role without rights is not told the kind.
    static let end = """
        SELECT pid, pg_catalog.to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS.US'), pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
        WHERE datname = pg_catalog.current_database() AND coalesce(backend_type, 'client backend') = 'client backend' AND usesysid IS NOT NULL
            AND pid <> pg_catalog.pg_backend_pid() AND pid <> ALL ($1::int[])
        """

    /// $1 processes, $2 when they began: the number alone may be another one's by now.
    static let left = """
        SELECT a.pid FROM pg_catalog.pg_stat_activity a
            JOIN unnest($1::int[], $2::text[]) AS ended(pid, since)
                ON ended.pid = a.pid AND ended.since = pg_catalog.to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS.US')
        """

    /// All of them, ours or not: what they have written is not told. Their number is bounded by max_prepared_transactions.
    static let prepared = """
        SELECT transaction::text, gid FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()
        """

    /// $1 transactions, $2 their names: one by one, either may be another's by now.
    static let stillPrepared = """
        SELECT p.gid FROM pg_catalog.pg_prepared_xacts p
            JOIN unnest($1::text[], $2::text[]) AS standing(transaction, gid) ON standing.transaction = p.transaction::text AND standing.gid = p.gid
        WHERE p.database = pg_catalog.current_database() ORDER BY p.prepared LIMIT 10
        """
}
