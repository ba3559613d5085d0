internal import CPGQuery
internal import PGTypes
internal import ShardModel
internal import SQLSyntax

extension QueryAnalyzer {
    /// Looks through an expression for what only some shards could answer. Kinds of nodes that are not listed here are refused.
    func analyze(expression node: SQLNode, scope: Scope) throws(Refusal) {
        switch node.kind {
        case PG_QUERY__NODE__NODE_A_CONST:
            noteLiteral(node)
            return
        case PG_QUERY__NODE__NODE_PARAM_REF:
            findings.parameters.append(node)
            return
        case PG_QUERY__NODE__NODE_COLUMN_REF:
            try analyze(reference: node, scope: scope)
            return
        case PG_QUERY__NODE__NODE_SUB_LINK:
            try analyze(sublink: node, scope: scope)
            return
        case PG_QUERY__NODE__NODE_TYPE_CAST:
            try analyze(cast: node.pointee.type_cast, scope: scope)
            return
        case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
            let value = node.pointee.sqlvalue_function!
            findings.noteNondeterminism(
                .volatileReferenceWrite, "CURRENT_…", at: Int(value.pointee.location), isOfTheMoment: MomentCall(value) != nil, moment: MomentCall(value))
            return
        case PG_QUERY__NODE__NODE_FUNC_CALL:
            try analyze(call: node.pointee.func_call, scope: scope)
        case PG_QUERY__NODE__NODE_A_EXPR:
            try analyze(operation: node.pointee.a_expr, scope: scope)
        case PG_QUERY__NODE__NODE_SORT_BY:
            let sort = node.pointee.sort_by!
            try checkOperator(NodeList(sort.pointee.n_use_op, sort.pointee.use_op), at: Int(sort.pointee.location))
        case PG_QUERY__NODE__NODE_A_INDIRECTION:
            try checkFields(of: node.pointee.a_indirection)
        case PG_QUERY__NODE__NODE_BOOL_EXPR, PG_QUERY__NODE__NODE_NULL_TEST, PG_QUERY__NODE__NODE_BOOLEAN_TEST,
            PG_QUERY__NODE__NODE_CASE_EXPR, PG_QUERY__NODE__NODE_CASE_WHEN, PG_QUERY__NODE__NODE_COALESCE_EXPR,
            PG_QUERY__NODE__NODE_MIN_MAX_EXPR, PG_QUERY__NODE__NODE_ROW_EXPR, PG_QUERY__NODE__NODE_A_ARRAY_EXPR,
            PG_QUERY__NODE__NODE_A_INDICES, PG_QUERY__NODE__NODE_COLLATE_CLAUSE, PG_QUERY__NODE__NODE_GROUPING_FUNC,
            PG_QUERY__NODE__NODE_GROUPING_SET, PG_QUERY__NODE__NODE_NAMED_ARG_EXPR, PG_QUERY__NODE__NODE_WINDOW_DEF,
            PG_QUERY__NODE__NODE_RES_TARGET, PG_QUERY__NODE__NODE_LIST, PG_QUERY__NODE__NODE_SET_TO_DEFAULT,
            PG_QUERY__NODE__NODE_A_STAR, PG_QUERY__NODE__NODE_STRING, PG_QUERY__NODE__NODE_INTEGER,
            PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF, PG_QUERY__NODE__NODE_INDEX_ELEM:
            break
        default:
            throw Refusal(.unsupported, node.kindName)
        }
        try node.forEachChild { (child) throws(Refusal) in try analyze(expression: child, scope: scope) }
    }

    private func noteLiteral(_ node: SQLNode) {
        let constant = node.pointee.a_const!
        guard constant.pointee.isnull == 0, constant.pointee.val_case == PG_QUERY__A__CONST__VAL_SVAL,
            ClockText.mayNameNow(string(constant.pointee.sval.pointee.sval))
        else { return }
        findings.temporalLiterals.append(node)
    }

    private static let systemColumns: Set<String> = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"]

    private func analyze(reference node: SQLNode, scope: Scope) throws(Refusal) {
        let reference = node.pointee.column_ref!
        let location = Int(reference.pointee.location)
        // With a `*` in it, it names all columns of something.
        guard let fields = NodeList(reference.pointee.n_fields, reference.pointee.fields).strings, let last = fields.last
        else { return }
        if Self.systemColumns.contains(last) {
            findings.noteNondeterminism(.volatileReferenceWrite, last, at: location)
        }
        // t.f may also mean f(t).
        if fields.count > 1, scope.column(fields) == nil { try checkNotUserFunction(last, at: location) }
    }

