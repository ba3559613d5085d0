internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

typealias AlterCommandNode = UnsafeMutablePointer<PgQuery__AlterTableCmd>

/// ALTER TABLE, and ALTER INDEX, VIEW, SEQUENCE and TYPE where PostgreSQL's grammar makes the same node of them.
struct AlterTablePlanner {
    let context: PlanningContext

    func plan(_ node: UnsafeMutablePointer<PgQuery__AlterTableStmt>) throws(Refusal) -> StatementPlan {
        guard let target = node.pointee.relation else { throw Refusal(.definition, "ALTER TABLE") }
        let commands = try commands(node)
        switch node.pointee.objtype {
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE: break
        case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX, PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE, PG_QUERY__OBJECT_TYPE__OBJECT_VIEW,
            PG_QUERY__OBJECT_TYPE__OBJECT_TYPE:
            return try plan(other: target, commands)
        default:
            throw Refusal(.definition, "ALTER of this kind of object")
        }
        guard let relation = try DefinitionNames(context: context).relation(target) else {
            // IF EXISTS does nothing; else PostgreSQL's own error is the best one, unless the router's schema is old.
            guard node.pointee.missing_ok != 0 else {
                throw Refusal(.unknownTable, string(target.pointee.relname), at: Int(target.pointee.location))
            }
            return DDLPlanner.everywhere([], "the table does not exist")
        }
        guard relation.kind == .table || relation.kind == .partitioned else { return try plan(other: target, commands) }
        let placement = try TableResolver(context: context).resolve(target).placement
        return try plan(relation, placement, commands)
    }

    private func commands(_ node: UnsafeMutablePointer<PgQuery__AlterTableStmt>) throws(Refusal) -> [AlterCommandNode] {
        var result: [AlterCommandNode] = []
        for command in NodeList(node.pointee.n_cmds, node.pointee.cmds) {
            guard command.kind == PG_QUERY__NODE__NODE_ALTER_TABLE_CMD else { throw Refusal(.definition, command.kindName) }
            result.append(command.pointee.alter_table_cmd)
        }
        return result
    }

    /// What has no rows of its own.
    private func plan(other target: RangeVarNode, _ commands: [AlterCommandNode]) throws(Refusal) -> StatementPlan {
        _ = try DefinitionNames(context: context).relation(target)
        for command in commands {
            switch Effect(command.pointee.subtype) {
            case .none, .type: continue
            default:
                switch command.pointee.subtype {
                // Attributes of a composite type, a view's default, an index attached to its parent's.
                case PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn, PG_QUERY__ALTER_TABLE_TYPE__AT_DropColumn,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_AttachPartition: continue
                default: throw Refusal(.definition, "ALTER \(string(target.pointee.relname))")
                }
            }
        }
        return DDLPlanner.everywhere([], "the definition is the same on every shard")
    }

    private func plan(
        _ relation: Relation, _ placement: Placement, _ commands: [AlterCommandNode]
    ) throws(Refusal) -> StatementPlan {
        let placed = context.placing(relation.name, placement)
        let reader = DefinitionReader(context: placed, placement: placement)
        var changed = relation
        var changes: [PlacementChange] = []
        for command in commands {
            let effect = Effect(command.pointee.subtype)
            switch effect {
            case .none: break
            case .refused(let code, let what): throw Refusal(code, "\(what) of \(relation.name)")
            case .refusedUnlessLocal(let code, let what):
                guard placement == .local else { throw Refusal(code, "\(what) of \(relation.name)") }
            default: try apply(effect, command, reader, &changed, &changes)
            }
        }
        let rules = RelationRules(context: placed)
        try rules.check(changed, placement)
        if changed.columns != relation.columns || changed.uniqueKeys != relation.uniqueKeys || changed.foreignKeys != relation.foreignKeys {
            try checkChildren(of: relation, changed, placement, rules)
        }
        // A rule of the database must not move a table that has no declaration when it gets the rule's column.
        if context.placements[relation.name] == nil, relation.parent == nil, changed.columns != relation.columns {
            changes.insert(.declare(relation.name, placement), at: 0)
        }
        return DDLPlanner.everywhere(
            [relation.name], "\(relation.name) is \(placement.words)", changes, sequences: DDLPlanner.sequences(of: changed, placement))
    }

