package import PGTypes
package import ShardModel

/// A table whose rows move, as it was when the job began, read from the source.
package struct MovedTable: Hashable, Sendable {
    package struct Column: Hashable, Sendable {
        package var name: String
        /// The source's: a type of users has another oid on each server.
        package var typeOID: UInt32
        /// Stored, but computed by each server for itself.
        package var isGenerated: Bool

        package init(name: String, typeOID: UInt32, isGenerated: Bool = false) {
            self.name = name
            self.typeOID = typeOID
            self.isGenerated = isGenerated
        }
    }

    package var name: QualifiedName
    /// Without dropped ones.
    package var columns: [Column]
    package var keyColumn: String
    package var keyType: KeyType
    /// Empty: none. Finds one row also where the replica identity is the whole row.
    package var primaryKey: [String]
    /// Not empty: a reference table. Each of these gets all its rows, and it has no shard key.
    package var copiedTo: [ShardID] = []
    package var isReference: Bool { !copiedTo.isEmpty }

    package init(name: QualifiedName, columns: [Column], keyColumn: String, keyType: KeyType, primaryKey: [String]) {
        self.name = name
        self.columns = columns
        self.keyColumn = keyColumn
        self.keyType = keyType
        self.primaryKey = primaryKey
    }
}
