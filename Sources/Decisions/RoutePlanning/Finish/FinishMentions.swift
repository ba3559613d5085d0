internal import CPGQuery
internal import SQLSyntax

/// The names in a statement, wherever they stand.
struct FinishMentions {
    /// By the place where the name begins.
    private(set) var tables: [Int: RangeVarNode] = [:]
    /// Every name by which a column could be meant, and those of tables.
    private(set) var names: Set<String> = []
    /// References of one name.
    private(set) var loneNames: Set<String> = []
    /// References of two names: the second by the first.
    private(set) var qualified: [String: Set<String>] = [:]
    /// A star, NATURAL, or columns that are named by their places.
    private(set) var needsAllColumns = false
    /// Something in it may mean a row as a whole, a system column, or a table by its schema.
    private(set) var isDoubtful = false
    private(set) var calls: [UnsafeMutablePointer<PgQuery__FuncCall>] = []
    private(set) var valueFunctions: [PgQuery__SQLValueFunctionOp] = []
    private var selects: [SelectNode] = []
    /// Names in GROUP BY; nil: there is none.
    private var grouped: Set<String>?
    /// Something else stands in it than names, which may mean a column all the same.
    private var groupsByPlace = false
    /// `*` and `t.*` as items of a select list.
    private var listedStars: Set<UnsafeMutableRawPointer> = []

    mutating func collect(_ statement: SQLNode) {
        // The statement's own struct is not below it.
        note(select: statement.pointee.select_stmt)
        statement.forEachStruct { kind, address in note(kind, address) }
    }

    /// Whether a group may be told by these columns alone.
    func mayGroup(by key: [String]) -> Bool {
        guard let grouped, !key.isEmpty else { return false }
        return groupsByPlace || key.allSatisfy(grouped.contains)
    }

    /// Whether the name, which is a table's at this place, may mean the table's row somewhere: where that table is seen, within the query whose FROM list it stands in.
    func mayMeanRow(_ name: String, at place: Int) -> Bool {
        guard loneNames.contains(name) else { return false }
        guard let level = selects.first(where: { NodeList($0.pointee.n_from_clause, $0.pointee.from_clause).contains { Self.holds($0, place) } }) else { return true }
        var isMeant = false
        SQLNode.forEachStruct(below: UnsafeMutableRawPointer(level)) { kind, address in
            guard kind == "ColumnRef" else { return }
            let reference = address.assumingMemoryBound(to: PgQuery__ColumnRef.self)
            if NodeList(reference.pointee.n_fields, reference.pointee.fields).strings == [name] { isMeant = true }
        }
        return isMeant
    }

    private static func holds(_ item: SQLNode, _ place: Int) -> Bool {
        switch item.kind {
        case PG_QUERY__NODE__NODE_RANGE_VAR: Int(item.pointee.range_var.pointee.location) == place
        case PG_QUERY__NODE__NODE_JOIN_EXPR: [item.pointee.join_expr.pointee.larg, item.pointee.join_expr.pointee.rarg].compactMap(\.self).contains { holds($0, place) }
        default: false
        }
    }

    private mutating func note(_ kind: String, _ address: UnsafeMutableRawPointer) {
        switch kind {
        case "SelectStmt": note(select: address.assumingMemoryBound(to: PgQuery__SelectStmt.self))
        case "RangeVar": note(table: address.assumingMemoryBound(to: PgQuery__RangeVar.self))
        case "JoinExpr": note(join: address.assumingMemoryBound(to: PgQuery__JoinExpr.self))
        case "ResTarget":
            let target = address.assumingMemoryBound(to: PgQuery__ResTarget.self)
            if let value = target.pointee.val, value.kind == PG_QUERY__NODE__NODE_COLUMN_REF { listedStars.insert(UnsafeMutableRawPointer(value.pointee.column_ref)) }
        case "ColumnRef": note(reference: address.assumingMemoryBound(to: PgQuery__ColumnRef.self))
        case "A_Indirection":
            let indirection = address.assumingMemoryBound(to: PgQuery__AIndirection.self)
            for field in NodeList(indirection.pointee.n_indirection, indirection.pointee.indirection) {
                if let name = field.stringValue { names.insert(name) }
            }
        case "TypeCast":
            let cast = address.assumingMemoryBound(to: PgQuery__TypeCast.self)
            if let family = TypeFamily(cast.pointee.type_name), family.isCatalogReference, family.name != "oid" { isDoubtful = true }
        case "FuncCall": calls.append(address.assumingMemoryBound(to: PgQuery__FuncCall.self))
        case "SQLValueFunction": valueFunctions.append(address.assumingMemoryBound(to: PgQuery__SQLValueFunction.self).pointee.op)
        default: break
        }
    }

    private mutating func note(select: SelectNode) {
        selects.append(select)
        let groups = NodeList(select.pointee.n_group_clause, select.pointee.group_clause)
        guard !groups.isEmpty else { return }
        var found = grouped ?? []
        for group in groups {
            group.forEachNode { node in
                if node.kind == PG_QUERY__NODE__NODE_COLUMN_REF {
                    let reference = node.pointee.column_ref!
                    if let name = NodeList(reference.pointee.n_fields, reference.pointee.fields).strings?.last { found.insert(name) }
                } else if node.kind == PG_QUERY__NODE__NODE_A_CONST {
                    groupsByPlace = true
                }
                return true
            }
        }
        // An alias of the select list may be the key's.
        grouped = found
        for target in NodeList(select.pointee.n_target_list, select.pointee.target_list) where target.kind == PG_QUERY__NODE__NODE_RES_TARGET {
            if found.contains(string(target.pointee.res_target.pointee.name)) { groupsByPlace = true }
        }
    }

    private mutating func note(table: RangeVarNode) {
        tables[Int(table.pointee.location)] = table
        names.insert(string(table.pointee.relname))
        if let alias = table.pointee.alias, alias.pointee.n_colnames > 0 { needsAllColumns = true }
    }

    private mutating func note(join: UnsafeMutablePointer<PgQuery__JoinExpr>) {
        if join.pointee.is_natural != 0 { needsAllColumns = true }
        if let alias = join.pointee.alias, alias.pointee.n_colnames > 0 { needsAllColumns = true }
        names.formUnion(NodeList(join.pointee.n_using_clause, join.pointee.using_clause).strings ?? [])
    }

    private static let systemColumns: Set<String> = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"]

    private mutating func note(reference: UnsafeMutablePointer<PgQuery__ColumnRef>) {
        let fields = NodeList(reference.pointee.n_fields, reference.pointee.fields)
        if let last = fields.last, last.kind == PG_QUERY__NODE__NODE_A_STAR {
            needsAllColumns = true
            // Elsewhere it is a row as a whole.
            if fields.count > 2 || !listedStars.contains(UnsafeMutableRawPointer(reference)) { isDoubtful = true }
            return
        }
        guard let parts = fields.strings, parts.count <= 2, !Self.systemColumns.contains(parts[parts.count - 1]) else {
            isDoubtful = true
            return
        }
        names.formUnion(parts)
        if parts.count == 1 { loneNames.insert(parts[0]) } else { qualified[parts[0], default: []].insert(parts[1]) }
    }
}
