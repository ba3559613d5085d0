internal import ChangeCore
internal import LogicalReplication
internal import NIOCore
internal import PGChannel
internal import ReshardCore
internal import RoutePlanning
internal import ShardModel
internal import ShardTransfer
internal import Synchronization
internal import TransferCore

extension PostgresServerWork {
    /// From its start, whatever an earlier one has left.
    func copy(_ plan: JobPlan, _ work: JobWork, in catalog: CatalogSnapshot) async throws(EffectFailure) {
        await work.stopStreams()
        work.state.withLock { $0.copies = [] }
        for id in Set(plan.record.sources + plan.record.targets).sorted() {
            if let shard = plan.shards[id] { try await endOthers(on: shard, of: plan.record) }
        }
        for leg in plan.legs { try await with(leg.from, plan, doing: "removing the slot") { try await JobSlot.drop(leg.slot, $0) } }
        for target in plan.record.targets where !plan.joining.contains(target) {
            try await removeRows(of: plan.record, from: target, plan.shards, in: catalog)
        }
        var joining: [Definitions] = []
        for leg in plan.legs { for target in leg.copiesTo { joining.append(try await definitions(from: leg.from, to: target, plan)) } }
        for definitions in joining { try await makeEmpty(definitions, plan) }
        // The sources of reference tables last: what rows of other sources refer to is then there.
        for leg in plan.legs.filter(\.copiesTo.isEmpty) + plan.legs.filter({ !$0.copiesTo.isEmpty }) { try await copy(leg, plan, work) }
        for definitions in joining { try await finish(definitions, plan) }
    }

    private func copy(_ leg: JobLeg, _ plan: JobPlan, _ work: JobWork) async throws(EffectFailure) {
        guard let source = plan.shards[leg.from] else { return }
        let doing = "copying from shard \(leg.from)"
        let destinations = try plan.destinations(of: leg).rows
        do {
            let from = try sessions.endpoint(of: source, as: plan.names.session)
            let targets = try leg.targets.map { try endpoint($0, plan) }
            let (shapes, rows) = try await with(leg.from, plan, doing: doing) { client in
                (try await JobTables.shapes(plan, client), try await JobTables.rowEstimates(client))
            }
            let load = SourceLoad(source, plan.names, settings.copyLoad, sessions)
            // Before anything of the copy is a load itself.
            await load.learn()
            // The snapshot lives as long as this session is not used.
            let keeper = try await ReplicationSession.open(from, on: sessions.group)
            let result: Result<LSN, any Error>
            do {
                let slot = try await ReplicationSession.createSlot(leg.slot, keeper, limit: .init(settings.slotLimit))
                guard let snapshot = slot.snapshot else { throw TransferError.shape("the source has exported no snapshot with the slot") }
                var pace = SnapshotCopy.Settings()
                (pace.sessions, pace.bytesPerSecond) = (settings.copySessions, settings.copyLoad.bytesPerSecondMax)
                let copy = SnapshotCopy(shapes.sharded.flatMap(\.shapes), from: from, to: targets, destinations, settings: pace, noting: noting(leg.from, leg.targets), on: sessions.group)
                let share = leg.share(of: source)
                work.add(copy, shapes, estimates: rows.mapValues { Int(Double($0) * share) }, load)
                load.begin(copy.throttle)
                _ = try await copy.run(snapshot: snapshot)
                if !leg.copiesTo.isEmpty {
                    let copies = ReferenceCopy(from: from, to: try leg.copiesTo.map { try endpoint($0, plan) }, noting: noting(leg.from, leg.copiesTo), on: sessions.group)
                    try await copies.run(shapes.reference.flatMap(\.shapes), snapshot: snapshot)
                }
                result = .success(slot.consistentPoint)
            } catch {
                result = .failure(error)
            }
            await keeper.close()
            await load.close()
            let start = try result.get()
            for target in leg.targets { try await with(target, plan, doing: doing) { try await leg.position.reset(to: start, on: $0) } }
        } catch {
            throw EffectFailure(error, doing: doing)
        }
    }

    /// The fence of another job, on a shard of this one, spares what is ours.
    func noting(_ source: ShardID, _ targets: [ShardID]) -> TransferNoting {
        { [sessions] client, end in
            switch end {
            case .source: sessions.note(client, on: source)
            case .target(let position): sessions.note(client, on: targets[position])
            }
        }
    }

    private func endpoint(_ id: ShardID, _ plan: JobPlan) throws(EffectFailure) -> PostgresEndpoint {
        guard let shard = plan.shards[id] else { throw .impossible("shard \(id) is not part of the database any more") }
        return try sessions.endpoint(of: shard, as: plan.names.session)
    }

    /// What is better made when the rows are there, and the sequences' own slice.
    private func finish(_ definitions: Definitions, _ plan: JobPlan) async throws(EffectFailure) {
        let target = definitions.target
        do {
            try await definitions.transfer.restore(.behindRows)
        } catch {
            if case .program(let reason)? = error as? TransferError, reason.contains("violates foreign key constraint") {
                // Of several sources, each is copied as of its own moment.
                throw .unavailable("the rows that were copied to shard \(target) do not fit each other yet")
            }
            throw EffectFailure(error, doing: "making indexes and keys on shard \(target)")
        }
        guard let slice = plan.shards[target]?.slice.flatMap(SequenceSlice.init(number:)) else {
            throw .impossible("shard \(target) has no slice of the sequences' values: register it anew")
        }
        try await with(target, plan, doing: "setting the sequences and statistics") { client in
            _ = try await client.execute(SequenceSlicing.statement(movingInto: slice))
            _ = try await client.execute("ANALYZE", timeout: .hours(24))
        }
    }
}

extension JobLeg {
    /// Of the tokens that the source owns, how many move: an estimate for its rows.
    fileprivate func share(of source: ShardRecord) -> Double {
        func size(_ ranges: [TokenRange]) -> Double { ranges.reduce(0) { $0 + Double($1.end - $1.start) + 1 } }
        return min(1, size(ranges.moves.map(\.range)) / max(1, size(source.vnodes.map(\.range))))
    }
}

extension JobTables {
    /// `reltuples` of every table with rows, by its quoted name.
    static func rowEstimates(_ client: PGClient) async throws -> [String: Int] {
        let query = """
            SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.reltuples::bigint FROM pg_catalog.pg_class c
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.reltuples > 0
            """
        let rows = try await client.query(query).rows
        return Dictionary(rows.compactMap { row in row.text(0).map { ($0, row.integer(1) ?? 0) } }, uniquingKeysWith: { $1 })
    }
}

extension JobWork {
    /// - estimates: of the rows that move, by relation.
    fileprivate func add(_ copy: SnapshotCopy, _ shapes: JobTables.Shapes, estimates: [String: Int], _ load: SourceLoad) {
        let tables = shapes.sharded.map { table in
            let relations = Set(table.shapes.map(\.relation))
            return (name: table.name, relations: relations, rowsEstimated: relations.reduce(0) { $0 + (estimates[$1] ?? 0) })
        }
        let pages = shapes.sharded.flatMap(\.shapes).reduce(0) { $0 + $1.pages }
        let progress = CopyProgress(copy, tables: tables, bytesAll: pages * 8192, load)
        state.withLock { $0.copies.append(progress) }
    }
}