    /// What is added to a table is added to its partitions and heirs.
    private func checkChildren(of relation: Relation, _ changed: Relation, _ placement: Placement, _ rules: RelationRules) throws(Refusal) {
        for child in rules.children(of: relation.name) {
            var child = child
            child.columns += changed.columns.filter { column in !child.columns.contains { $0.name == column.name } }
            child.foreignKeys += changed.foreignKeys.filter { !relation.foreignKeys.contains($0) }
            try rules.check(child, placement)
        }
    }

    // MARK: Commands that change what the rules look at

    private func apply(
        _ effect: Effect, _ command: AlterCommandNode, _ reader: DefinitionReader, _ relation: inout Relation,
        _ changes: inout [PlacementChange]
    ) throws(Refusal) {
        let name = string(command.pointee.name)
        switch effect {
        case .addColumn: try addColumn(command, reader, &relation)
        case .dropColumn:
            try keep(name, of: relation, reader.placement)
            relation.columns.removeAll { $0.name == name }
            relation.uniqueKeys.removeAll { $0.columns.contains(name) }
            relation.foreignKeys.removeAll { $0.columns.contains(name) }
        case .columnDefault:
            reader.change(name, in: &relation) { column in
                column.defaultExpression = nil
                column.defaultIsVolatile = false
                column.hasSlicedSequence = false
            }
            if let expression = command.pointee.def { try reader.setDefault(expression, of: name, in: &relation) }
        case .identity:
            let options = command.pointee.def.flatMap { $0.kind == PG_QUERY__NODE__NODE_CONSTRAINT ? $0.pointee.constraint : nil }
            reader.addIdentity(name, NodeList(options?.pointee.n_options ?? 0, options?.pointee.options), in: &relation)
        case .identityOptions:
            guard case .sharded = reader.placement else { break }
            guard let options = try node(command, kind: PG_QUERY__NODE__NODE_LIST) else { break }
            let list = options.pointee.list!
            try SequenceDefinition.checkChange(of: "\(relation.name).\(name)", NodeList(list.pointee.n_items, list.pointee.items))
        case .dropIdentity: reader.change(name, in: &relation) { $0.isIdentity = false }
        case .type: try changeType(command, reader, &relation)
        case .addConstraint:
            guard let node = command.pointee.def, node.kind == PG_QUERY__NODE__NODE_CONSTRAINT else { throw Refusal(.definition, "ADD CONSTRAINT") }
            try reader.add(constraint: node.pointee.constraint, column: nil, to: &relation)
        case .dropConstraint:
            relation.uniqueKeys.removeAll { $0.name == name }
            relation.foreignKeys.removeAll { $0.name == name }
        case .logged(let isLogged): relation.isUnlogged = !isLogged
        case .noRowSecurity: relation.hasRowSecurity = false
        case .attach: try attach(command, to: relation, reader)
        case .detach: try detach(command, from: relation, reader.placement, &changes)
        case .inherit:
            guard let parent = try node(command, kind: PG_QUERY__NODE__NODE_RANGE_VAR).map({ $0.pointee.range_var }) else { return }
            let resolved = try TableResolver(context: context).resolve(parent!)
            try RelationRules(context: reader.context).check(sameAs: resolved.name, relation.name, reader.placement)
        case .disinherit:
            if context.placements[relation.name] == nil { changes.append(.declare(relation.name, reader.placement)) }
        case .none, .refused, .refusedUnlessLocal: break
        }
    }

    private func node(_ command: AlterCommandNode, kind: PgQuery__Node__NodeCase) throws(Refusal) -> SQLNode? {
        guard let node = command.pointee.def, node.kind == kind else { throw Refusal(.definition, "ALTER TABLE") }
        return node
    }

