package import PGWire
package import RoutePlanning
package import ShardModel

/// What a row of COPY data says about its shard.
package enum CopyKey: Hashable, Sendable {
    /// For every shard: the header line, and every row where no key is read (`SplitCopy.Purpose.clock`).
    case none
    case token(Token)
}

/// Cuts the data of COPY FROM STDIN into rows and finds each row's key: text and CSV as PostgreSQL 15 reads them.
///
/// CopyData messages may cut rows anywhere. Rows are passed on as they came, line end included, so that a shard reads of its rows what one
/// PostgreSQL would have read. What PostgreSQL would refuse before it looks at a value is refused here with its words and SQLSTATE; each error says
/// the line in the client's data, which no shard knows. After an error the value is not to be used again.
///
/// Lines and fields are told apart in two passes, as PostgreSQL does (src/backend/commands/copyfromparse.c, CopyReadLineText and
/// CopyReadAttributesText/CSV): its two passes do not agree in every odd case, and a reader in one pass would differ from it there.
///
/// Memory: at most one unfinished row of `rowMax` bytes and one message.
package struct CopySplitter {
    package typealias RowSink = (RawSpan, CopyKey) throws(ServerError) -> Void

    enum LineEnd { case unknown, newline, carriageReturn, both }

    let plan: SplitCopy
    let rowMax: Int
    let scans: CopyScans
    /// The first line end decides for the whole data.
    var lineEnd = LineEnd.unknown
    /// The line that is being read, from 1; line ends inside of quotes count.
    var lineNumber: UInt64 = 0
    private var awaitsHeader: Bool
    /// The end marker was seen: what follows is passed over.
    private var isEnded = false
    /// The start of a row whose end has not come yet.
    private var carry: [UInt8] = []
    var progress = LineProgress()
    /// A key that has to be unescaped.
    var scratch: [UInt8] = []

    /// - rowMax: the most bytes of a row, without its line end.
    package init(_ plan: SplitCopy, rowMax: Int) {
        self.plan = plan
        self.rowMax = rowMax
        scans = CopyScans(plan)
        awaitsHeader = plan.header
    }

    /// Takes the content of one CopyData message, and gives each row that it completes.
    package mutating func consume(_ data: RawSpan, _ row: RowSink) throws(ServerError) {
        guard !isEnded, data.byteCount > 0 else { return }
        if carry.isEmpty {
            try data.withUnsafeBytes { (bytes) throws(ServerError) in
                let rest = try readLines(unsafe bytes, isComplete: false, row)
                unsafe carry.append(contentsOf: bytes[rest...])
            }
        } else {
            data.withUnsafeBytes { unsafe carry.append(contentsOf: $0) }
            try readCarry(isComplete: false, row)
        }
        guard progress.scanned <= rowMax else { throw rowTooLong() }
    }

    /// The client has sent everything (CopyDone): gives the last row, if it had no line end.
    package mutating func finish(_ row: RowSink) throws(ServerError) {
        guard !isEnded else { return }
        try readCarry(isComplete: true, row)
        isEnded = true
    }

    private mutating func readCarry(isComplete: Bool, _ row: RowSink) throws(ServerError) {
        // Taken out, so that it is not copied while the rest of the value changes.
        var window: [UInt8] = []
        swap(&window, &carry)
        let rest = try window.span.bytes.withUnsafeBytes { (bytes) throws(ServerError) in
            try readLines(unsafe bytes, isComplete: isComplete, row)
        }
        window.removeFirst(rest)
        swap(&window, &carry)
    }

    /// Returns where the unfinished row starts.
    private mutating func readLines(
        _ data: UnsafeRawBufferPointer, isComplete: Bool, _ row: RowSink
    ) throws(ServerError) -> Int {
        var start = 0
        while start < data.count, !isEnded {
            if !progress.hasStarted {
                progress.hasStarted = true
                lineNumber += 1
            }
            guard let line = try unsafe readLine(data, from: start, isComplete: isComplete) else { return start }
            progress = LineProgress()
            isEnded = line.isLast
            // What stands before the end marker is a row; nothing is none.
            if !line.isLast || line.end > start {
                guard line.end - start <= rowMax else { throw rowTooLong() }
                try unsafe give(data, start, line, row)
            }
            start = line.next
        }
        return isEnded ? data.count : start
    }

    private mutating func give(_ data: UnsafeRawBufferPointer, _ start: Int, _ line: CopyLine, _ row: RowSink) throws(ServerError) {
        let passed = unsafe UnsafeRawBufferPointer(rebasing: data[start..<(line.isLast ? line.end : line.next)])
        if awaitsHeader {
            awaitsHeader = false
            return try row(unsafe passed.bytes, .none)
        }
        let key = try unsafe key(of: UnsafeRawBufferPointer(rebasing: data[start..<line.end]))
        try row(unsafe passed.bytes, key)
    }
}

/// How far the line that is being read has been looked at.
struct LineProgress {
    var hasStarted = false
    /// Bytes of the line that need not be looked at again.
    var scanned = 0
    // CSV:
    var isInQuotes = false
    var lastWasEscape = false
}

struct CopyLine {
    /// Behind the last byte of the content.
    var end: Int
    /// Behind the line end.
    var next: Int
    /// The end marker, or the end of the data, came instead of a line end.
    var isLast: Bool
}

/// The bytes that mean something, by place.
struct CopyScans {
    let text, textField, csv, csvQuoted, csvField, csvQuotedField: ByteScan

    init(_ plan: SplitCopy) {
        let (newline, carriageReturn, backslash) = (UInt8(0x0a), UInt8(0x0d), UInt8(0x5c))
        text = ByteScan(newline, carriageReturn, backslash)
        textField = ByteScan(plan.delimiter, backslash)
        csv = ByteScan(newline, carriageReturn, plan.quote)
        csvQuoted = ByteScan(newline, carriageReturn, plan.quote, plan.escape)
        csvField = ByteScan(plan.delimiter, plan.quote)
        csvQuotedField = ByteScan(plan.quote, plan.escape)
    }
}
