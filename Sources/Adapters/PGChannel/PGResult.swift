package import NIOCore
package import PGWire

/// What a statement gave.
package struct PGResult: Sendable {
    package internal(set) var columns: [RowDescription.Column] = []
    package internal(set) var rows: [PGRow] = []
    /// nil for an empty statement, and for a truncated result, whose statement did not end.
    package internal(set) var tag: CommandTag?
    /// There are more rows than `PGClient.QueryOptions.rowsMax` or `bytesMax` let through.
    package internal(set) var isTruncated = false
    package internal(set) var notices: [ServerError] = []

    package init() {}

    /// Rows touched or returned, by the command's tag.
    package var rowsAffected: Int? { tag?.rows }

    package func index(ofColumn name: String) -> Int? { columns.firstIndex { $0.name == name } }
}

/// One row; its values share the storage of the message they came in.
package struct PGRow: Sendable {
    package let values: [ByteBuffer?]

    package var count: Int { values.count }
    /// The bytes of the value, nil for NULL.
    package subscript(index: Int) -> ByteBuffer? { values[index] }
    /// The value as text, nil for NULL.
    package func text(_ index: Int) -> String? { values[index].map { String(buffer: $0) } }
    package func integer(_ index: Int) -> Int? { text(index).flatMap { Int($0) } }
    package func bool(_ index: Int) -> Bool? { text(index).map { $0 == "t" } }
}
