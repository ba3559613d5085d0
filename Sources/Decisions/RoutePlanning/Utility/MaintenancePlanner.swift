internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// TRUNCATE, VACUUM, ANALYZE, REINDEX, CLUSTER, LOCK, NOTIFY: statements on whole tables, or on no table.
enum MaintenancePlanner {
    static func plan(_ node: SQLNode, _ request: PlanningRequest) throws(Refusal) -> StatementPlan? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_TRUNCATE_STMT: try truncate(node.pointee.truncate_stmt, request.context)
        case PG_QUERY__NODE__NODE_VACUUM_STMT: try vacuum(node.pointee.vacuum_stmt, request.context)
        case PG_QUERY__NODE__NODE_REINDEX_STMT: try reindex(node.pointee.reindex_stmt, request.context)
        case PG_QUERY__NODE__NODE_CLUSTER_STMT: try cluster(node.pointee.cluster_stmt, request.context)
        case PG_QUERY__NODE__NODE_LOCK_STMT: try lock(node.pointee.lock_stmt, request.context)
        case PG_QUERY__NODE__NODE_NOTIFY_STMT:
            notifications(SessionTraces(preventsPrepare: true))
        case PG_QUERY__NODE__NODE_LISTEN_STMT: notifications(SessionTraces(keeps: .listen, preventsPrepare: true))
        case PG_QUERY__NODE__NODE_UNLISTEN_STMT: notifications(SessionTraces(releases: true, preventsPrepare: true))
        case PG_QUERY__NODE__NODE_CHECK_POINT_STMT, PG_QUERY__NODE__NODE_LOAD_STMT, PG_QUERY__NODE__NODE_ALTER_SYSTEM_STMT:
            throw Refusal(.unsupported, node.kindName)
        case PG_QUERY__NODE__NODE_DO_STMT, PG_QUERY__NODE__NODE_CALL_STMT: throw Refusal(.userFunction, node.kindName)
        default: nil
        }
    }

    /// All listeners are on the home shard, whichever router they come through.
    private static func notifications(_ traces: SessionTraces) -> StatementPlan {
        var plan = StatementPlan(
            kind: .utility, route: .homeShard, writes: true, reuse: .text, reason: "notifications pass through the home shard")
        plan.traces = traces
        return plan
    }

    // MARK: the statements

    private static func truncate(
        _ statement: UnsafeMutablePointer<PgQuery__TruncateStmt>, _ context: PlanningContext
    ) throws(Refusal) -> StatementPlan {
        let tables = try resolve(NodeList(statement.pointee.n_relations, statement.pointee.relations), context)
        let isCascade = statement.pointee.behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE
        if isCascade, tables.contains(where: { $0.placement == .local }), hasForeignReferrers(tables, context) {
            throw Refusal(.mixedPlacements, tables[0].name.description)
        }
        return try plan(tables, transactional: true, kind: .utility)
    }

    /// Whether a table of another placement refers to one of these local ones: CASCADE would empty the home shard's part of it.
    private static func hasForeignReferrers(_ tables: [ResolvedTable], _ context: PlanningContext) -> Bool {
        let names = Set(tables.map(\.name))
        return context.schema.relations.values.contains { relation in
            guard relation.foreignKeys.contains(where: { names.contains($0.target) }) else { return false }
            let resolver = TableResolver(context: context)
            return (try? resolver.resolve(schema: relation.name.schema, name: relation.name.name))?.placement != .local
        }
    }

    private static func vacuum(
        _ statement: UnsafeMutablePointer<PgQuery__VacuumStmt>, _ context: PlanningContext
    ) throws(Refusal) -> StatementPlan {
        let isVacuum = statement.pointee.is_vacuumcmd != 0
        let relations = NodeList(statement.pointee.n_rels, statement.pointee.rels)
        var tables: [ResolvedTable] = []
        for node in relations {
            guard node.kind == PG_QUERY__NODE__NODE_VACUUM_RELATION,
                let relation = node.pointee.vacuum_relation.pointee.relation
            else { throw Refusal(.unsupported, node.kindName) }
            tables.append(try TableResolver(context: context).resolve(relation))
        }
        guard !relations.isEmpty else { return everywhere(transactional: !isVacuum) }
        return try plan(tables, transactional: !isVacuum, kind: .utility)
    }

    private static func reindex(
        _ statement: UnsafeMutablePointer<PgQuery__ReindexStmt>, _ context: PlanningContext
    ) throws(Refusal) -> StatementPlan {
        let isConcurrent = NodeList(statement.pointee.n_params, statement.pointee.params).contains { node in
            node.kind == PG_QUERY__NODE__NODE_DEF_ELEM && string(node.pointee.def_elem.pointee.defname) == "concurrently"
        }
        switch statement.pointee.kind {
        case PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_TABLE:
            let table = try TableResolver(context: context).resolve(statement.pointee.relation)
            return try plan([table], transactional: !isConcurrent, kind: .utility)
        case PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_SCHEMA:
            return everywhere(transactional: false)
        default:
            throw Refusal(.unsupported, "REINDEX of this kind of object")
        }
    }

    private static func cluster(
        _ statement: UnsafeMutablePointer<PgQuery__ClusterStmt>, _ context: PlanningContext
    ) throws(Refusal) -> StatementPlan {
        guard let relation = statement.pointee.relation else { return everywhere(transactional: false) }
        return try plan([try TableResolver(context: context).resolve(relation)], transactional: true, kind: .utility)
    }

    private static func lock(
        _ statement: UnsafeMutablePointer<PgQuery__LockStmt>, _ context: PlanningContext
    ) throws(Refusal) -> StatementPlan {
        let tables = try resolve(NodeList(statement.pointee.n_relations, statement.pointee.relations), context)
        guard let other = tables.first(where: { $0.placement != .local }) else {
            var plan = try plan(tables, transactional: true, kind: .utility)
            plan.requiresBlock = true
            return plan
        }
        throw Refusal(.lockTable, other.name.description)
    }

    // MARK: where to

    private static func resolve(_ relations: NodeList, _ context: PlanningContext) throws(Refusal) -> [ResolvedTable] {
        var tables: [ResolvedTable] = []
        for node in relations {
            guard node.kind == PG_QUERY__NODE__NODE_RANGE_VAR else { throw Refusal(.unsupported, node.kindName) }
            tables.append(try TableResolver(context: context).resolve(node.pointee.range_var))
        }
        return tables
    }

    private static func plan(
        _ tables: [ResolvedTable], transactional: Bool, kind: StatementKind
    ) throws(Refusal) -> StatementPlan {
        let locals = tables.filter { $0.placement == .local }
        var plan: StatementPlan
        if locals.count == tables.count {
            plan = StatementPlan(kind: kind, route: .homeShard, writes: true, reuse: .text, reason: "local tables only")
        } else if let local = locals.first {
            throw Refusal(.mixedPlacements, local.name.description)
        } else {
            plan = everywhere(transactional: transactional)
        }
        plan.tables = tables.map(\.name)
        if plan.tables.contains(where: \.isTemporary) { plan.traces.formUnion(.temporaryUse) }
        return plan
    }

    private static func everywhere(transactional: Bool) -> StatementPlan {
        StatementPlan(
            kind: .utility, route: .everyShard(EveryShard(reason: .maintenance, transactional: transactional)), writes: true,
            reuse: .text, reason: "every shard has a part or a copy")
    }
}
