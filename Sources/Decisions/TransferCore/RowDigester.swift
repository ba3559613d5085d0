package import NIOCore
package import PGWire
internal import SessionCore
package import ShardModel

/// What the rows of one vnode of a relation are together, whatever their order.
///
/// The sum of a 64-bit hash of each row's bytes, and their number: two sets of rows that differ have the same with a probability of 2^-64.
package struct RowDigest: Hashable, Sendable {
    package private(set) var rows = 0
    private var sum: UInt64 = 0

    package init() {}

    fileprivate mutating func add(_ hash: UInt64) {
        rows += 1
        sum &+= hash
    }

    package static func += (all: inout RowDigest, part: RowDigest) {
        all.rows += part.rows
        all.sum &+= part.sum
    }
}

/// Reads the rows of a relation, as COPY TO STDOUT gives them, for a comparison with another server's: a digest of each vnode that is looked at, or the rows
/// themselves of those that differ.
package struct RowDigester {
    private struct Tally {
        let ring: HashRing
        let vnodes: Set<UInt32>
        var digests: [UInt32: RowDigest] = [:]

        /// Whether the row is one that is looked at.
        mutating func add(_ row: RawSpan, _ token: Token) -> Bool {
            let vnode = ring.vnode(of: token).id
            guard vnodes.contains(vnode) else { return false }
            digests[vnode, default: RowDigest()].add(Token(hashing: row).value)
            return true
        }
    }

    private var reader: RowReader
    private var tally: Tally

    /// - vnodes: ids in `ring`; rows of others are passed over.
    package init(_ form: RowForm, _ ring: HashRing, vnodes: Set<UInt32>) {
        reader = RowReader(form)
        tally = Tally(ring: ring, vnodes: vnodes)
    }

    /// By vnode; without those that have no row.
    package var digests: [UInt32: RowDigest] { tally.digests }

    /// Takes a run of whole CopyData messages. `row` is called with each row that is looked at. Throws as `RowReader.consume`.
    package mutating func consume(_ run: ByteBuffer, row: (RawSpan) -> Void = { _ in }) throws(ServerError) {
        var tally = takeTally()
        defer { self.tally = tally }
        try reader.consume(run) { bytes, token in if tally.add(bytes, token) { row(bytes) } }
    }

    /// The server has sent everything.
    package mutating func finish(row: (RawSpan) -> Void = { _ in }) throws(ServerError) {
        var tally = takeTally()
        defer { self.tally = tally }
        try reader.finish { bytes, token in if tally.add(bytes, token) { row(bytes) } }
    }

    /// Out of this value while the reader changes, and not copied.
    private mutating func takeTally() -> Tally {
        let taken = tally
        tally.digests = [:]
        return taken
    }
}
