import CPGQuery
import SQLSyntax

/// The string constants of a tree.
func constants(_ node: SQLNode) -> [String] {
    var result: [String] = []
    node.forEachNode { node in
        if node.kind == PG_QUERY__NODE__NODE_A_CONST, node.pointee.a_const.pointee.isnull == 0,
            node.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_SVAL
        {
            result.append(string(node.pointee.a_const.pointee.sval.pointee.sval))
        }
        return true
    }
    return result
}
