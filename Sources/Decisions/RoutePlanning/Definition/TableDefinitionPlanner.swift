internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// CREATE TABLE.
struct TableDefinitionPlanner {
    let context: PlanningContext

    func plan(_ node: UnsafeMutablePointer<PgQuery__CreateStmt>) throws(Refusal) -> StatementPlan {
        guard let target = node.pointee.relation else { throw Refusal(.definition, "CREATE TABLE") }
        let name = try DefinitionNames(context: context).created(target)
        if context.schema.relations[name] != nil {
            // Either nothing happens, or PostgreSQL says that the table exists.
            return DDLPlanner.everywhere([name], "the table exists")
        }
        if node.pointee.of_typename != nil { throw Refusal(.definition, "CREATE TABLE OF") }
        var relation = Relation(name: name, kind: node.pointee.partspec == nil ? .table : .partitioned, columns: [])
        relation.isUnlogged = string(target.pointee.relpersistence) == "u"
        let parents = try inherit(NodeList(node.pointee.n_inh_relations, node.pointee.inh_relations), into: &relation)
        try copyColumns(NodeList(node.pointee.n_table_elts, node.pointee.table_elts), into: &relation)

        let placement = try self.placement(of: relation, node, parents)
        let reader = DefinitionReader(context: self.context.placing(name, placement), placement: placement)
        try read(node, reader, into: &relation)
        let rules = RelationRules(context: self.context.placing(name, placement))
        for parent in parents { try rules.check(sameAs: parent, name, placement) }
        try rules.check(relation, placement)

        let isPart = !parents.isEmpty
        let changes: [PlacementChange] = isPart || context.placements[name] == placement ? [] : [.declare(name, placement)]
        return DDLPlanner.everywhere(
            [name], "\(name) is \(placement.words)", changes, sequences: DDLPlanner.sequences(of: relation, placement))
    }

    // MARK: Where its rows live

    /// The declaration, else the parent's, else a rule of the database, else its default.
    private func placement(
        of relation: Relation, _ node: UnsafeMutablePointer<PgQuery__CreateStmt>, _ parents: [QualifiedName]
    ) throws(Refusal) -> Placement {
        if let declared = context.placements[relation.name] { return declared }
        if let parent = parents.first {
            return try TableResolver(context: context).resolve(schema: parent.schema, name: parent.name).placement
        }
        let names = Set(relation.columns.map(\.name)).union(writtenColumns(node))
        if let key = context.keyColumnRules.first(where: names.contains) { return .sharded(key: key) }
        guard context.defaultPlacement == .local else {
            throw Refusal(.unplacedTable, relation.name.description, at: Int(node.pointee.relation.pointee.location))
        }
        return .local
    }

    private func writtenColumns(_ node: UnsafeMutablePointer<PgQuery__CreateStmt>) -> [String] {
        NodeList(node.pointee.n_table_elts, node.pointee.table_elts).compactMap { element in
            element.kind == PG_QUERY__NODE__NODE_COLUMN_DEF ? string(element.pointee.column_def.pointee.colname) : nil
        }
    }

    // MARK: What it consists of

    private func inherit(_ parents: NodeList, into relation: inout Relation) throws(Refusal) -> [QualifiedName] {
        var names: [QualifiedName] = []
        for node in parents {
            guard node.kind == PG_QUERY__NODE__NODE_RANGE_VAR else { throw Refusal(.definition, node.kindName) }
            let parent = try TableResolver(context: context).resolve(node.pointee.range_var)
            names.append(parent.name)
            for column in parent.relation?.columns ?? [] where !relation.columns.contains(where: { $0.name == column.name }) {
                relation.columns.append(column)
            }
        }
        relation.parent = names.first
        return names
    }

    /// LIKE, first: what it copies counts for the rules that look for a column.
    private func copyColumns(_ elements: NodeList, into relation: inout Relation) throws(Refusal) {
        for element in elements where element.kind == PG_QUERY__NODE__NODE_TABLE_LIKE_CLAUSE {
            let clause = element.pointee.table_like_clause!
            let source = try TableResolver(context: context).resolve(clause.pointee.relation)
            guard let model = source.relation, !model.columns.isEmpty else { throw Refusal(.relationKind, source.name.description) }
            copy(model, LikeOptions(rawValue: clause.pointee.options), into: &relation)
        }
    }

    /// As PostgreSQL's `TableLikeOption`.
    private struct LikeOptions: OptionSet {
        let rawValue: UInt32
        static let defaults = LikeOptions(rawValue: 8)
        static let generated = LikeOptions(rawValue: 16)
        static let identity = LikeOptions(rawValue: 32)
        static let indexes = LikeOptions(rawValue: 64)
    }

    private func copy(_ model: Relation, _ options: LikeOptions, into relation: inout Relation) {
        for var column in model.columns {
            let keepsDefault = column.isGenerated ? options.contains(.generated) : options.contains(.defaults)
            if !keepsDefault {
                column.defaultExpression = nil
                column.defaultIsVolatile = false
            }
            column.isGenerated = column.isGenerated && options.contains(.generated)
            column.isIdentity = column.isIdentity && options.contains(.identity)
            relation.columns.append(column)
        }
        if options.contains(.indexes) { relation.uniqueKeys += model.uniqueKeys }
    }

    private func read(
        _ node: UnsafeMutablePointer<PgQuery__CreateStmt>, _ reader: DefinitionReader, into relation: inout Relation
    ) throws(Refusal) {
        var constraints: [ConstraintNode] = []
        for element in NodeList(node.pointee.n_table_elts, node.pointee.table_elts) {
            switch element.kind {
            case PG_QUERY__NODE__NODE_COLUMN_DEF:
                let column = element.pointee.column_def!
                // A column of a parent's, written again to add to it, or `CREATE TABLE … PARTITION OF p (c DEFAULT 1)`.
                if relation.parent != nil, let index = relation.columns.firstIndex(where: { $0.name == string(column.pointee.colname) }) {
                    var inherited = relation.columns.remove(at: index)
                    try reader.add(column: column, to: &relation)
                    let own = relation.columns.removeLast()
                    if column.pointee.type_name == nil {
                        inherited.defaultExpression = own.defaultExpression ?? inherited.defaultExpression
                        inherited.defaultIsVolatile = own.defaultExpression == nil ? inherited.defaultIsVolatile : own.defaultIsVolatile
                        inherited.isIdentity = inherited.isIdentity || own.isIdentity
                        inherited.isGenerated = inherited.isGenerated || own.isGenerated
                    } else {
                        inherited = own
                    }
                    relation.columns.insert(inherited, at: index)
                } else {
                    try reader.add(column: column, to: &relation)
                }
            case PG_QUERY__NODE__NODE_CONSTRAINT: constraints.append(element.pointee.constraint)
            case PG_QUERY__NODE__NODE_TABLE_LIKE_CLAUSE: break
            default: throw Refusal(.definition, element.kindName)
            }
        }
        for element in NodeList(node.pointee.n_constraints, node.pointee.constraints) where element.kind == PG_QUERY__NODE__NODE_CONSTRAINT {
            constraints.append(element.pointee.constraint)
        }
        for constraint in constraints { try reader.add(constraint: constraint, column: nil, to: &relation) }
    }
}

extension PlanningContext {
    /// As if the table had been declared so.
    func placing(_ name: QualifiedName, _ placement: Placement) -> PlanningContext {
        var copy = self
        copy.placements[name] = placement
        return copy
    }
}

extension Placement {
    var words: String {
        switch self {
        case .sharded(let key): "sharded by \(key)"
        case .reference: "a reference table"
        case .local: "a local table"
        }
    }
}
