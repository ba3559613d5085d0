internal import CPGQuery
internal import PGTypes
internal import ShardModel
internal import SQLSyntax

typealias ColumnNode = UnsafeMutablePointer<PgQuery__ColumnDef>
typealias ConstraintNode = UnsafeMutablePointer<PgQuery__Constraint>

/// Reads the elements of CREATE TABLE and ALTER TABLE into a `Relation`: the table as the statement would make it.
struct DefinitionReader {
    let context: PlanningContext
    let placement: Placement

    // MARK: Columns

    /// Adds a column and the constraints written at it.
    func add(column node: ColumnNode, to relation: inout Relation) throws(Refusal) {
        var column = self.column(named: string(node.pointee.colname), type: node.pointee.type_name)
        if isNondeterministic(node.pointee.coll_clause) { column.hasDeterministicCollation = false }
        relation.columns.append(column)
        if let expression = node.pointee.raw_default { try setDefault(expression, of: column.name, in: &relation) }
        for constraint in NodeList(node.pointee.n_constraints, node.pointee.constraints) {
            guard constraint.kind == PG_QUERY__NODE__NODE_CONSTRAINT else { throw Refusal(.definition, constraint.kindName) }
            try add(constraint: constraint.pointee.constraint, column: column.name, to: &relation)
        }
    }

    private static let serials: Set<String> = ["serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"]
    private static let types: [String: UInt32] = [
        "int2": 21, "int4": 23, "int8": 20, "uuid": 2950, "text": 25, "varchar": 1043, "bool": 16, "bytea": 17, "json": 114, "jsonb": 3802,
        "float4": 700, "float8": 701, "numeric": 1700, "bpchar": 1042, "date": 1082, "time": 1083, "timetz": 1266, "timestamp": 1114,
        "timestamptz": 1184, "interval": 1186, "inet": 869, "cidr": 650,
    ]

    func column(named name: String, type: UnsafeMutablePointer<PgQuery__TypeName>?) -> Column {
        var column = Column(name: name, typeOID: Column.userTypeOID, typeName: "")
        guard let type, let names = NodeList(type.pointee.n_names, type.pointee.names).strings, let last = names.last else { return column }
        column.typeName = last
        if names.count == 1, type.pointee.pct_type == 0, Self.serials.contains(last) {
            column.defaultExpression = "nextval()"
            column.typeOID = last == "smallserial" || last == "serial2" ? 21 : last == "bigserial" || last == "serial8" ? 20 : 23
            column.hasSlicedSequence = column.typeOID == 20
        } else if isBuiltIn(names), type.pointee.n_array_bounds == 0, type.pointee.setof == 0, type.pointee.pct_type == 0 {
            column.typeOID = Self.types[last] ?? Column.userTypeOID
            if column.typeOID == 1043, let length = typeModifier(type) { column.typeName = "character varying(\(length))" }
        }
        if column.typeOID == Column.userTypeOID, type.pointee.n_array_bounds == 0, let own = typeDefault(names) {
            column.defaultExpression = own.expression
            column.defaultIsVolatile = own.isVolatile
        }
        return column
    }

    /// With pg_catalog later in search_path a plain `uuid` could be somebody else's type.
    private func isBuiltIn(_ names: [String]) -> Bool {
        names.count == 2 ? names[0] == "pg_catalog" : !context.searchPath.dropFirst().contains("pg_catalog")
    }

    private func typeModifier(_ type: UnsafeMutablePointer<PgQuery__TypeName>) -> String? {
        NodeList(type.pointee.n_typmods, type.pointee.typmods).first.flatMap(DefinitionValue.text(of:))
    }

    private func typeDefault(_ names: [String]) -> SchemaSnapshot.TypeDefault? {
        guard let last = names.last else { return nil }
        let schemas = names.count == 2 ? [names[0]] : context.searchPath
        return schemas.lazy.compactMap { context.schema.typeDefaults[QualifiedName(schema: $0, name: last)] }.first
    }

