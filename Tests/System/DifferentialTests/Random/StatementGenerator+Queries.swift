extension StatementGenerator {
    // MARK: Whole queries

    mutating func query(depth: Int) -> String {
        let outer = expressions
        defer { expressions = outer }
        var with = ""
        if depth > 1, chance(20) {
            let definitions = (0..<number(1...2)).map { _ in expression(depth: depth - 1) }
            with = "WITH \(definitions.joined(separator: ", ")) "
        }
        if depth > 1, chance(12) {
            let width = number(1...2)
            let types = (0..<width).map { _ in pick([ColumnType.integer, .text]) }
            let operation = pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"])
            return with + "\(plain(types, depth: depth - 1)) \(operation) \(plain(types, depth: depth - 1))"
        }
        return with + select(depth: depth)
    }

    /// name AS (query), which is in sight from now on.
    private mutating func expression(depth: Int) -> String {
        let name = newName("c")
        let types = (0..<number(1...3)).map { _ in pick([ColumnType.integer, .integer, .text]) }
        let columns = types.enumerated().map { Column(name: "x\($0.offset + 1)", type: $0.element) }
        let body = chance(12) ? writeReturning(types) : plain(types, depth: depth)
        let hint = pick(["", "", "MATERIALIZED ", "NOT MATERIALIZED "])
        expressions.append(Source(alias: name, columns: columns, key: nil))
        return "\(name) (\(columns.map(\.name).joined(separator: ", "))) AS \(hint)(\(body))"
    }

    private mutating func select(depth: Int) -> String {
        let (from, sources) = fromClause(depth: depth)
        let filter = chance(93) ? " WHERE \(condition(sources, depth: depth))" : ""
        if chance(25) { return grouped(from, sources, filter, depth: depth) }
        var items = (0..<number(1...3)).map { _ in item(sources, depth: depth) }
        if chance(25) { items = [chance(50) ? "*" : "\(pick(sources).alias).*"] }
        var text = "SELECT \(chance(12) ? "DISTINCT " : "")\(items.joined(separator: ", ")) FROM \(from)\(filter)"
        if items.count == 1, items[0] != "*", !items[0].hasSuffix(".*"), chance(25) {
            // One column and an order over it: equal values are the same whichever of them the limit leaves.
            text += " ORDER BY 1\(pick(["", " DESC", " NULLS FIRST"])) LIMIT \(number(0...3))\(chance(30) ? " OFFSET 1" : "")"
        } else if !text.contains("DISTINCT"), chance(6) {
            text += " FOR \(pick(["UPDATE", "SHARE", "NO KEY UPDATE"]))"
        }
        return text
    }

    private mutating func grouped(_ from: String, _ sources: [Source], _ filter: String, depth: Int) -> String {
        let aggregates = (0..<number(1...2)).map { _ in aggregate(sources) }
        guard chance(60) else { return "SELECT \(aggregates.joined(separator: ", ")) FROM \(from)\(filter)" }
        let source = pick(sources)
        let column = "\(source.alias).\(pick(source.columns).name)"
        let having = chance(25) ? " HAVING count(*) > \(number(0...2))" : ""
        return "SELECT \(column), \(aggregates.joined(separator: ", ")) FROM \(from)\(filter) GROUP BY \(column)\(having)"
    }

    /// A query of columns of the given types.
    mutating func plain(_ types: [ColumnType], depth: Int) -> String {
        if depth > 0, chance(7) {
            let operation = pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"])
            return "(\(plain(types, depth: depth - 1))) \(operation) (\(plain(types, depth: depth - 1)))"
        }
        let (from, sources) = fromClause(depth: min(depth, 1))
        let items = types.map { type -> String in
            let names = sources.flatMap { source in source.columns.filter { $0.type == type }.map { "\(source.alias).\($0.name)" } }
            // The types of two branches and of a column must agree.
            let name = names.isEmpty || chance(8) ? value(type) : pick(names)
            return type == .integer ? "\(name)::bigint" : "\(name)::text"
        }
        return "SELECT \(items.joined(separator: ", ")) FROM \(from) WHERE \(condition(sources, depth: max(0, depth - 1)))"
    }

    // MARK: FROM

    mutating func fromClause(depth: Int) -> (String, [Source]) {
        var (text, first) = source(depth: depth)
        var sources = [first]
        for _ in 0..<pick([0, 0, 0, 1, 1, 2]) {
            if depth > 0, chance(6) {
                let next = lateral(sources, depth: depth - 1)
                text += " \(next.text)"
                sources.append(next.source)
                continue
            }
            let (more, next) = source(depth: depth)
            let join = pick([",", "CROSS JOIN", "JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
            switch join {
            case ",":
                // A comma binds less than JOIN: what follows must not name what stands before it.
                text = "(\(text) CROSS JOIN \(more))"
            case "CROSS JOIN": text += " CROSS JOIN \(more)"
            case "FULL JOIN":
                let pair = (pick(sources), next)
                guard let left = pair.0.columns.first, let right = next.columns.first(where: { $0.type == left.type }) else {
                    text += " CROSS JOIN \(more)"
                    break
                }
                text += " FULL JOIN \(more) ON \(pair.0.alias).\(left.name) = \(next.alias).\(right.name)"
            default: text += " \(join) \(more) ON \(joinCondition(sources, next))"
            }
            sources.append(next)
        }
        return (text, sources)
    }

    private mutating func lateral(_ sources: [Source], depth: Int) -> (text: String, source: Source) {
        let alias = newName("l")
        let type = pick([ColumnType.integer, .text])
        let query = subquery(correlatedWith: sources, column: type, depth: depth)
        let join = chance(50) ? "CROSS JOIN LATERAL (\(query)) AS \(alias)(z)" : "LEFT JOIN LATERAL (\(query)) AS \(alias)(z) ON \(pick(["true", "false"]))"
        return (join, Source(alias: alias, columns: [Column(name: "z", type: type)], key: nil))
    }

    private mutating func joinCondition(_ sources: [Source], _ next: Source) -> String {
        let other = pick(sources)
        var parts: [String] = []
        if let key = next.key, let twin = other.key, key.type == twin.type, chance(85) {
            parts.append("\(next.alias).\(key.name) = \(other.alias).\(twin.name)")
        }
        // A key held in an outer join's ON holds less than it seems to; then WHERE must not make up for it each time.
        for side in [next, other] {
            guard let key = side.key, chance(20) else { continue }
            parts.append(pin("\(side.alias).\(key.name)", key.type))
            holdsKeysInJoins = true
        }
        if parts.isEmpty || chance(15) { parts.append(term(sources + [next], depth: 0)) }
        return parts.joined(separator: " AND ")
    }

    private mutating func source(depth: Int) -> (String, Source) {
        let alias = newName("t")
        if !expressions.isEmpty, chance(45) {
            let expression = pick(expressions)
            return ("\(expression.alias) \(alias)", Source(alias: alias, columns: expression.columns, key: nil))
        }
        if depth > 0, chance(14) {
            let types = (0..<number(1...2)).map { _ in pick([ColumnType.integer, .text]) }
            let columns = types.enumerated().map { Column(name: "y\($0.offset + 1)", type: $0.element) }
            return (
                "(\(plain(types, depth: depth - 1))) AS \(alias)(\(columns.map(\.name).joined(separator: ", ")))",
                Source(alias: alias, columns: columns, key: nil)
            )
        }
        if chance(4) { return ("(VALUES (1), (2)) AS \(alias)(v)", Source(alias: alias, columns: [Column(name: "v", type: .integer)], key: nil)) }
        if chance(4) { return ("generate_series(1, 3) AS \(alias)(g)", Source(alias: alias, columns: [Column(name: "g", type: .integer)], key: nil)) }
        let table = pick(tables)
        return ("\(chance(15) ? "public." : "")\(table.name) \(alias)", Source(alias: alias, columns: table.columns, key: table.key.map(table.column)))
    }

    // MARK: Parts of the select list

    private mutating func item(_ sources: [Source], depth: Int) -> String {
        let source = pick(sources)
        let column = pick(source.columns)
        let name = "\(source.alias).\(column.name)"
        switch number(0...9) {
        case 0: return column.type == .integer ? "\(name) + 1 AS \(newName("e"))" : "upper(\(name))"
        case 1: return "coalesce(\(name), \(value(column.type)))"
        case 2: return "\(name) IS NULL"
        case 3 where depth > 0: return "(\(aggregateSubquery(correlatedWith: sources, column.type, depth: depth - 1)))"
        case 4: return "count(*) OVER (PARTITION BY \(name))"
        case 5: return "CASE WHEN \(term(sources, depth: 0)) THEN 1 ELSE 2 END"
        default: return name
        }
    }

    private mutating func aggregate(_ sources: [Source]) -> String {
        let source = pick(sources)
        let column = pick(source.columns)
        let name = "\(source.alias).\(column.name)"
        switch number(0...6) {
        case 0: return "count(*)"
        case 1: return "count(DISTINCT \(name))"
        case 2: return "min(\(name))"
        case 3: return "max(\(name))"
        case 4: return "string_agg(\(name)::text, ',' ORDER BY \(name)::text)"
        case 5: return "count(*) FILTER (WHERE \(term(sources, depth: 0)))"
        default: return column.type == .integer ? "sum(\(name))" : "count(\(name))"
        }
    }

    // MARK: Subqueries

    /// A query in a condition, which may name the sources around it. `column`: the type of its only column; nil for EXISTS.
    mutating func subquery(correlatedWith outer: [Source], column: ColumnType?, depth: Int) -> String {
        let (from, sources) = fromClause(depth: min(depth, 1))
        let names = sources.flatMap { source in source.columns.filter { $0.type == column }.map { "\(source.alias).\($0.name)" } }
        let item = column.map { names.isEmpty ? value($0) : pick(names) } ?? "1"
        return "SELECT \(item) FROM \(from) WHERE \(correlated(sources, outer, depth: depth))"
    }

    /// Exactly one row.
    mutating func aggregateSubquery(correlatedWith outer: [Source], _ type: ColumnType, depth: Int) -> String {
        let (from, sources) = fromClause(depth: 0)
        let names = sources.flatMap { source in source.columns.filter { $0.type == type }.map { "\(source.alias).\($0.name)" } }
        return "SELECT \(pick(["min", "max"]))(\(names.isEmpty ? value(type) + (type == .integer ? "::int" : "::text") : pick(names))) FROM \(from) WHERE \(correlated(sources, outer, depth: depth))"
    }

    private mutating func correlated(_ sources: [Source], _ outer: [Source], depth: Int) -> String {
        var parts: [String] = []
        for source in sources {
            guard let key = source.key else { continue }
            let keyed = outer.filter { $0.key?.type == key.type }
            if !keyed.isEmpty, chance(65) {
                let other = pick(keyed)
                parts.append("\(source.alias).\(key.name) = \(other.alias).\(other.key!.name)")
            } else if chance(92) {
                parts.append(pin("\(source.alias).\(key.name)", key.type))
            }
        }
        if parts.isEmpty || chance(40) { parts.append(term(sources + outer, depth: depth)) }
        return parts.joined(separator: " AND ")
    }
}
