internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// A database that has one shard: what would be refused for the shards' sake goes to the one there is, which answers as PostgreSQL does.
///
/// What stays refused is not about shards: the session's own state (settings that statements are read by, prepared statements, the end of
/// transactions), the router's own schema and functions, and the rules for tables that are declared sharded or reference, which a later second shard relies on.
enum SingleShardPlanner {
    /// A plan whose route is for several shards, made plain.
    static func simplified(_ plan: StatementPlan, _ node: SQLNode, _ context: PlanningContext) -> StatementPlan {
        var plan = plan
        if node.kind == PG_QUERY__NODE__NODE_DROP_STMT, case .everyShard(var everyShard) = plan.route, everyShard.concurrentIndex == nil {
            everyShard.placementChanges = forgettingDropped(context)
            plan.route = .everyShard(everyShard)
            return plan
        }
        switch plan.route {
        // The row of a NULL key would belong to no shard: what inserts goes on looking at its keys.
        case .keyed where !plan.writes || !inserts(node): plan.keyLengthMax = nil
        case .everyShard(let everyShard) where everyShard.concurrentIndex == nil:
            guard !everyShard.changesSchema, everyShard.placementChanges.isEmpty, everyShard.sequences == .untouched else { return plan }
        case .everyShard, .gatherCopy, .gatherRows, .everyKey, .explain: break
        default: return plan
        }
        plan.route = .homeShard
        plan.spread = nil
        return plan
    }

    private static func inserts(_ statement: SQLNode) -> Bool {
        var found = false
        statement.forEachNode { node in
            found = found || node.kind == PG_QUERY__NODE__NODE_INSERT_STMT
            return !found
        }
        return found
    }

    /// The plan of a statement that the planner for several shards has refused. Throws where the reason holds for one shard, too.
    static func plan(_ node: SQLNode, _ request: PlanningRequest, refused: Refusal) throws(Refusal) -> StatementPlan {
        // CREATE FUNCTION pg_temp.f: the session's own schema, of all the system's.
        let isTemporary = refused.code == .systemSchema && refused.subject.hasPrefix("pg_temp")
        // `= NULL` is true of no row, wherever that is.
        let comparesNull = refused.code == .keyIsNull && !inserts(node)
        // SET SESSION AUTHORIZATION: the server session is the client's from then on, and with it the user.
        let setsUser = refused.code == .role
        // Nobody else draws from it.
        let changesSequence = refused.code == .sequenceDefault && node.kind == PG_QUERY__NODE__NODE_ALTER_SEQ_STMT
        guard holdsForSeveralOnly(refused) || isTemporary || comparesNull || setsUser || changesSequence, setsUser || !belongsToRouter(node),
            !isAboutPlacement(refused, node, request.context)
        else { throw refused }
        try checkPlacement(ofCreated: node, request.context)
        try NullableKeys(context: request.context).check(node)
        var state = StatementState(context: request.context)
        try state.look(at: node)
        if setsUser { state.traces.formUnion(SessionTraces(keeps: .sessionState)) }
        // A DROP leaves nothing, whatever it names.
        if isTemporary, node.kind != PG_QUERY__NODE__NODE_DROP_STMT { state.traces.formUnion(SessionTraces(keeps: .temporary)) }

        let lacksSchema = refused.code.isCuredByReload || state.namesUnknown
        var plan = StatementPlan(
            kind: kind(of: node), route: .homeShard, writes: true, reuse: lacksSchema ? .never : .text,
            reason: "the database has one shard")
        plan.traces = state.traces
        plan.lacksSchema = lacksSchema
        plan.requiresBlock = node.kind == PG_QUERY__NODE__NODE_LOCK_STMT
        plan.readsOnly = plan.traces == .none && isQueryWithoutEffect(node, request)
        if isSchemaChange(node), refused.code != .concurrently, state.traces == .none {
            var everyShard = EveryShard(reason: .ddl, changesSchema: true)
            let drops = node.kind == PG_QUERY__NODE__NODE_DROP_STMT || node.kind == PG_QUERY__NODE__NODE_DROP_OWNED_STMT
            if drops { everyShard.placementChanges = forgettingDropped(request.context) }
            plan.route = .everyShard(everyShard)
            plan.kind = .ddl
            plan.reuse = .never
        }
        if node.kind == PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT { CursorPlanner.note(declare: node.pointee.declare_cursor_stmt, in: &plan) }
        return plan
    }

