internal import CPGQuery
internal import SQLSyntax
internal import ShardModel

/// What a statement asks for besides rows.
extension FinishPlanner {
    /// Whether it asks for the transaction's time; nil: it asks for something that another session, or another text, would answer otherwise.
    func clockUse() -> Bool? {
        var readsClock = false
        for call in mentions.calls {
            guard let names = NodeList(call.pointee.n_funcname, call.pointee.funcname).strings, let name = names.last, isSameThere(name, schema: names.count > 1 ? names[0] : nil)
            else { return nil }
            if Self.clocks.contains(name) || name == "age" && call.pointee.n_args == 1 { readsClock = true }
        }
        for function in mentions.valueFunctions {
            switch function {
            case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE, PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER, PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER,
                PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER, PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG,
                PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA:
                return nil
            default: readsClock = true
            }
        }
        return readsClock
    }

    private func isSameThere(_ name: String, schema: String?) -> Bool {
        let schemas = schema.map { [$0] } ?? ["pg_catalog"] + analyzer.context.searchPath
        let overloads = schemas.flatMap { analyzer.context.schema.functions[QualifiedName(schema: $0, name: name)] ?? [] }
        if overloads.allSatisfy({ $0.volatility == .immutable }) { return !overloads.isEmpty }
        if overloads.contains(where: { $0.volatility == .volatile }) {
            return name != "current_query" && FunctionRules.verdict(name, isVolatile: true) == .allowedVolatile
        }
        // Of the session, of the catalog, of how a value is stored.
        return !Self.tellingPrefixes.contains(where: name.hasPrefix)
    }

    private static let clocks: Set<String> = ["now", "transaction_timestamp"]
    private static let tellingPrefixes = [
        "pg_", "has_", "to_reg", "inet_client", "inet_server", "txid_", "current_", "obj_description", "col_description", "shobj_description", "row_security_active", "currtid",
        "session_user", "getdatabaseencoding", "version", "regclass",
    ]
}
