package import ShardModel

/// Rows of a shard's sharded tables, drawn at random, and what each of them stands for: all rows of the shard, where it has few.
package struct RowSamples: Hashable, Sendable {
    package struct Row: Hashable, Sendable {
        package var token: Token
        /// How many rows, and how many bytes with what belongs to them (indexes, long values).
        package var rows: Double
        package var bytes: Double

        package init(token: Token, rows: Double, bytes: Double) {
            self.token = token
            self.rows = rows
            self.bytes = bytes
        }
    }

    package var rows: [Row]
    /// The length of the files of rows: what a copy reads, whether or not they move. Without indexes and long values.
    package var fileBytes: Double

    package init(_ rows: [Row] = [], fileBytes: Double = 0) {
        self.rows = rows
        self.fileBytes = fileBytes
    }

    /// By bytes: they are what a shard's disk and a copy's time are used up by.
    package var measure: TokenMeasure { TokenMeasure(rows.map { ($0.token, $0.bytes) }) }

    /// - ranges: sorted, without overlap.
    package func total(in ranges: [TokenRange]) -> (rows: Double, bytes: Double) {
        let ranges = TokenRanges(ranges)
        var total = (rows: 0.0, bytes: 0.0)
        for row in rows where ranges.contains(row.token) {
            total.rows += row.rows
            total.bytes += row.bytes
        }
        return total
    }
}
