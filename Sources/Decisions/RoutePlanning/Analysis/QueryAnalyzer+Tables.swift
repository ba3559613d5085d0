internal import CPGQuery
internal import PGTypes
internal import ShardModel
internal import SQLSyntax

extension QueryAnalyzer {
    /// How a statement uses a table.
    enum TableUse { case read, insert, update, delete }

    /// The entry of a table, its placement noted.
    func entry(for table: RangeVarNode, use: TableUse) throws(Refusal) -> RangeEntry {
        try enterLevel()
        let location = Int(table.pointee.location)
        let resolved = try TableResolver(context: context).resolve(table)
        findings.note(resolved.name)
        if resolved.name.isTemporary { findings.traces.formUnion(.temporaryUse) }
        let alias = table.pointee.alias
        var entry = RangeEntry(
            name: alias.map { string($0.pointee.aliasname) } ?? resolved.name.name,
            table: alias == nil ? resolved.name : nil, columns: [])
        guard let relation = resolved.relation else {
            guard use == .read else { throw Refusal(.relationKind, resolved.name.description, at: location) }
            findings.catalogs.insert(resolved.name)
            entry.isComplete = false
            entry.rename(columnNames(alias))
            return entry
        }
        entry.columns = relation.columns.map { column in
            OutputColumn(name: column.name, slot: slot(for: column), typeOID: column.typeOID)
        }
        entry.isReference = resolved.placement == .reference
        try note(resolved, relation, use: use, columns: entry.columns, at: location)
        entry.rename(columnNames(alias))
        return entry
    }

    private func slot(for column: Column) -> Slot? {
        guard column.hasDeterministicCollation, let type = KeyType(typeOID: column.typeOID) else { return nil }
        return bindings.makeSlot(type)
    }

    private func note(
        _ resolved: ResolvedTable, _ relation: Relation, use: TableUse, columns: [OutputColumn], at location: Int
    ) throws(Refusal) {
        if relation.hasRules, use != .read { throw Refusal(.rules, resolved.name.description, at: location) }
        if SequenceUse.mayDraw(relation, use: use, context) { findings.drawsSequences = true }
        if relation.hasRowSecurity, resolved.placement != .local {
            throw Refusal(.rowSecurity, resolved.name.description, at: location)
        }
        // What is in a view's body, or a policy, is not seen here; a sequence's place is not written to the log at each step.
        if ![.table, .partitioned, .materializedView].contains(relation.kind) || relation.isUnlogged || resolved.name.isTemporary || relation.hasRowSecurity || relation.hasRules {
            findings.needsPrimary = true
        }
        if relation.kind == .view || relation.kind == .materializedView {
            try noteView(resolved, relation, use: use, at: location)
        }
        switch resolved.placement {
        case .reference:
            findings.references.insert(resolved.name)
            findings.referenceMentions.append((resolved.name, location))
            if use != .read {
                findings.writtenReferences.insert(resolved.name)
                if hasTriggers(relation) { throw Refusal(.referenceTrigger, resolved.name.description, at: location) }
            }
        case .local:
            if resolved.name.schema == "pg_catalog" || resolved.name.schema == "information_schema" {
                findings.catalogs.insert(resolved.name)
            } else {
                findings.locals.insert(resolved.name)
            }
            if use != .read { findings.writtenLocals.insert(resolved.name) }
        case .sharded(let key):
            guard let index = relation.columns.firstIndex(where: { $0.name == key }) else {
                throw Refusal(.keyColumn, "\(resolved.name).\(key)", at: location)
            }
            guard let slot = columns[index].slot else {
                throw Refusal(.keyDefinition, "\(resolved.name).\(key)", at: location)
            }
            findings.sharded.append(
                .init(name: resolved.name, key: key, slot: slot, location: location, isInsertTarget: use == .insert))
            if use != .read { findings.writesSharded = true }
        }
    }

    /// A write through a view is one to its tables, with their defaults and placements; and what is in its body is not seen here.
    private func noteView(_ view: ResolvedTable, _ relation: Relation, use: TableUse, at location: Int) throws(Refusal) {
        findings.noteNondeterminism(.referenceWriteSource, view.name.description, at: location)
        guard use != .read else { return }
        let resolver = TableResolver(context: context)
        let isLocal = view.placement == .local && relation.viewSources.allSatisfy { source in
            context.schema.relations[source]?.kind == .view
                || (try? resolver.resolve(schema: source.schema, name: source.name).placement) == .local
        }
        guard isLocal else { throw Refusal(.viewWrite, view.name.description, at: location) }
    }

    private func hasTriggers(_ relation: Relation) -> Bool { RelationRules(context: context).hasTriggers(relation) }
}
