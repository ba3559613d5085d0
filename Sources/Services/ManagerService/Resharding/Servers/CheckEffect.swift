internal import LogicalReplication
internal import PGChannel
internal import PGWire
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer

extension PostgresServerWork {
    /// Changes nothing. What room a target has cannot be asked of PostgreSQL, and is not looked at.
    func check(_ plan: JobPlan) async throws(EffectFailure) {
        var facts: [ShardID: ServerFacts] = [:]
        for id in plan.record.sources + plan.record.targets {
            guard let shard = plan.shards[id] else { continue }
            facts[id] = try await self.facts(of: shard, plan)
        }
        var problems: [String] = []
        for id in plan.record.sources { problems += facts[id].map { ServerSuitability.problems(ofSource: id, $0, plan) } ?? [] }
        for id in plan.record.targets {
            guard let mine = facts[id], let source = plan.legs.first(where: { $0.targets.contains(id) }).flatMap({ facts[$0.from] }) else { continue }
            problems += ServerSuitability.problems(ofTarget: id, mine, source: source, isJoining: plan.joining.contains(id))
        }
        // Throws where the catalog has the vnodes elsewhere.
        for leg in plan.legs { _ = try plan.destinations(of: leg) }
        if !problems.isEmpty { throw .impossible(problems.joined(separator: "; ")) }
    }

    private func facts(of shard: ShardRecord, _ plan: JobPlan) async throws(EffectFailure) -> ServerFacts {
        var facts = try await sessions.with(shard, as: plan.names.session, doing: "looking at the server") { [settings] client in
            var facts = try await ServerFacts.read(plan, settings, client)
            do {
                for leg in plan.legs where leg.from == shard.id { _ = try await JobTables.moved(leg, of: plan, client) }
            } catch let error as TransferError {
                if case .nameForm = error { facts.misnamed = error.description }
            }
            do {
                _ = try await client.execute("BEGIN; SET LOCAL session_replication_role = replica; ROLLBACK")
            } catch let error as PGClientError where error.sqlState.code == "42501" {
                facts.replicaRoleRefused = error.serverError?.message
            }
            return facts
        }
        let endpoint = try sessions.endpoint(of: shard, as: plan.names.session)
        do {
            let client = try await ReplicationSession.open(endpoint, on: sessions.group)
            _ = try await client.execute(ReplicationCommand.identifySystem.text)
            await client.close()
        } catch let error as PGClientError where ["42501", "28000"].contains(error.sqlState.code) {
            facts.replicationRefused = error.serverError?.message
        } catch {
            throw EffectFailure(error, doing: "opening a session for replication on shard \(shard.id)")
        }
        return facts
    }
}