    /// A query that was refused only for what several shards would make of it: all of it is understood, and it does nothing but read.
    private static func isQueryWithoutEffect(_ node: SQLNode, _ request: PlanningRequest) -> Bool {
        guard node.kind == PG_QUERY__NODE__NODE_SELECT_STMT else { return false }
        let analyzer = QueryAnalyzer(context: request.context, literals: request.literals, parameterTypes: request.parameterTypes)
        guard (try? analyzer.analyze(statement: node, parent: nil)) != nil else { return false }
        return !analyzer.findings.hasEffect && analyzer.findings.traces == .none
    }

    /// Whether a refusal is about which shard, or about what differs between shards.
    private static func holdsForSeveralOnly(_ refusal: Refusal) -> Bool {
        switch refusal.code {
        case .keyIsNull, .keyNullable, .shardKeyDisagrees, .hint, .unplacedTable, .rowSecurity, .multipleStatements, .statementList,
            .replicaSnapshot, .sqlPrepare, .cannotPrepare, .twoPhase, .setting, .role, .nameForm, .extendedMaintenance, .queryInPipeline, .setLocalSearchPath,
            .mosaicCall, .readOnlyUser, .systemSchema, .tooComplex, .uniqueWithoutKey, .foreignKey, .sequenceDefault, .volatileDefault, .referenceTrigger, .keyDefinition, .placementConflict,
            .tableHasRows, .resharding, .rowsMove, .rowLimit, .combinedType, .typesDiffer:
            false
        case .noKey, .manyShards, .isolation, .mixedPlacements, .catalogJoin, .keyType, .keyMissing, .keyExpression, .keyUpdate, .keyColumn,
            .keyMalformed, .unknownTable, .unknownFunction, .userFunction, .serverFunction, .sessionFunction, .sequenceState, .sequenceFunction, .shardSize, .userOperator, .view,
            .viewWrite, .relationKind, .rules, .temporary, .sampling, .volatileReferenceWrite, .unorderedReferenceWrite, .referenceWriteSource,
            .referenceLock, .uncertainName, .merge, .createTableAs, .explainAnalyze, .explainFormat, .lockTable, .copyFile, .copyFormat, .copyOption, .concurrently, .definition,
            .serverDefinition, .unsupported:
            true
        }
    }

    /// The state of transactions, settings and prepared statements is the router's: it must understand every statement about it.
    private static func belongsToRouter(_ node: SQLNode) -> Bool {
        switch node.kind {
        case PG_QUERY__NODE__NODE_TRANSACTION_STMT, PG_QUERY__NODE__NODE_VARIABLE_SET_STMT, PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT,
            PG_QUERY__NODE__NODE_DISCARD_STMT, PG_QUERY__NODE__NODE_DEALLOCATE_STMT, PG_QUERY__NODE__NODE_PREPARE_STMT,
            PG_QUERY__NODE__NODE_EXECUTE_STMT:
            true
        default: false
        }
    }

    /// A definition that breaks a rule of sharded or reference tables.
    private static func isAboutPlacement(_ refusal: Refusal, _ node: SQLNode, _ context: PlanningContext) -> Bool {
        guard isDefinition(node) else { return false }
        if node.kind == PG_QUERY__NODE__NODE_RULE_STMT, let target = node.pointee.rule_stmt.pointee.relation {
            // A rule on a table or view that is neither; a view need not be declared.
            let placement = (try? TableResolver(context: context).resolve(target))?.placement
            return placement != nil && placement != .local
        }
        switch refusal.code {
        case .keyColumn, .rules, .volatileReferenceWrite, .sequenceFunction: return true
        default: return false
        }
    }

