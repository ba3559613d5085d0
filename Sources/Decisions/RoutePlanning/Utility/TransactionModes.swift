internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// What statements say of the modes of a transaction, as far as it decides which server may run it.
package struct TransactionModes: Hashable, Sendable {
    /// nil: nothing was said, and the server's own default holds.
    package private(set) var isReadOnly: Bool?
    /// In capitals ("REPEATABLE READ"); nil: as above.
    package private(set) var isolation: String?

    package init() {}

    /// READ COMMITTED, and READ UNCOMMITTED, which PostgreSQL takes for the same: each statement has a snapshot of its own.
    package var isOneSnapshot: Bool? { isolation.map { $0 != "READ COMMITTED" && $0 != "READ UNCOMMITTED" } }

    /// Follows `text`: SET TRANSACTION, SET SESSION CHARACTERISTICS, SET of a default_transaction_… setting, or its set_config(); SET CONSTRAINTS says
    /// nothing of modes. False where it is something else, or its value is not a constant that means a mode: then nothing is known any more.
    package mutating func follow(_ text: String) -> Bool {
        guard let statements = try? ParsedSQL.parse(text).statements, statements.count == 1 else { return false }
        let node = statements[0].node
        switch node.kind {
        case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
            return true
        case PG_QUERY__NODE__NODE_SELECT_STMT:
            guard let call = SetConfigCall(node.pointee.select_stmt), case .text(let value) = call.value else { return false }
            return follow(setting: call.name, value)
        case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
            guard let set = node.pointee.variable_set_stmt else { return false }
            return follow(set)
        default:
            return false
        }
    }

    private mutating func follow(_ set: UnsafeMutablePointer<PgQuery__VariableSetStmt>) -> Bool {
        let name = string(set.pointee.name).lowercasedASCII
        switch set.pointee.kind {
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI:
            // Not a snapshot of another transaction's, which is its server's.
            guard name == "transaction" || name == "session characteristics" else { return false }
            for option in NodeList(set.pointee.n_args, set.pointee.args) {
                guard option.kind == PG_QUERY__NODE__NODE_DEF_ELEM else { return false }
                let value = DefinitionValue(option.pointee.def_elem)
                switch string(option.pointee.def_elem.pointee.defname) {
                case "transaction_isolation": isolation = value.text?.uppercased()
                case "transaction_read_only": isReadOnly = value.isTrue
                case "transaction_deferrable": break
                default: return false
                }
            }
            return true
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE:
            let arguments = NodeList(set.pointee.n_args, set.pointee.args).map { $0 }
            guard arguments.count == 1, let value = DefinitionValue.text(of: arguments[0]) else { return false }
            return follow(setting: name, value)
        default:
            return false
        }
    }

    private mutating func follow(setting name: String, _ value: String) -> Bool {
        switch (name, value.lowercased()) {
        case ("default_transaction_read_only", "on"), ("default_transaction_read_only", "true"), ("default_transaction_read_only", "1"):
            isReadOnly = true
        case ("default_transaction_read_only", "off"), ("default_transaction_read_only", "false"), ("default_transaction_read_only", "0"):
            isReadOnly = false
        case ("default_transaction_isolation", let level): isolation = level.uppercased()
        case ("default_transaction_deferrable", _): break
        default: return false
        }
        return true
    }
}
