internal import CPGQuery
internal import PGTypes
internal import SQLSyntax

extension QueryAnalyzer {
    /// Learns from a condition that every row of interest satisfies.
    ///
    /// Looks at the top AND level only. `own` are the columns that the condition restricts: those of the FROM list it filters, or of the NULL-filled
    /// side of an outer join. Other columns in it (of levels around, of the preserved side) are values to learn from.
    func restrict(by condition: SQLNode, scope: Scope, own: Range<Slot>, isOuterJoin: Bool = false) {
        switch condition.kind {
        case PG_QUERY__NODE__NODE_BOOL_EXPR where condition.pointee.bool_expr.pointee.boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR:
            let and = condition.pointee.bool_expr!
            for part in NodeList(and.pointee.n_args, and.pointee.args) {
                restrict(by: part, scope: scope, own: own, isOuterJoin: isOuterJoin)
            }
        case PG_QUERY__NODE__NODE_A_EXPR:
            restrict(by: condition.pointee.a_expr, scope: scope, own: own, isOuterJoin: isOuterJoin)
        case PG_QUERY__NODE__NODE_SUB_LINK where !isOuterJoin:
            restrict(bySublink: condition, scope: scope, own: own)
        default:
            break
        }
    }

    private func restrict(
        by expression: UnsafeMutablePointer<PgQuery__AExpr>, scope: Scope, own: Range<Slot>, isOuterJoin: Bool
    ) {
        guard isPlainEquality(NodeList(expression.pointee.n_name, expression.pointee.name)),
            let left = expression.pointee.lexpr, let right = expression.pointee.rexpr
        else { return }
        switch expression.pointee.kind {
        case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
            for (a, b) in pairs(left, right) { equate(a, b, scope: scope, own: own, isOuterJoin: isOuterJoin) }
        case PG_QUERY__A__EXPR__KIND__AEXPR_IN where !isOuterJoin:
            restrict(left, in: right.listItems, scope: scope, own: own)
        case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY where !isOuterJoin:
            guard let slot = ownSlot(left, scope, own) else { return }
            bind(slot, to: keyArray(right, type: bindings.type(of: slot)), at: expression.pointee.location)
        default:
            break
        }
    }

    /// `(a, b) = (c, d)` is `a = c AND b = d`.
    private func pairs(_ left: SQLNode, _ right: SQLNode) -> [(SQLNode, SQLNode)] {
        guard let a = rowItems(left), let b = rowItems(right), a.count == b.count else { return [(left, right)] }
        return Array(zip(a, b))
    }

    private func rowItems(_ node: SQLNode) -> [SQLNode]? {
        guard node.kind == PG_QUERY__NODE__NODE_ROW_EXPR else { return nil }
        return Array(NodeList(node.pointee.row_expr.pointee.n_args, node.pointee.row_expr.pointee.args))
    }

    private func equate(_ left: SQLNode, _ right: SQLNode, scope: Scope, own: Range<Slot>, isOuterJoin: Bool) {
        let a = column(left, scope)?.slot, b = column(right, scope)?.slot
        if let a, let b {
            switch (own.contains(a), own.contains(b)) {
            case (true, true): bindings.equate(a, b)
            case (true, false): bindings.derive(a, from: [b])
            case (false, true): bindings.derive(b, from: [a])
            case (false, false): break
            }
            return
        }
        guard !isOuterJoin else { return }
        if let a, own.contains(a) {
            bind(a, to: keyOperand(right, type: bindings.type(of: a)), at: location(right))
        } else if let b, own.contains(b) {
            bind(b, to: keyOperand(left, type: bindings.type(of: b)), at: location(left))
        }
    }

    /// `a IN (…)` and `(a, b) IN ((…), (…))`.
    private func restrict(_ left: SQLNode, in items: [SQLNode], scope: Scope, own: Range<Slot>) {
        guard let fields = rowItems(left) else {
            guard let slot = ownSlot(left, scope, own) else { return }
            bind(slot, to: keyList(items, type: bindings.type(of: slot)), at: location(left))
            return
        }
        let rows = items.compactMap(rowItems)
        guard rows.count == items.count, rows.allSatisfy({ $0.count == fields.count }) else { return }
        for (index, field) in fields.enumerated() {
            guard let slot = ownSlot(field, scope, own) else { continue }
            bind(slot, to: keyList(rows.map { $0[index] }, type: bindings.type(of: slot)), at: location(field))
        }
    }

