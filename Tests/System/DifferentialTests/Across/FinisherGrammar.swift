import TestKit

/// SELECT at random over the tables of `AcrossStatements`, of what no shard can answer for itself: joins on any column, groups of them, HAVING, windows, set operations, subqueries, CTEs.
///
/// Every answer is determined: no floating point sum, no limit without a total order, no text that is made of rows without one.
struct FinisherGrammar {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    fileprivate struct Table {
        let name: String
        let numbers: [String]
        let texts: [String]
    }
    fileprivate struct Item {
        let table: Table
        let alias: String
        func column(_ name: String) -> String { "\(alias).\(name)" }
    }

    private static let tables = [
        Table(name: "a", numbers: ["k", "n"], texts: ["s"]), Table(name: "b", numbers: ["k", "no"], texts: ["t"]), Table(name: "few", numbers: ["k"], texts: []), Table(name: "none", numbers: ["k", "v"], texts: ["s"]),
        Table(name: "ref", numbers: ["n"], texts: ["name"]), Table(name: "odd", numbers: ["k", "i2"], texts: ["c"]), Table(name: "tree", numbers: ["k", "parent"], texts: ["name"]),
    ]

    mutating func statement() -> String {
        switch int(6) {
        case 0: return "\(query(columns: 2)) \(pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"])) \(query(columns: 2))"
        case 1: return "WITH w AS (\(query(columns: 2))) SELECT x.c1, count(*), max(x.c2) FROM w x \(pick(["JOIN", "LEFT JOIN"])) w y ON x.c1 = y.c2 GROUP BY x.c1\(chance(2) ? " HAVING count(*) > \(int(4))" : "")"
        case 2: return "SELECT * FROM (\(query(columns: 3))) x WHERE c1 \(pick(["<", ">", "IS DISTINCT FROM"])) \(int(20))"
        case 3: return "\(query(columns: 2)) ORDER BY 2 DESC NULLS LAST, 1 \(pick(["LIMIT \(int(9))", "OFFSET \(int(9))", "", "FETCH FIRST \(int(6)) ROWS WITH TIES"]))"
        default: return query(columns: 1 + int(3))
        }
    }

    /// With columns c1, c2, …, numbers all of them.
    private mutating func query(columns: Int) -> String {
        let (from, items) = source()
        let condition = chance(2) ? " WHERE \(conditions(items))" : ""
        if chance(2) {
            let keys = (0..<(1 + int(2))).map { _ in expression(items) }
            var list = [pick(keys)] + (1..<max(2, columns)).map { _ in aggregate(items) }
            list = Array(list.prefix(columns))
            let having = chance(2) ? " HAVING \(aggregate(items)) \(pick(["<", ">", "="])) \(int(30))" : ""
            return "SELECT \(named(list)) FROM \(from)\(condition) GROUP BY \(grouping(keys))\(having)"
        }
        var list = (0..<columns).map { _ in expression(items) }
        if chance(4) { list[list.count - 1] = "\(pick(["rank()", "dense_rank()", "count(*)"])) OVER (PARTITION BY \(expression(items)) ORDER BY \(expression(items)))" }
        if chance(5) { list[0] = aggregate(items); list = list.map { $0.contains("OVER") || $0 == list[0] ? $0 : "max(\($0))" }.map { $0.contains("OVER") ? "count(*)" : $0 } }
        return "SELECT \(chance(5) && !list[0].contains("(*)") ? "DISTINCT " : "")\(named(list)) FROM \(from)\(condition)"
    }

    private func named(_ list: [String]) -> String { list.enumerated().map { "\($1) AS c\($0 + 1)" }.joined(separator: ", ") }

    private mutating func grouping(_ keys: [String]) -> String {
        chance(4) ? "\(pick(["ROLLUP", "CUBE"])) (\(keys.joined(separator: ", ")))" : keys.joined(separator: ", ")
    }

    private mutating func source() -> (String, [Item]) {
        var items = [Item(table: pick(Self.tables), alias: "x")]
        var text = "\(items[0].table.name) x"
        for alias in ["y", "z"].prefix(int(3)) {
            let item = Item(table: pick(Self.tables), alias: alias)
            let join = pick(["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"])
            text += " \(join) \(item.table.name) \(alias) ON \(pick(items).column("k", or: &generator)) = \(item.column("k", or: &generator))"
            items.append(item)
        }
        return (text, items)
    }

    private mutating func number(_ items: [Item]) -> String {
        let item = pick(items)
        return item.column(pick(item.table.numbers))
    }

    private mutating func expression(_ items: [Item]) -> String {
        switch int(5) {
        case 0: "coalesce(\(number(items)), \(int(9)))"
        case 1: "\(number(items)) % \(2 + int(4))"
        case 2:
            "(SELECT \(pick(["count(*)", "max(q.k)", "min(q.k)"])) FROM \(pick(["a", "b", "few", "odd"])) q WHERE q.k \(pick(["=", "<", ">"])) \(number(items)))"
        default: number(items)
        }
    }

    private mutating func aggregate(_ items: [Item]) -> String {
        switch int(5) {
        case 0: "count(*)"
        case 1: "count(DISTINCT \(number(items)))"
        case 2: "sum(\(number(items)))"
        // Whole: equal numbers of other scales are one row to INTERSECT, which shows either.
        case 3: "round(avg(\(number(items))) * 1000)"
        default: "\(pick(["min", "max", "bit_xor"]))(\(number(items)))"
        }
    }

    private mutating func conditions(_ items: [Item]) -> String {
        (0..<(1 + int(3))).map { _ in condition(items) }.joined(separator: pick([" AND ", " AND ", " OR "]))
    }

    private mutating func condition(_ items: [Item]) -> String {
        switch int(7) {
        case 0: "\(number(items)) IS \(pick(["", "NOT "]))NULL"
        case 1: "\(number(items)) IN (\(int(5)), \(int(9)), \(int(40)))"
        case 2: "\(number(items)) BETWEEN \(int(9)) AND \(9 + int(40))"
        case 3: "\(number(items)) \(pick(["IN", "NOT IN"])) (SELECT q.k FROM \(pick(["a", "few", "odd"])) q WHERE q.k < \(int(60)))"
        case 4: "EXISTS (SELECT FROM \(pick(["a", "b", "none"])) q WHERE q.k = \(number(items)))"
        default: "\(number(items)) \(pick(["<", ">", "=", "<>"])) \(int(40))"
        }
    }

    // MARK: Chance

    private mutating func int(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
    private mutating func chance(_ bound: Int) -> Bool { int(bound) == 0 }
    private mutating func pick<T>(_ list: [T]) -> T { list[int(list.count)] }
}

extension FinisherGrammar.Item {
    /// One of its numbers.
    fileprivate func column(_ name: String, or generator: inout SeededGenerator) -> String {
        "\(alias).\(table.numbers.randomElement(using: &generator) ?? name)"
    }
}
