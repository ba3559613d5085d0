internal import SQLSyntax

extension GatherCombination {
    /// What PostgreSQL makes of the parts' rows: "group by 1; sum(2), count(3); order by 2 DESC; limit 10". A number is a column's place in a part's row, from 1;
    /// those behind the select list's are asked for besides.
    package var words: String {
        var parts: [String] = []
        let keys = columns.indices.filter { columns[$0] == .key }.map { String($0 + 1) }
        if !keys.isEmpty { parts.append("group by \(keys.joined(separator: ", "))") }
        let aggregates = columns.indices.compactMap(aggregate)
        if !aggregates.isEmpty { parts.append(aggregates.joined(separator: ", ")) }
        if !order.isEmpty { parts.append("order by \(order.map(\.words).joined(separator: ", "))") }
        for (word, bound) in [("limit", limit), ("offset", offset)] {
            switch bound {
            case .rows(let count): parts.append("\(word) \(count)")
            case .parameter(let number): parts.append("\(word) $\(number)")
            case nil: break
            }
        }
        return parts.joined(separator: "; ")
    }

    private func aggregate(_ place: Int) -> String? {
        switch columns[place] {
        case .key, .value: nil
        // Counts add up.
        case .count, .sum: isOfAverage(place) ? nil : "sum(\(place + 1))"
        case .min: "min(\(place + 1))"
        case .max: "max(\(place + 1))"
        case .and: "bool_and(\(place + 1))"
        case .or: "bool_or(\(place + 1))"
        case .average(let count): "sum(\(place + 1)) / sum(\(count + 1))"
        }
    }

    private func isOfAverage(_ place: Int) -> Bool { columns.contains(.average(count: place)) }
}

extension GatherCombination.Order {
    fileprivate var words: String {
        var text = String(place + 1)
        if isByteOrder { text += " COLLATE \"C\"" }
        if isDescending { text += " DESC" }
        if let nullsFirst { text += nullsFirst ? " NULLS FIRST" : " NULLS LAST" }
        return text
    }
}

extension FetchedTable {
    /// What is fetched of it, as SQL.
    package var words: String { "SELECT \(columns.map { "t.\(quoteIdentifier($0))" }.joined(separator: ", ")) \(source)" }
}
