package import NIOCore
package import RoutePlanning

/// Makes one stream of COPY data of what several shards send, each for itself: one header, every shard's rows, and no trailer, which the router adds
/// at the end.
///
/// A shard sends one message a row, and one for the line of column names; the header of the binary form stands at the head of its first message
/// (src/backend/commands/copyto.c). Shards count from 0; the first one's header is the stream's.
package struct CopyGatherer {
    package enum Fault: Error, Hashable, Sendable {
        /// Not what PostgreSQL sends.
        case malformed
        /// The shards' tables differ.
        case headersDiffer
    }

    private enum Place { case start, rows, trailer }

    private let plan: GatherCopy
    private var places: [Place]
    /// The line of column names.
    private var headerLine: ByteBuffer?

    package init(_ plan: GatherCopy, shards: Int) {
        self.plan = plan
        places = Array(repeating: .start, count: shards)
    }

    /// What of the content of a shard's CopyData belongs into the stream; nil: nothing.
    package mutating func take(_ data: ByteBuffer, from shard: Int) throws(Fault) -> ByteBuffer? {
        if plan.isBinary { return try takeBinary(data, from: shard) }
        guard plan.hasHeaderLine, places[shard] == .start else { return data }
        places[shard] = .rows
        if let headerLine {
            guard headerLine == data else { throw .headersDiffer }
        } else {
            // A copy: the slice would keep all of the read that it came with.
            headerLine = ByteBuffer(bytes: data.readableBytesView)
        }
        return shard == 0 ? data : nil
    }

    private mutating func takeBinary(_ data: ByteBuffer, from shard: Int) throws(Fault) -> ByteBuffer? {
        var rows = data
        var header = ByteBuffer()
        switch places[shard] {
        case .start:
            guard let head = rows.readSlice(length: BinaryCopyForm.headerLength),
                head.readableBytesView.elementsEqual(BinaryCopyForm.header)
            else { throw .malformed }
            header = head
            places[shard] = .rows
        case .rows: break
        case .trailer: throw .malformed
        }
        if rows.readableBytesView.elementsEqual(BinaryCopyForm.trailer) {
            places[shard] = .trailer
            return shard == 0 && header.readableBytes > 0 ? header : nil
        }
        return shard == 0 ? data : rows.readableBytes > 0 ? rows : nil
    }

    /// Whether a shard whose COPY has succeeded sent all that belongs to it.
    package func isComplete(_ shard: Int) -> Bool {
        if plan.isBinary { return places[shard] == .trailer }
        return !plan.hasHeaderLine || places[shard] == .rows
    }
}
