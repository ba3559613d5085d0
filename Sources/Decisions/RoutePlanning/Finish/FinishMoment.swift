internal import CPGQuery
internal import SQLSyntax

/// A date or a moment that is written with its type, and one that is a number of years, months or days away from it: `date '1995-09-01' + interval '1' month`.
enum FinishMoment {
    private static let types: Set<String> = ["date", "timestamp", "timestamptz"]
    /// PostgreSQL's numbers of the fields that an interval is said to have (its datetime.h).
    private static let fields: [Int32: String] = [2: "month", 4: "year", 8: "day", 1 << 10: "hour", 1 << 11: "minute"]

    /// nil: it is neither, or its text may be read from the clock.
    static func text(_ node: SQLNode) -> String? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_TYPE_CAST:
            guard let (type, arguments, value) = cast(node), types.contains(type), arguments.isEmpty else { return nil }
            return "CAST(\(value) AS pg_catalog.\(type))"
        case PG_QUERY__NODE__NODE_A_EXPR:
            let sum = node.pointee.a_expr!
            guard sum.pointee.kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP, let names = NodeList(sum.pointee.n_name, sum.pointee.name).strings, names == ["+"] || names == ["-"],
                let moment = sum.pointee.lexpr.flatMap(text), let distance = sum.pointee.rexpr.flatMap(interval)
            else { return nil }
            return "(\(moment) OPERATOR(pg_catalog.\(names[0])) \(distance))"
        default: return nil
        }
    }

    /// Of digits and names of units only: how a sign is read is a setting.
    private static func interval(_ node: SQLNode) -> String? {
        guard let (type, arguments, value) = cast(node), type == "interval", value.hasPrefix("'"),
            value.dropFirst().dropLast().utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x20 })
        else { return nil }
        guard let argument = arguments.first else { return "interval \(value)" }
        guard arguments.count == 1, argument.kind == PG_QUERY__NODE__NODE_A_CONST, argument.pointee.a_const.pointee.val_case == PG_QUERY__A__CONST__VAL_IVAL,
            let field = fields[argument.pointee.a_const.pointee.ival.pointee.ival]
        else { return nil }
        return "interval \(value) \(field)"
    }

    /// A constant with a type of PostgreSQL's own: the type's name, its arguments, the constant.
    private static func cast(_ node: SQLNode) -> (type: String, arguments: [SQLNode], value: String)? {
        guard node.kind == PG_QUERY__NODE__NODE_TYPE_CAST, let cast = node.pointee.type_cast, let type = cast.pointee.type_name, type.pointee.setof == 0, type.pointee.pct_type == 0,
            type.pointee.n_array_bounds == 0, let names = NodeList(type.pointee.n_names, type.pointee.names).strings, let last = names.last,
            names.count == 1 || names.count == 2 && names[0] == "pg_catalog", let value = cast.pointee.arg.flatMap(FinishFilters.plain)
        else { return nil }
        return (last, Array(NodeList(type.pointee.n_typmods, type.pointee.typmods)), value)
    }
}