    func isNondeterministic(_ clause: UnsafeMutablePointer<PgQuery__CollateClause>?) -> Bool {
        guard let clause else { return false }
        return isNondeterministic(NodeList(clause.pointee.n_collname, clause.pointee.collname))
    }

    private func isNondeterministic(_ collation: NodeList) -> Bool {
        guard let names = collation.strings, let last = names.last else { return false }
        let schemas = names.count == 2 ? [names[0]] : ["pg_catalog"] + context.searchPath
        return schemas.contains { context.schema.nondeterministicCollations.contains(QualifiedName(schema: $0, name: last)) }
    }

    func change(_ name: String, in relation: inout Relation, _ body: (inout Column) -> Void) {
        guard let index = relation.columns.firstIndex(where: { $0.name == name }) else { return }
        body(&relation.columns[index])
    }

    func setDefault(_ expression: SQLNode, of name: String, in relation: inout Relation) throws(Refusal) {
        let nature = try DefinitionExpression(expression, scope: scope(of: relation), context, placement)
        change(name, in: &relation) { column in
            column.defaultExpression = nature.usesSequence ? "nextval()" : "?"
            column.defaultIsVolatile = !nature.isDeterministic
            column.hasSlicedSequence = column.typeOID == 20 && nature.usesSequence && SequenceDefinition.isNextval(ofSliced: expression, context)
        }
    }

    func addIdentity(_ name: String, _ options: NodeList, in relation: inout Relation) {
        change(name, in: &relation) { column in
            column.isIdentity = true
            column.hasSlicedSequence = column.typeOID == 20 && SequenceDefinition.canBeSliced(options)
        }
    }

    func scope(of relation: Relation) -> Scope {
        let scope = Scope(parent: nil)
        var entry = RangeEntry(name: relation.name.name, table: relation.name, columns: [])
        entry.columns = relation.columns.map { OutputColumn(name: $0.name, slot: nil, typeOID: $0.typeOID) }
        scope.entries = [entry]
        scope.star = entry.columns
        return scope
    }

    // MARK: Constraints

    /// - column: where the constraint is written at a column, its name.
    func add(constraint node: ConstraintNode, column: String?, to relation: inout Relation) throws(Refusal) {
        switch node.pointee.contype {
        case PG_QUERY__CONSTR_TYPE__CONSTR_NULL, PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRABLE,
            PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_NOT_DEFERRABLE, PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRED,
            PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_IMMEDIATE:
            break
        case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL:
            if let column { change(column, in: &relation) { $0.notNull = true } }
        case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT:
            if let column, let expression = node.pointee.raw_expr { try setDefault(expression, of: column, in: &relation) }
        case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY:
            if let column { addIdentity(column, NodeList(node.pointee.n_options, node.pointee.options), in: &relation) }
        case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
            if let expression = node.pointee.raw_expr { try check(expression, relation) }
            if let column { change(column, in: &relation) { $0.isGenerated = true } }
        case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK:
            if let expression = node.pointee.raw_expr { try check(expression, relation) }
        case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY, PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE:
            addUnique(node, column: column, to: &relation)
        case PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION:
            let columns = NodeList(node.pointee.n_exclusions, node.pointee.exclusions).compactMap(equalityColumn)
            relation.uniqueKeys.append(UniqueKey(name: string(node.pointee.conname), columns: columns, isPrimary: false))
        case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN:
            relation.foreignKeys.append(try foreignKey(node, column: column, of: relation))
        default:
            throw Refusal(.definition, "a constraint of an unknown kind")
        }
    }

    /// Users' functions and the like have no place in what each shard checks by itself.
    private func check(_ expression: SQLNode, _ relation: Relation) throws(Refusal) {
        _ = try DefinitionExpression(expression, scope: scope(of: relation), context, placement)
    }

    private func addUnique(_ node: ConstraintNode, column: String?, to relation: inout Relation) {
        let isPrimary = node.pointee.contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY
        // USING INDEX: the index has been checked when it was made.
        guard string(node.pointee.indexname).isEmpty else { return }
        let keys = NodeList(node.pointee.n_keys, node.pointee.keys).strings ?? []
        let columns = keys.isEmpty ? [column].compactMap(\.self) : keys
        let plain = columns.filter { name in relation.columns.first { $0.name == name }?.hasDeterministicCollation ?? true }
        relation.uniqueKeys.append(UniqueKey(name: string(node.pointee.conname), columns: plain, isPrimary: isPrimary))
    }

