internal import PGTypes
package import ShardModel

/// What a table must be like to have a placement: else the shards would come to hold what one PostgreSQL would never have accepted.
package enum PlacementRules {
    /// Whether a table or view that exists may be placed so.
    ///
    /// - placements: those declared by now; what `table` refers to must be among them.
    /// Throws `Refusal`, the first problem found. A table that is not in `schema` passes: CREATE TABLE checks it.
    package static func check(
        _ placement: Placement, for table: QualifiedName, in schema: SchemaSnapshot, placements: [QualifiedName: Placement]
    ) throws(Refusal) {
        guard let relation = schema.relations[table] else { return }
        var placements = placements
        placements[table] = placement
        let context = PlanningContext(schema: schema, placements: placements)
        let rules = RelationRules(context: context)
        switch relation.kind {
        case .table, .partitioned:
            try rules.check(family: relation, placement)
            try rules.checkReferrers(of: relation, placement)
        case .view, .materializedView:
            try rules.check(view: table, sources: relation.viewSources, columns: relation.columns.map(\.name), placement)
        case .foreign:
            guard placement == .local else { throw Refusal(.relationKind, table.description) }
        case .sequence, .index, .partitionedIndex, .composite, .toast:
            throw Refusal(.relationKind, table.description)
        }
    }
}

/// The rules, for a table as it is or as a statement would make it.
struct RelationRules {
    let context: PlanningContext

    /// Its own, or its partitions'.
    func hasTriggers(_ relation: Relation) -> Bool {
        if relation.hasTriggers { return true }
        return relation.kind == .partitioned && children(of: relation.name).contains(where: \.hasTriggers)
    }

    /// A table, what it is a part of, and its partitions and heirs.
    func check(family relation: Relation, _ placement: Placement) throws(Refusal) {
        if let parent = relation.parent { try check(sameAs: parent, relation.name, placement) }
        try check(relation, placement)
        for child in children(of: relation.name) {
            if let declared = context.placements[child.name], declared != placement {
                throw Refusal(.placementConflict, "\(child.name), \(relation.name)")
            }
            try check(child, placement)
        }
    }

    /// The table alone.
    func check(_ relation: Relation, _ placement: Placement) throws(Refusal) {
        if placement != .local {
            if relation.isUnlogged { throw Refusal(.definition, "UNLOGGED \(relation.name)") }
            if relation.hasRules { throw Refusal(.rules, relation.name.description) }
            if relation.hasRowSecurity { throw Refusal(.rowSecurity, relation.name.description) }
            // The copies of a reference table must be the same, whatever the sequence.
            let repeats = relation.columns.first { placement == .reference ? $0.usesSequence : $0.usesWholeSequence }
            if let column = repeats {
                throw Refusal(.sequenceDefault, "\(relation.name).\(column.name)")
            }
        }
        switch placement {
        case .sharded(let key): try checkSharded(relation, key: key)
        case .reference:
            if relation.hasTriggers { throw Refusal(.referenceTrigger, relation.name.description) }
        case .local: break
        }
        for key in relation.foreignKeys { try check(key, of: relation, placement) }
    }

    private func checkSharded(_ relation: Relation, key: String) throws(Refusal) {
        let subject = "\(relation.name).\(key)"
        guard let column = relation.columns.first(where: { $0.name == key }) else { throw Refusal(.keyColumn, subject) }
        guard column.hasDeterministicCollation, !column.isGenerated, KeyType(typeOID: column.typeOID) != nil else {
            throw Refusal(.keyDefinition, subject)
        }
        if let unique = relation.uniqueKeys.first(where: { !$0.columns.contains(key) }) {
            throw Refusal(.uniqueWithoutKey, "\(unique.name) of \(relation.name)")
        }
    }

    // MARK: Foreign keys

    func check(_ key: ForeignKey, of relation: Relation, _ placement: Placement) throws(Refusal) {
        let subject = "\(key.name.isEmpty ? key.columns.joined(separator: ", ") : key.name) of \(relation.name)"
        let (target, targetPlacement) =
            key.target == relation.name ? (relation, placement) : try resolve(key.target)
        switch (placement, targetPlacement) {
        case (.local, .local), (.reference, .reference): break
        case (.sharded(let own), .reference):
            // What happens to the row referred to must not move the row that refers.
            if key.columns.contains(own), key.onUpdate != .none, key.onUpdate != .restrict { throw Refusal(.foreignKey, subject) }
            try check(deleteActionOf: key, keeps: own, subject)
        case (.sharded(let own), .sharded(let other)):
            guard pairs(own, with: other, key, relation, target) else { throw Refusal(.foreignKey, subject) }
            if key.onUpdate == .setNull || key.onUpdate == .setDefault { throw Refusal(.foreignKey, subject) }
            try check(deleteActionOf: key, keeps: own, subject)
        default:
            throw Refusal(.foreignKey, subject)
        }
        try checkDefaultAction(key, relation, placement)
    }