    /// `(row).f` may mean `f(row)`.
    private func checkFields(of indirection: UnsafeMutablePointer<PgQuery__AIndirection>) throws(Refusal) {
        for field in NodeList(indirection.pointee.n_indirection, indirection.pointee.indirection) {
            guard let name = field.stringValue else { continue }
            if Self.systemColumns.contains(name) { findings.noteNondeterminism(.volatileReferenceWrite, name, at: nil) }
            try checkNotUserFunction(name, at: nil)
        }
    }

    private func analyze(sublink node: SQLNode, scope: Scope) throws(Refusal) {
        let link = node.pointee.sub_link!
        if let test = link.pointee.testexpr { try analyze(expression: test, scope: scope) }
        try checkOperator(NodeList(link.pointee.n_oper_name, link.pointee.oper_name), at: Int(link.pointee.location))
        guard let subselect = link.pointee.subselect else { throw Refusal(.unsupported, "SubLink") }
        let start = bindings.end
        let output = try analyze(statement: subselect, parent: scope)
        sublinkOutputs[node] = (output, start..<bindings.end)
        if link.pointee.sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK { findings.noteOrder("ARRAY(SELECT …)") }
    }

    private func analyze(cast: UnsafeMutablePointer<PgQuery__TypeCast>, scope: Scope) throws(Refusal) {
        if let family = typeFamily(cast.pointee.type_name) {
            if family.isCatalogReference {
                // The name is looked up, and its number differs from shard to shard.
                findings.dependsOnText = true
                findings.noteNondeterminism(.volatileReferenceWrite, "::\(family.name)", at: Int(cast.pointee.location))
            }
            // The casts of parameters to key types tell PostgreSQL their type.
            if cast.pointee.arg.kind == PG_QUERY__NODE__NODE_PARAM_REF, !family.isArray, let type = family.keyType {
                settledParameters[cast.pointee.arg] = type
            }
        }
        try analyze(expression: cast.pointee.arg, scope: scope)
    }

    private func analyze(
        operation: UnsafeMutablePointer<PgQuery__AExpr>, scope: Scope
    ) throws(Refusal) {
        try checkOperator(NodeList(operation.pointee.n_name, operation.pointee.name), at: Int(operation.pointee.location))
        guard let left = operation.pointee.lexpr, let right = operation.pointee.rexpr else { return }
        settle(left, by: right, scope)
        settle(right, by: left, scope)
    }

    /// A comparison with a column settles a parameter's type; and what is compared with one that holds no date or time is none: PostgreSQL takes a literal for
    /// the type of the other side.
    private func settle(_ column: SQLNode, by other: SQLNode, _ scope: Scope) {
        guard let found = self.column(column, scope) else { return }
        if found.typeOID != 0, !TypeFamily.mayReadClock(found.typeOID) { findings.timelessNodes.formUnion(other.listItems) }
        guard let slot = found.slot else { return }
        for node in other.listItems where node.kind == PG_QUERY__NODE__NODE_PARAM_REF {
            settledParameters[node] = bindings.type(of: slot)
        }
    }

    /// `OPERATOR(schema.=)` of another schema could be anything.
    private func checkOperator(_ name: NodeList, at location: Int) throws(Refusal) {
        guard let parts = name.strings, let last = parts.last else { return }
        if parts.count > 1 {
            guard parts[0] == "pg_catalog" else { throw Refusal(.userOperator, at: location) }
        } else if context.searchPath.contains(where: { context.schema.userOperators.contains(QualifiedName(schema: $0, name: last)) }) {
            throw Refusal(.userOperator, last, at: location)
        }
    }
}

/// Texts that PostgreSQL's date/time input reads from the clock: now, today, tomorrow, yesterday.
package enum ClockText {
    private static let words: Set<String> = ["now", "today", "tomorrow", "yesterday"]

    /// Whether `text`, given to a column of a date/time type, may stand for a moment that depends on when it is read.
    package static func mayNameNow(_ text: String) -> Bool {
        text.lowercased().split(whereSeparator: { !$0.isLetter }).contains { words.contains(String($0)) }
    }
}