    /// `(element, operator)` of an exclusion constraint: the column, where it is plain and the operator is the built-in `=`.
    private func equalityColumn(_ node: SQLNode) -> String? {
        let pair = node.listItems
        guard pair.count == 2, pair[0].kind == PG_QUERY__NODE__NODE_INDEX_ELEM, let column = plainColumn(pair[0]) else { return nil }
        let names = pair[1].listItems.compactMap(\.stringValue)
        return names == ["="] || names == ["pg_catalog", "="] ? column : nil
    }

    /// The column of an index element that compares it as the type itself does.
    func plainColumn(_ node: SQLNode) -> String? {
        guard node.kind == PG_QUERY__NODE__NODE_INDEX_ELEM, let element = node.pointee.index_elem, element.pointee.expr == nil else { return nil }
        let name = string(element.pointee.name)
        if isNondeterministic(NodeList(element.pointee.n_collation, element.pointee.collation)) { return nil }
        return name.isEmpty ? nil : name
    }

    private func foreignKey(_ node: ConstraintNode, column: String?, of relation: Relation) throws(Refusal) -> ForeignKey {
        guard let table = node.pointee.pktable else { throw Refusal(.definition, "FOREIGN KEY") }
        let names = NodeList(node.pointee.n_fk_attrs, node.pointee.fk_attrs).strings ?? []
        let set = NodeList(node.pointee.n_fk_del_set_cols, node.pointee.fk_del_set_cols).strings ?? []
        return ForeignKey(
            name: string(node.pointee.conname), columns: names.isEmpty ? [column].compactMap(\.self) : names,
            target: try target(table, of: relation),
            targetColumns: NodeList(node.pointee.n_pk_attrs, node.pointee.pk_attrs).strings ?? [],
            onUpdate: ForeignKey.Action(rawValue: string(node.pointee.fk_upd_action)) ?? .none,
            onDelete: ForeignKey.Action(rawValue: string(node.pointee.fk_del_action)) ?? .none,
            columnsSetOnDelete: set.isEmpty ? nil : set)
    }

    private func target(_ table: RangeVarNode, of relation: Relation) throws(Refusal) -> QualifiedName {
        let schema = string(table.pointee.schemaname)
        let isItself = string(table.pointee.relname) == relation.name.name && (schema.isEmpty || schema == relation.name.schema)
        if isItself, context.schema.relations[relation.name] == nil { return relation.name }
        return try TableResolver(context: context).resolve(table).name
    }
}

/// An expression that PostgreSQL keeps: a default, a check, what a column is generated from.
struct DefinitionExpression {
    /// The same value whenever and on whichever shard it is evaluated.
    let isDeterministic: Bool
    let usesSequence: Bool

    /// Throws what a statement with it would be refused for. Local tables keep whatever they like: they live on one server.
    init(_ node: SQLNode, scope: Scope, _ context: PlanningContext, _ placement: Placement) throws(Refusal) {
        guard placement != .local else {
            isDeterministic = true
            usesSequence = false
            return
        }
        let analyzer = QueryAnalyzer(
            context: context, literals: LiteralMap(ranges: nil, text: []), parameterTypes: [])
        try analyzer.analyze(expression: node, scope: scope)
        // 'now' becomes a constant when the table is made: on each shard another one.
        if let clock = analyzer.findings.temporalLiterals.first {
            throw Refusal(.volatileDefault, "a text that names the present", at: Int(clock.pointee.a_const.pointee.location))
        }
        usesSequence = analyzer.findings.usesSequence != nil
        if !usesSequence, let function = analyzer.findings.homeFunction { throw Refusal(.serverFunction, function) }
        isDeterministic = analyzer.findings.nondeterminism == nil
    }
}
