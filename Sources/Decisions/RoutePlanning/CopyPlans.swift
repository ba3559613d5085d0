package import PGTypes
package import ShardModel

package struct BroadcastCopy: Hashable, Sendable {
    package var table: QualifiedName
    /// A reader for each copied column that may take its value from the clock (`SplitCopy.Purpose.clock`).
    package var clocks: [SplitCopy]
    package init(table: QualifiedName, clocks: [SplitCopy] = []) {
        self.table = table
        self.clocks = clocks
    }
}

package struct SplitCopy: Hashable, Sendable {
    package enum Format: Hashable, Sendable { case text, csv, binary }
    /// What the column at `keyColumn` is read for.
    package enum Purpose: Hashable, Sendable {
        /// Its value chooses the row's shard.
        case key
        /// A text such as 'now' in it is refused, for every shard would read another moment.
        case clock
    }
    package var purpose = Purpose.key
    package var table: QualifiedName
    package var format: Format
    /// The key's position among the copied columns (0-based), and their number.
    package var keyColumn: Int
    package var columnCount: Int
    package var keyType: KeyType
    /// The key column's type in `pg_type`: what a binary value's length must fit.
    package var keyTypeOID: UInt32
    /// How text is written; binary data has a form of its own.
    package var encoding: CopyEncoding
    package var delimiter: UInt8
    package var null: [UInt8]
    package var quote: UInt8
    package var escape: UInt8
    /// The first line is column names: sent to every shard (with `header` kept in the statement) or dropped.
    package var header: Bool
    /// CSV FORCE_NOT_NULL / FORCE_NULL on the key column.
    package var forceNotNullKey: Bool
    package var forceNullKey: Bool
    /// As `StatementPlan.keyLengthMax`.
    package var keyLengthMax: Int?
    /// The copied columns' names, for error messages.
    package var columns: [String]
    package init(
        table: QualifiedName, format: Format, keyColumn: Int, columnCount: Int, keyType: KeyType, keyTypeOID: UInt32 = 0,
        encoding: CopyEncoding = .utf8, delimiter: UInt8, null: [UInt8], quote: UInt8 = 0x22,
        escape: UInt8 = 0x22, header: Bool = false, forceNotNullKey: Bool = false, forceNullKey: Bool = false, keyLengthMax: Int? = nil,
        columns: [String] = []
    ) {
        self.table = table
        self.format = format
        self.keyColumn = keyColumn
        self.columnCount = columnCount
        self.keyType = keyType
        self.keyTypeOID = keyTypeOID
        self.encoding = encoding
        self.delimiter = delimiter
        self.null = null
        self.quote = quote
        self.escape = escape
        self.header = header
        self.forceNotNullKey = forceNotNullKey
        self.forceNullKey = forceNullKey
        self.keyLengthMax = keyLengthMax
        self.columns = columns
    }
}

/// COPY table TO STDOUT of a table whose rows are on several shards.
package struct GatherCopy: Hashable, Sendable {
    package var table: QualifiedName
    /// The stream begins and ends with what only one shard's may show: a header, and in the binary form a trailer.
    package var isBinary: Bool
    /// Text and csv: the first message of each shard is the line of column names.
    package var hasHeaderLine: Bool
    package init(table: QualifiedName, isBinary: Bool = false, hasHeaderLine: Bool = false) {
        self.table = table
        self.isBinary = isBinary
        self.hasHeaderLine = hasHeaderLine
    }
}
