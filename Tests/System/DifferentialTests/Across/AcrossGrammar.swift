import TestKit

/// SELECT over the tables of `AcrossStatements` at random, of what is combined: aggregates, groups, DISTINCT, ORDER BY, LIMIT and OFFSET.
///
/// Where a limit cuts, the order is of all columns: rows that are equal in them are the same.
struct AcrossGrammar {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    struct Table {
        let from: String
        /// Grouped by and ordered by; none has equal values that look different.
        let keys: [String]
        let numbers: [String]
        let conditions: [String]
        /// Columns of FROM with their table, and calls.
        var besides: [String] { keys.filter { $0.contains(".") && !$0.contains("(") || $0.hasSuffix(")") } + ["abs(\(numbers[0]))"] }
    }

    private static let tables = [
        Table(
            from: "a", keys: ["n", "s", "m", "n % 2", "upper(s)", "n IS NULL", "s || n", "k % 7", "m::int", "left(s, 1)"], numbers: ["n", "k", "m", "n * m", "n::smallint", "k::numeric / 3"],
            conditions: ["n > 1", "s IS NULL", "k < 40", "m > 100", "k > 100000", "k <> 5", "s LIKE 's%'"]),
        Table(
            from: "b JOIN a USING (k)", keys: ["t", "d", "no", "a.s", "a.n", "d + no", "coalesce(t, 'none')"], numbers: ["no", "a.n", "a.m", "k * no"],
            conditions: ["no > 1", "t IS NOT NULL", "a.n = 1", "d > '2026-01-03'"]),
        Table(
            from: "odd", keys: ["i2", "u", "b", "ts", "tz", "ti", "o", "c", "j", "iv", "r", "date_trunc('day', ts)"], numbers: ["i2", "i8", "x", "k"],
            conditions: ["k > 3", "o", "i2 = 1", "x <> 'NaN'", "r > 1"]),
        Table(from: "none", keys: ["v", "s"], numbers: ["v"], conditions: ["v > 1"]),
        Table(from: "a LEFT JOIN ref r ON r.n = a.n", keys: ["r.name", "a.n", "a.s", "length(r.name)"], numbers: ["a.k", "r.n", "a.m"], conditions: ["r.name IS NULL", "a.k > 9"]),
    ]

    mutating func statement() -> String {
        let table = pick(Self.tables)
        var columns: [String]
        var groups: [String] = []
        var isDistinct = false
        switch int(4) {
        case 0: columns = (0...int(4)).map { _ in aggregate(table) }
        case 1:
            groups = some(table.keys)
            columns = groups + (0...int(3)).map { _ in aggregate(table) }
        case 2:
            columns = some(table.keys)
            isDistinct = true
        default: columns = some(table.keys + table.numbers)
        }
        let shuffled = columns.indices.shuffled(using: &generator)
        columns = shuffled.map { columns[$0] }
        let names = columns.indices.map { chance(3) ? "c\($0)" : nil }
        var text = "SELECT \(isDistinct ? "DISTINCT " : "")"
        text += zip(columns, names).map { column, name in name.map { "\(column) AS \($0)" } ?? column }.joined(separator: ", ") + " FROM \(table.from)"
        if chance(2) { text += " WHERE \(pick(table.conditions))" }
        if !groups.isEmpty {
            // By place, by alias, or as the plain column that it is.
            let items = groups.map { group -> String in
                let place = columns.firstIndex(of: group)!
                if let name = names[place], chance(2) { return name }
                return group.allSatisfy({ $0.isLetter || $0 == "." }) && chance(2) ? group : "\(place + 1)"
            }
            text += " GROUP BY \(items.joined(separator: ", "))"
        }
        // What is not in the answer: nothing of distinct rows, aggregates of groups, columns and calls of rows.
        var besides: [String] = []
        if !groups.isEmpty { besides = [aggregate(table)] } else if !isDistinct, columns.allSatisfy({ (table.keys + table.numbers).contains($0) }) { besides = [pick(table.besides)] }
        return text + order(columns, names, besides)
    }

    /// - besides: may come before what is in the answer.
    private mutating func order(_ columns: [String], _ names: [String?], _ besides: [String]) -> String {
        guard chance(2) else { return "" }
        let first = chance(2) ? besides.map { $0 + pick(["", " DESC"]) } : []
        let items = first + columns.indices.shuffled(using: &generator).map { place in
            (names[place].flatMap { chance(2) ? $0 : nil } ?? "\(place + 1)") + pick(["", " ASC", " DESC"]) + pick(["", "", " NULLS FIRST", " NULLS LAST"])
        }
        var text = " ORDER BY \(items.joined(separator: ", "))"
        if chance(2) { text += pick([" LIMIT \(int(9))", " FETCH FIRST \(int(9)) ROWS ONLY", " LIMIT ALL"]) }
        if chance(3), !text.contains("FETCH") { text += " OFFSET \(int(20))" }
        return text
    }

    private mutating func aggregate(_ table: Table) -> String {
        let call =
            switch int(7) {
            case 0: "count(*)"
            case 1: "count(\(pick(table.keys + table.numbers)))"
            case 2: "sum(\(pick(table.numbers)))"
            case 3: "min(\(pick(table.numbers)))"
            case 4: "max(\(pick(table.numbers)))"
            case 5: "avg(\(pick(table.numbers)))"
            default: "\(pick(["bool_and", "bool_or", "every"]))(\(pick(table.numbers)) > \(int(5)))"
            }
        return chance(4) ? "\(call) FILTER (WHERE \(pick(table.conditions)))" : call
    }

    // MARK: Chance

    private mutating func int(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
    private mutating func chance(_ bound: Int) -> Bool { int(bound) == 0 }
    private mutating func pick<T>(_ list: [T]) -> T { list[int(list.count)] }

    private mutating func some(_ list: [String]) -> [String] { Array(list.shuffled(using: &generator).prefix(1 + int(3))) }
}