    /// `a IN (SELECT k …)`: a has the values of k; and only rows of the subquery with values of a matter.
    private func restrict(bySublink node: SQLNode, scope: Scope, own: Range<Slot>) {
        let link = node.pointee.sub_link!
        guard link.pointee.sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK, let test = link.pointee.testexpr,
            link.pointee.n_oper_name == 0
                ? hasBuiltInEquality : isPlainEquality(NodeList(link.pointee.n_oper_name, link.pointee.oper_name)),
            let (output, inside) = sublinkOutputs[node]
        else { return }
        let fields = rowItems(test) ?? [test]
        guard output.isPositional, fields.count == output.columns.count else { return }
        for (field, inner) in zip(fields, output.columns) {
            guard let outer = column(field, scope)?.slot, let inner = inner.slot else { continue }
            if own.contains(outer) { bindings.derive(outer, from: [inner]) }
            // A column of a level around that the subquery gives out is not restricted by this condition.
            if output.isTransparent, inside.contains(inner) { bindings.derive(inner, from: [outer]) }
        }
    }

    private func bind(_ slot: Slot, to operand: KeyOperand, at location: Int32) {
        switch operand {
        case .sources(let sources):
            bindings.bind(slot, to: sources)
        case .null:
            noteKeyProblem(.keyIsNull, slot, at: location)
        case .wrongType:
            noteKeyProblem(.keyType, slot, at: location)
        case .notConstant:
            break
        }
    }

    private func noteKeyProblem(_ code: RefusalCode, _ slot: Slot, at location: Int32) {
        guard findings.keyProblem == nil, let table = findings.sharded.first(where: { $0.slot == slot }) else { return }
        findings.keyProblem = Refusal(code, "\(table.name).\(table.key)", at: location >= 0 ? Int(location) : nil)
    }

    private func ownSlot(_ node: SQLNode, _ scope: Scope, _ own: Range<Slot>) -> Slot? {
        guard let slot = column(node, scope)?.slot, own.contains(slot) else { return nil }
        return slot
    }

    /// The column behind a plain reference.
    func column(_ node: SQLNode, _ scope: Scope) -> OutputColumn? {
        guard node.kind == PG_QUERY__NODE__NODE_COLUMN_REF else { return nil }
        let reference = node.pointee.column_ref!
        guard let fields = NodeList(reference.pointee.n_fields, reference.pointee.fields).strings else { return nil }
        return scope.column(fields)
    }

    /// `=` of pg_catalog. With pg_catalog later in search_path an operator of somebody else's could come first.
    private func isPlainEquality(_ name: NodeList) -> Bool {
        switch name.strings {
        case ["="]: hasBuiltInEquality
        case ["pg_catalog", "="]: true
        default: false
        }
    }

    /// Whether a plain `=` between values of key types is PostgreSQL's own.
    var hasBuiltInEquality: Bool {
        isCatalogFirst && !context.searchPath.contains(where: context.schema.equalitySchemas.contains)
    }

    /// Whether names without a schema mean what PostgreSQL brings, before anybody else's.
    var isCatalogFirst: Bool { !context.searchPath.dropFirst().contains("pg_catalog") }

    /// The type named in a cast. With pg_catalog later in search_path a plain name may be another type's.
    func typeFamily(_ type: UnsafeMutablePointer<PgQuery__TypeName>?) -> TypeFamily? {
        guard var family = TypeFamily(type) else { return nil }
        if !isCatalogFirst, type?.pointee.n_names == 1 { family.keyType = nil }
        return family
    }

    private func location(_ node: SQLNode) -> Int32 {
        switch node.kind {
        case PG_QUERY__NODE__NODE_A_CONST: node.pointee.a_const.pointee.location
        case PG_QUERY__NODE__NODE_PARAM_REF: node.pointee.param_ref.pointee.location
        case PG_QUERY__NODE__NODE_TYPE_CAST: node.pointee.type_cast.pointee.location
        case PG_QUERY__NODE__NODE_COLUMN_REF: node.pointee.column_ref.pointee.location
        default: -1
        }
    }
}
