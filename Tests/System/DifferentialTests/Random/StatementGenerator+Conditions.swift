extension StatementGenerator {
    /// A condition over the sources: mostly one that pins the keys, sometimes one that only looks like it.
    mutating func condition(_ sources: [Source], depth: Int) -> String {
        var parts: [String] = []
        var pinned: (Source, Column)?
        let likelihood = holdsKeysInJoins ? 45 : 94
        holdsKeysInJoins = false
        for source in sources {
            guard let key = source.key, chance(likelihood) else { continue }
            if let pinned, pinned.1.type == key.type, chance(60) {
                parts.append(equality("\(pinned.0.alias).\(pinned.1.name)", "\(source.alias).\(key.name)"))
            } else {
                parts.append(pin("\(source.alias).\(key.name)", key.type))
                pinned = (source, key)
            }
        }
        for _ in 0..<number(0...2) { parts.append(term(sources, depth: depth)) }
        if parts.isEmpty { parts.append(term(sources, depth: depth)) }
        parts.shuffle(using: &shape)
        if parts.count > 1, chance(7) { return "(" + parts.joined(separator: " OR ") + ")" }
        if chance(3) { return "NOT (" + parts.joined(separator: " AND ") + ")" }
        if parts.count > 2, chance(20) { return "(\(parts[0]) AND (\(parts[1...].joined(separator: " AND "))))" }
        return parts.joined(separator: " AND ")
    }

    private mutating func equality(_ left: String, _ right: String) -> String { chance(50) ? "\(left) = \(right)" : "\(right) = \(left)" }

    /// Something that holds the key to one value, or nearly.
    mutating func pin(_ column: String, _ type: ColumnType) -> String {
        let key = keyValue(type)
        switch number(0...69) {
        case 0: return "\(column) IN (\(key))"
        case 1: return "\(column) IN (\(key), \(keyValue(type)))"
        case 2: return type == .integer ? "\(column) = ANY ('{\(focus)}')" : "\(column) = ANY ('{\(word)}')"
        case 3: return "\(column) = ANY (ARRAY[\(key)])"
        case 4: return "\(column) IS NOT DISTINCT FROM \(key)"
        case 5: return "NOT (\(column) <> \(key))"
        case 6: return "\(column) BETWEEN \(key) AND \(key)"
        case 7: return "(\(column) = \(key)) IS TRUE"
        case 8: return "(\(column) = \(key)) IS NOT FALSE"
        case 9: return "CASE WHEN \(column) = \(key) THEN true ELSE \(pick(["true", "false"])) END"
        case 10: return "\(column) IN (SELECT \(key))"
        case 11: return "(\(column), 1) = (\(key), 1)"
        case 12: return "(\(column), 1) IN ((\(key), 1), (\(keyValue(type)), 2))"
        case 13: return "coalesce(\(column) = \(key), true)"
        case 14: return "\(column)::text = \(key)::text"
        case 15: return "(\(column) = \(key) OR \(column) = \(keyValue(type)))"
        case 16: return "NOT NOT \(column) = \(key)"
        case 17: return "\(column) <= \(key) AND \(column) >= \(key)"
        case 18: return "\(column) NOT IN (\(key))"
        case 19: return "\(column) <> ALL (ARRAY[\(key)])"
        case 20: return "\(column) = ALL (ARRAY[\(key)])"
        case 21: return "nullif(\(column), \(key)) IS NULL"
        case 22...27: return "\(column) IN (\(key))"
        case 28...32: return "\(column) = ANY (ARRAY[\(key)])"
        default: return equality(column, key)
        }
    }

    /// A condition that says nothing of a key, or only by chance.
    mutating func term(_ sources: [Source], depth: Int) -> String {
        let source = pick(sources)
        let column = pick(source.columns)
        let name = "\(source.alias).\(column.name)"
        switch number(0...11) {
        case 0: return "\(name) IS \(chance(50) ? "NOT " : "")NULL"
        case 1: return "\(name) \(pick(["<", "<=", ">", ">=", "<>"])) \(value(column.type))"
        case 2: return "NOT (\(name) = \(value(column.type)))"
        case 3: return pick(["true", "false", "NULL::boolean", "1 = 1", "1 = 2"])
        case 4:
            let other = pick(sources)
            guard let twin = other.columns.first(where: { $0.type == column.type }) else { return "true" }
            return "\(name) \(pick(["=", "<>", "<"])) \(other.alias).\(twin.name)"
        case 5 where depth > 0: return "\(chance(25) ? "NOT " : "")EXISTS (\(subquery(correlatedWith: sources, column: nil, depth: depth - 1)))"
        case 6 where depth > 0:
            return "\(name) \(chance(20) ? "NOT " : "")IN (\(subquery(correlatedWith: sources, column: column.type, depth: depth - 1)))"
        case 7 where depth > 0:
            return "\(name) \(pick(["=", "<"])) (\(aggregateSubquery(correlatedWith: sources, column.type, depth: depth - 1)))"
        case 8: return "(\(name) = \(value(column.type)) OR \(term(sources, depth: 0)))"
        case 9: return "\(name) BETWEEN \(value(column.type)) AND \(value(column.type))"
        default: return "\(name) = \(value(column.type))"
        }
    }
}
