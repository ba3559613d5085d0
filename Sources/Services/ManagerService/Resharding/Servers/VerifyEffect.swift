internal import LogicalReplication
internal import NIOCore
internal import PGChannel
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer
internal import TransferCore

extension PostgresServerWork {
    private static let interval = Duration.milliseconds(5)
    /// How many differences an operator is told of.
    private static let toldMax = 5

    /// One leg after the other. A side that cannot be read is `unavailable`: what is not known is not equal.
    func verify(_ plan: JobPlan, _ work: JobWork) async throws(EffectFailure) {
        for leg in plan.legs {
            do {
                try await verify(leg, plan, work)
            } catch {
                throw EffectFailure(error, doing: "comparing the rows of shard \(leg.from)")
            }
        }
    }

    private func verify(_ leg: JobLeg, _ plan: JobPlan, _ work: JobWork) async throws {
        guard let follower = try work.healthyFollowers(within: Self.brokenLimit).first(where: { $0.leg == leg }), let source = plan.shards[leg.from],
            let slot = SlotName(leg.slot.text + "v")
        else { throw EffectFailure.unavailable("no stream of changes runs here") }
        let shapes = try await with(leg.from, plan, doing: "reading the tables") { try await JobTables.shapes(plan, $0) }
        let keeper = try await ReplicationSession.open(try sessions.endpoint(of: source, as: plan.names.session), on: sessions.group)
        var exporters: [ShardID: PGClient] = [:]
        let result: Result<Void, any Error>
        do {
            // A slot of its own says exactly which transactions its snapshot shows: those before it. The targets stop there.
            follower.hold(at: .none)
            let point = try await ReplicationSession.createSlot(slot, isTemporary: true, keeper, limit: .init(settings.slotLimit))
            guard let snapshot = point.snapshot else { throw EffectFailure.unavailable("the source has exported no snapshot with the slot") }
            follower.hold(at: point.consistentPoint)
            try await reach(follower, point.consistentPoint, plan, work)
            var snapshots: [ShardID: String] = [:]
            for id in leg.targets { (exporters[id], snapshots[id]) = try await export(id, plan) }
            // Broken in between, it has begun anew, and stands at the same place.
            guard follower.isAtLimit else { throw EffectFailure.unavailable("the stream of changes broke while the rows were to be compared") }
            follower.release()
            for id in leg.targets {
                try await compare(leg, id, plan, shapes, source: (source, snapshot), snapshots[id] ?? "")
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        follower.release()
        for client in [keeper] + exporters.values { await client.close() }
        try result.get()
    }

    private func reach(_ follower: LegFollower, _ point: LSN, _ plan: JobPlan, _ work: JobWork) async throws {
        // The log has to go on for the stream to come past the point.
        if let shard = plan.shards[follower.leg.from] { _ = try await work.control(shard, of: plan.names).query(JobLog.mark) }
        while !follower.isAtLimit {
            _ = try work.healthyFollowers(within: Self.brokenLimit)
            try await Task.sleep(for: Self.interval)
        }
    }

    private func export(_ id: ShardID, _ plan: JobPlan) async throws -> (PGClient, String) {
        guard let shard = plan.shards[id] else { throw EffectFailure.impossible("shard \(id) is not part of the database any more") }
        let client = try await sessions.open(shard, as: plan.names.session)
        _ = try await client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        guard let name = try await client.query("SELECT pg_catalog.pg_export_snapshot()").rows.first?.text(0) else {
            throw EffectFailure.unavailable("shard \(id) has exported no snapshot")
        }
        return (client, name)
    }

    private func compare(
        _ leg: JobLeg, _ id: ShardID, _ plan: JobPlan, _ shapes: JobTables.Shapes, source: (shard: ShardRecord, snapshot: String), _ snapshot: String
    ) async throws {
        guard let target = plan.shards[id] else { return }
        let left = TableComparison.Side(try sessions.endpoint(of: source.shard, as: plan.names.session), snapshot: source.snapshot)
        let right = TableComparison.Side(try sessions.endpoint(of: target, as: plan.names.session), snapshot: snapshot)
        let load = SourceLoad(source.shard, plan.names, settings.copyLoad, sessions)
        await load.learn()
        let throttle = TransferThrottle(bytesPerSecond: settings.copyLoad.bytesPerSecondMax)
        load.begin(throttle)
        let comparison = TableComparison(
            of: plan.vnodes(from: leg.from, to: id), in: try plan.destinations(of: leg).before, source: left, target: right,
            noting: noting(leg.from, [id]), throttle: throttle, on: sessions.group)
        let result: Result<[TableComparison.Outcome], any Error>
        do { result = .success(try await comparison.run(shapes.sharded.flatMap(\.shapes))) } catch { result = .failure(error) }
        await load.close()
        var differences: [String] = []
        for outcome in try result.get() where !outcome.isEqual {
            let rows = outcome.differingRows.map { "\($0) rows" } ?? "rows"
            differences.append("\(outcome.relation): \(rows) of vnodes \(outcome.differingVNodes.prefix(Self.toldMax).map(String.init).joined(separator: ", "))")
        }
        if leg.copiesTo.contains(id) {
            for relation in try await ReferenceComparison(left, right, on: sessions.group).run(shapes.reference.flatMap(\.shapes)) {
                differences.append("\(relation): a reference table")
            }
        }
        guard differences.isEmpty else {
            throw EffectFailure.impossible(
                "shards \(leg.from) and \(id) do not have the same rows, at one point in time: \(differences.prefix(Self.toldMax).joined(separator: "; "))"
                    + ". Nothing was switched; start the job anew, and look for what writes to shard \(id)")
        }
    }
}
