/// How the shards' rows become those of the answer, where they are not the answer as they are.
///
/// Each shard runs the statement's own text over its own rows: its rows are *partial*. PostgreSQL itself, on one shard, makes the answer of all of them by
/// `statement`, so that the result's type, its overflow and its form are PostgreSQL's.
package struct GatherCombination: Hashable, Sendable {
    /// What a column of a partial row is.
    package enum Column: Hashable, Sendable {
        /// Rows with equal values in all of these columns are one.
        case key
        case count, sum, min, max, and, or
        /// A sum, to be divided by the count in another column.
        case average(count: Int)
        /// As it is: each partial row is one of the answer's.
        case value
    }
    /// In the order of the select list, behind it those that are not of the answer.
    package var columns: [Column]
    /// Columns that the shards are asked for besides, before the select list's own; here they are the last ones.
    package var hidden = 0
    package var order: [Order] = []
    package var limit: Bound?
    package var offset: Bound?
    /// Texts of the answer are compared as the database's are.
    package var hasDatabaseCollation = false
    /// What the shards are sent in place of the statement's own text: with another LIMIT, so that they give every row that may be in the answer.
    package var partText: [UInt8]?
    /// The router puts whole rows together by itself; nil: it cannot.
    package var merge: GatherMerge?
    /// Places in that text say nothing of the client's: it has its views expanded.
    var isOfOtherText = false
    /// An error's place in the text that the shards get is one in the client's.
    package var keepsPlaces: Bool { hidden == 0 && !isOfOtherText }
    /// The same of the text that the shards get for `merge`.
    package var mergeKeepsPlaces: Bool { merge?.hidden == 0 && !isOfOtherText }

    /// One item of ORDER BY.
    package struct Order: Hashable, Sendable {
        /// The column that it is, from 0.
        package var place: Int
        /// What that column of the answer must be called, and no other one; of a hidden column: what none may be called. nil: it is not found by its name.
        package var name: String?
        package var isDescending: Bool
        /// nil: PostgreSQL's default.
        package var nullsFirst: Bool?
        /// COLLATE "C".
        package var isByteOrder: Bool
        /// Of a hidden column that is one of FROM: its name there.
        var source: [String]?
    }

    /// A number of rows.
    package enum Bound: Hashable, Sendable {
        case rows(Int64)
        /// `$n`, from 1.
        case parameter(Int)
    }

    init(columns: [Column]) { self.columns = columns }

    /// The client's parameters that the combining statement has behind its arrays, in order.
    package var parameters: [Int] {
        [limit, offset].compactMap { if case .parameter(let number) = $0 { number } else { nil } }
    }

    // MARK: The statement

    /// The statement that combines partial rows of these types, given column by column as arrays ($1, $2, …), `parameters` behind them. nil: the types are not
    /// those of the plan, or one of them is `refused`.
    package func statement(types: [UInt32]) -> String? {
        guard types.count == columns.count, refused(types: types) == nil else { return nil }
        let items = columns.indices.map { expression($0, types) }
        let names = columns.indices.map { "f\($0 + 1)" }.joined(separator: ", ")
        // unnest() of several arrays is PostgreSQL's own whatever the search_path, and has no schema; of one it is a function like others.
        let source = columns.count == 1 ? "pg_catalog.unnest($1)" : "unnest(\(columns.indices.map { "$\($0 + 1)" }.joined(separator: ", ")))"
        let keys = columns.indices.filter { columns[$0] == .key }.map { "f\($0 + 1)" }
        var text = "SELECT \(items.prefix(width).joined(separator: ", ")) FROM \(source) AS f(\(names))"
        if !keys.isEmpty { text += " GROUP BY \(keys.joined(separator: ", "))" }
        if !order.isEmpty { text += " ORDER BY \(order.map { sortItem($0, items[$0.place]) }.joined(separator: ", "))" }
        var last = columns.count
        for (word, bound) in [("LIMIT", limit), ("OFFSET", offset)] {
            switch bound {
            case .rows(let count): text += " \(word) \(count)"
            case .parameter:
                last += 1
                text += " \(word) $\(last)"
            case nil: break
            }
        }
        return text
    }

    /// How many columns the answer has.
    package var width: Int { columns.count - hidden }

    /// The types of the answer's columns.
    package func answerTypes(_ types: [UInt32]) -> [UInt32] {
        zip(columns, types).prefix(width).map { column, type in
            if case .average = column, type == 20 { 1700 } else { type }
        }
    }

    private func expression(_ place: Int, _ types: [UInt32]) -> String {
        let name = "f\(place + 1)", type = types[place]
        return switch columns[place] {
        case .key, .value: name
        case .count: "pg_catalog.sum(\(name))::pg_catalog.int8"
        // The sum of bigint is numeric, and the sum of integers is bigint, or out of range.
        case .sum: type == 20 ? "pg_catalog.sum(\(name))::pg_catalog.int8" : "pg_catalog.sum(\(name))"
        case .min: "pg_catalog.min(\(name))"
        case .max: "pg_catalog.max(\(name))"
        case .and: "pg_catalog.bool_and(\(name))"
        case .or: "pg_catalog.bool_or(\(name))"
        // As PostgreSQL's avg() does: the sum as numeric, or interval, by the count.
        case .average(let count):
            "pg_catalog.sum(\(name)) OPERATOR(pg_catalog./) pg_catalog.sum(f\(count + 1))" + (type == 1186 ? "::pg_catalog.float8" : "")
        }
    }

    private func sortItem(_ item: Order, _ expression: String) -> String {
        // A place is that of the select list; an expression is of what it is made of.
        var text = item.isByteOrder ? "f\(item.place + 1) COLLATE pg_catalog.\"C\"" : item.place < width ? "\(item.place + 1)" : expression
        if item.isDescending { text += " DESC" }
        if let nullsFirst = item.nullsFirst { text += nullsFirst ? " NULLS FIRST" : " NULLS LAST" }
        return text
    }

    // MARK: Types

    /// The place of the first column whose type rules it out.
    package func refused(types: [UInt32]) -> Int? {
        let inexact = zip(columns, types).enumerated().first { !isExact($0.element.0, type: $0.element.1) }?.offset
        return inexact ?? order.first { item in
            guard types.indices.contains(item.place), let type = CombinedType(oid: types[item.place]) else { return true }
            return !(item.isByteOrder ? type.comparison == .asText : isSorted(type))
        }?.place
    }

    private func isExact(_ column: Column, type: UInt32) -> Bool {
        guard let known = CombinedType(oid: type) else { return false }
        return switch column {
        case .key: known.comparison != .none
        case .value: true
        case .count: type == 20
        // Of floating point numbers the sum depends on the order.
        case .sum: CombinedType.summed.contains(type)
        case .average: CombinedType.averaged.contains(type)
        case .min, .max: isSorted(known)
        case .and, .or: type == 16
        }
    }

    private func isSorted(_ type: CombinedType) -> Bool {
        type.comparison == .byValue || type.comparison == .asText && hasDatabaseCollation
    }
}
