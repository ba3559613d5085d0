package import ShardModel

/// What was seen on one shard, to compare a copy of the catalog with.
package struct ShardEvidence: Hashable, Sendable {
    /// The columns of each table that is the user's own, and no other table's partition or child.
    package var tables: [QualifiedName: Set<String>]
    /// Tokens of the keys of some rows, by table.
    package var samples: [QualifiedName: [Token]]

    package init(tables: [QualifiedName: Set<String>], samples: [QualifiedName: [Token]]) {
        self.tables = tables
        self.samples = samples
    }

    /// How a catalog does not fit what is on the shards. Tables that are declared and nowhere yet are as they may be.
    package static func problems(of snapshot: CatalogSnapshot, _ evidence: [ShardID: ShardEvidence]) -> [RecoveryProblem] {
        var problems: [RecoveryProblem] = []
        for name in snapshot.databases.keys.sorted() {
            guard let topology = try? Topology(database: name, in: snapshot) else { continue }
            for (table, placement) in topology.placements.sorted(by: { $0.key < $1.key }) {
                problems += self.problems(of: table, placement, topology, evidence)
            }
            problems += unknownTables(topology, evidence)
        }
        return problems
    }

    private static func problems(
        of table: QualifiedName, _ placement: Placement, _ topology: Topology, _ evidence: [ShardID: ShardEvidence]
    ) -> [RecoveryProblem] {
        let homes = placement == .local ? [topology.shards[topology.homeShard.value].id] : topology.shards.map(\.id)
        guard topology.shards.contains(where: { evidence[$0.id]?.tables[table] != nil }) else { return [] }
        var problems: [RecoveryProblem] = []
        for id in homes {
            guard let seen = evidence[id] else { continue }
            guard let columns = seen.tables[table] else {
                problems.append(.tableMissing(table, on: id))
                continue
            }
            guard case .sharded(let key) = placement else { continue }
            guard columns.contains(key) else {
                problems.append(.keyMissing(table, key: key, on: id))
                continue
            }
            let tokens = seen.samples[table] ?? []
            let strays = tokens.map { topology.shards[topology.ring.owner(of: $0).value].id }.filter { $0 != id }
            if let owner = strays.first { problems.append(.rowsElsewhere(table, on: id, owner: owner, count: strays.count, of: tokens.count)) }
        }
        return problems
    }

    /// Where the database says that tables nobody declared are local, those of the home shard are in order.
    private static func unknownTables(_ topology: Topology, _ evidence: [ShardID: ShardEvidence]) -> [RecoveryProblem] {
        var problems: [RecoveryProblem] = []
        for (index, shard) in topology.shards.enumerated() {
            if topology.database.defaultPlacement == .local, index == topology.homeShard.value { continue }
            for table in (evidence[shard.id]?.tables.keys.sorted() ?? []) where topology.placements[table] == nil {
                problems.append(.unknownTable(table, on: shard.id))
            }
        }
        return problems
    }
}
