internal import NIOCore

extension MessageReader {
    /// pgoutput sends pg_catalog as an empty name.
    mutating func schema() throws(ReplicationError) -> String {
        let name = try text()
        return name.isEmpty ? "pg_catalog" : name
    }

    mutating func relation() throws(ReplicationError) -> Relation {
        let id = try relationID()
        let schema = try schema()
        let name = try text()
        guard let identity = ReplicaIdentity(rawValue: try integer()) else { throw error(.invalidValue) }
        // Flags, an empty name, type and modifier.
        let count = try count(Int16.self, sizeMin: 10)
        var columns: [Relation.Column] = []
        columns.reserveCapacity(count)
        for _ in 0..<count {
            let isKey = try bool()
            columns.append(Relation.Column(name: try text(), isKey: isKey, typeOID: try integer(), typeModifier: try integer()))
        }
        return Relation(id: id, schema: schema, name: name, replicaIdentity: identity, columns: columns)
    }

    mutating func insert() throws(ReplicationError) -> RowInsert {
        let relation = try relationID()
        guard try integer(UInt8.self) == UInt8(ascii: "N") else { throw error(.invalidValue) }
        return RowInsert(relation: relation, row: try tuple())
    }

    mutating func update() throws(ReplicationError) -> RowUpdate {
        let relation = try relationID()
        var old: OldRow?
        var part = try integer(UInt8.self)
        if part != UInt8(ascii: "N") {
            old = try oldRow(part)
            part = try integer(UInt8.self)
        }
        guard part == UInt8(ascii: "N") else { throw error(.invalidValue) }
        return RowUpdate(relation: relation, old: old, row: try tuple())
    }

    mutating func delete() throws(ReplicationError) -> RowDelete {
        let relation = try relationID()
        return RowDelete(relation: relation, old: try oldRow(try integer()))
    }

    mutating func truncate() throws(ReplicationError) -> Truncate {
        let declared = try integer(Int32.self)
        let flags = try integer(UInt8.self)
        guard flags & ~3 == 0 else { throw error(.invalidValue) }
        guard declared > 0, Int(declared) <= remaining / 4 else { throw error(.invalidCount) }
        var relations: [RelationID] = []
        relations.reserveCapacity(Int(declared))
        for _ in 0..<declared { relations.append(try relationID()) }
        return Truncate(relations: relations, isCascade: flags & 1 != 0, restartsIdentity: flags & 2 != 0)
    }

    private mutating func oldRow(_ part: UInt8) throws(ReplicationError) -> OldRow {
        switch part {
        case UInt8(ascii: "K"): return .key(try tuple())
        case UInt8(ascii: "O"): return .full(try tuple())
        default: throw error(.invalidValue)
        }
    }

    private mutating func tuple() throws(ReplicationError) -> [TupleValue] {
        let count = try count(Int16.self, sizeMin: 1)
        var values: [TupleValue] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try value()) }
        return values
    }

    private mutating func value() throws(ReplicationError) -> TupleValue {
        switch try integer(UInt8.self) {
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "u"): return .unchangedToast
        case UInt8(ascii: "t"): return .text(try counted())
        case UInt8(ascii: "b"): return .binary(try counted())
        default: throw error(.invalidValue)
        }
    }

    /// Bytes behind their length.
    mutating func counted() throws(ReplicationError) -> ByteBuffer { try slice(length: Int(try integer(Int32.self))) }
}
