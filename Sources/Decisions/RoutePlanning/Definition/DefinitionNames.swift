internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// Names in definitions: where a new object goes, and which schemas are not the user's.
struct DefinitionNames {
    let context: PlanningContext

    /// PostgreSQL's own schemas, and the router's.
    static func isReserved(_ schema: String) -> Bool {
        schema == "pgmosaic" || schema == "information_schema" || schema.hasPrefix("pg_")
    }

    /// The name that a relation about to be made gets: in the schema written, else the first of search_path.
    func created(_ relation: RangeVarNode) throws(Refusal) -> QualifiedName {
        let location = Int(relation.pointee.location)
        guard string(relation.pointee.catalogname).isEmpty else { throw Refusal(.unsupported, "a table name with a database", at: location) }
        let schema = string(relation.pointee.schemaname), name = string(relation.pointee.relname)
        guard string(relation.pointee.relpersistence) != "t", !schema.hasPrefix("pg_temp") else {
            throw Refusal(.temporary, name, at: location)
        }
        guard let target = schema.isEmpty ? context.searchPath.first : schema else {
            throw Refusal(.definition, "no schema of search_path exists", at: location)
        }
        try check(schema: target, at: location)
        return QualifiedName(schema: target, name: name)
    }

    func check(schema: String, at location: Int? = nil) throws(Refusal) {
        if Self.isReserved(schema) { throw Refusal(.systemSchema, schema, at: location) }
    }

    /// Of an object named by a list of identifiers, where it is to be made or changed.
    func check(_ names: NodeList) throws(Refusal) {
        guard let parts = names.strings else { return }
        if parts.count > 1 { return try check(schema: parts[parts.count - 2]) }
        if let first = context.searchPath.first { try check(schema: first) }
    }

    /// The existing relation that a list of identifiers names; nil where there is none.
    func relation(_ parts: [String]) throws(Refusal) -> Relation? {
        guard let name = parts.last, parts.count <= 2 else { throw Refusal(.unsupported, "a table name with a database") }
        if parts.count == 2 {
            try check(schema: parts[0])
            return context.schema.relations[QualifiedName(schema: parts[0], name: name)]
        }
        return context.searchPath.lazy.compactMap { context.schema.relations[QualifiedName(schema: $0, name: name)] }.first
    }

    /// The same for a `RangeVar`.
    func relation(_ node: RangeVarNode) throws(Refusal) -> Relation? {
        let schema = string(node.pointee.schemaname), name = string(node.pointee.relname)
        guard string(node.pointee.catalogname).isEmpty else { throw Refusal(.unsupported, "a table name with a database") }
        return try relation(schema.isEmpty ? [name] : [schema, name])
    }

    /// The placement of a table or view as statements see it; nil where it has none.
    func placement(of relation: Relation) -> Placement? {
        try? TableResolver(context: context).resolve(schema: relation.name.schema, name: relation.name.name).placement
    }
}
