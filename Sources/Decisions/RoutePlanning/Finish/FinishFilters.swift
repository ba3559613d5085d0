internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// Conditions by which a table's rows can be left where they are: those of WHERE that each of its rows in the answer must meet by itself.
///
/// Only a table that is named once, whose rows no outer join fills up with NULLs at that level; and only comparisons of its columns with constants, in the words of the statement, so that the shards
/// find the same operators as the home shard would. The statement keeps its WHERE: what is not understood here is only not used.
struct FinishFilters {
    private let relation: Relation
    /// By which its columns are qualified.
    private let name: String
    /// Of the others in its FROM list, whose columns may be meant by a name alone; nil: not all of them are known.
    private let others: [Relation]?
    private(set) var conditions: [String] = []

    /// - place: where the table's name begins.
    /// - tables: of the statement, by the places where their names begin.
    init?(_ relation: Relation, at place: Int, _ statement: SQLNode, _ context: PlanningContext, tables: [Int: QualifiedName]) {
        // Somebody else's operator may be the one that is meant, and is then found by the types that constants have.
        let isOwn = { (schema: String) in
            context.schema.equalitySchemas.contains(schema) || context.schema.userOperators.contains { $0.schema == schema }
        }
        // The same holds for a type, where PostgreSQL's own do not come first.
        guard !context.searchPath.contains(where: isOwn), !context.searchPath.contains("pg_catalog"), let found = Self.level(of: place, in: statement), let condition = found.select.pointee.where_clause else { return nil }
        let alias = found.table.pointee.alias
        guard alias?.pointee.n_colnames ?? 0 == 0 else { return nil }
        self.relation = relation
        name = alias.map { string($0.pointee.aliasname) } ?? relation.name.name
        let known = found.others?.compactMap { tables[$0].flatMap { context.schema.relations[$0] } }
        others = known?.count == found.others?.count ? known : nil
        collect(condition)
        guard !conditions.isEmpty else { return nil }
    }

    // MARK: The level

    private struct Level {
        let select: SelectNode
        let table: RangeVarNode
        /// Places of the other tables' names in the list; nil: there is more in it than tables under their own columns' names.
        let others: [Int]?
    }

    /// The SELECT in whose FROM list the table stands, where all rows of that list have one of its rows, or none of it is kept for want of one.
    private static func level(of place: Int, in statement: SQLNode) -> Level? {
        var result: Level?
        let look = { (select: SelectNode) in
            let items = NodeList(select.pointee.n_from_clause, select.pointee.from_clause)
            for item in items {
                guard let table = inner(item, place) else { continue }
                result = Level(select: select, table: table, others: places(Array(items)).map { $0.filter { $0 != place } })
            }
        }
        look(statement.pointee.select_stmt)
        statement.forEachStruct { kind, address in
            if kind == "SelectStmt" { look(address.assumingMemoryBound(to: PgQuery__SelectStmt.self)) }
        }
        return result
    }

    private static func places(_ items: [SQLNode]) -> [Int]? {
        var places: [Int] = []
        for item in items {
            switch item.kind {
            case PG_QUERY__NODE__NODE_RANGE_VAR:
                guard item.pointee.range_var.pointee.alias?.pointee.n_colnames ?? 0 == 0 else { return nil }
                places.append(Int(item.pointee.range_var.pointee.location))
            case PG_QUERY__NODE__NODE_JOIN_EXPR:
                let join = item.pointee.join_expr!
                guard join.pointee.alias == nil, let sides = Self.places([join.pointee.larg, join.pointee.rarg].compactMap(\.self)) else { return nil }
                places += sides
            default: return nil
            }
        }
        return places
    }

    private static func inner(_ item: SQLNode, _ place: Int) -> RangeVarNode? {
        switch item.kind {
        case PG_QUERY__NODE__NODE_RANGE_VAR:
            let table = item.pointee.range_var!
            return Int(table.pointee.location) == place ? table : nil
        case PG_QUERY__NODE__NODE_JOIN_EXPR:
            let join = item.pointee.join_expr!
            // Its alias hides the names in it.
            guard join.pointee.alias == nil else { return nil }
            let left = join.pointee.larg.flatMap { inner($0, place) }, right = join.pointee.rarg.flatMap { inner($0, place) }
            switch join.pointee.jointype {
            case PG_QUERY__JOIN_TYPE__JOIN_INNER: return left ?? right
            case PG_QUERY__JOIN_TYPE__JOIN_LEFT: return left
            case PG_QUERY__JOIN_TYPE__JOIN_RIGHT: return right
            default: return nil
            }
        default: return nil
        }
    }

