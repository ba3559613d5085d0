internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// Takes the rows, and the token of each, from what a server sends for COPY TO STDOUT. Header and trailer of the binary form are passed over.
struct RowReader {
    /// PostgreSQL makes no longer row.
    private static let rowMax = 1 << 30

    private var lines: CopySplitter?
    private var binary: BinaryCopySplitter?

    init(_ form: RowForm) {
        switch form.format {
        case .binary: binary = BinaryCopySplitter(form.splitting, rowMax: Self.rowMax)
        case .text: lines = CopySplitter(form.splitting, rowMax: Self.rowMax)
        }
    }

    /// Takes a run of whole CopyData messages.
    ///
    /// Throws where the rows are not of the form that was said, or a key is none: the table is not what it was taken for.
    mutating func consume(_ run: ByteBuffer, _ take: (RawSpan, Token) -> Void) throws(ServerError) {
        var run = run
        while let content = run.readCopyDataContent() {
            let bytes = content.readableBytesSpan
            try lines?.consume(bytes) { row, key in if case .token(let token) = key { take(row, token) } }
            try binary?.consume(bytes) { row, key in if case .token(let token) = key { take(row, token) } }
        }
    }

    /// The server has sent everything.
    mutating func finish(_ take: (RawSpan, Token) -> Void) throws(ServerError) {
        try lines?.finish { row, key in if case .token(let token) = key { take(row, token) } }
        try binary?.finish { row, key in if case .token(let token) = key { take(row, token) } }
    }
}
