internal import CPGQuery
internal import SQLSyntax

/// BEGIN, COMMIT, savepoints: the router's own business.
enum TransactionPlanner {
    static func plan(
        _ statement: UnsafeMutablePointer<PgQuery__TransactionStmt>, _ request: PlanningRequest
    ) throws(Refusal) -> StatementPlan {
        let chains = statement.pointee.chain != 0
        let name = string(statement.pointee.savepoint_name)
        let action: TransactionStatement
        switch statement.pointee.kind {
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN, PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
            action = .begin(options: try options(NodeList(statement.pointee.n_options, statement.pointee.options)))
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT: action = .commit(chain: chains)
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK: action = .rollback(chain: chains)
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT: action = .savepoint(name)
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE: action = .release(name)
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO: action = .rollbackTo(name)
        default: throw Refusal(.twoPhase)
        }
        return StatementPlan(
            kind: .transaction, route: .transaction(action), writes: false, reuse: .text, reason: "transaction control")
    }

    /// The options as SQL text, in PostgreSQL's spelling.
    private static func options(_ list: NodeList) throws(Refusal) -> String {
        var result: [String] = []
        for node in list {
            guard node.kind == PG_QUERY__NODE__NODE_DEF_ELEM else { throw Refusal(.unsupported, node.kindName) }
            let name = string(node.pointee.def_elem.pointee.defname)
            let value = DefinitionValue(node.pointee.def_elem)
            switch name {
            case "transaction_isolation": result.append("ISOLATION LEVEL " + (value.text ?? "").uppercased())
            case "transaction_read_only": result.append(value.isTrue ? "READ ONLY" : "READ WRITE")
            case "transaction_deferrable": result.append(value.isTrue ? "DEFERRABLE" : "NOT DEFERRABLE")
            default: throw Refusal(.unsupported, name)
            }
        }
        return result.joined(separator: ", ")
    }
}

/// The argument of an option: `FORMAT csv`, `HEADER`, `DELIMITER ','`.
struct DefinitionValue {
    /// As text; nil without one, or where it is a list.
    var text: String?
    var list: [String]?

    init(_ element: UnsafeMutablePointer<PgQuery__DefElem>) {
        guard let argument = element.pointee.arg else { return }
        switch argument.kind {
        case PG_QUERY__NODE__NODE_LIST: list = argument.listItems.map { $0.stringValue ?? "" }
        case PG_QUERY__NODE__NODE_A_STAR: list = ["*"]
        default: text = Self.text(of: argument)
        }
    }

    static func text(of node: SQLNode) -> String? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_STRING: node.stringValue
        case PG_QUERY__NODE__NODE_INTEGER: String(node.pointee.integer.pointee.ival)
        case PG_QUERY__NODE__NODE_FLOAT: string(node.pointee.float_.pointee.fval)
        case PG_QUERY__NODE__NODE_BOOLEAN: node.pointee.boolean.pointee.boolval != 0 ? "true" : "false"
        case PG_QUERY__NODE__NODE_A_CONST: text(of: node.pointee.a_const)
        default: nil
        }
    }

    private static func text(of constant: UnsafeMutablePointer<PgQuery__AConst>) -> String? {
        switch constant.pointee.val_case {
        case PG_QUERY__A__CONST__VAL_SVAL: string(constant.pointee.sval.pointee.sval)
        case PG_QUERY__A__CONST__VAL_IVAL: String(constant.pointee.ival.pointee.ival)
        case PG_QUERY__A__CONST__VAL_FVAL: string(constant.pointee.fval.pointee.fval)
        case PG_QUERY__A__CONST__VAL_BOOLVAL: constant.pointee.boolval.pointee.boolval != 0 ? "true" : "false"
        default: nil
        }
    }

    /// An option without an argument is on.
    var isTrue: Bool { boolean ?? false }
    /// nil where the text is none of PostgreSQL's spellings.
    var boolean: Bool? {
        switch text?.lowercased() {
        case nil: list == nil ? true : nil
        case "true", "on", "1", "yes": true
        case "false", "off", "0", "no": false
        default: nil
        }
    }
}
