package import PGTypes
internal import RoutePlanning
internal import ShardModel

/// How the rows of one table travel between two servers, and where the key stands in them.
package struct RowForm: Hashable, Sendable {
    package enum Format: String, Hashable, Sendable {
        case binary
        /// For types whose binary form holds object ids, which differ from server to server.
        case text
    }

    package var format: Format
    package var columnCount: Int
    /// The key's position among the columns, from 0.
    package var keyColumn: Int
    package var keyType: KeyType
    /// The key column's type in `pg_type`.
    package var keyTypeOID: UInt32

    package init(format: Format, columnCount: Int, keyColumn: Int, keyType: KeyType, keyTypeOID: UInt32) {
        self.format = format
        self.columnCount = columnCount
        self.keyColumn = keyColumn
        self.keyType = keyType
        self.keyTypeOID = keyTypeOID
    }

    /// What both ends of the copy are told, behind the statement's `WITH`.
    package var options: String { "(FORMAT \(format.rawValue))" }

    var splitting: SplitCopy {
        SplitCopy(
            table: QualifiedName(schema: "", name: ""), format: format == .binary ? .binary : .text, keyColumn: keyColumn,
            columnCount: columnCount, keyType: keyType, keyTypeOID: keyTypeOID, delimiter: 0x09, null: Array("\\N".utf8))
    }
}
