internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// Definitions of everything but tables, indexes and views.
///
/// Default deny: a kind of statement that is not listed is refused.
struct ObjectPlanner {
    let context: PlanningContext

    func plan(_ node: SQLNode) throws(Refusal) -> StatementPlan {
        try check(statement: node)
        let isSequence = node.kind == PG_QUERY__NODE__NODE_CREATE_SEQ_STMT || node.kind == PG_QUERY__NODE__NODE_ALTER_SEQ_STMT
        return DDLPlanner.everywhere([], "the definition is the same on every shard", sequences: isSequence ? .possible : .untouched)
    }

    private func check(statement node: SQLNode) throws(Refusal) {
        let names = DefinitionNames(context: context)
        switch node.kind {
        case PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT: try check(schema: node.pointee.create_schema_stmt)
        case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT: _ = try names.created(node.pointee.create_seq_stmt.pointee.sequence)
        case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT:
            let change = node.pointee.alter_seq_stmt!
            guard let sequence = try names.relation(change.pointee.sequence), sequence.isSlicedSequence else { break }
            try SequenceDefinition.checkChange(of: sequence.name.description, NodeList(change.pointee.n_options, change.pointee.options))
        case PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT: _ = try names.created(node.pointee.composite_type_stmt.pointee.typevar)
        case PG_QUERY__NODE__NODE_CREATE_ENUM_STMT:
            try names.check(NodeList(node.pointee.create_enum_stmt.pointee.n_type_name, node.pointee.create_enum_stmt.pointee.type_name))
        case PG_QUERY__NODE__NODE_ALTER_ENUM_STMT:
            try names.check(NodeList(node.pointee.alter_enum_stmt.pointee.n_type_name, node.pointee.alter_enum_stmt.pointee.type_name))
        case PG_QUERY__NODE__NODE_CREATE_RANGE_STMT:
            try names.check(NodeList(node.pointee.create_range_stmt.pointee.n_type_name, node.pointee.create_range_stmt.pointee.type_name))
        case PG_QUERY__NODE__NODE_ALTER_TYPE_STMT:
            try names.check(NodeList(node.pointee.alter_type_stmt.pointee.n_type_name, node.pointee.alter_type_stmt.pointee.type_name))
        case PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT: try check(domain: node.pointee.create_domain_stmt)
        case PG_QUERY__NODE__NODE_ALTER_DOMAIN_STMT: try check(domain: node.pointee.alter_domain_stmt)
        case PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT:
            let function = node.pointee.create_function_stmt!
            try names.check(NodeList(function.pointee.n_funcname, function.pointee.funcname))
        case PG_QUERY__NODE__NODE_ALTER_FUNCTION_STMT:
            let function = node.pointee.alter_function_stmt.pointee.func!
            try names.check(NodeList(function.pointee.n_objname, function.pointee.objname))
        case PG_QUERY__NODE__NODE_DEFINE_STMT: try check(definition: node.pointee.define_stmt)
        case PG_QUERY__NODE__NODE_CREATE_TRIG_STMT: try check(trigger: node.pointee.create_trig_stmt)
        case PG_QUERY__NODE__NODE_CREATE_POLICY_STMT: try check(policyOf: node.pointee.create_policy_stmt.pointee.table)
        case PG_QUERY__NODE__NODE_ALTER_POLICY_STMT: try check(policyOf: node.pointee.alter_policy_stmt.pointee.table)
        case PG_QUERY__NODE__NODE_RULE_STMT:
            throw Refusal(.rules, string(node.pointee.rule_stmt.pointee.rulename))
        case PG_QUERY__NODE__NODE_COMMENT_STMT:
            try check(target: node.pointee.comment_stmt.pointee.objtype, node.pointee.comment_stmt.pointee.object, "COMMENT")
        case PG_QUERY__NODE__NODE_ALTER_OWNER_STMT:
            try check(target: node.pointee.alter_owner_stmt.pointee.object_type, node.pointee.alter_owner_stmt.pointee.object, "OWNER")
        case PG_QUERY__NODE__NODE_GRANT_STMT: try check(grant: node.pointee.grant_stmt)
        case PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT, PG_QUERY__NODE__NODE_ALTER_EXTENSION_STMT,
            PG_QUERY__NODE__NODE_ALTER_DEFAULT_PRIVILEGES_STMT, PG_QUERY__NODE__NODE_CREATE_STATS_STMT,
            PG_QUERY__NODE__NODE_ALTER_STATS_STMT, PG_QUERY__NODE__NODE_ALTER_COLLATION_STMT, PG_QUERY__NODE__NODE_CREATE_PLANG_STMT,
            PG_QUERY__NODE__NODE_ALTER_OBJECT_DEPENDS_STMT, PG_QUERY__NODE__NODE_ALTER_TSDICTIONARY_STMT,
            PG_QUERY__NODE__NODE_ALTER_TSCONFIGURATION_STMT:
            break
        case PG_QUERY__NODE__NODE_CREATE_OP_CLASS_STMT, PG_QUERY__NODE__NODE_CREATE_OP_FAMILY_STMT,
            PG_QUERY__NODE__NODE_ALTER_OP_FAMILY_STMT, PG_QUERY__NODE__NODE_ALTER_OPERATOR_STMT, PG_QUERY__NODE__NODE_CREATE_CAST_STMT,
            PG_QUERY__NODE__NODE_CREATE_CONVERSION_STMT, PG_QUERY__NODE__NODE_CREATE_TRANSFORM_STMT, PG_QUERY__NODE__NODE_CREATE_AM_STMT:
            // Casts and operators of one's own change what a comparison with the shard key means.
            throw Refusal(.userOperator, node.kindName)
        case PG_QUERY__NODE__NODE_CREATE_FOREIGN_TABLE_STMT, PG_QUERY__NODE__NODE_IMPORT_FOREIGN_SCHEMA_STMT,
            PG_QUERY__NODE__NODE_CREATE_FDW_STMT, PG_QUERY__NODE__NODE_ALTER_FDW_STMT, PG_QUERY__NODE__NODE_CREATE_FOREIGN_SERVER_STMT,
            PG_QUERY__NODE__NODE_ALTER_FOREIGN_SERVER_STMT, PG_QUERY__NODE__NODE_CREATE_USER_MAPPING_STMT,
            PG_QUERY__NODE__NODE_ALTER_USER_MAPPING_STMT, PG_QUERY__NODE__NODE_DROP_USER_MAPPING_STMT,
            PG_QUERY__NODE__NODE_REFRESH_MAT_VIEW_STMT, PG_QUERY__NODE__NODE_SEC_LABEL_STMT,
            PG_QUERY__NODE__NODE_ALTER_EXTENSION_CONTENTS_STMT:
            throw Refusal(.definition, node.kindName)
        case PG_QUERY__NODE__NODE_CREATEDB_STMT, PG_QUERY__NODE__NODE_DROPDB_STMT, PG_QUERY__NODE__NODE_ALTER_DATABASE_STMT,
            PG_QUERY__NODE__NODE_ALTER_DATABASE_SET_STMT, PG_QUERY__NODE__NODE_ALTER_DATABASE_REFRESH_COLL_STMT,
            PG_QUERY__NODE__NODE_CREATE_ROLE_STMT, PG_QUERY__NODE__NODE_ALTER_ROLE_STMT, PG_QUERY__NODE__NODE_ALTER_ROLE_SET_STMT,
            PG_QUERY__NODE__NODE_DROP_ROLE_STMT, PG_QUERY__NODE__NODE_GRANT_ROLE_STMT, PG_QUERY__NODE__NODE_CREATE_TABLE_SPACE_STMT,
            PG_QUERY__NODE__NODE_DROP_TABLE_SPACE_STMT, PG_QUERY__NODE__NODE_ALTER_TABLE_SPACE_OPTIONS_STMT,
            PG_QUERY__NODE__NODE_ALTER_TABLE_MOVE_ALL_STMT, PG_QUERY__NODE__NODE_DROP_OWNED_STMT,
            PG_QUERY__NODE__NODE_REASSIGN_OWNED_STMT, PG_QUERY__NODE__NODE_CREATE_PUBLICATION_STMT,
            PG_QUERY__NODE__NODE_ALTER_PUBLICATION_STMT, PG_QUERY__NODE__NODE_CREATE_SUBSCRIPTION_STMT,
            PG_QUERY__NODE__NODE_ALTER_SUBSCRIPTION_STMT, PG_QUERY__NODE__NODE_DROP_SUBSCRIPTION_STMT,
            PG_QUERY__NODE__NODE_CREATE_EVENT_TRIG_STMT, PG_QUERY__NODE__NODE_ALTER_EVENT_TRIG_STMT:
            throw Refusal(.serverDefinition, node.kindName)
        default:
            throw Refusal(.unsupported, node.kindName)
        }
    }

