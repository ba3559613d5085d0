internal import NIOCore
internal import PGWire
internal import RoutePlanning

/// A SELECT at work whose rows are brought to the home shard, and whose answer is made there (docs/internals/scatter.md).
///
/// Every shard gives the rows of all tables in one statement, and so as one snapshot has them. They go on to the home shard's session in COPYs of a few hundred kilobytes, one
/// after the other: the router holds what it has read of the shards, up to `waitingMax` and a burst of each.
final class RowFinish: Gather {
    /// A shard that gives rows.
    final class Source {
        let backend: Backend
        /// The tables that it is asked for, by their numbers.
        let tables: [Int]
        /// What it says it gives; nil: it has not.
        var columns: [RowDescription.Column]?
        var isDone = false
        var rows = 0

        init(_ backend: Backend, _ tables: [Int]) { (self.backend, self.tables) = (backend, tables) }
    }

    /// What the home shard's session does.
    enum Step { case preparing, waiting, copying, answering, over }

    /// So many bytes of a table's rows make a COPY.
    static let copyBytes = 256 << 10
    /// With so many bytes on their way no shard is read.
    static let waitingMax = 1 << 20
    /// The portal's name on the shards, where a client's own may be in use.
    static let portal = "pgmosaic_rows"

    let plan: FinishPlan
    let origin: GatherOrigin
    /// It runs in transactions of its own, which nothing else is part of. The home shard's session sees its own rows itself.
    let isAlone: Bool
    /// It is the whole transaction of a simple query.
    let isImplicit: Bool
    let isInBatch: Bool
    /// `DatabaseState.moves` at the beginning.
    let moves: UInt64
    /// The session of the home shard's that makes the answer; one of its own where the transaction has another there.
    let home: Backend
    let sources: [Source]
    let tables: [FetchedTable]
    var rows: [FetchedRows]
    /// All that came of the shards, and what the home shard has by itself.
    var bytes = 0
    var step = Step.preparing
    /// Exchanges that have not ended.
    var outstanding = 0
    /// What the statement takes and gives, as the home shard understands it.
    var parameterTypes: [UInt32] = []
    var columns: [RowDescription.Column] = []
    var hasColumns = false
    /// What is asked for is a plan.
    var explanation: Explanation?
    /// The portal that keeps the answer's rows.
    var parts: PartlyFetched?
    /// Rows for the client.
    var answered = 0
    /// The home shard's command tag.
    var tag = ""
    /// nil: all rows that the shards give count.
    var owners: RowOwners?
    /// Begins anew, as long as nothing was said of the answer.
    var again: (() -> Void)?
    /// nil: the client gets the rows.
    var taker: RowTaker?
    /// The first error: what comes after it is passed over.
    var error: ServerError?

    init(
        _ plan: FinishPlan, _ origin: GatherOrigin, home: Backend, _ backends: [Backend], homePool: BackendPool, isAlone: Bool, isImplicit: Bool, isInBatch: Bool, moves: UInt64
    ) {
        (self.plan, self.origin, self.home, self.isAlone, self.isImplicit, self.isInBatch, self.moves) = (plan, origin, home, isAlone, isImplicit, isInBatch, moves)
        tables = plan.tables(inTransaction: !isAlone)
        rows = tables.map(FetchedRows.init)
        // A reference table's rows are the home shard's.
        let all = Array(tables.indices), sharded = Array(plan.sharded.indices)
        sources = backends.map { Source($0, $0.pool === homePool ? all : sharded) }
    }

    var waitingBytes: Int { rows.reduce(0) { $0 + $1.bytes } }
    var isForTheClient: Bool { taker == nil }
    var isFetched: Bool { sources.allSatisfy(\.isDone) }

    func steer(in session: ClientSession) { session.steer(self) }
    func stop(in session: ClientSession, _ error: ServerError) { session.stop(self, error) }

    // MARK: Rows

    /// What is asked of a source.
    func writeFetch(from source: Source, into buffer: inout ByteBuffer) {
        buffer.writeParse(name: "", query: plan.fetch(source.tables, inTransaction: !isAlone))
        let formats = [WireFormat.binary] + source.tables.flatMap { number in tables[number].columns.map { _ in tables[number].isText ? WireFormat.text : .binary } }
        buffer.writeFrame(FrontendKind.bind) { buffer in
            buffer.writeNullTerminatedString(Self.portal)
            buffer.writeNullTerminatedString("")
            buffer.writeMultipleIntegers(0 as UInt16, 0 as UInt16, UInt16(formats.count))
            for format in formats { buffer.writeInteger(format.rawValue) }
        }
        buffer.writeDescribe(.portal, name: Self.portal)
        buffer.writeExecute(portal: Self.portal)
        buffer.writeClose(.portal, name: Self.portal)
        buffer.writeSync()
    }

    /// Takes one row of a source; false: it is none of what was asked for.
    func take(_ row: ByteBuffer, from source: Source) -> Bool {
        var fields = row
        guard let count = fields.readInteger(as: Int16.self), fields.readInteger(as: Int32.self) == 2, let number = fields.readInteger(as: Int16.self).map(Int.init),
            let place = source.tables.firstIndex(of: number), Int(count) == 1 + source.tables.reduce(0, { $0 + tables[$1].columns.count })
        else { return false }
        // The columns of other tables are NULL: their lengths, and nothing else.
        let before = source.tables[..<place].reduce(0) { $0 + tables[$1].columns.count }, behind = source.tables[(place + 1)...].reduce(0) { $0 + tables[$1].columns.count }
        guard fields.readableBytes >= 4 * (before + behind), let own = fields.getSlice(at: fields.readerIndex + 4 * before, length: fields.readableBytes - 4 * (before + behind))
        else { return false }
        source.rows += 1
        if let owners {
            guard let isOwned = owners.owns(own, tables[number], source.backend.pool.shardID) else { return false }
            if !isOwned { return true }
        }
        bytes += own.readableBytes
        rows[number].append(own)
        return true
    }

    /// The column that this source has and another has otherwise; nil: they agree on those of the sharded tables.
    func disagreement(of source: Source) -> String? {
        guard let own = source.columns else { return "their number" }
        for other in sources where other !== source {
            for (a, b) in zip(own, other.columns ?? []) where a.typeOID != b.typeOID && min(a.typeOID, b.typeOID) < Column.userTypeOID { return a.name }
        }
        return nil
    }
}