    private func addColumn(_ command: AlterCommandNode, _ reader: DefinitionReader, _ relation: inout Relation) throws(Refusal) {
        guard let node = try node(command, kind: PG_QUERY__NODE__NODE_COLUMN_DEF)?.pointee.column_def else { return }
        let name = string(node.pointee.colname)
        // IF NOT EXISTS; else PostgreSQL's error.
        if relation.columns.contains(where: { $0.name == name }) { return }
        try reader.add(column: node, to: &relation)
        guard reader.placement == .reference, let column = relation.columns.last, column.defaultIsVolatile, !column.isGenerated else { return }
        throw Refusal(.volatileDefault, "\(relation.name).\(name)")
    }

    private func changeType(_ command: AlterCommandNode, _ reader: DefinitionReader, _ relation: inout Relation) throws(Refusal) {
        let name = string(command.pointee.name)
        try keep(name, of: relation, reader.placement)
        guard let node = try node(command, kind: PG_QUERY__NODE__NODE_COLUMN_DEF)?.pointee.column_def else { return }
        if let using = node.pointee.raw_default {
            let nature = try DefinitionExpression(using, scope: reader.scope(of: relation), context, reader.placement)
            let isSame = nature.isDeterministic && !nature.usesSequence
            guard reader.placement != .reference || isSame else { throw Refusal(.volatileDefault, "\(relation.name).\(name)") }
            if nature.usesSequence { throw Refusal(.sequenceDefault, "\(relation.name).\(name)") }
        }
        let new = reader.column(named: name, type: node.pointee.type_name)
        let isDeterministic = !reader.isNondeterministic(node.pointee.coll_clause)
        reader.change(name, in: &relation) { column in
            column.typeOID = new.typeOID
            column.typeName = new.typeName
            column.hasSlicedSequence = column.hasSlicedSequence && new.typeOID == 20
            column.hasDeterministicCollation = isDeterministic
        }
    }

    /// The shard key's column stays as it is.
    private func keep(_ column: String, of relation: Relation, _ placement: Placement) throws(Refusal) {
        if placement == .sharded(key: column) { throw Refusal(.keyDefinition, "\(relation.name).\(column)") }
    }

    // MARK: Partitions

    private func partition(_ command: AlterCommandNode) throws(Refusal) -> ResolvedTable {
        guard let part = try node(command, kind: PG_QUERY__NODE__NODE_PARTITION_CMD)?.pointee.partition_cmd else {
            throw Refusal(.definition, "PARTITION")
        }
        if part.pointee.concurrent != 0 { throw Refusal(.concurrently, string(part.pointee.name.pointee.relname)) }
        return try TableResolver(context: context).resolve(part.pointee.name)
    }

    private func attach(_ command: AlterCommandNode, to relation: Relation, _ reader: DefinitionReader) throws(Refusal) {
        let part = try partition(command)
        guard part.placement == reader.placement, var child = part.relation else {
            throw Refusal(.placementConflict, "\(part.name), \(relation.name)")
        }
        child.foreignKeys += relation.foreignKeys
        try RelationRules(context: reader.context).check(child, reader.placement)
    }

    /// What a partition had from its parent it keeps.
    private func detach(
        _ command: AlterCommandNode, from relation: Relation, _ placement: Placement, _ changes: inout [PlacementChange]
    ) throws(Refusal) {
        let part = try partition(command)
        if context.placements[part.name] == nil { changes.append(.declare(part.name, placement)) }
    }
}

extension AlterTablePlanner {
    /// What a command of ALTER TABLE means to the rules; kinds that are not listed are refused.
    enum Effect {
        case none
        case addColumn, dropColumn, columnDefault, identity, identityOptions, dropIdentity, type, addConstraint, dropConstraint
        case logged(Bool)
        case noRowSecurity
        case attach, detach, inherit, disinherit
        case refused(RefusalCode, String)
        case refusedUnlessLocal(RefusalCode, String)

