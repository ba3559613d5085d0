internal import PGTypes
internal import ShardModel

/// What speaks against a job on its servers: sentences, each with what to do. Pure.
enum ServerSuitability {
    /// Of a source: its stream, and one for a while when the rows are compared.
    static let sourceSlots = 2
    /// Of a target: the stream of the way back.
    static let targetSlots = 1

    static func problems(ofSource shard: ShardID, _ facts: ServerFacts, _ plan: JobPlan) -> [String] {
        var problems = common(shard, facts, slots: sourceSlots)
        if facts.hasLargeObjects {
            problems.append("shard \(shard) holds large objects, which belong to no table and have no key: move their content into a table, and remove them (lo_unlink)")
        }
        if let misnamed = facts.misnamed { problems.append("on shard \(shard) " + misnamed) }
        let keys = Dictionary(plan.sharded.map { ($0.name, $0.key) }, uniquingKeysWith: { $1 })
        let copiesReferences = plan.legs.contains { $0.from == shard && !$0.copiesTo.isEmpty }
        for identity in facts.identities {
            let key = keys[identity.table]
            if key == nil, !copiesReferences { continue }
            if let problem = problem(identity, key: key) { problems.append("table \(identity.relation) of shard \(shard) " + problem) }
        }
        return problems
    }

    private static func problem(_ identity: ServerFacts.Identity, key: String?) -> String? {
        if identity.relationKind == "f" { return "is a foreign table: it has no rows that could be moved" }
        if let key, let problem = problem(identity.key, named: key) { return problem }
        if identity.persistence != "p" { return "is unlogged, so that its changes cannot be followed: ALTER TABLE … SET LOGGED" }
        if identity.kind == "f" { return nil }
        guard let columns = identity.columns, !columns.isEmpty else {
            return "has no replica identity, so that the log does not say which row was changed: give it a primary key\(key == nil ? "" : " that holds the shard key"), "
                + "or ALTER TABLE … REPLICA IDENTITY FULL"
        }
        guard let key, !columns.contains(key) else { return nil }
        return "has a replica identity without its shard key \"\(key)\", so that the log does not say whose row was deleted: let its primary key hold the shard key, "
            + "or ALTER TABLE … REPLICA IDENTITY FULL"
    }

    /// Routers take such a key for none (PGM-KEY-DEFINITION), so its rows could not be found where they would be moved to. With one shard nobody asks for keys, so
    /// that a table may have been declared with it.
    private static func problem(_ key: ServerFacts.Key?, named name: String) -> String? {
        guard let key else { return "has no column \"\(name)\", which was declared as its shard key: declare the table anew" }
        let wish = "ALTER TABLE … ALTER COLUMN … TYPE"
        if KeyType(typeOID: key.typeOID) == nil {
            return "has a shard key \"\(name)\" of type \(key.type), by which no rows are placed: \(wish) \(key.typeBelow ?? "smallint, integer, bigint, uuid, text or varchar")"
        }
        if key.isGenerated { return "has a generated column, \"\(name)\", as its shard key: let it be a plain column" }
        if !key.hasDeterministicCollation { return "has a shard key \"\(name)\" whose collation is not deterministic: \(wish) … COLLATE one that is" }
        return nil
    }

    static func problems(ofTarget shard: ShardID, _ facts: ServerFacts, source: ServerFacts, isJoining: Bool) -> [String] {
        var problems = common(shard, facts, slots: targetSlots)
        if facts.version / 10_000 < source.version / 10_000 {
            problems.append("the server of shard \(shard) (PostgreSQL \(facts.version / 10_000)) is older than the source's (\(source.version / 10_000)): upgrade it")
        }
        for (name, version) in source.extensions.sorted(by: { $0.key < $1.key }) {
            let found = facts.extensions[name] ?? (isJoining ? facts.availableExtensions[name] : nil)
            if found == version { continue }
            let what = found.map { "has extension \(name) in version \($0), and the source in \(version)" } ?? "lacks extension \(name), version \(version), which the source has"
            problems.append("shard \(shard) \(what): install the same version on both")
        }
        return problems
    }

    private static func common(_ shard: ShardID, _ facts: ServerFacts, slots: Int) -> [String] {
        var problems: [String] = []
        if facts.isReplica { problems.append("the server of shard \(shard) is a replica: the shard's endpoint must lead to its primary") }
        if facts.walLevel != "logical" {
            problems.append("wal_level of shard \(shard) is \(facts.walLevel): set it to logical, and restart the server")
        }
        if facts.freeSlots < slots {
            problems.append("the server of shard \(shard) has \(max(0, facts.freeSlots)) free replication slots, and the job needs \(slots): raise max_replication_slots, or drop slots that nobody needs")
        }
        if facts.freeSenders < slots {
            problems.append("the server of shard \(shard) has \(max(0, facts.freeSenders)) free senders, and the job needs \(slots): raise max_wal_senders")
        }
        if let reason = facts.replicationRefused {
            problems.append("the role of shard \(shard) may not replicate (\(reason)): ALTER ROLE … REPLICATION, and let pg_hba.conf admit it")
        }
        if let reason = facts.replicaRoleRefused {
            problems.append(
                "the role of shard \(shard) may not set session_replication_role (\(reason)), so triggers would act twice: use a superuser, or GRANT SET ON PARAMETER session_replication_role")
        }
        if !facts.oldPrepared.isEmpty {
            problems.append("shard \(shard) has prepared transactions that nobody ends: \(facts.oldPrepared.joined(separator: ", ")): COMMIT PREPARED or ROLLBACK PREPARED them")
        }
        if !facts.longTransactions.isEmpty {
            problems.append(
                "transactions have been open for long on the server of shard \(shard), and a replication slot waits for them: processes \(facts.longTransactions.joined(separator: ", ")): end them (pg_terminate_backend)")
        }
        return problems
    }
}