    // MARK: Conditions

    private mutating func collect(_ node: SQLNode) {
        if node.kind == PG_QUERY__NODE__NODE_BOOL_EXPR, node.pointee.bool_expr.pointee.boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR {
            for argument in NodeList(node.pointee.bool_expr.pointee.n_args, node.pointee.bool_expr.pointee.args) { collect(argument) }
        } else if let text = condition(node) {
            conditions.append(text)
        }
    }

    private func condition(_ node: SQLNode) -> String? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_NULL_TEST:
            let test = node.pointee.null_test!
            guard let column = test.pointee.arg.flatMap(column) else { return nil }
            return "\(column) IS \(test.pointee.nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NULL ? "" : "NOT ")NULL"
        case PG_QUERY__NODE__NODE_A_EXPR: return comparison(node.pointee.a_expr)
        default: return nil
        }
    }

    private static let operators: Set<String> = ["=", "<>", "<", ">", "<=", ">="]

    private func comparison(_ node: UnsafeMutablePointer<PgQuery__AExpr>) -> String? {
        guard let left = node.pointee.lexpr, let right = node.pointee.rexpr, let names = NodeList(node.pointee.n_name, node.pointee.name).strings, names.count == 1 else { return nil }
        let values = right.listItems.map(Self.constant)
        switch node.pointee.kind {
        case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
            guard Self.operators.contains(names[0]) else { return nil }
            if let column = column(left), let value = Self.constant(right) { return "\(column) \(names[0]) \(value)" }
            if let column = column(right), let value = Self.constant(left) { return "\(value) \(names[0]) \(column)" }
            return nil
        case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
            guard let column = column(left), right.kind == PG_QUERY__NODE__NODE_LIST, !values.contains(nil) else { return nil }
            return "\(column) \(names[0] == "=" ? "" : "NOT ")IN (\(values.compactMap(\.self).joined(separator: ", ")))"
        case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
            guard let column = column(left), right.kind == PG_QUERY__NODE__NODE_LIST, values.count == 2, let low = values[0], let high = values[1] else { return nil }
            return "\(column) BETWEEN \(low) AND \(high)"
        case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
            guard names[0] == "~~", let column = column(left), let value = Self.constant(right) else { return nil }
            return "\(column) LIKE \(value)"
        default: return nil
        }
    }

    /// The table's column, of a type of PostgreSQL's own.
    private func column(_ node: SQLNode) -> String? {
        guard node.kind == PG_QUERY__NODE__NODE_COLUMN_REF else { return nil }
        guard let fields = NodeList(node.pointee.column_ref.pointee.n_fields, node.pointee.column_ref.pointee.fields).strings, let last = fields.last,
            fields.count == 2 ? fields[0] == name : fields.count == 1 && isOwn(last),
            let column = relation.columns.first(where: { $0.name == last }), column.typeOID < Column.userTypeOID
        else { return nil }
        return "t.\(quoteIdentifier(last))"
    }

    /// No other table of the list has a column of this name.
    private func isOwn(_ name: String) -> Bool { others?.allSatisfy { other in !other.columns.contains { $0.name == name } } ?? false }

    /// A number, a text or a moment, as it would be written; nil: anything else, or what is read from the clock.
    private static func constant(_ node: SQLNode) -> String? {
        guard node.kind == PG_QUERY__NODE__NODE_A_CONST else { return FinishMoment.text(node) }
        return plain(node)
    }

    static func plain(_ node: SQLNode) -> String? {
        guard node.kind == PG_QUERY__NODE__NODE_A_CONST else { return nil }
        let constant = node.pointee.a_const!
        guard constant.pointee.isnull == 0 else { return nil }
        switch constant.pointee.val_case {
        case PG_QUERY__A__CONST__VAL_IVAL: return "(\(constant.pointee.ival.pointee.ival))"
        case PG_QUERY__A__CONST__VAL_FVAL:
            let text = string(constant.pointee.fval.pointee.fval)
            return text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2e || $0 == 0x2d } && !text.isEmpty ? "(\(text))" : nil
        case PG_QUERY__A__CONST__VAL_SVAL:
            let text = string(constant.pointee.sval.pointee.sval)
            guard !ClockText.mayNameNow(text), !text.utf8.contains(UInt8(ascii: "\\")) else { return nil }
            return quoteLiteral(text)
        default: return nil
        }
    }
}