    private static func isDefinition(_ node: SQLNode) -> Bool {
        switch node.kind {
        case PG_QUERY__NODE__NODE_CREATE_STMT, PG_QUERY__NODE__NODE_ALTER_TABLE_STMT, PG_QUERY__NODE__NODE_INDEX_STMT,
            PG_QUERY__NODE__NODE_RENAME_STMT, PG_QUERY__NODE__NODE_RULE_STMT, PG_QUERY__NODE__NODE_CREATE_TRIG_STMT:
            true
        default: false
        }
    }

    /// A table that is made from a query gets its placement as any other: where nothing gives it one, it is not made.
    private static func checkPlacement(ofCreated node: SQLNode, _ context: PlanningContext) throws(Refusal) {
        guard context.defaultPlacement != .local else { return }
        let target: UnsafeMutablePointer<PgQuery__RangeVar>?
        switch node.kind {
        case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
            let isTable = node.pointee.create_table_as_stmt.pointee.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE
            target = isTable ? node.pointee.create_table_as_stmt.pointee.into?.pointee.rel : nil
        case PG_QUERY__NODE__NODE_SELECT_STMT: target = node.pointee.select_stmt.pointee.into_clause?.pointee.rel
        case PG_QUERY__NODE__NODE_CREATE_STMT: target = node.pointee.create_stmt.pointee.relation
        default: target = nil
        }
        guard let target, string(target.pointee.relpersistence) != "t", !string(target.pointee.schemaname).hasPrefix("pg_temp") else { return }
        let name = try DefinitionNames(context: context).created(target)
        guard context.placements[name] == nil else { return }
        throw Refusal(.unplacedTable, name.description, at: Int(target.pointee.location))
    }

    /// Statements that change the schema inside of a transaction, and that the router must therefore look at afterwards.
    private static func isSchemaChange(_ node: SQLNode) -> Bool {
        switch node.kind {
        case PG_QUERY__NODE__NODE_SELECT_STMT: node.pointee.select_stmt.pointee.into_clause != nil
        case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT, PG_QUERY__NODE__NODE_VIEW_STMT, PG_QUERY__NODE__NODE_RULE_STMT,
            PG_QUERY__NODE__NODE_CREATE_STMT, PG_QUERY__NODE__NODE_ALTER_TABLE_STMT, PG_QUERY__NODE__NODE_CREATE_TRIG_STMT,
            PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT, PG_QUERY__NODE__NODE_ALTER_FUNCTION_STMT, PG_QUERY__NODE__NODE_DEFINE_STMT,
            PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT, PG_QUERY__NODE__NODE_CREATE_FOREIGN_TABLE_STMT, PG_QUERY__NODE__NODE_RENAME_STMT,
            PG_QUERY__NODE__NODE_ALTER_OBJECT_SCHEMA_STMT, PG_QUERY__NODE__NODE_DROP_STMT, PG_QUERY__NODE__NODE_DROP_OWNED_STMT,
            PG_QUERY__NODE__NODE_ALTER_SEQ_STMT:
            true
        default: false
        }
    }

    /// What a DROP takes away is seen afterwards: the placements of those tables that are gone are forgotten, for whatever reason they went.
    private static func forgettingDropped(_ context: PlanningContext) -> [PlacementChange] {
        context.placements.keys.filter { context.schema.relations[$0] != nil }.sorted().map { .forget($0) }
    }

    private static func kind(of node: SQLNode) -> StatementKind {
        switch node.kind {
        case PG_QUERY__NODE__NODE_SELECT_STMT: .select
        case PG_QUERY__NODE__NODE_INSERT_STMT: .insert
        case PG_QUERY__NODE__NODE_UPDATE_STMT: .update
        case PG_QUERY__NODE__NODE_DELETE_STMT: .delete
        case PG_QUERY__NODE__NODE_MERGE_STMT: .merge
        case PG_QUERY__NODE__NODE_COPY_STMT: .copy
        default: .utility
        }
    }
}
