package import NIOCore
package import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// Sorts the rows of a `COPY … TO STDOUT` of one shard by the target that is to have them, ready for a `COPY … FROM STDIN` there.
///
/// Rows are passed on unchanged: only the key is understood. Rows that stay are dropped.
/// Memory: what the targets have not taken yet (`take`), and one unfinished row.
package struct RowSorter {
    package struct Counts: Hashable, Sendable {
        package var rows = 0
        package var moved = 0
        /// By the ring as it is they are another shard's: left where they are.
        package var misplaced = 0
        /// Of the rows that moved, as they were passed on.
        package var movedBytes = 0
        package init() {}

        package static func += (all: inout Counts, more: Counts) {
            all.rows += more.rows
            all.moved += more.moved
            all.misplaced += more.misplaced
            all.movedBytes += more.movedBytes
        }
    }

    /// PostgreSQL makes no longer row.
    private static let rowMax = 1 << 30

    private var lines: CopySplitter?
    private var binary: BinaryCopySplitter?
    private var sorted: Sorted

    package init(_ form: RowForm, _ destinations: RowDestinations) {
        let splitting = form.splitting
        sorted = Sorted(destinations)
        switch form.format {
        case .binary:
            binary = BinaryCopySplitter(splitting, rowMax: Self.rowMax)
            sorted.addToAll(BinaryCopyForm.header)
        case .text: lines = CopySplitter(splitting, rowMax: Self.rowMax)
        }
    }

    package var counts: Counts { sorted.counts }

    /// Takes a run of whole CopyData messages.
    ///
    /// Throws where the rows are not of the form that was said, or a key is none: the table is not what it was taken for.
    package mutating func consume(_ run: ByteBuffer) throws(ServerError) {
        var run = run
        try sorting { (splitter, sorted) throws(ServerError) in
            while let content = run.readCopyDataContent() {
                let bytes = content.readableBytesSpan
                try splitter.lines?.consume(bytes) { row, key in sorted.add(row, key) }
                try splitter.binary?.consume(bytes) { row, key in sorted.add(row, key) }
            }
        }
    }

    /// The source has sent everything.
    package mutating func finish() throws(ServerError) {
        try sorting { (splitter, sorted) throws(ServerError) in
            try splitter.lines?.finish { row, key in sorted.add(row, key) }
            try splitter.binary?.finish { row, key in sorted.add(row, key) }
        }
        if binary != nil { sorted.addToAll(BinaryCopyForm.trailer) }
    }

    /// What is there for a target, where it is at least so much: the content of CopyData messages, whose borders mean nothing.
    package mutating func take(_ target: Int, atLeast size: Int) -> ByteBuffer? { sorted.take(target, atLeast: size) }

    /// The splitters call back while they change: what they call is moved out of this value meanwhile.
    private mutating func sorting(_ body: (inout RowSorter, inout Sorted) throws(ServerError) -> Void) throws(ServerError) {
        var sorted = self.sorted
        self.sorted.outputs = []
        defer { self.sorted = sorted }
        try body(&self, &sorted)
    }
}

private struct Sorted {
    let destinations: RowDestinations
    var counts = RowSorter.Counts()
    var outputs: [ByteBuffer]

    init(_ destinations: RowDestinations) {
        self.destinations = destinations
        outputs = Array(repeating: ByteBuffer(), count: destinations.targets.count)
    }

    mutating func addToAll(_ bytes: [UInt8]) {
        for target in outputs.indices { outputs[target].writeBytes(bytes) }
    }

    mutating func add(_ row: RawSpan, _ key: CopyKey) {
        // Without a key: the header or the trailer of the source's stream. Each target's has its own.
        guard case .token(let token) = key else { return }
        counts.rows += 1
        switch destinations.place(of: token) {
        case .stays: break
        case .misplaced: counts.misplaced += 1
        case .moves(let target):
            counts.moved += 1
            counts.movedBytes += row.byteCount
            outputs[target].writeBytes(row)
        }
    }

    mutating func take(_ target: Int, atLeast size: Int) -> ByteBuffer? {
        guard outputs[target].readableBytes >= max(1, size) else { return nil }
        var taken = ByteBuffer()
        swap(&taken, &outputs[target])
        return taken
    }
}
