internal import CPGQuery
internal import SQLSyntax
internal import ShardModel

/// Whether a SELECT that no other rule accepts can be answered over rows that are brought to the home shard: see `FinishPlan`.
///
/// PostgreSQL runs all of it there, so nothing has to be proven of joins, groups or order. What must hold is that each name means there what it means in the statement, and that
/// what the statement asks for, besides rows, is the same in that session.
struct FinishPlanner {
    let analyzer: QueryAnalyzer
    let statement: SQLNode
    var mentions = FinishMentions()
    private var context: PlanningContext { analyzer.context }

    /// nil: it cannot.
    static func plan(_ statement: SQLNode, _ analyzer: QueryAnalyzer) throws(Refusal) -> FinishPlan? {
        guard statement.kind == PG_QUERY__NODE__NODE_SELECT_STMT else { return nil }
        var planner = FinishPlanner(analyzer: analyzer, statement: statement)
        return try planner.plan()
    }

    private mutating func plan() throws(Refusal) -> FinishPlan? {
        let findings = analyzer.findings
        guard !findings.hasEffect, findings.traces == .none, findings.defaultOfDrawn == nil, findings.usesSequence == nil else { return nil }
        guard findings.tables.allSatisfy({ isTable($0) }) else { return nil }
        mentions.collect(statement)
        guard !mentions.isDoubtful, !mentions.names.contains(where: { $0.hasPrefix(FetchedTable.temporaryPrefix) }) else { return nil }
        let sharded = findings.sharded.compactMap { table in table.location.map { Mention(table.name, $0) } }
        let references = findings.referenceMentions.map { Mention($0.name, $0.location) }
        guard sharded.count == findings.sharded.count, (sharded + references).allSatisfy(isPlain) else { return nil }
        guard let readsClock = clockUse() else { return nil }
        let places = Dictionary((sharded + references).map { ($0.location, $0.table) }) { first, _ in first }
        var tables = try fetched(sharded, places)
        for number in tables.indices {
            guard let found = findings.sharded.first(where: { $0.name == tables[number].name }) else { return nil }
            tables[number].key = (found.key, analyzer.bindings.type(of: found.slot))
        }
        let others = (try? fetched(references, places)) ?? []
        guard let text = edited(sharded, tables), let full = edited(sharded + references, tables + others) else { return nil }
        return FinishPlan(sharded: tables, references: others, text: text, textInTransaction: full, readsClock: readsClock || !findings.temporalLiterals.isEmpty)
    }

    private func isTable(_ name: QualifiedName) -> Bool {
        guard let kind = context.schema.relations[name]?.kind else { return false }
        return kind == .table || kind == .partitioned
    }

    // MARK: Mentions

    /// A table's name in a FROM list.
    struct Mention {
        let table: QualifiedName
        /// Where its name begins.
        let location: Int
        init(_ table: QualifiedName, _ location: Int) { (self.table, self.location) = (table, location) }
    }

    /// It stands for all of its rows and nothing else, and no name means the table's row as a whole.
    private func isPlain(_ mention: Mention) -> Bool {
        guard let node = mentions.tables[mention.location], node.pointee.inh != 0, let relation = context.schema.relations[mention.table] else { return false }
        let name = node.pointee.alias.map { string($0.pointee.aliasname) } ?? mention.table.name
        let columns = Set(relation.columns.map(\.name))
        // A name alone is a column's before it is a row's.
        guard columns.contains(name) || !mentions.mayMeanRow(name, at: mention.location) else { return false }
        // `t.f` may be a call of f with the row.
        return mentions.qualified[name, default: []].allSatisfy { columns.contains($0) || !isFunction($0) }
    }

    private func isFunction(_ name: String) -> Bool {
        (["pg_catalog"] + context.searchPath).contains { context.schema.functions[QualifiedName(schema: $0, name: name)] != nil }
    }

    // MARK: Tables and columns

    private func fetched(_ found: [Mention], _ all: [Int: QualifiedName]) throws(Refusal) -> [FetchedTable] {
        var tables: [FetchedTable] = []
        for mention in found where !tables.contains(where: { $0.name == mention.table }) {
            guard let relation = context.schema.relations[mention.table] else { continue }
            var table = try fetched(relation)
            let places = Set(found.filter { $0.table == mention.table }.map(\.location))
            if places.count == 1 { table.conditions = FinishFilters(relation, at: mention.location, statement, context, tables: all)?.conditions ?? [] }
            tables.append(table)
        }
        return tables
    }

    private func fetched(_ relation: Relation) throws(Refusal) -> FetchedTable {
        var columns = relation.columns.filter { mentions.needsAllColumns || mentions.names.contains($0.name) }
        // Their number counts. A column of a plain type is the shortest that one can be sure of.
        if columns.isEmpty { columns = Array((relation.columns.filter { FetchedType($0, context.schema) == .binary }.min { $0.typeOID < $1.typeOID }).map { [$0] } ?? []) }
        guard !columns.isEmpty else { throw Refusal(.combinedType, relation.name.description) }
        var table = FetchedTable(name: relation.name, columns: columns.map(\.name))
        for column in columns {
            switch FetchedType(column, context.schema) {
            case .binary: break
            case .text: table.isText = true
            case .bound: throw Refusal(.combinedType, "\(relation.name).\(column.name)")
            }
        }
        let key = relation.uniqueKeys.first(where: \.isPrimary)?.columns ?? []
        if mentions.mayGroup(by: key), key.allSatisfy(table.columns.contains) { table.primaryKey = key }
        return table
    }

    // MARK: The text

    private func edited(_ found: [Mention], _ tables: [FetchedTable]) -> [UInt8]? {
        let text = Array(analyzer.literals.text)
        guard let places = TableNamePlaces(text, starts: Set(found.map(\.location))) else { return nil }
        var edits: [(Range<Int>, String)] = []
        var seen: Set<Int> = []
        for mention in found where seen.insert(mention.location).inserted {
            guard let place = places.places[mention.location], let node = mentions.tables[mention.location],
                let number = tables.firstIndex(where: { $0.name == mention.table })
            else { return nil }
            var name = "pg_temp.\(FetchedTable.temporary(number))"
            if node.pointee.alias == nil, !place.isTableCommand { name += " AS \(quoteIdentifier(mention.table.name))" }
            edits.append((place.range, name))
        }
        var result = text
        for (range, name) in edits.sorted(by: { $0.0.lowerBound > $1.0.lowerBound }) { result.replaceSubrange(range, with: Array(name.utf8)) }
        return result
    }
}

/// How a column's values go from one shard to another.
enum FetchedType {
    /// In binary form, exactly.
    case binary
    /// That form holds numbers by which each shard knows a type; the text does not.
    case text
    /// The value itself is such a number.
    case bound

    init(_ column: Column, _ schema: SchemaSnapshot) {
        if Self.boundTypes.contains(column.typeOID) {
            self = .bound
        } else if column.typeOID < Column.userTypeOID {
            self = .binary
        } else {
            let name = column.typeName
            let isRow = schema.relations.keys.contains { name == $0.name || name.hasSuffix(".\($0.name)") || name.hasSuffix("\"\($0.name)\"") }
            // Domains over such types are met as errors of the COPY.
            self = name.hasSuffix("]") || isRow ? .text : .binary
        }
    }

    /// reg… and their arrays; aclitem has no binary form.
    private static let boundTypes: Set<UInt32> = [
        24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191, 1008, 2207, 2208, 2209, 2210, 2211, 3735, 3770, 4090, 4097, 4192, 1033, 1034,
    ]
}
