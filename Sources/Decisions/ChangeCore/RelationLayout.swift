internal import LogicalReplication
internal import NIOCore
internal import PGTypes
internal import ShardModel

/// A table as the source has described it in this connection, held against what the job knows of it.
struct RelationLayout: Sendable {
    let id: RelationID
    let table: MovedTable
    let layout: RowLayout
    /// How many values a tuple has.
    let tupleCount: Int
    /// Positions in a tuple of the layout's columns; nil: all, in their order.
    let kept: [Int]?
    /// In the layout's columns. Of a reference table it means nothing.
    let key: Int
    let keyTypeOID: UInt32

    init(_ relation: Relation, _ table: MovedTable) throws(ChangeError) {
        let generated = Set(table.columns.lazy.filter(\.isGenerated).map(\.name))
        // From PostgreSQL 18 on a publication may hold generated columns.
        let kept = relation.columns.indices.filter { !generated.contains(relation.columns[$0].name) }
        let columns = kept.map { relation.columns[$0] }
        let expected = table.columns.filter { !$0.isGenerated }
        // By name: the order is the server's, and may differ from the one that the job has read.
        let found = Dictionary(columns.map { ($0.name, $0.typeOID) }, uniquingKeysWith: { $1 })
        guard columns.count == expected.count, found.count == columns.count,
            found == Dictionary(expected.map { ($0.name, $0.typeOID) }, uniquingKeysWith: { $1 }),
            let key = table.isReference ? 0 : columns.firstIndex(where: { $0.name == table.keyColumn }), columns.indices.contains(key),
            table.isReference || KeyType(typeOID: columns[key].typeOID) == table.keyType
        else { throw .definitionChanged(table.name) }
        guard relation.replicaIdentity != .nothing, columns.contains(where: \.isKey) else { throw .noIdentity(table.name) }
        guard table.isReference || columns[key].isKey else { throw .keyOutsideIdentity(table.name, column: table.keyColumn) }
        var identity = columns.indices.filter { columns[$0].isKey }
        var isUnique = true
        if relation.replicaIdentity == .full {
            let primary = table.primaryKey.compactMap { name in columns.firstIndex { $0.name == name } }
            isUnique = !primary.isEmpty && primary.count == table.primaryKey.count
            if isUnique { identity = primary }
        }
        id = relation.id
        self.table = table
        layout = RowLayout(
            table: table.name, columns: columns.map(\.name), typeOIDs: columns.map(\.typeOID), identity: identity, isIdentityUnique: isUnique)
        tupleCount = relation.columns.count
        self.kept = kept.count == relation.columns.count ? nil : kept
        self.key = key
        keyTypeOID = columns[key].typeOID
    }

    /// The values of the layout's columns.
    func row(_ tuple: [TupleValue]) throws(ChangeError) -> [TupleValue] {
        guard tuple.count == tupleCount else { throw .malformed(id) }
        guard let kept else { return tuple }
        return kept.map { tuple[$0] }
    }

    func token(_ row: [TupleValue]) throws(ChangeError) -> Token {
        do throws(KeyError) {
            switch row[key] {
            case .text(let value): return try table.keyType.token(text: value.readableBytesSpan)
            case .binary(let value): return try table.keyType.token(parameter: value.readableBytesSpan, isBinary: true, oid: keyTypeOID)
            case .null: throw .null
            case .unchangedToast: throw .malformed
            }
        } catch {
            throw .key(table.name, error)
        }
    }

    /// The values that find the row. A column of a unique identity that is NULL or missing would find another row, or none.
    func identity(of row: [TupleValue]) throws(ChangeError) -> [TupleValue] {
        var values: [TupleValue] = []
        values.reserveCapacity(layout.identity.count)
        for position in layout.identity {
            if row[position] == .unchangedToast || layout.isIdentityUnique && row[position] == .null { throw .malformed(id) }
            values.append(row[position])
        }
        return values
    }
}
