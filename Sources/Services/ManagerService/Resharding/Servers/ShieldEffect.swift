internal import PGChannel
internal import ReshardCore
internal import ShardModel

/// While a job copies, its targets have rows that others own. Routers that know of the job refuse what would see them. One that does not, because it is cut off from the
/// catalog for longer than its announcement lasts, must find no target: decision 0076.
extension PostgresServerWork {
    /// Nobody who says an older epoch is let in from now on. Whoever is in then is noted: some of them said one before.
    func shield(_ plan: JobPlan, at epoch: Epoch) async throws {
        for id in plan.record.targets {
            try await with(id, plan, doing: "raising the fence") { client in
                _ = try await client.execute(JobSchema.install)
                _ = try await client.execute(ShieldQueries.raise(to: epoch))
                // Behind the commit: a session that looked at the fence before it is there by now.
                _ = try await client.query(ShieldQueries.note, [.text(plan.names.session)])
            }
        }
    }

    /// - spared: what routers have announced since the sessions were noted.
    func endStrangers(_ plan: JobPlan, sparing spared: [ShardID: Set<Int32>]) async throws {
        for id in plan.record.targets {
            try await with(id, plan, doing: "ending sessions of routers that may not know of the job") { [sessions, settings] client in
                _ = try await client.execute(JobSchema.install)
                let named = (spared[id] ?? []).union(sessions.processes(on: id))
                let parameters = [plan.names.session, Self.list(named)].map { PGParameter.text($0) }
                let others = try await client.query(ShieldQueries.end, parameters).rows.map { ($0.text(0) ?? "", $0.text(1) ?? "") }
                try await self.awaitEnd(of: others, on: id, client, limit: settings.timeout)
                _ = try await client.query(ShieldQueries.forget, [.text(plan.names.session)])
            }
        }
    }
}

private enum ShieldQueries {
    /// It is never taken back. An attempt at a cutover of another job, which has raised it higher, must not take it back to less than this.
    static func raise(to epoch: Epoch) -> String {
        """
        BEGIN;
        UPDATE pgmosaic.identity SET fence = greatest(fence, \(epoch.number));
        UPDATE pgmosaic.move_fences SET before = greatest(before, \(epoch.number)) WHERE fence > \(epoch.number);
        COMMIT
        """
    }

    /// $1 the job's. Kept here, for the manager may be another one when they are ended. Whose sessions they are is not told by names: `FenceQueries.end`.
    static let note = """
        INSERT INTO pgmosaic.move_sessions SELECT $1, pid, extract(epoch FROM backend_start)::text FROM pg_catalog.pg_stat_activity
        WHERE datname = pg_catalog.current_database() AND coalesce(backend_type, 'client backend') = 'client backend' AND usesysid IS NOT NULL
            AND pid <> pg_catalog.pg_backend_pid()
        ON CONFLICT DO NOTHING
        """

    /// $1 the job's, $2 the processes that are spared.
    static let end = """
        SELECT a.pid, pg_catalog.to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS.US'), pg_catalog.pg_terminate_backend(a.pid)
        FROM pgmosaic.move_sessions m JOIN pg_catalog.pg_stat_activity a ON a.pid = m.process AND extract(epoch FROM a.backend_start)::text = m.since
        WHERE m.job = $1 AND a.pid <> pg_catalog.pg_backend_pid() AND a.pid <> ALL ($2::int[])
        """

    static let forget = "DELETE FROM pgmosaic.move_sessions WHERE job = $1"
}
