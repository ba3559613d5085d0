internal import ShardModel
package import SQLSyntax

internal import CPGQuery

/// SET, SHOW, RESET, DISCARD and their like: what changes or reads a session's state.
package enum SessionPlanner {
    static func plan(_ node: SQLNode, _ request: PlanningRequest) throws(Refusal) -> StatementPlan? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT: session(try set(node.pointee.variable_set_stmt))
        case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT: session(show(string(node.pointee.variable_show_stmt.pointee.name)))
        case PG_QUERY__NODE__NODE_DISCARD_STMT:
            switch node.pointee.discard_stmt.pointee.target {
            case PG_QUERY__DISCARD_MODE__DISCARD_ALL: session(.discardAll)
            case PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES: session(.discardSequences)
            default: session(.discard)
            }
        case PG_QUERY__NODE__NODE_DEALLOCATE_STMT: session(deallocate(string(node.pointee.deallocate_stmt.pointee.name)))
        case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT: session(setConstraints(node))
        case PG_QUERY__NODE__NODE_PREPARE_STMT: try PreparedPlanner.plan(prepare: node.pointee.prepare_stmt, request)
        case PG_QUERY__NODE__NODE_EXECUTE_STMT: try PreparedPlanner.plan(execute: node.pointee.execute_stmt, request)
        default: nil
        }
    }

    static func session(_ statement: SessionStatement) -> StatementPlan {
        StatementPlan(
            kind: .session, route: .session(statement), writes: false, reuse: .text, reason: "the session's own state")
    }

    private static func set(_ statement: UnsafeMutablePointer<PgQuery__VariableSetStmt>) throws(Refusal) -> SessionStatement {
        let name = string(statement.pointee.name).lowercasedASCII
        let isLocal = statement.pointee.is_local != 0
        switch statement.pointee.kind {
        case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL:
            return .reset(name: nil)
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI:
            switch name {
            case "transaction": return .setTransaction
            case "session characteristics": return .setCharacteristics
            default: throw Refusal(.setting, name)
            }
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE:
            return try assign(name, values(statement), isLocal: isLocal)
        case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET, PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT:
            if name.hasPrefix("pgmosaic.") { return try mosaic(name, nil, isLocal: isLocal) }
            return isLocal ? .setLocal(name: name) : .reset(name: name)
        default:
            throw Refusal(.setting, name)
        }
    }

    private static func assign(_ name: String, _ values: [String], isLocal: Bool) throws(Refusal) -> SessionStatement {
        if name.hasPrefix("pgmosaic.") { return try mosaic(name, values.joined(separator: ", "), isLocal: isLocal) }
        if let code = SettingRules.refusal(name, values) { throw Refusal(code, name) }
        return isLocal ? .setLocal(name: name) : .set(name: name)
    }

    private static func mosaic(_ name: String, _ value: String?, isLocal: Bool) throws(Refusal) -> SessionStatement {
        if isLocal { throw Refusal(.setting, "SET LOCAL \(name)") }
        return .setMosaic(name: name, value: value)
    }

    private static func values(_ statement: UnsafeMutablePointer<PgQuery__VariableSetStmt>) -> [String] {
        NodeList(statement.pointee.n_args, statement.pointee.args).map { DefinitionValue.text(of: $0) ?? "" }
    }

    private static func show(_ name: String) -> SessionStatement {
        name.lowercasedASCII.hasPrefix("pgmosaic.") ? .showMosaic(name: name.lowercasedASCII) : .show(name: name.lowercasedASCII)
    }

    private static func deallocate(_ name: String) -> SessionStatement { .deallocate(name: name.isEmpty ? nil : name) }

    /// Deferring lasts to the end of the transaction, on each shard that joins it; constraints have the same names on all of them. Like SET LOCAL where there are names, which a shard has to
    /// look up, and by the search_path of that moment.
    private static func setConstraints(_ node: SQLNode) -> SessionStatement {
        node.pointee.constraints_set_stmt.pointee.n_constraints == 0 ? .setTransaction : .setLocal(name: "constraints")
    }

    /// The schemas of a `SET search_path`, `"$user"` unresolved; nil for any other statement. Empty for `SET search_path = ''`.
    package static func searchPath(from statement: ParsedStatement) -> [String]? {
        if statement.node.kind == PG_QUERY__NODE__NODE_SELECT_STMT, let call = SetConfigCall(statement.node.pointee.select_stmt) {
            guard call.name == "search_path", case .text(let value) = call.value else { return nil }
            return SearchPathText.schemas(value)
        }
        guard statement.node.kind == PG_QUERY__NODE__NODE_VARIABLE_SET_STMT,
            let set = statement.node.pointee.variable_set_stmt,
            set.pointee.kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE,
            string(set.pointee.name).lowercasedASCII == "search_path"
        else { return nil }
        return values(set).filter { !$0.isEmpty }
    }

    /// The role of a `SET [LOCAL] ROLE`; nil for any other statement, and for `none`.
    static func role(from statement: ParsedStatement) -> String? {
        var role: String?
        if statement.node.kind == PG_QUERY__NODE__NODE_SELECT_STMT, let call = SetConfigCall(statement.node.pointee.select_stmt) {
            if call.name == "role", case .text(let value) = call.value { role = value }
        } else if statement.node.kind == PG_QUERY__NODE__NODE_VARIABLE_SET_STMT, let set = statement.node.pointee.variable_set_stmt,
            set.pointee.kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE, string(set.pointee.name).lowercasedASCII == "role"
        {
            role = values(set).first
        }
        return role == "none" ? nil : role
    }
}

/// Settings under which statements would mean something else than the router understands.
package enum SettingRules {
    /// Why `name` (in lower case) cannot be set so; nil if it can. Startup parameters obey it too.
    package static func refusal(_ name: String, _ values: [String]) -> RefusalCode? {
        guard name.isNormalized else { return .nameForm }
        let value = values.first?.lowercased() ?? ""
        switch name {
        case "session_authorization": return .role
        // Tables made in it would be temporary, and would hide others.
        case "search_path": return values.contains { $0.lowercasedASCII.hasPrefix("pg_temp") } ? .temporary : nil
        // '{NULL}' would hold a text.
        case "array_nulls": return isOn(value) ? nil : .setting
        case "standard_conforming_strings": return isOn(value) ? nil : .setting
        case "transform_null_equals": return isOff(value) ? nil : .setting
        case "client_encoding":
            return ["utf8", "utf-8", "unicode"].contains(value) ? nil : .setting
        default: return nil
        }
    }

    private static func isOn(_ value: String) -> Bool { ["on", "true", "yes", "1", "t", "y"].contains(value) }
    private static func isOff(_ value: String) -> Bool { ["off", "false", "no", "0", "f", "n"].contains(value) }
}

extension StatementPlanner {
    /// The schemas that a session statement's text sets search_path to; nil where it sets something else, or sets it to its default.
    package static func searchPath(ofSet text: String) -> [String]? {
        guard let statements = try? ParsedSQL.parse(text).statements, statements.count == 1 else { return nil }
        return SessionPlanner.searchPath(from: statements[0])
    }

    /// The role that a session statement's text takes; nil where it takes none.
    package static func role(ofSet text: String) -> String? {
        guard let statements = try? ParsedSQL.parse(text).statements, statements.count == 1 else { return nil }
        return SessionPlanner.role(from: statements[0])
    }
}
