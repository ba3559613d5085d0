internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// DROP of anything that belongs to a database.
struct DropPlanner {
    let context: PlanningContext

    func plan(_ node: UnsafeMutablePointer<PgQuery__DropStmt>) throws(Refusal) -> StatementPlan {
        let objects = NodeList(node.pointee.n_objects, node.pointee.objects)
        let cascades = node.pointee.behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE
        switch node.pointee.remove_type {
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE, PG_QUERY__OBJECT_TYPE__OBJECT_VIEW, PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW:
            return try drop(relations: objects, cascades: cascades)
        case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA:
            return try drop(schemas: objects, cascades: cascades)
        case PG_QUERY__OBJECT_TYPE__OBJECT_RULE, PG_QUERY__OBJECT_TYPE__OBJECT_POLICY, PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER:
            // The last name is the object's own, those before it are its table's.
            for object in objects { _ = try DefinitionNames(context: context).relation(object.listItems.dropLast().compactMap(\.stringValue)) }
        case PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION, PG_QUERY__OBJECT_TYPE__OBJECT_LANGUAGE, PG_QUERY__OBJECT_TYPE__OBJECT_CAST,
            PG_QUERY__OBJECT_TYPE__OBJECT_TRANSFORM, PG_QUERY__OBJECT_TYPE__OBJECT_ACCESS_METHOD:
            break
        case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX, PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE, PG_QUERY__OBJECT_TYPE__OBJECT_TYPE,
            PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN, PG_QUERY__OBJECT_TYPE__OBJECT_FUNCTION, PG_QUERY__OBJECT_TYPE__OBJECT_PROCEDURE,
            PG_QUERY__OBJECT_TYPE__OBJECT_ROUTINE, PG_QUERY__OBJECT_TYPE__OBJECT_AGGREGATE, PG_QUERY__OBJECT_TYPE__OBJECT_OPERATOR,
            PG_QUERY__OBJECT_TYPE__OBJECT_COLLATION, PG_QUERY__OBJECT_TYPE__OBJECT_CONVERSION,
            PG_QUERY__OBJECT_TYPE__OBJECT_STATISTIC_EXT, PG_QUERY__OBJECT_TYPE__OBJECT_TSCONFIGURATION,
            PG_QUERY__OBJECT_TYPE__OBJECT_TSDICTIONARY, PG_QUERY__OBJECT_TYPE__OBJECT_TSPARSER,
            PG_QUERY__OBJECT_TYPE__OBJECT_TSTEMPLATE, PG_QUERY__OBJECT_TYPE__OBJECT_OPCLASS, PG_QUERY__OBJECT_TYPE__OBJECT_OPFAMILY:
            for object in objects { try ObjectPlanner(context: context).check(object) }
        case PG_QUERY__OBJECT_TYPE__OBJECT_PUBLICATION, PG_QUERY__OBJECT_TYPE__OBJECT_EVENT_TRIGGER:
            throw Refusal(.serverDefinition, "DROP")
        default:
            throw Refusal(.definition, "DROP of this kind of object")
        }
        let plan = DDLPlanner.everywhere([], "the definition is the same on every shard")
        return node.pointee.concurrent == 0 ? plan : plan.concurrently(ConcurrentIndex())
    }

    // MARK: Tables and views

    private func drop(relations objects: NodeList, cascades: Bool) throws(Refusal) -> StatementPlan {
        var dropped: [Relation] = []
        var lacksSchema = false
        for object in objects {
            let parts = object.listItems.compactMap(\.stringValue)
            if parts.count == 2 { try DefinitionNames(context: context).check(schema: parts[0]) }
            // Without one: IF EXISTS, or PostgreSQL's error.
            if let relation = try DefinitionNames(context: context).relation(parts) {
                dropped.append(relation)
            } else {
                lacksSchema = lacksSchema || isDeclared(parts)
            }
        }
        var plan = plan(dropped, cascades: cascades)
        plan.lacksSchema = lacksSchema
        return plan
    }

    /// Whether a table of that name, which the schema does not have, has a placement: it may have been made meanwhile, and its placement is to go with it.
    private func isDeclared(_ parts: [String]) -> Bool {
        guard let name = parts.last else { return false }
        let schemas = parts.count > 1 ? [parts[parts.count - 2]] : context.searchPath
        return schemas.contains { context.placements[QualifiedName(schema: $0, name: name)] != nil }
    }

    private func drop(schemas objects: NodeList, cascades: Bool) throws(Refusal) -> StatementPlan {
        var names: Set<String> = []
        for object in objects {
            guard let name = object.stringValue else { throw Refusal(.definition, "DROP SCHEMA") }
            try DefinitionNames(context: context).check(schema: name)
            names.insert(name)
        }
        return plan(context.schema.relations.values.filter { names.contains($0.name.schema) }, cascades: cascades)
    }

    /// Forgets the placements of what goes: the relations, their partitions, and with CASCADE the views upon them.
    private func plan(_ relations: [Relation], cascades: Bool) -> StatementPlan {
        let rules = RelationRules(context: context)
        var gone = Set(relations.map(\.name))
        for relation in relations {
            // Heirs that are no partitions go with CASCADE only; without, PostgreSQL refuses.
            for child in rules.children(of: relation.name) { gone.insert(child.name) }
        }
        if cascades {
            for view in context.schema.relations.values where view.viewSources.contains(where: gone.contains) { gone.insert(view.name) }
        }
        let forgotten = gone.sorted().filter { context.placements[$0] != nil }
        return DDLPlanner.everywhere(
            relations.map(\.name).sorted(), "the definition is the same on every shard", forgotten.map { .forget($0) })
    }
}
