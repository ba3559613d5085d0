/// What row messages know of a table from here on, until the server sends it anew (after DDL, and once in each connection).
package struct Relation: Hashable, Sendable {
    package var id: RelationID
    package var schema: String
    package var name: String
    package var replicaIdentity: ReplicaIdentity
    /// The published columns in their order; a tuple has one value for each. Dropped ones are not among them, nor are generated ones.
    package var columns: [Column]

    package init(id: RelationID, schema: String, name: String, replicaIdentity: ReplicaIdentity, columns: [Column]) {
        self.id = id
        self.schema = schema
        self.name = name
        self.replicaIdentity = replicaIdentity
        self.columns = columns
    }

    package struct Column: Hashable, Sendable {
        package var name: String
        /// Part of the replica identity; with `full`, every column is.
        package var isKey: Bool
        package var typeOID: UInt32
        package var typeModifier: Int32

        package init(name: String, isKey: Bool, typeOID: UInt32, typeModifier: Int32 = -1) {
            self.name = name
            self.isKey = isKey
            self.typeOID = typeOID
            self.typeModifier = typeModifier
        }
    }
}

/// What the log holds of a row's old state (`pg_class.relreplident`).
package enum ReplicaIdentity: UInt8, Hashable, Sendable, CaseIterable {
    /// The primary key, where there is one.
    case standard = 0x64  // d
    case nothing = 0x6E  // n
    /// All columns.
    case full = 0x66  // f
    /// The columns of a chosen unique index.
    case index = 0x69  // i
}

/// A type that is not built in: what its oid is called on the server.
package struct DataType: Hashable, Sendable {
    package var oid: UInt32
    package var schema: String
    package var name: String

    package init(oid: UInt32, schema: String, name: String) {
        self.oid = oid
        self.schema = schema
        self.name = name
    }
}