    // MARK: Kinds with rules of their own

    /// Tables made along with their schema would have to be planned one by one.
    private func check(schema node: UnsafeMutablePointer<PgQuery__CreateSchemaStmt>) throws(Refusal) {
        guard node.pointee.n_schema_elts == 0 else { throw Refusal(.definition, "CREATE SCHEMA with its tables") }
        let name = string(node.pointee.schemaname)
        // Reserved names of PostgreSQL's get PostgreSQL's error.
        if name == "pgmosaic" { throw Refusal(.systemSchema, name) }
    }

    private func check(domain node: UnsafeMutablePointer<PgQuery__CreateDomainStmt>) throws(Refusal) {
        try DefinitionNames(context: context).check(NodeList(node.pointee.n_domainname, node.pointee.domainname))
        for constraint in NodeList(node.pointee.n_constraints, node.pointee.constraints) { try check(domainConstraint: constraint) }
    }

    private func check(domain node: UnsafeMutablePointer<PgQuery__AlterDomainStmt>) throws(Refusal) {
        try DefinitionNames(context: context).check(NodeList(node.pointee.n_type_name, node.pointee.type_name))
        guard let definition = node.pointee.def else { return }
        if definition.kind == PG_QUERY__NODE__NODE_CONSTRAINT { return try check(domainConstraint: definition) }
        try check(domainExpression: definition)
    }

