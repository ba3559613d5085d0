package import CPGQuery
package import ShardModel
internal import SQLSyntax

/// A table name made whole.
package struct ResolvedTable: Hashable, Sendable {
    package var name: QualifiedName
    /// nil for a system catalog that the schema snapshot does not carry.
    package var relation: Relation?
    package var placement: Placement
}

/// Finds tables by name and says where their rows live.
package struct TableResolver: Sendable {
    private let context: PlanningContext

    package init(context: PlanningContext) { self.context = context }

    static let systemSchemas: Set<String> = ["pg_catalog", "information_schema"]

    package func resolve(_ table: UnsafeMutablePointer<PgQuery__RangeVar>) throws(Refusal) -> ResolvedTable {
        let location = Int(table.pointee.location)
        let schema = string(table.pointee.schemaname), name = string(table.pointee.relname)
        guard string(table.pointee.catalogname).isEmpty else {
            throw Refusal(.unsupported, "a table name with a database", at: location)
        }
        return try resolve(schema: schema.isEmpty ? nil : schema, name: name, location: location)
    }

    package func resolve(schema: String?, name: String, location: Int? = nil) throws(Refusal) -> ResolvedTable {
        if let schema {
            if schema == TemporaryRelations.schema, context.shardCount > 1 {
                guard let found = try temporary(name, at: location) else { throw Refusal(.unknownTable, "\(schema).\(name)", at: location) }
                return found
            }
            if schema.hasPrefix("pg_temp") || schema.hasPrefix("pg_toast") {
                throw Refusal(.temporary, "\(schema).\(name)", at: location)
            }
            if let found = try find(QualifiedName(schema: schema, name: name), at: location) { return found }
            throw Refusal(.unknownTable, "\(schema).\(name)", at: location)
        }
        if let found = try temporary(name, at: location) { return found }
        let path = context.searchPath.contains("pg_catalog") ? context.searchPath : ["pg_catalog"] + context.searchPath
        for (index, schema) in path.enumerated() {
            guard let found = try find(QualifiedName(schema: schema, name: name), at: location) else { continue }
            let hides = { (schema: String) in context.schema.relations[QualifiedName(schema: schema, name: name)] != nil }
            if context.isPathUncertain, schema != "pg_catalog", path[(index + 1)...].contains(where: hides) {
                throw Refusal(.uncertainName, name, at: location)
            }
            return found
        }
        throw Refusal(.unknownTable, name, at: location)
    }

    private func temporary(_ name: String, at location: Int?) throws(Refusal) -> ResolvedTable? {
        guard let relation = context.temporary[name] else { return nil }
        try Self.checkNames(of: relation, at: location)
        switch relation.kind {
        case .table, .partitioned, .sequence: break
        case .view: try check(temporaryView: relation, at: location)
        default: throw Refusal(.relationKind, relation.name.description, at: location)
        }
        return ResolvedTable(name: relation.name, relation: relation, placement: .local)
    }

    /// What it shows must be on the home shard still. And it goes when somebody else drops with CASCADE what it shows, without this session's
    /// being told: it must not be what keeps a name from meaning a permanent table.
    private func check(temporaryView view: Relation, at location: Int?) throws(Refusal) {
        if context.searchPath.contains(where: { context.schema.relations[QualifiedName(schema: $0, name: view.name.name)] != nil }) {
            throw Refusal(.temporary, "\(view.name) hides a permanent table", at: location)
        }
        for source in view.viewSources where source.schema != TemporaryRelations.schema || context.temporary[source.name]?.kind != .view {
            if case .sharded = try resolve(schema: source.schema, name: source.name, location: location).placement {
                throw Refusal(.temporary, view.name.description, at: location)
            }
        }
    }

    private func find(_ name: QualifiedName, at location: Int?) throws(Refusal) -> ResolvedTable? {
        guard let relation = context.schema.relations[name] else {
            // Every system catalog's name starts so, and nobody else may create tables there.
            let isCatalog = name.schema == "pg_catalog" ? name.name.hasPrefix("pg_") : name.schema == "information_schema"
            guard isCatalog else { return nil }
            return try system(name, relation: nil, at: location)
        }
        try Self.checkNames(of: relation, at: location)
        if Self.systemSchemas.contains(name.schema) { return try system(name, relation: relation, at: location) }
        return ResolvedTable(name: name, relation: relation, placement: try placement(of: relation, at: location))
    }

    private static func checkNames(of relation: Relation, at location: Int?) throws(Refusal) {
        if relation.hasMisnamedPart { throw Refusal(.nameForm, "of a part of \(relation.name)", at: location) }
    }

    private func system(_ name: QualifiedName, relation: Relation?, at location: Int?) throws(Refusal) -> ResolvedTable {
        // These show what one server session holds.
        if name.name == "pg_prepared_statements" || name.name == "pg_cursors" {
            throw Refusal(.sessionFunction, name.description, at: location)
        }
        return ResolvedTable(name: name, relation: relation, placement: .local)
    }

    private func placement(of relation: Relation, at location: Int?) throws(Refusal) -> Placement {
        let declared = declaredPlacement(of: relation)
        switch relation.kind {
        case .table, .partitioned:
            if let declared { return declared }
            // A partition lives where its parent does.
            var ancestor = relation
            var steps = 0
            while let parent = ancestor.parent, let next = context.schema.relations[parent], steps < 32 {
                if let declared = declaredPlacement(of: next) { return declared }
                ancestor = next
                steps += 1
            }
            for key in context.keyColumnRules where ancestor.columns.contains(where: { $0.name == key }) {
                return .sharded(key: key)
            }
            guard context.defaultPlacement == .local else {
                throw Refusal(.unplacedTable, relation.name.description, at: location)
            }
            return .local
        case .sequence:
            return .local
        case .view, .materializedView:
            guard let declared else { throw Refusal(.view, relation.name.description, at: location) }
            return declared
        case .foreign:
            guard declared == .local else { throw Refusal(.relationKind, relation.name.description, at: location) }
            return .local
        case .index, .partitionedIndex, .composite, .toast:
            throw Refusal(.relationKind, relation.name.description, at: location)
        }
    }

    private func declaredPlacement(of relation: Relation) -> Placement? { context.placements[relation.name] }
}
