package import LogicalReplication
package import ShardModel

/// From one source's stream to what each target does, in the source's commit order.
///
/// It takes committed transactions only (pgoutput's version 1): the source keeps a large transaction on its own disk until it commits, and sends it
/// then, so that what is held here is one message, however large the transaction. See docs/decisions/0053-committed-transactions.md.
///
/// A target that was ahead of the others when the connection was made gets nothing twice: what is at or below its stored position is left out for it.
package struct ChangeRouter: Sendable {
    package let ranges: MovedRanges
    private let tables: [QualifiedName: MovedTable]
    /// Sorted by id, as `ranges.targets`.
    private let targets: [ShardID]
    private let stored: [ShardID: LSN]
    /// Bounded by the number of tables that the job moves.
    private var relations: [RelationID: RelationLayout] = [:]
    private var transaction: Transaction?
    private var lastEnd = LSN.none

    private struct Transaction: Sendable {
        var begin: TransactionBegin
        /// Who has the transaction already.
        var skipped: Set<ShardID>
        var touched: Set<ShardID> = []
    }

    /// - stored: for each target, the position that it has stored; without one, where its copy's snapshot was taken (the slot's consistent point).
    package init(ranges: MovedRanges, tables: [MovedTable], stored: [ShardID: LSN]) {
        self.ranges = ranges
        self.tables = Dictionary(tables.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        self.stored = stored
        targets = ranges.targets
    }

    /// Where the stream has to start: below it, every target has everything.
    package var start: LSN { targets.map { stored[$0] ?? .none }.min() ?? .none }

    package var isInTransaction: Bool { transaction != nil }

    /// When it throws, the connection and the open transactions of the targets are of no use any more.
    package mutating func receive(_ message: PGOutputMessage) throws(ChangeError) -> [ChangeAction] {
        switch message {
        case .begin(let begin): return try open(begin)
        case .commit(let commit): return try close(commit)
        case .relation(let relation, xid: nil):
            try describe(relation)
            return []
        case .insert(let insert, xid: nil): return try self.insert(insert)
        case .update(let update, xid: nil): return try self.update(update)
        case .delete(let delete, xid: nil): return try self.delete(delete)
        case .truncate(let truncate, xid: nil): return try self.truncate(truncate)
        // Names for people, and marks of other programs: they change no row.
        case .type(_, xid: nil), .origin, .message(_, xid: nil): return []
        default: throw .outOfOrder("a transaction in progress or a prepared one")
        }
    }
}

// MARK: Transactions

extension ChangeRouter {
    private mutating func open(_ begin: TransactionBegin) throws(ChangeError) -> [ChangeAction] {
        guard transaction == nil else { throw .outOfOrder("Begin in a transaction") }
        guard begin.finalLSN >= lastEnd else { throw .outOfOrder("a transaction before the last one") }
        // Records do not overlap, and what is stored is the end of one: the commit record that starts below it ends at or below it.
        let skipped = targets.filter { begin.finalLSN < stored[$0] ?? .none }
        transaction = Transaction(begin: begin, skipped: Set(skipped))
        return []
    }

    private mutating func close(_ commit: TransactionCommit) throws(ChangeError) -> [ChangeAction] {
        guard let transaction else { throw .outOfOrder("Commit outside of a transaction") }
        guard commit.commitLSN == transaction.begin.finalLSN, commit.endLSN > commit.commitLSN else {
            throw .outOfOrder("Commit of another transaction")
        }
        self.transaction = nil
        lastEnd = commit.endLSN
        return [.commit(position: commit.endLSN, targets: transaction.touched.sorted())]
    }

    private mutating func describe(_ relation: Relation) throws(ChangeError) {
        let name = QualifiedName(schema: relation.schema, name: relation.name)
        guard let table = tables[name] else { throw .unknownTable(name) }
        // The table was made anew under its name.
        if relations.contains(where: { $0.value.table.name == name && $0.key != relation.id }) { throw .definitionChanged(name) }
        relations[relation.id] = try RelationLayout(relation, table)
    }

    private func relation(_ id: RelationID) throws(ChangeError) -> RelationLayout {
        guard transaction != nil else { throw .outOfOrder("a row outside of a transaction") }
        guard let relation = relations[id] else { throw .malformed(id) }
        return relation
    }
}

// MARK: Rows

extension ChangeRouter {
    private mutating func insert(_ insert: RowInsert) throws(ChangeError) -> [ChangeAction] {
        let relation = try relation(insert.relation)
        let row = try relation.row(insert.row)
        let targets = try self.targets(of: row, relation)
        if targets.isEmpty { return [] }
        if row.contains(.unchangedToast) { throw .malformed(insert.relation) }
        return targets.flatMap { apply($0, .insert(relation.layout, row: row)) }
    }

    private mutating func delete(_ delete: RowDelete) throws(ChangeError) -> [ChangeAction] {
        let relation = try relation(delete.relation)
        let old = try relation.row(delete.old.values)
        let targets = try self.targets(of: old, relation)
        if targets.isEmpty { return [] }
        let identity = try relation.identity(of: old)
        return targets.flatMap { apply($0, .delete(relation.layout, identity: identity)) }
    }

    /// One at most for a row of a sharded table.
    private func targets(of row: [TupleValue], _ relation: RelationLayout) throws(ChangeError) -> [ShardID] {
        if relation.table.isReference { return relation.table.copiedTo }
        return ranges.target(of: try relation.token(row)).map { [$0] } ?? []
    }

    private mutating func update(_ update: RowUpdate) throws(ChangeError) -> [ChangeAction] {
        let relation = try relation(update.relation)
        var row = try relation.row(update.row)
        // Without the old row no column of the identity has changed: the new row has them all, and the key is one of them.
        var old: [TupleValue]?
        if let tuple = update.old { old = try relation.row(tuple.values) }
        // What the new row lacks was not changed: the old one has it, if it is whole, or if the column is of the identity.
        fill(&row, from: old, isWhole: update.old?.isWhole ?? false, relation)
        if relation.table.isReference {
            let identity = try relation.identity(of: old ?? row)
            return relation.table.copiedTo.flatMap { apply($0, .update(relation.layout, identity: identity, row: row)) }
        }
        let source = ranges.target(of: try relation.token(old ?? row))
        let target = ranges.target(of: try relation.token(row))
        if source == nil, target == nil { return [] }
        if let source, source == target {
            return apply(source, .update(relation.layout, identity: try relation.identity(of: old ?? row), row: row))
        }
        var actions: [ChangeAction] = []
        if let source { actions += apply(source, .delete(relation.layout, identity: try relation.identity(of: old ?? row))) }
        if let target {
            if let missing = row.firstIndex(of: .unchangedToast) {
                throw .rowIncomplete(relation.table.name, column: relation.layout.columns[missing])
            }
            actions += apply(target, .insert(relation.layout, row: row))
        }
        return actions
    }

    private func fill(_ row: inout [TupleValue], from old: [TupleValue]?, isWhole: Bool, _ relation: RelationLayout) {
        guard let old else { return }
        for position in row.indices where row[position] == .unchangedToast {
            if isWhole || relation.layout.identity.contains(position) { row[position] = old[position] }
        }
    }

    private mutating func truncate(_ truncate: Truncate) throws(ChangeError) -> [ChangeAction] {
        var tables: [QualifiedName] = []
        var copies: [MovedTable] = []
        for id in truncate.relations {
            let table = try relation(id).table
            if table.isReference { copies.append(table) } else { tables.append(table.name) }
        }
        var actions: [ChangeAction] = []
        if !tables.isEmpty { for target in targets { actions += apply(target, .truncate(tables, ranges: ranges.ranges(to: target))) } }
        for table in copies { for target in table.copiedTo { actions += apply(target, .truncate([table.name], ranges: [.whole])) } }
        return actions
    }

    private mutating func apply(_ target: ShardID, _ change: RowChange) -> [ChangeAction] {
        guard let transaction, !transaction.skipped.contains(target) else { return [] }
        self.transaction?.touched.insert(target)
        return [.apply(target, change)]
    }
}

extension OldRow {
    fileprivate var isWhole: Bool {
        switch self {
        case .full: true
        case .key: false
        }
    }
}
