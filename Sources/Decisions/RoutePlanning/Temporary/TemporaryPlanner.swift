internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// Definitions of temporary objects in a database with several shards: on the home shard alone, by the server session that the client's session keeps.
///
/// What they may contain is PostgreSQL's to judge, as with local tables: one server has all of it. The router makes sure of three things: that what a new object is
/// filled from, or shows, is on that server; that a definition is not about temporary and other objects at once; and that none which names a
/// temporary object is taken for one of every shard.
struct TemporaryPlanner {
    let request: PlanningRequest
    private var context: PlanningContext { request.context }

    /// nil: the statement is not about temporary objects.
    static func plan(_ node: SQLNode, _ request: PlanningRequest) throws(Refusal) -> StatementPlan? {
        guard request.context.shardCount > 1 else { return nil }
        return try TemporaryPlanner(request: request).plan(node)
    }

    private func plan(_ node: SQLNode) throws(Refusal) -> StatementPlan? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_SELECT_STMT: return try plan(into: node)
        case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT: return try plan(tableAs: node.pointee.create_table_as_stmt)
        case PG_QUERY__NODE__NODE_CREATE_STMT: return try plan(create: node)
        case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT:
            guard let sequence = node.pointee.create_seq_stmt.pointee.sequence, isTemporary(sequence) else { break }
            return try created(sequence)
        case PG_QUERY__NODE__NODE_VIEW_STMT: return try plan(view: node)
        default: break
        }
        let mentions = TemporaryMentions(node, context.temporary)
        guard !mentions.isEmpty else { return nil }
        guard try isAboutTemporaryOnly(node) else { throw refusal(node.kindName) }
        return Self.onHomeShard(mentions.names.sorted(), SessionTraces(releases: true))
    }

    private func refusal(_ subject: String, at location: Int? = nil) -> Refusal { Refusal(.temporary, subject, at: location) }

    /// The plan of every definition of a temporary object. Never reused: it changes what names mean.
    static func onHomeShard(_ names: [QualifiedName], _ traces: SessionTraces) -> StatementPlan {
        var plan = StatementPlan(
            kind: .ddl, route: .homeShard, writes: true, reuse: .never, tables: names, reason: "temporary objects live in the session's connection to the home shard")
        plan.traces = traces
        plan.traces.formUnion(.temporaryUse)
        plan.traces.changesTemporary = true
        return plan
    }

    // MARK: What is made

    private func isTemporary(_ relation: RangeVarNode) -> Bool {
        string(relation.pointee.relpersistence) == "t" || string(relation.pointee.schemaname).hasPrefix(TemporaryRelations.schema)
    }

    private func created(_ relation: RangeVarNode) throws(Refusal) -> StatementPlan {
        let location = Int(relation.pointee.location)
        guard string(relation.pointee.catalogname).isEmpty else { throw Refusal(.unsupported, "a table name with a database", at: location) }
        let schema = string(relation.pointee.schemaname), name = string(relation.pointee.relname)
        // The real name of a temporary schema may be another session's.
        guard schema == TemporaryRelations.schema || !schema.hasPrefix("pg_") else { throw refusal("\(schema).\(name)", at: location) }
        return Self.onHomeShard([QualifiedName(schema: TemporaryRelations.schema, name: name)], SessionTraces(keeps: .temporary))
    }

    private func plan(create node: SQLNode) throws(Refusal) -> StatementPlan? {
        let create = node.pointee.create_stmt!
        guard let target = create.pointee.relation else { return nil }
        guard isTemporary(target) else {
            if let name = TemporaryMentions(node, context.temporary, created: target).names.min() { throw refusal(name.description) }
            return nil
        }
        // They would go when somebody else drops the type, or the parent, and with them what hides others of their name. A sharded parent would show their
        // rows on the home shard only.
        if create.pointee.of_typename != nil { throw refusal("CREATE TABLE OF") }
        for parent in NodeList(create.pointee.n_inh_relations, create.pointee.inh_relations) {
            guard parent.kind == PG_QUERY__NODE__NODE_RANGE_VAR, temporaryName(parent.pointee.range_var) != nil else {
                throw refusal("INHERITS of a permanent table")
            }
        }
        return try created(target)
    }

    private func temporaryName(_ node: RangeVarNode?) -> QualifiedName? {
        guard let node, string(node.pointee.catalogname).isEmpty else { return nil }
        return context.temporary.name(schema: string(node.pointee.schemaname), string(node.pointee.relname))
    }

    private func plan(tableAs create: UnsafeMutablePointer<PgQuery__CreateTableAsStmt>) throws(Refusal) -> StatementPlan? {
        guard let target = create.pointee.into?.pointee.rel, isTemporary(target), create.pointee.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE,
            let query = create.pointee.query
        else { return nil }
        guard query.kind == PG_QUERY__NODE__NODE_SELECT_STMT else { throw Refusal(.sqlPrepare, "CREATE TABLE AS EXECUTE") }
        try check(query: query)
        return try created(target)
    }

    /// SELECT INTO: of several SELECTs in a row the first says it.
    private func plan(into node: SQLNode) throws(Refusal) -> StatementPlan? {
        var first = node.pointee.select_stmt!
        while first.pointee.op != PG_QUERY__SET_OPERATION__SETOP_NONE, let left = first.pointee.larg { first = left }
        guard let target = first.pointee.into_clause?.pointee.rel, isTemporary(target) else { return nil }
        try check(query: node, storing: first)
        return try created(target)
    }

    /// PostgreSQL makes a view temporary, too, when its query names something temporary.
    private func plan(view node: SQLNode) throws(Refusal) -> StatementPlan? {
        guard let view = node.pointee.view_stmt.pointee.view, let query = node.pointee.view_stmt.pointee.query else { return nil }
        let mentions = TemporaryMentions(node, context.temporary, created: view)
        guard isTemporary(view) || !mentions.isEmpty else { return nil }
        if !isTemporary(view), let common = commonTable(of: query, among: mentions.names) { throw refusal(common) }
        try check(query: query)
        return try created(view)
    }

    /// A WITH query of a temporary relation's name: what the name means depends on where it stands.
    private func commonTable(of query: SQLNode, among names: Set<QualifiedName>) -> String? {
        var found: String?
        query.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR {
                let name = string(node.pointee.common_table_expr.pointee.ctename)
                if names.contains(where: { $0.name == name }) { found = name }
            }
            return true
        }
        return found
    }

    /// All that the query reads must be on the home shard, and it must not write.
    private func check(query: SQLNode, storing target: SelectNode? = nil) throws(Refusal) {
        let analyzer = QueryAnalyzer(context: context, literals: request.literals, parameterTypes: request.parameterTypes)
        analyzer.storing = target
        _ = try analyzer.analyze(statement: query, parent: nil)
        let findings = analyzer.findings
        if let sharded = findings.sharded.first { throw refusal(sharded.name.description, at: sharded.location) }
        if let written = findings.writtenReferences.min() ?? findings.writtenLocals.min() { throw refusal(written.description) }
    }

    // MARK: What is changed

    /// Whether a definition that names temporary objects is about nothing else: a list of kinds, all others are refused.
    private func isAboutTemporaryOnly(_ node: SQLNode) throws(Refusal) -> Bool {
        switch node.kind {
        case PG_QUERY__NODE__NODE_INDEX_STMT: return temporaryName(node.pointee.index_stmt.pointee.relation) != nil
        case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT: return isTemporary(alter: node.pointee.alter_table_stmt)
        case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT: return temporaryName(node.pointee.alter_seq_stmt.pointee.sequence) != nil
        case PG_QUERY__NODE__NODE_RENAME_STMT: return temporaryName(node.pointee.rename_stmt.pointee.relation) != nil
        case PG_QUERY__NODE__NODE_ALTER_OBJECT_SCHEMA_STMT: return temporaryName(node.pointee.alter_object_schema_stmt.pointee.relation) != nil
        case PG_QUERY__NODE__NODE_CREATE_TRIG_STMT: return temporaryName(node.pointee.create_trig_stmt.pointee.relation) != nil
        case PG_QUERY__NODE__NODE_DROP_STMT: return isTemporary(drop: node.pointee.drop_stmt)
        case PG_QUERY__NODE__NODE_COMMENT_STMT:
            guard let object = node.pointee.comment_stmt.pointee.object else { return false }
            return isTemporary(object, node.pointee.comment_stmt.pointee.objtype)
        default: return false
        }
    }

    private func isTemporary(alter node: UnsafeMutablePointer<PgQuery__AlterTableStmt>) -> Bool {
        guard temporaryName(node.pointee.relation) != nil else { return false }
        return NodeList(node.pointee.n_cmds, node.pointee.cmds).allSatisfy { command in
            guard command.kind == PG_QUERY__NODE__NODE_ALTER_TABLE_CMD, let command = command.pointee.alter_table_cmd else { return false }
            switch AlterTablePlanner.Effect(command.pointee.subtype) {
            case .refused: return false
            case .inherit, .disinherit, .attach, .detach:
                // As for CREATE TABLE … INHERITS.
                guard let other = command.pointee.def else { return false }
                let table = other.kind == PG_QUERY__NODE__NODE_RANGE_VAR ? other.pointee.range_var
                    : other.kind == PG_QUERY__NODE__NODE_PARTITION_CMD ? other.pointee.partition_cmd.pointee.name : nil
                return temporaryName(table) != nil
            default: return true
            }
        }
    }

    private func isTemporary(drop node: UnsafeMutablePointer<PgQuery__DropStmt>) -> Bool {
        NodeList(node.pointee.n_objects, node.pointee.objects).allSatisfy { isTemporary($0, node.pointee.remove_type) }
    }

    private func isTemporary(_ object: SQLNode, _ kind: PgQuery__ObjectType) -> Bool {
        let parts = object.listItems.compactMap(\.stringValue)
        switch kind {
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE, PG_QUERY__OBJECT_TYPE__OBJECT_VIEW, PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE,
            PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
            return context.temporary.name(parts) != nil
        case PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER, PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN, PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT:
            return context.temporary.name(parts.dropLast()) != nil
        default: return false
        }
    }
}
