internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// Which statements may draw from a sequence, for sessions that ask currval() and lastval().
///
/// PostgreSQL keeps what a session has drawn in its server session. The router sends the question to the one that drew last, so it must see every
/// statement that may draw; one that is taken for drawing and does not costs an error later, and never a wrong value.
enum SequenceUse {
    static let tellsOfDrawn: Set<String> = ["currval", "lastval"]
    /// setval() gives currval() a value, too.
    private static let draws: Set<String> = ["nextval", "setval"]

    /// Completes the plan's traces. SELECT, INSERT, UPDATE and DELETE have been looked at as they were analyzed.
    static func note(_ node: SQLNode, in plan: inout StatementPlan, _ context: PlanningContext) {
        switch plan.route {
        case .transaction, .session, .mosaic, .empty, .statements: return
        case .keyed, .anyShard, .homeShard, .currentShard, .everyShard, .splitCopy, .broadcastCopy, .gatherCopy, .gatherRows, .everyKey, .keysFirst, .explain: break
        }
        if context.shardCount == 1 {
            // Functions, views, whole blocks of code go to the shard without a look at them.
            if plan.writes, !plan.readsOnly, !neverDraws(node.kind) { plan.traces.drawsSequences = true }
            return
        }
        switch node.kind {
        case PG_QUERY__NODE__NODE_SELECT_STMT where plan.kind == .select, PG_QUERY__NODE__NODE_INSERT_STMT, PG_QUERY__NODE__NODE_UPDATE_STMT,
            PG_QUERY__NODE__NODE_DELETE_STMT, PG_QUERY__NODE__NODE_EXPLAIN_STMT, PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
            break
        case PG_QUERY__NODE__NODE_COPY_STMT: plan.traces.drawsSequences = node.pointee.copy_stmt.pointee.is_from != 0
        default: if plan.writes, !neverDraws(node.kind) { plan.traces.drawsSequences = true }
        }
    }

    /// Definitions that evaluate nothing for any row, and what is no query at all. Anything else may draw.
    private static func neverDraws(_ kind: PgQuery__Node__NodeCase) -> Bool {
        switch kind {
        case PG_QUERY__NODE__NODE_CREATE_STMT, PG_QUERY__NODE__NODE_CREATE_SEQ_STMT, PG_QUERY__NODE__NODE_ALTER_SEQ_STMT, PG_QUERY__NODE__NODE_DROP_STMT,
            PG_QUERY__NODE__NODE_INDEX_STMT, PG_QUERY__NODE__NODE_VIEW_STMT, PG_QUERY__NODE__NODE_RENAME_STMT, PG_QUERY__NODE__NODE_COMMENT_STMT,
            PG_QUERY__NODE__NODE_GRANT_STMT, PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT, PG_QUERY__NODE__NODE_VACUUM_STMT, PG_QUERY__NODE__NODE_LOCK_STMT,
            PG_QUERY__NODE__NODE_LISTEN_STMT, PG_QUERY__NODE__NODE_UNLISTEN_STMT, PG_QUERY__NODE__NODE_NOTIFY_STMT, PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT,
            PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT, PG_QUERY__NODE__NODE_CREATE_TRIG_STMT:
            true
        // What a cursor draws it draws as it is fetched from; the session knows which of them may.
        case PG_QUERY__NODE__NODE_FETCH_STMT: true
        default: false
        }
    }

    // MARK: What a statement sets off

    /// Triggers and views, whose code is not looked at; foreign keys that pass a write on to a table with triggers, or set a default.
    static func mayDraw(_ relation: Relation, use: QueryAnalyzer.TableUse, _ context: PlanningContext) -> Bool {
        guard context.keepsSequences else { return false }
        guard use != .read else {
            return relation.viewFunctions.contains { called in
                draws.contains(called.name) || (context.schema.functions[called] ?? []).contains(where: \.isUserDefined)
            }
        }
        if relation.kind != .table, relation.kind != .partitioned || relation.name.isTemporary { return true }
        if relation.hasTriggers || RelationRules(context: context).children(of: relation.name).contains(where: \.hasTriggers) { return true }
        guard use != .insert else { return false }
        return context.schema.relations.values.contains { other in
            !other.foreignKeys.isEmpty && (other.hasTriggers || other.foreignKeys.contains { $0.onDelete == .setDefault || $0.onUpdate == .setDefault })
        }
    }

    /// The default of a column that a statement leaves to PostgreSQL.
    static func mayDraw(_ column: Column, _ context: PlanningContext) -> Bool {
        guard context.keepsSequences else { return false }
        if column.usesSequence { return true }
        if let text = column.defaultExpression { return column.defaultIsVolatile && mayDraw(text, context) }
        // A domain may bring one.
        return column.typeOID == Column.userTypeOID && context.schema.typeDefaults.values.contains { $0.isVolatile && mayDraw($0.expression, context) }
    }

    /// A default that asks what the session has drawn.
    static func tellsOfDrawn(_ column: Column) -> Bool {
        guard column.defaultIsVolatile, let text = column.defaultExpression else { return false }
        return tellsOfDrawn.contains { text.contains($0 + "(") }
    }

    /// An expression as PostgreSQL prints it: the names before parentheses are those of functions.
    private static func mayDraw(_ text: String, _ context: PlanningContext) -> Bool {
        let calls = text.split(separator: "(", omittingEmptySubsequences: false).dropLast()
        return calls.contains { before in
            // A name between quotes is no function of PostgreSQL's.
            if before.hasSuffix("\"") { return true }
            let name = String(before.reversed().prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "$" }.reversed())
            if draws.contains(name) { return true }
            return context.schema.schemas.contains { schema in
                (context.schema.functions[QualifiedName(schema: schema, name: name)] ?? []).contains(where: \.isUserDefined)
            }
        }
    }
}
