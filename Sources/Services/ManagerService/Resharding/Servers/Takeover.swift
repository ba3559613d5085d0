internal import PGChannel
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer
internal import Synchronization

/// Whether a job is still this manager's.
struct JobClaim: Sendable {
    let isCurrent: @Sendable (JobRecord) async throws -> Bool

    /// Throws where it is not, or nobody can say.
    func affirm(_ record: JobRecord) async throws(EffectFailure) {
        let isOurs: Bool
        do { isOurs = try await isCurrent(record) } catch { throw .unavailable("the catalog store cannot be reached") }
        if !isOurs { throw .unavailable("another manager has the job") }
    }
}

/// A manager that was stopped goes on where it was, when another one has carried the job further, or has ended it: with a catalog as it was, in which a target
/// that owns the rows by now does not own them.
///
/// Who changes something has a session first, and asks the catalog then whether the job is still its own. Who takes a job over has written its record first, and
/// ends all sessions of the job that are not its own before it does anything. So a session is ended, or its question comes behind the new record.
extension PostgresServerWork {
    /// Opens a session for changes. What it throws is an `EffectFailure`.
    func with<Value: Sendable>(
        _ shard: ShardRecord, of record: JobRecord, doing: String, _ body: @Sendable (PGClient) async throws -> Value
    ) async throws(EffectFailure) -> Value {
        try await sessions.with(shard, as: JobNames(record.id).session, doing: doing) { client in
            try await self.claim.affirm(record)
            return try await body(client)
        }
    }

    func with<Value: Sendable>(
        _ id: ShardID, _ plan: JobPlan, doing: String, _ body: @Sendable (PGClient) async throws -> Value
    ) async throws(EffectFailure) -> Value {
        guard let shard = plan.shards[id] else { throw .impossible("shard \(id) is not part of the database any more") }
        return try await with(shard, of: plan.record, doing: doing, body)
    }

    /// Once for each job that this manager carries out.
    func takeOver(_ record: JobRecord, _ work: JobWork, in catalog: CatalogSnapshot) async throws(EffectFailure) {
        if work.state.withLock(\.hasTakenOver) { return }
        for id in Set(record.sources + record.targets).sorted() {
            if let shard = catalog.shards[id] { try await endOthers(on: shard, of: record) }
        }
        work.state.withLock { $0.hasTakenOver = true }
    }

    /// Sessions of a manager that led before: what they still do would come in between.
    func endOthers(on shard: ShardRecord, of record: JobRecord) async throws(EffectFailure) {
        try await with(shard, of: record, doing: "ending an earlier manager's sessions") { [sessions] client in
            let query = """
                SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity
                WHERE datname = pg_catalog.current_database() AND application_name = $1 AND pid <> pg_catalog.pg_backend_pid() AND pid <> ALL ($2::int[])
                """
            for _ in 0..<100 {
                // Our own streams may be beginning meanwhile.
                let own = "{" + sessions.processes(on: shard.id).map(String.init).joined(separator: ",") + "}"
                let row = try await client.query(query, [.text(JobNames(record.id).session), .text(own)]).rows.first
                if row?.integer(0) == 0 { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw EffectFailure.unavailable("sessions of an earlier run of the job do not end")
        }
    }
}
