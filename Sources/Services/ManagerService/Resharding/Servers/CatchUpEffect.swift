internal import LogicalReplication
internal import PGChannel
internal import PGWire
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer

extension PostgresServerWork {
    /// So much of the log a target may lack when a cutover is begun; or it does what there is within `Settings.applyMax`.
    private static let lagMax: UInt64 = 64 << 10
    private static let pollInterval = Duration.milliseconds(10)
    /// A stream that has been broken for so long is reported.
    static let brokenLimit = Duration.seconds(20)

    func catchUp(_ plan: JobPlan, _ work: JobWork, after pause: Duration) async throws {
        try await Task.sleep(for: pause)
        while true {
            let ends = try await logEnds(plan, work)
            let start = ContinuousClock.now
            while true {
                let followers = try work.healthyFollowers(within: Self.brokenLimit)
                if followers.allSatisfy({ $0.hasReached(ends[$0.leg.from] ?? .none) }) { break }
                try await Task.sleep(for: Self.pollInterval)
            }
            if ContinuousClock.now - start <= settings.applyMax { return }
            let now = try await logEnds(plan, work)
            let isNear = work.followers.allSatisfy { follower in
                guard let end = now[follower.leg.from] else { return false }
                return end.value <= follower.flushed.value + Self.lagMax
            }
            if isNear { return }
        }
    }

    /// Where the log of each leg's shard ends now; something is written behind it, so that the stream goes past it.
    private func logEnds(_ plan: JobPlan, _ work: JobWork) async throws -> [ShardID: LSN] {
        var ends: [ShardID: LSN] = [:]
        for leg in plan.legs {
            guard let shard = plan.shards[leg.from] else { continue }
            do {
                let client = try await work.control(shard, of: plan.names)
                ends[leg.from] = try await JobLog.end(client)
                _ = try await client.query(JobLog.mark)
            } catch {
                throw EffectFailure(error, doing: "asking shard \(leg.from) for the end of its log")
            }
        }
        return ends
    }
}

enum JobLog {
    /// A transaction, in which nothing is changed, and its commit: flushed, with what was written before.
    static let mark = "SELECT pg_catalog.pg_logical_emit_message(true, 'pgmosaic', '')"

    /// Of all that was written, on disk or not.
    static func end(_ client: PGClient) async throws -> LSN { try await place("pg_current_wal_insert_lsn", client) }

    /// Of what no crash takes back: the mark, if it was made before, and all that lies before it.
    static func flushed(_ client: PGClient) async throws -> LSN { try await place("pg_current_wal_flush_lsn", client) }

    private static func place(_ function: String, _ client: PGClient) async throws -> LSN {
        let text = try await client.query("SELECT pg_catalog.\(function)()").rows.first?.text(0)
        guard let end = text.flatMap({ LSN(text: $0) }) else { throw EffectFailure.unavailable("the server did not say where its log ends") }
        return end
    }
}
