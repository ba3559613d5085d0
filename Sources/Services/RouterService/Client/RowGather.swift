internal import NIOCore
internal import PGWire
internal import RoutePlanning

/// A statement at work on several shards, whose rows go to the client as they come.
protocol Gather: AnyObject {
    /// Reads those shards whose rows the client can take now.
    func steer(in session: ClientSession)
    /// Ends it on every shard; the client gets `error` when all have ended.
    func stop(in session: ClientSession, _ error: ServerError)
}

/// A SELECT of the rows of every shard, as it came from the client.
enum GatherOrigin {
    case query(ByteBuffer)
    case execution(Statement, BindMessage)

    /// The portal's name on the shards, where a client's own may be in use.
    private static let portal = "pgmosaic_rows"

    /// The client hears of the columns from Describe.
    var isExecution: Bool { if case .execution = self { true } else { false } }

    /// The messages for one shard, answered by one ReadyForQuery.
    func write(into buffer: inout ByteBuffer) {
        switch self {
        case .query(let frame): buffer.writeImmutableBuffer(frame)
        case .execution(let statement, let bind):
            buffer.writeParse(rewriting: statement.parse, name: "")
            buffer.writeBind(selecting: Array(1..<(bind.parameterCount + 1)), of: bind, portal: Self.portal, statement: "")
            buffer.writeDescribe(.portal, name: Self.portal)
            buffer.writeExecute(portal: Self.portal)
            buffer.writeClose(.portal, name: Self.portal)
            buffer.writeSync()
        }
    }
}

/// The rows of every shard, one shard after the other.
///
/// All begin at once, so that their snapshots are of about the same moment. The rows of those whose turn has not come wait in the shards and their
/// sockets: the router holds what one reading of a socket brings of each, and a row that is not complete (docs/decisions/0018-copy-out-in-turns.md).
final class RowGather: Gather {
    final class Lane {
        let backend: Backend
        /// Rows that came before their shard's turn.
        var early = ByteBuffer()
        /// It has said which columns it gives.
        var isBegun = false
        var isDone = false
        var rows = 0

        init(_ backend: Backend) { self.backend = backend }
    }

    let origin: GatherOrigin
    /// It is the whole transaction of a simple query. In a batch Sync commits.
    let isImplicit: Bool
    let isInBatch: Bool
    /// In the order of their turns.
    let lanes: [Lane]
    /// Whose rows the client gets now.
    var turn = 0
    /// The home shard's.
    var columns: [RowDescription.Column] = []
    /// What the columns of all must be.
    private var common: [RowDescription.Column]?
    /// The first error: what comes after it is passed over.
    var error: ServerError?

    /// Whether the statement goes on in another way after this error, which came before the client has had anything.
    var goesOn: ((ServerError) -> Bool)?

    /// `DatabaseState.moves` at the beginning.
    let moves: UInt64

    init(_ origin: GatherOrigin, _ backends: [Backend], isImplicit: Bool, isInBatch: Bool, moves: UInt64) {
        self.moves = moves
        self.origin = origin
        self.isImplicit = isImplicit
        self.isInBatch = isInBatch
        lanes = backends.map(Lane.init)
    }

    var hasBegun: Bool { lanes.allSatisfy(\.isBegun) }
    var isDone: Bool { lanes.allSatisfy(\.isDone) }
    var rows: Int { lanes.reduce(0) { $0 + $1.rows } }

    func steer(in session: ClientSession) { session.steer(self) }
    func stop(in session: ClientSession, _ error: ServerError) { session.stop(self, error) }

    /// The column that this shard has and another has otherwise; nil: they agree. Where a column stands in its table is each shard's own.
    func disagreement(of description: RowDescription) -> String? {
        let own = description.columns.map { column in
            var column = column
            (column.tableOID, column.attributeNumber) = (0, 0)
            return column
        }
        guard let common else {
            common = own
            return nil
        }
        guard common.count == own.count else { return "their number" }
        return zip(common, own).first { $0 != $1 }?.1.name
    }
}
