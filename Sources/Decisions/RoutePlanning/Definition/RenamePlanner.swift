internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// ALTER … RENAME and ALTER … SET SCHEMA: placements follow the names.
struct RenamePlanner {
    let context: PlanningContext

    func plan(_ node: UnsafeMutablePointer<PgQuery__RenameStmt>) throws(Refusal) -> StatementPlan {
        let newName = string(node.pointee.newname)
        switch node.pointee.rename_type {
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE, PG_QUERY__OBJECT_TYPE__OBJECT_VIEW, PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW,
            PG_QUERY__OBJECT_TYPE__OBJECT_INDEX, PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
            guard let relation = try relation(node.pointee.relation, missing: node.pointee.missing_ok != 0) else { break }
            return try move(relation, to: QualifiedName(schema: relation.name.schema, name: newName))
        case PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN, PG_QUERY__OBJECT_TYPE__OBJECT_ATTRIBUTE:
            guard let relation = try relation(node.pointee.relation, missing: node.pointee.missing_ok != 0) else { break }
            return try renameColumn(string(node.pointee.subname), to: newName, of: relation)
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT, PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER, PG_QUERY__OBJECT_TYPE__OBJECT_POLICY,
            PG_QUERY__OBJECT_TYPE__OBJECT_RULE:
            _ = try relation(node.pointee.relation, missing: node.pointee.missing_ok != 0)
        case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA:
            return try renameSchema(string(node.pointee.subname), to: newName)
        case PG_QUERY__OBJECT_TYPE__OBJECT_DATABASE, PG_QUERY__OBJECT_TYPE__OBJECT_ROLE, PG_QUERY__OBJECT_TYPE__OBJECT_TABLESPACE,
            PG_QUERY__OBJECT_TYPE__OBJECT_PUBLICATION, PG_QUERY__OBJECT_TYPE__OBJECT_SUBSCRIPTION,
            PG_QUERY__OBJECT_TYPE__OBJECT_EVENT_TRIGGER:
            throw Refusal(.serverDefinition, "RENAME")
        case PG_QUERY__OBJECT_TYPE__OBJECT_AGGREGATE, PG_QUERY__OBJECT_TYPE__OBJECT_COLLATION, PG_QUERY__OBJECT_TYPE__OBJECT_CONVERSION,
            PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN, PG_QUERY__OBJECT_TYPE__OBJECT_DOMCONSTRAINT, PG_QUERY__OBJECT_TYPE__OBJECT_FUNCTION,
            PG_QUERY__OBJECT_TYPE__OBJECT_LANGUAGE, PG_QUERY__OBJECT_TYPE__OBJECT_PROCEDURE, PG_QUERY__OBJECT_TYPE__OBJECT_ROUTINE,
            PG_QUERY__OBJECT_TYPE__OBJECT_STATISTIC_EXT, PG_QUERY__OBJECT_TYPE__OBJECT_TSCONFIGURATION,
            PG_QUERY__OBJECT_TYPE__OBJECT_TSDICTIONARY, PG_QUERY__OBJECT_TYPE__OBJECT_TSPARSER,
            PG_QUERY__OBJECT_TYPE__OBJECT_TSTEMPLATE, PG_QUERY__OBJECT_TYPE__OBJECT_TYPE:
            if let object = node.pointee.object { try ObjectPlanner(context: context).check(object) }
        default:
            throw Refusal(.definition, "RENAME of this kind of object")
        }
        return DDLPlanner.everywhere([], "the definition is the same on every shard")
    }

    func plan(schemaOf node: UnsafeMutablePointer<PgQuery__AlterObjectSchemaStmt>) throws(Refusal) -> StatementPlan {
        let schema = string(node.pointee.newschema)
        try DefinitionNames(context: context).check(schema: schema)
        switch node.pointee.object_type {
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE, PG_QUERY__OBJECT_TYPE__OBJECT_VIEW, PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW,
            PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
            guard let relation = try relation(node.pointee.relation, missing: node.pointee.missing_ok != 0) else { break }
            return try move(relation, to: QualifiedName(schema: schema, name: relation.name.name))
        case PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION:
            break
        case PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE:
            throw Refusal(.definition, "foreign tables")
        default:
            if let object = node.pointee.object { try ObjectPlanner(context: context).check(object) }
        }
        return DDLPlanner.everywhere([], "the definition is the same on every shard")
    }

    /// nil: there is none, and that is fine.
    private func relation(_ node: RangeVarNode?, missing isFine: Bool) throws(Refusal) -> Relation? {
        guard let node else { throw Refusal(.definition, "RENAME") }
        if let found = try DefinitionNames(context: context).relation(node) { return found }
        // Types and their attributes are named here as well: composite types are relations, the router's schema may be old.
        guard isFine else { throw Refusal(.unknownTable, string(node.pointee.relname), at: Int(node.pointee.location)) }
        return nil
    }

    private func move(_ relation: Relation, to name: QualifiedName) throws(Refusal) -> StatementPlan {
        let changes = try changes(relation, to: name)
        return DDLPlanner.everywhere([relation.name], "the definition is the same on every shard", changes)
    }

    /// The placement goes along; one that waits for a table of the new name must not be another.
    private func changes(_ relation: Relation, to name: QualifiedName) throws(Refusal) -> [PlacementChange] {
        let placement = DefinitionNames(context: context).placement(of: relation)
        switch relation.kind {
        case .table, .partitioned, .view, .materializedView, .foreign: break
        default: return []
        }
        if let waiting = context.placements[name], waiting != placement { throw Refusal(.placementConflict, "\(relation.name), \(name)") }
        if context.placements[relation.name] != nil { return [.rename(from: relation.name, to: name)] }
        // Placed by a rule or by default: written down, so that it stays.
        guard relation.parent == nil, let placement, context.placements[name] == nil else { return [] }
        return [.declare(name, placement)]
    }

    private func renameColumn(_ column: String, to name: String, of relation: Relation) throws(Refusal) -> StatementPlan {
        let placement = DefinitionNames(context: context).placement(of: relation)
        if placement == .sharded(key: column) { throw Refusal(.keyDefinition, "\(relation.name).\(column)") }
        var changes: [PlacementChange] = []
        let isTable = relation.kind == .table || relation.kind == .partitioned
        // The new name may be that of a rule, and would move the table.
        if isTable, relation.parent == nil, context.placements[relation.name] == nil, let placement {
            changes = [.declare(relation.name, placement)]
        }
        return DDLPlanner.everywhere([relation.name], "the definition is the same on every shard", changes)
    }

    private func renameSchema(_ schema: String, to name: String) throws(Refusal) -> StatementPlan {
        let names = DefinitionNames(context: context)
        try names.check(schema: schema)
        try names.check(schema: name)
        var changes: [PlacementChange] = []
        let relations = context.schema.relations.values.filter { $0.name.schema == schema }.sorted { $0.name < $1.name }
        for relation in relations {
            changes += try self.changes(relation, to: QualifiedName(schema: name, name: relation.name.name))
        }
        // Declared, and not made yet.
        for declared in context.placements.keys.sorted() where declared.schema == schema && context.schema.relations[declared] == nil {
            changes.append(.rename(from: declared, to: QualifiedName(schema: name, name: declared.name)))
        }
        return DDLPlanner.everywhere(relations.map(\.name), "the definition is the same on every shard", changes)
    }
}