        init(_ command: PgQuery__AlterTableType) {
            self =
                switch command {
                case PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn: .addColumn
                case PG_QUERY__ALTER_TABLE_TYPE__AT_DropColumn: .dropColumn
                case PG_QUERY__ALTER_TABLE_TYPE__AT_ColumnDefault: .columnDefault
                case PG_QUERY__ALTER_TABLE_TYPE__AT_AddIdentity: .identity
                case PG_QUERY__ALTER_TABLE_TYPE__AT_DropIdentity: .dropIdentity
                case PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType: .type
                case PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint: .addConstraint
                case PG_QUERY__ALTER_TABLE_TYPE__AT_DropConstraint: .dropConstraint
                case PG_QUERY__ALTER_TABLE_TYPE__AT_SetLogged: .logged(true)
                case PG_QUERY__ALTER_TABLE_TYPE__AT_SetUnLogged: .logged(false)
                case PG_QUERY__ALTER_TABLE_TYPE__AT_AttachPartition: .attach
                case PG_QUERY__ALTER_TABLE_TYPE__AT_DetachPartition: .detach
                case PG_QUERY__ALTER_TABLE_TYPE__AT_DetachPartitionFinalize: .refused(.concurrently, "DETACH PARTITION … FINALIZE")
                case PG_QUERY__ALTER_TABLE_TYPE__AT_AddInherit: .inherit
                case PG_QUERY__ALTER_TABLE_TYPE__AT_DropInherit: .disinherit
                case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableRowSecurity, PG_QUERY__ALTER_TABLE_TYPE__AT_ForceRowSecurity:
                    .refusedUnlessLocal(.rowSecurity, "ENABLE ROW LEVEL SECURITY")
                case PG_QUERY__ALTER_TABLE_TYPE__AT_DisableRowSecurity: .noRowSecurity
                case PG_QUERY__ALTER_TABLE_TYPE__AT_NoForceRowSecurity, PG_QUERY__ALTER_TABLE_TYPE__AT_DropNotNull, PG_QUERY__ALTER_TABLE_TYPE__AT_SetNotNull,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_DropExpression, PG_QUERY__ALTER_TABLE_TYPE__AT_SetStatistics,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_SetOptions, PG_QUERY__ALTER_TABLE_TYPE__AT_ResetOptions,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_SetStorage, PG_QUERY__ALTER_TABLE_TYPE__AT_SetCompression,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_AlterConstraint, PG_QUERY__ALTER_TABLE_TYPE__AT_ValidateConstraint,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_ChangeOwner, PG_QUERY__ALTER_TABLE_TYPE__AT_ClusterOn,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_DropCluster, PG_QUERY__ALTER_TABLE_TYPE__AT_SetAccessMethod,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_SetTableSpace, PG_QUERY__ALTER_TABLE_TYPE__AT_SetRelOptions,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_ResetRelOptions, PG_QUERY__ALTER_TABLE_TYPE__AT_ReplicaIdentity,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_EnableTrig, PG_QUERY__ALTER_TABLE_TYPE__AT_DisableTrig,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_EnableTrigAll, PG_QUERY__ALTER_TABLE_TYPE__AT_DisableTrigAll,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_EnableTrigUser, PG_QUERY__ALTER_TABLE_TYPE__AT_DisableTrigUser,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_EnableAlwaysTrig, PG_QUERY__ALTER_TABLE_TYPE__AT_EnableReplicaTrig,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_EnableRule, PG_QUERY__ALTER_TABLE_TYPE__AT_DisableRule,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_EnableAlwaysRule, PG_QUERY__ALTER_TABLE_TYPE__AT_EnableReplicaRule,
                    PG_QUERY__ALTER_TABLE_TYPE__AT_DropOids:
                    .none
                case PG_QUERY__ALTER_TABLE_TYPE__AT_SetIdentity: .identityOptions
                case PG_QUERY__ALTER_TABLE_TYPE__AT_AddOf, PG_QUERY__ALTER_TABLE_TYPE__AT_DropOf: .refused(.definition, "OF")
                default: .refused(.definition, "ALTER TABLE command")
                }
        }
    }
}