    private func check(domainConstraint node: SQLNode) throws(Refusal) {
        guard node.kind == PG_QUERY__NODE__NODE_CONSTRAINT else { throw Refusal(.definition, node.kindName) }
        if let expression = node.pointee.constraint.pointee.raw_expr { try check(domainExpression: expression) }
    }

    /// A domain may be the type of columns of any table.
    private func check(domainExpression node: SQLNode) throws(Refusal) {
        _ = try DefinitionExpression(node, scope: Scope(parent: nil), context, .reference)
    }

    private func check(definition node: UnsafeMutablePointer<PgQuery__DefineStmt>) throws(Refusal) {
        switch node.pointee.kind {
        case PG_QUERY__OBJECT_TYPE__OBJECT_AGGREGATE, PG_QUERY__OBJECT_TYPE__OBJECT_COLLATION, PG_QUERY__OBJECT_TYPE__OBJECT_TYPE,
            PG_QUERY__OBJECT_TYPE__OBJECT_TSCONFIGURATION, PG_QUERY__OBJECT_TYPE__OBJECT_TSDICTIONARY,
            PG_QUERY__OBJECT_TYPE__OBJECT_TSPARSER, PG_QUERY__OBJECT_TYPE__OBJECT_TSTEMPLATE:
            try DefinitionNames(context: context).check(NodeList(node.pointee.n_defnames, node.pointee.defnames))
        case PG_QUERY__OBJECT_TYPE__OBJECT_OPERATOR:
            throw Refusal(.userOperator, "CREATE OPERATOR")
        default:
            throw Refusal(.definition, "CREATE of this kind of object")
        }
    }

    private func check(trigger node: UnsafeMutablePointer<PgQuery__CreateTrigStmt>) throws(Refusal) {
        let table = try TableResolver(context: context).resolve(node.pointee.relation)
        if table.placement == .reference { throw Refusal(.referenceTrigger, "\(string(node.pointee.trigname)) on \(table.name)") }
    }

    private func check(policyOf table: RangeVarNode) throws(Refusal) {
        let table = try TableResolver(context: context).resolve(table)
        guard table.placement == .local else { throw Refusal(.rowSecurity, table.name.description) }
    }

    private static let serverWide: [PgQuery__ObjectType] = [
        PG_QUERY__OBJECT_TYPE__OBJECT_DATABASE, PG_QUERY__OBJECT_TYPE__OBJECT_ROLE, PG_QUERY__OBJECT_TYPE__OBJECT_TABLESPACE,
        PG_QUERY__OBJECT_TYPE__OBJECT_PUBLICATION, PG_QUERY__OBJECT_TYPE__OBJECT_SUBSCRIPTION,
        PG_QUERY__OBJECT_TYPE__OBJECT_PARAMETER_ACL, PG_QUERY__OBJECT_TYPE__OBJECT_EVENT_TRIGGER,
    ]

    private func check(target type: PgQuery__ObjectType, _ object: SQLNode?, _ what: String) throws(Refusal) {
        if Self.serverWide.contains(type) { throw Refusal(.serverDefinition, what) }
        if type == PG_QUERY__OBJECT_TYPE__OBJECT_LARGEOBJECT { throw Refusal(.definition, "\(what) on large objects") }
        if type == PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA, let name = object?.stringValue { return try DefinitionNames(context: context).check(schema: name) }
        if let object { try check(object) }
    }

    private func check(grant node: UnsafeMutablePointer<PgQuery__GrantStmt>) throws(Refusal) {
        if Self.serverWide.contains(node.pointee.objtype) { throw Refusal(.serverDefinition, "GRANT") }
        if node.pointee.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_LARGEOBJECT { throw Refusal(.definition, "GRANT on large objects") }
    }

    /// Of an object named in whatever way the grammar has for its kind: not one of the system's.
    func check(_ object: SQLNode) throws(Refusal) {
        let names: [String]
        switch object.kind {
        case PG_QUERY__NODE__NODE_LIST: names = object.listItems.compactMap(\.stringValue)
        case PG_QUERY__NODE__NODE_TYPE_NAME:
            names = NodeList(object.pointee.type_name.pointee.n_names, object.pointee.type_name.pointee.names).strings ?? []
        case PG_QUERY__NODE__NODE_OBJECT_WITH_ARGS:
            let name = object.pointee.object_with_args!
            names = NodeList(name.pointee.n_objname, name.pointee.objname).strings ?? []
        default: return
        }
        if names.count > 1 { try DefinitionNames(context: context).check(schema: names[0]) }
    }
}
