package import NIOCore
package import PGWire
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

    package private(set) var counts = Counts()
    private let destinations: RowDestinations
    private let isBinary: Bool
    private var reader: RowReader
    private var outputs: [ByteBuffer]

    package init(_ form: RowForm, _ destinations: RowDestinations) {
        self.destinations = destinations
        isBinary = form.format == .binary
        reader = RowReader(form)
        outputs = Array(repeating: ByteBuffer(), count: destinations.targets.count)
        if isBinary { addToAll(BinaryCopyForm.header) }
    }

    /// Takes a run of whole CopyData messages. Throws as `RowReader.consume`.
    package mutating func consume(_ run: ByteBuffer) throws(ServerError) {
        try sorting { (reader, take) throws(ServerError) in try reader.consume(run, take) }
    }

    /// The source has sent everything.
    package mutating func finish() throws(ServerError) {
        try sorting { (reader, take) throws(ServerError) in try reader.finish(take) }
        if isBinary { addToAll(BinaryCopyForm.trailer) }
    }

    /// What is there for a target, where it is at least so much: the content of CopyData messages, whose borders mean nothing.
    package mutating func take(_ target: Int, atLeast size: Int) -> ByteBuffer? {
        guard outputs[target].readableBytes >= max(1, size) else { return nil }
        var taken = ByteBuffer()
        swap(&taken, &outputs[target])
        return taken
    }

    private mutating func addToAll(_ bytes: [UInt8]) {
        for target in outputs.indices { outputs[target].writeBytes(bytes) }
    }

    private mutating func sorting(
        _ body: (inout RowReader, (RawSpan, Token) -> Void) throws(ServerError) -> Void
    ) throws(ServerError) {
        // Moved out of this value while the reader changes.
        var (outputs, counts) = (self.outputs, self.counts)
        self.outputs = []
        defer { (self.outputs, self.counts) = (outputs, counts) }
        try body(&reader) { [destinations] row, token in
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
    }
}
