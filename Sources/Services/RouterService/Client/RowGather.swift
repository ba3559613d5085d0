internal import NIOCore
internal import PGWire
internal import RoutePlanning

/// A statement at work on several shards, whose rows go to the client as they come.
protocol Gather: AnyObject {
    /// Reads those shards whose rows the client can take now.
    func steer(in session: ClientSession)
    /// Ends it on every shard; the client gets `error` when all have ended.
    func stop(in session: ClientSession, _ error: ServerError)
    /// False: something else is made of the rows, and perhaps written.
    var isForTheClient: Bool { get }
}

extension Gather {
    var isForTheClient: Bool { true }
}

/// A SELECT of the rows of every shard, as it came from the client.
enum GatherOrigin {
    case query(ByteBuffer)
    case execution(Statement, BindMessage)

    /// The portal's name on the shards, where a client's own may be in use.
    private static let portal = "pgmosaic_rows"

    /// Whether the columns are those that Describe has told of; where they are not, it asks again.
    func isAsTold(_ columns: [RowDescription.Column]) -> Bool {
        guard case .execution(let statement, _) = self else { return true }
        let asText = columns.map { column in
            var column = column
            column.format = .text
            return column
        }
        guard let told = statement.gathered else {
            statement.gathered = asText
            return true
        }
        let isSame = told.count == asText.count && zip(told, asText).allSatisfy { $0.name == $1.name && $0.typeOID == $1.typeOID && $0.typeModifier == $1.typeModifier }
        if !isSame { statement.gathered = nil }
        return isSame
    }

    /// The client hears of the columns from Describe.
    var isExecution: Bool { if case .execution = self { true } else { false } }

    /// The messages for one shard, answered by one ReadyForQuery.
    ///
    /// - preparation: under which name the shard knows the statement; nil: it is parsed for this once.
    func write(into buffer: inout ByteBuffer, _ preparation: StatementPreparation? = nil) {
        switch self {
        case .query(let frame): buffer.writeImmutableBuffer(frame)
        case .execution(let statement, let bind):
            if let preparation { preparation.write(statement, into: &buffer) } else { buffer.writeParse(rewriting: statement.parse, name: "") }
            buffer.writeBind(selecting: Array(1..<(bind.parameterCount + 1)), of: bind, portal: Self.portal, statement: preparation?.name ?? "")
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
    var common = CommonColumns()
    /// The first error: what comes after it is passed over.
    var error: ServerError?

    /// Whether the statement goes on in another way after this error, which came before the client has had anything.
    var goesOn: ((ServerError) -> Bool)?

    /// `DatabaseState.moves` at the beginning.
    let moves: UInt64

    /// Who is to be read is looked at once more at the end of the loop's tick.
    var isSteeringDue = false

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
}