    private func check(deleteActionOf key: ForeignKey, keeps own: String, _ subject: String) throws(Refusal) {
        guard key.onDelete == .setNull || key.onDelete == .setDefault, key.columnsSetOnDelete.contains(own) else { return }
        throw Refusal(.foreignKey, subject)
    }

    /// SET DEFAULT evaluates the default on every shard.
    private func checkDefaultAction(_ key: ForeignKey, _ relation: Relation, _ placement: Placement) throws(Refusal) {
        guard placement == .reference, key.onDelete == .setDefault || key.onUpdate == .setDefault else { return }
        let column = relation.columns.first { key.columns.contains($0.name) && $0.defaultIsVolatile }
        if let column { throw Refusal(.volatileDefault, "\(relation.name).\(column.name)") }
    }

    private func resolve(_ name: QualifiedName) throws(Refusal) -> (Relation, Placement) {
        let found = try TableResolver(context: context).resolve(schema: name.schema, name: name.name)
        guard let relation = found.relation else { throw Refusal(.relationKind, name.description) }
        return (relation, found.placement)
    }

    /// Whether the two shard keys stand opposite each other, compared as one type.
    private func pairs(_ own: String, with other: String, _ key: ForeignKey, _ relation: Relation, _ target: Relation) -> Bool {
        let targetColumns = key.targetColumns.isEmpty ? target.uniqueKeys.first(where: \.isPrimary)?.columns ?? [] : key.targetColumns
        guard let index = key.columns.firstIndex(of: own), index < targetColumns.count, targetColumns[index] == other,
            let mine = relation.columns.first(where: { $0.name == own }), let theirs = target.columns.first(where: { $0.name == other })
        else { return false }
        return KeyType(typeOID: mine.typeOID) == KeyType(typeOID: theirs.typeOID)
    }

    /// The tables that refer to this one, as far as they are placed.
    func checkReferrers(of relation: Relation, _ placement: Placement) throws(Refusal) {
        for other in context.schema.relations.values where other.name != relation.name {
            let keys = other.foreignKeys.filter { $0.target == relation.name }
            guard !keys.isEmpty, let found = try? resolve(other.name) else { continue }
            for key in keys { try check(key, of: other, found.1) }
        }
    }

    // MARK: Parents

    func children(of name: QualifiedName) -> [Relation] {
        var result: [Relation] = []
        var open = [name]
        var seen: Set<QualifiedName> = [name]
        while let parent = open.popLast() {
            for child in context.schema.relations.values where child.parent == parent && child.kind != .index && child.kind != .partitionedIndex {
                guard seen.insert(child.name).inserted else { continue }
                result.append(child)
                open.append(child.name)
            }
        }
        return result.sorted { $0.name < $1.name }
    }

    func check(sameAs parent: QualifiedName, _ name: QualifiedName, _ placement: Placement) throws(Refusal) {
        guard try resolve(parent).1 == placement else { throw Refusal(.placementConflict, "\(name), \(parent)") }
    }

    // MARK: Views

    /// What a declared view reads must live where the declaration says. That its joins are on the key is the declarer's word.
    func check(view name: QualifiedName, sources: [QualifiedName], columns: [String]?, _ placement: Placement) throws(Refusal) {
        if case .sharded(let key) = placement, let columns, !columns.contains(key) {
            throw Refusal(.keyColumn, "\(name).\(key)")
        }
        for source in sources {
            if TableResolver.systemSchemas.contains(source.schema) {
                guard placement == .local else { throw Refusal(.placementConflict, "\(name), \(source)") }
                continue
            }
            // Views below are looked through: their own sources are in the list.
            guard let relation = context.schema.relations[source], relation.kind != .view else { continue }
            let found = try resolve(source).1
            let fits =
                switch (placement, found) {
                case (.local, .local), (.local, .reference), (.reference, .reference), (.sharded, .reference), (.sharded, .sharded): true
                default: false
                }
            guard fits else { throw Refusal(.placementConflict, "\(name), \(source)") }
        }
    }
}
