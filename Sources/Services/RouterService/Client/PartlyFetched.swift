internal import NIOCore
internal import PGWire
internal import RoutePlanning

/// A portal over several shards whose rows the client takes a number at a time.
///
/// The shards' own rows stay with them, in portals that are read to their ends one after the other: the router holds none. Rows that were made of them are kept here.
final class PartlyFetched: Gather {
    enum Rows {
        /// Nothing has run yet.
        case none
        /// In portals of these shards; those before `turn` are at their ends.
        case onShards([BackendPool], turn: Int)
        /// DataRow messages.
        case kept(ByteBuffer)
    }

    /// What its rows are given for.
    enum Purpose: Equatable {
        case execute
        /// DECLARE: for nothing yet.
        case declare
        case fetch(isMove: Bool)
    }

    var purpose = Purpose.execute
    /// What its rows have; of cursors.
    var columns: [RowDescription.Column] = []
    let plan: GatherRows
    let statement: Statement
    let bind: BindMessage
    /// The portals' name on the shards.
    let portal: String
    var rows = Rows.none
    /// How many rows the Execute under way may still give; nil: all.
    var left: Int?
    /// How many it has given.
    var given = 0
    /// The shard that is being read.
    var reading: Backend?
    /// The first error: what comes after it is passed over.
    var error: ServerError?

    /// - number: that no other portal of the session has but the one that this one takes the place of.
    init(_ plan: GatherRows, _ statement: Statement, _ bind: BindMessage, number: UInt64) {
        (self.plan, self.statement, self.bind) = (plan, statement, bind)
        portal = "pgmosaic_portal_\(number)"
    }

    var origin: GatherOrigin { .execution(statement, bind) }
    var keptBytes: Int { if case .kept(let buffer) = rows { buffer.readableBytes } else { 0 } }

    func steer(in session: ClientSession) { reading?.setReading(error != nil || session.isClientWritable) }

    func stop(in session: ClientSession, _ error: ServerError) {
        guard self.error == nil else { return }
        self.error = error
        if let reading, reading.hasExchange { reading.pool.cancel(reading) }
        steer(in: session)
    }

    /// Opens the portal on a shard.
    func writeOpening(into buffer: inout ByteBuffer) {
        // One that the client has bound anew.
        buffer.writeClose(.portal, name: portal)
        buffer.writeParse(rewriting: statement.parse, name: "")
        buffer.writeBind(selecting: Array(1..<(bind.parameterCount + 1)), of: bind, portal: portal, statement: "")
        buffer.writeDescribe(.portal, name: portal)
        buffer.writeSync()
    }

    /// Keeps the rows of an answer.
    func keep(_ answers: ByteBuffer) {
        var (rest, kept) = (answers, ByteBuffer())
        while let frame = try? rest.readFrame(limit: .max) {
            if frame.kind == BackendKind.rowDescription { columns = (try? RowDescription(body: frame.body))?.columns ?? [] }
            if frame.kind == BackendKind.dataRow { kept.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) } }
        }
        rows = .kept(kept)
    }

    /// Keeps one more row.
    func keep(_ frame: Frame) {
        guard case .kept(var buffer) = rows else { return }
        rows = .none
        buffer.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
        rows = .kept(buffer)
    }
}
